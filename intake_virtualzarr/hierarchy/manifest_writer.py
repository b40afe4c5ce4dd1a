"""Metadata of virtual arrays: from a plan to documents and manifest pages."""

from __future__ import annotations

import base64
import posixpath
from collections import Counter
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from intake_virtualzarr._typing import Attrs, DType, JsonObject, Shape
from intake_virtualzarr.arrays.chunk_grid import ChunkGrid
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.arrays.segments import StoredArray, Window, same_fill
from intake_virtualzarr.codecs.cf_packing import Packing
from intake_virtualzarr.codecs.spec import bytes_codec, pipeline_to_json
from intake_virtualzarr.errors import HierarchyError
from intake_virtualzarr.hierarchy.attributes import attributes_to_json
from intake_virtualzarr.hierarchy.checks import Check, checks_to_text
from intake_virtualzarr.hierarchy.chunk_grid_json import grid_to_json, stored_shapes_to_json
from intake_virtualzarr.hierarchy.commit import Commit
from intake_virtualzarr.hierarchy.data_types import data_type_to_json, fill_value_to_json
from intake_virtualzarr.hierarchy.documents import VERSION, dump
from intake_virtualzarr.hierarchy.embedded import IN_PLACE_BYTES, in_place
from intake_virtualzarr.hierarchy.paged_manifest import page_checks, page_shape, refs_document, write_pages
from intake_virtualzarr.hierarchy.renumbered import Renumbered, used_rows
from intake_virtualzarr.hierarchy.source_table import PAGE_SIZE, common_base, page_document, row_to_json
from intake_virtualzarr.hierarchy.write_plan import Concat, Fill, Leaf, Plan, view_grid
from intake_virtualzarr.storage.source import Source
from intake_virtualzarr.storage.urls import quoted, relative_url

__all__ = ["ArrayHeader", "DocumentWriter", "packing_to_json", "reference", "write_plan"]

READABLE_REFERENCES = 256
"""Up to this many references are written as JSON in the array's own document."""
READABLE_SOURCES = 64


class DocumentWriter:
    """Where objects of a generation go, and the source table that its documents share.

    Parameters
    ----------
    commit : Commit
        Takes the objects.

    Attributes
    ----------
    url : str
        URL of the root of the hierarchy.
    rows : list of Source
        The shared source table.
    counts : dict
        References by path of the array.
    """

    def __init__(self, commit: Commit) -> None:
        self.commit = commit
        self.url = commit.keys.url
        self.rows: list[Source] = []
        self.counts: dict[str, int] = {}
        self._index: dict[tuple[str, bytes | None], int] = {}
        self._tables: list[JsonObject] = []
        self._waiting: list[tuple[str, JsonObject, JsonObject]] = []
        self._parts: Counter[str] = Counter()

    def put(self, key: str, value: bytes) -> Check:
        """Write an object."""
        return self.commit.put(key, value)

    def row(self, source: Source) -> int:
        """The row of a source, added if it is new."""
        key = (source.url, source.content)
        row = self._index.setdefault(key, len(self.rows))
        if row == len(self.rows):
            self.rows.append(source)
            self.commit.refers_to(source.url)
        else:
            self.rows[row].check(source)
        return row

    def place(self, path: str) -> str:
        """Where objects go that belong to the array whose document lies at ``path``."""
        return path if path.startswith(f"{self.commit.prefix}/") else f"{self.commit.prefix}/{path}"

    def new_part(self, path: str) -> str:
        """Path of an array that only the array at ``path`` uses."""
        number = self._parts[path]
        self._parts[path] += 1
        return f"{self.place(path)}/parts/{number}"

    def table(self, path: str) -> JsonObject:
        """The shared source table as a document at ``path`` names it; what it says is known when all arrays are written."""
        table: JsonObject = {"path": reference(f"{self.commit.prefix}/sources", path), "page_size": PAGE_SIZE}
        self._tables.append(table)
        return table

    def part(self, path: str, write: Callable[[], JsonObject], entry: JsonObject) -> None:
        """Write the document of a part; ``entry``, which names it, gets its check.

        A document that names the shared table waits until that is whole.
        """
        before = len(self._tables) + len(self._waiting)
        document, key = write(), f"{path}/zarr.json"
        if len(self._tables) + len(self._waiting) > before:
            self._waiting.append((key, document, entry))
        else:
            entry["check"] = self.put(key, dump(document)).text

    def finish(self) -> None:
        """Write the shared source table, and what waits for it."""
        checks = []
        for first in range(0, len(self.rows) if self._tables else 0, PAGE_SIZE):
            key = f"{self.commit.prefix}/sources/{first // PAGE_SIZE}.json"
            checks.append(self.put(key, dump(page_document(self.rows[first : first + PAGE_SIZE], f"{self.url}/{key}"))))
        text = checks_to_text(checks)
        for table in self._tables:
            table |= {"count": len(self.rows), "checks": text}
        for key, document, entry in self._waiting:
            entry["check"] = self.put(key, dump(document)).text


