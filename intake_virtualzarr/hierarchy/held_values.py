"""Arrays whose values the store holds itself (coordinates): a manifest of chunks that stand in the document, or in objects of the
generation that wrote them. What is published of them never changes: an append gives the array other chunks.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from intake_virtualzarr._typing import AnyArray, Attrs, JsonObject
from intake_virtualzarr.codecs.linear import LINEAR, as_linear
from intake_virtualzarr.hierarchy.checks import Check
from intake_virtualzarr.hierarchy.documents import VERSION, is_virtual, ordinary_array, ordinary_chunks
from intake_virtualzarr.hierarchy.manifest_writer import DocumentWriter, reference

__all__ = ["holds_values", "longer_values", "values_document"]

INLINE_BYTES = 16 * 1024
"""Chunks of one array stand in its document up to this size in sum [bytes]; every reader of the store fetches them."""
OBJECT_BYTES = 1024 * 1024
"""Smaller chunks share an object up to this size [bytes]."""
CHECKSUM = {"name": "crc32c"}
LINEAR_LEAST = 2048
"""Shorter coordinates are written as they are: any reader of Zarr's codecs reads them, and they take little [elements]."""


def holds_values(document: Attrs) -> bool:
    """Whether an array's values are kept in the store: not by reference to a source file."""
    if not is_virtual(document):
        return True
    transformers = document.get("storage_transformers") or [{}]
    return bool((transformers[0].get("configuration") or {}).get("holds_values"))


def values_document(values: AnyArray, dims: Sequence[str], attrs: Attrs, path: str, sink: DocumentWriter) -> JsonObject:
    """Write the chunks of an array that are too large for its document; returns the document.

    A long coordinate whose values are evenly spaced becomes two numbers.
    """
    document = ordinary_array(values, dims, attrs)
    document["chunk_key_encoding"] = {"name": "virtual"}
    configuration: JsonObject = {"version": VERSION, "holds_values": True, "sources": {"list": []}, "chunks": {}}
    document["storage_transformers"] = [{"name": "chunk-manifest", "configuration": configuration}]
    linear = as_linear(values) if values.size >= LINEAR_LEAST else None
    if linear is not None:
        document["chunk_grid"]["configuration"]["chunk_shape"] = [values.size]
        document["codecs"] = [LINEAR.to_json(), CHECKSUM]
        configuration["chunks"]["0"] = _inline(_with_checksum(linear))
        return document
    document["codecs"] = [*document["codecs"], CHECKSUM]
    _add_chunks(configuration, values, document["chunk_grid"]["configuration"]["chunk_shape"], 0, path, sink)
    return document


def longer_values(document: Attrs, joined: AnyArray, first: int, path: str, sink: DocumentWriter) -> JsonObject:
    """The document of an array that was appended to.

    Parameters
    ----------
    document : mapping
        The document as it was.
    joined : array
        All values.
    first : int
        Chunks before this number along the first axis stay as they are.
    path : str
        Path of the array.
    sink : DocumentWriter
    """
    # chunks of format 0.1 lie where they can be written over, and two numbers say nothing of what follows
    if not is_virtual(document) or document["codecs"][0] == LINEAR.to_json():
        kept = {name: document[name] for name in ("dimension_names", "attributes", "fill_value") if name in document}
        return {**values_document(joined, (), {}, path, sink), **kept}
    transformer = document["storage_transformers"][0]
    configuration = dict(transformer["configuration"])
    chunks = {key: entry for key, entry in configuration["chunks"].items() if int(key.split(".")[0]) < first}
    rows = list((configuration.get("sources") or {}).get("list", []))
    used = sorted({entry["source"] for entry in chunks.values() if "source" in entry})
    number = {row: i for i, row in enumerate(used)}
    configuration["chunks"] = {k: {**e, "source": number[e["source"]]} if "source" in e else e for k, e in chunks.items()}
    configuration["sources"] = {"list": [rows[row] for row in used]}
    configuration["version"] = VERSION
    _add_chunks(configuration, joined, document["chunk_grid"]["configuration"]["chunk_shape"], first, path, sink)
    return {
        **document,
        "shape": list(joined.shape),
        "storage_transformers": [{"name": transformer["name"], "configuration": configuration}],
    }


def _add_chunks(
    configuration: JsonObject, values: AnyArray, chunk_shape: Sequence[int], first: int, path: str, sink: DocumentWriter
) -> None:
    """Put chunks into a document, or into objects that it names then."""
    chunks: JsonObject = configuration["chunks"]
    room = INLINE_BYTES - sum(len(entry.get("inline", "")) * 3 // 4 for entry in chunks.values())
    objects = _Objects(configuration["sources"]["list"], path, sink)
    waiting: list[tuple[str, bytes]] = []
    for key, raw in ordinary_chunks(values, chunk_shape, first):
        data = _with_checksum(raw)
        waiting.append((".".join(key.split("/")[1:]) or "0", data))
        room -= len(data)
        if room < 0:  # it does not fit: all of it goes beside the document
            for name, chunk in waiting:
                chunks[name] = objects.add(chunk)
            waiting.clear()
    for name, chunk in waiting:
        chunks[name] = _inline(chunk)
    objects.close()


def _with_checksum(raw: bytes) -> bytes:
    return raw + Check.of(raw).crc32c.to_bytes(4, "little")


def _inline(chunk: bytes) -> JsonObject:
    return {"inline": base64.standard_b64encode(chunk).decode()}


class _Objects:
    """Chunks on their way into objects of a generation, several in each."""

    def __init__(self, rows: list[JsonObject], path: str, sink: DocumentWriter) -> None:
        self._rows = rows
        self._path = path
        self._sink = sink
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, chunk: bytes) -> JsonObject:
        """The entry of a chunk in the manifest."""
        if self._parts and self._size + len(chunk) > OBJECT_BYTES:
            self.close()
        entry = {"source": len(self._rows), "offset": self._size, "length": len(chunk)}
        self._parts.append(chunk)
        self._size += len(chunk)
        return entry

    def close(self) -> None:
        """Write what was gathered."""
        if not self._parts:
            return
        key = f"{self._sink.place(self._path)}/values-{len(self._rows)}.bin"
        check = self._sink.put(key, b"".join(self._parts))
        self._rows.append({"url": reference(key, self._path), "size": check.size, "check": check.text})
        self._parts, self._size = [], 0