def reference(key: str, path: str) -> str:
    """A key of the hierarchy as the document at ``path`` names it: a relative URL."""
    return quoted(posixpath.relpath(f"/{key}", f"/{path}"))


class ArrayHeader:
    """What an array's document holds besides its chunks."""

    def __init__(self, dtype: DType, fill_value: Any, dims: Sequence[str] | None, attrs: Attrs) -> None:
        self.dtype = dtype
        self.fill_value = fill_value
        self.dims = dims
        self.attrs = attrs

        self.is_part = False

    @classmethod
    def of_part(cls, dtype: DType, fill_value: Any) -> ArrayHeader:
        """The head of an array that is a member of another and no node of the hierarchy."""
        head = cls(dtype, fill_value, None, {})
        head.is_part = True
        return head

    def document(self, shape: Shape, grid: ChunkGrid, codecs: list[Any], transformer: JsonObject) -> JsonObject:
        """The array's document."""
        out: JsonObject = {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(shape),
            "data_type": data_type_to_json(self.dtype),
            "chunk_grid": grid_to_json(grid),
            "chunk_key_encoding": {"name": "virtual"},
            "fill_value": fill_value_to_json(self.fill_value, self.dtype),
            "codecs": codecs,
            "attributes": attributes_to_json(self.attrs, self.dtype),
        }
        if self.dims is not None:
            out["dimension_names"] = list(self.dims)
        transformer["configuration"]["version"] = VERSION
        out["storage_transformers"] = [transformer]
        return out


def write_plan(plan: Plan, shape: Shape, head: ArrayHeader, path: str, sink: DocumentWriter) -> JsonObject:
    """Write the pages and parts of an array, and return its document (which the caller writes).

    Parameters
    ----------
    plan : Leaf, Fill or Concat
        How the array is composed.
    shape : tuple of int
        Shape of the array [elements].
    head : ArrayHeader
        Data type, fill value, dimension names, attributes.
    path : str
        Path of the array in the hierarchy, without a slash in front.
    sink : DocumentWriter
        Where everything goes.
    """
    if isinstance(plan, Fill):
        return _write_fill(shape, head)
    if isinstance(plan, Leaf):
        if plan.is_plain:
            return _write_manifest(plan.stored, head, path, sink)
        plan = Concat(0, shape, (plan,)) if shape else _refused_scalar(path)
    return _write_concat(plan, shape, head, path, sink)


def _refused_scalar(path: str) -> Concat:
    raise HierarchyError(f"{path}: a scalar that is part of a larger array or decoded cannot be stored by reference; load it first")


def _write_fill(shape: Shape, head: ArrayHeader) -> JsonObject:
    grid = ChunkGrid.regular(shape, tuple(max(n, 1) for n in shape))
    codecs = [bytes_codec(head.dtype).to_json()]
    return head.document(shape, grid, codecs, {"name": "chunk-manifest", "configuration": {"sources": {"list": []}, "chunks": {}}})


# ---------------------------------------------------------------------- manifests


def _write_manifest(stored: StoredArray, head: ArrayHeader, path: str, sink: DocumentWriter) -> JsonObject:
    manifest = stored.manifest.load()
    configuration: JsonObject = {}
    used = used_rows(manifest, len(stored.sources))
    count = manifest.count
    if count <= READABLE_REFERENCES and len(used) <= READABLE_SOURCES and _inlined_bytes(stored, used) <= IN_PLACE_BYTES:
        configuration.update(_readable(stored, manifest, used, path, sink))
    else:
        configuration.update(_packed(stored, manifest, used, path, sink, head.is_part))
    shapes = stored_shapes_to_json(stored.grid)
    if shapes is not None:
        configuration["stored_chunk_shapes"] = shapes
    if stored.alternatives:
        configuration["codec_alternatives"] = [pipeline_to_json(p) for p in stored.alternatives]
    sink.counts[path] = count
    return head.document(
        stored.shape,
        stored.grid,
        pipeline_to_json(stored.codecs),
        {"name": "chunk-manifest", "configuration": configuration},
    )


def _inlined_bytes(stored: StoredArray, used: list[int]) -> int:
    return sum(len(stored.sources[row].content or b"") for row in used)


def _readable(stored: StoredArray, manifest: ChunkManifest, used: list[int], path: str, sink: DocumentWriter) -> JsonObject:
    outside = [row for row in used if stored.sources[row].content is None]
    numbers = {row: i for i, row in enumerate(outside)}
    chunks: JsonObject = {}
    for coords in zip(*np.nonzero(manifest.length), strict=True) if manifest.shape else [()] * manifest.count:
        ref = manifest.get([int(c) for c in coords])
        assert ref is not None
        source = stored.sources[ref.source]
        if source.content is not None:
            entry: JsonObject = {"inline": base64.standard_b64encode(source.content[ref.offset : ref.offset + ref.length]).decode()}
        else:
            entry = {"source": numbers[ref.source], "offset": ref.offset, "length": ref.length}
        if ref.codec:
            entry["codec"] = ref.codec
        chunks[".".join(str(int(c)) for c in coords) or "0"] = entry
    return {"sources": _listed([stored.sources[row] for row in outside], path, sink), "chunks": chunks}


def _listed(rows: Sequence[Source], path: str, sink: DocumentWriter) -> JsonObject:
    """A source table in the document at ``path``."""
    where = f"{sink.url}/{quoted(path)}/zarr.json"
    for row in rows:
        sink.commit.refers_to(row.url)
    base = common_base([row.url for row in rows])
    listed = {"list": [row_to_json(row, base) for row in rows]}
    return {"base": relative_url(base, where), **listed} if base else listed


def _packed(
    stored: StoredArray, manifest: ChunkManifest, used: list[int], path: str, sink: DocumentWriter, part: bool
) -> JsonObject:
    fields = 4 if manifest.codec is not None else 3
    page = page_shape(manifest.shape)
    described = refs_document(manifest.shape, page, fields)
    rows = [stored.sources[row] for row in used]
    if part and page == manifest.shape and len(used) <= READABLE_SOURCES and all(row.content is None for row in rows):
        pages = dict(write_pages(_own_rows(manifest, used), page, fields))
        if sum(map(len, pages.values())) <= IN_PLACE_BYTES:
            return {"manifest": in_place(described, pages), "sources": _listed(rows, path, sink)}
    renumbered = _shared_rows(stored, manifest, used, path, sink)
    refs = f"{sink.place(path)}/refs"
    written = {key: sink.put(f"{refs}/{key}", data) for key, data in write_pages(renumbered, page, fields)}
    objects = {"path": reference(refs, path), "checks": checks_to_text(page_checks(manifest.shape, page, written))}
    return {"manifest": {"zarr.json": described, "objects": objects}, "sources": sink.table(path)}


def _own_rows(manifest: ChunkManifest, used: list[int]) -> Renumbered:
    """Rows of a table of the used sources only."""
    rows = np.zeros(max(used, default=-1) + 1, dtype=np.uint32)
    rows[used] = np.arange(len(used))
    return Renumbered(manifest, rows)


def _shared_rows(stored: StoredArray, manifest: ChunkManifest, used: list[int], path: str, sink: DocumentWriter) -> Renumbered:
    """Rows of the shared table in place of the array's own; inlined bytes go to one file of the hierarchy."""
    rows = np.zeros(max(used, default=-1) + 1, dtype=np.uint32)
    shift = np.zeros(rows.size, dtype=np.uint64)
    inlined = [row for row in used if stored.sources[row].content is not None]
    if inlined:
        blob = b"".join(stored.sources[row].content or b"" for row in inlined)
        key = f"{sink.place(path)}/inlined.bin"
        sink.put(key, blob)
        target = sink.row(Source(f"{sink.url}/{quoted(key)}", size=len(blob)))
        at = 0
        for row in inlined:
            rows[row], shift[row] = target, at
            at += len(stored.sources[row].content or b"")
    for row in used:
        if stored.sources[row].content is None:
            rows[row] = sink.row(stored.sources[row])
    return Renumbered(manifest, rows, shift if inlined else None)


# ---------------------------------------------------------------------- concatenations


def _write_concat(plan: Concat, shape: Shape, head: ArrayHeader, path: str, sink: DocumentWriter) -> JsonObject:
    members = [_write_member(member, plan.axis, head, path, sink) for member in plan.members]
    configuration: JsonObject = {"axis": plan.axis, "members": members}
    grid = view_grid(plan, shape)
    codecs = [bytes_codec(head.dtype).to_json()]
    uniform = _uniform_codecs(plan, head, grid)
    if uniform is not None:
        codecs = uniform
        configuration["uniform"] = True
    return head.document(shape, grid, codecs, {"name": "virtual-concatenation", "configuration": configuration})


def _write_member(member: Plan, axis: int, head: ArrayHeader, path: str, sink: DocumentWriter) -> JsonObject:
    entry: JsonObject = {"length": member.shape[axis]}
    if isinstance(member, Fill):
        return entry
    stored = member.stored if isinstance(member, Leaf) else None
    if stored is not None and stored.origin is not None and not stored.origin.startswith(sink.url + "/"):
        entry["array"] = relative_url(stored.origin, f"{sink.url}/{quoted(path)}/zarr.json")
    else:
        _write_part(member, head, path, sink, entry)
    if isinstance(member, Concat):
        return entry
    if member.windows is not None:
        entry["select"] = [_range(window) for window in member.windows]
    if member.axes is not None:
        entry["axes"] = list(member.axes)
    if member.decode is not None:
        entry["decode"] = packing_to_json(member.decode)
    return entry


def _write_part(member: Leaf | Concat, head: ArrayHeader, path: str, sink: DocumentWriter, entry: JsonObject) -> None:
    part = sink.new_part(path)
    entry["array"] = reference(part, path)
    if isinstance(member, Concat):
        inner = ArrayHeader.of_part(head.dtype, head.fill_value)
        sink.part(part, lambda: write_plan(member, member.shape, inner, part, sink), entry)
    else:
        inner = ArrayHeader.of_part(member.stored.dtype, member.stored.fill_value)
        sink.part(part, lambda: _write_manifest(member.stored, inner, part, sink), entry)


def _range(window: Window) -> list[int]:
    return [window.start, window.start + window.step * window.count, window.step]


def packing_to_json(packing: Packing) -> JsonObject:
    """The ``decode`` entry of a member."""
    out: JsonObject = {"dtype": data_type_to_json(packing.dtype)}
    if packing.unsigned is not None:
        out["unsigned"] = packing.unsigned
    if packing.mask:
        out["mask"] = [_number(value) for value in packing.mask]
    if packing.scale_factor is not None:
        out["scale_factor"] = _number(packing.scale_factor)
    if packing.add_offset is not None:
        out["add_offset"] = _number(packing.add_offset)
    return out


def _number(value: float) -> Any:
    if isinstance(value, int):
        return value if abs(value) <= 2**53 else str(value)
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _uniform_codecs(plan: Concat, head: ArrayHeader, grid: ChunkGrid) -> list[Any] | None:
    """The codecs that all members share, if the view's chunks are the members' whole chunks."""
    first: StoredArray | None = None
    for member in plan.members:
        if not isinstance(member, Leaf) or not member.is_plain:
            return None
        stored = member.stored
        first = first or stored
        same = stored.codecs == first.codecs and not stored.alternatives and stored.dtype == head.dtype
        whole = all(axis.is_whole and axis.extent == int(axis.stored.sum()) for axis in stored.grid.axes)
        if not (same and whole and stored.grid.same_as(first.grid, but=plan.axis)):
            return None
        if not same_fill(stored.fill_value, head.fill_value):
            return None
    if first is None or prod(grid.grid_shape) == 0:
        return None
    return pipeline_to_json(first.codecs)
