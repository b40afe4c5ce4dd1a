"""Metadata documents: bytes of JSON, groups, ordinary arrays."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Any

import numpy as np
from numcodecs import VLenUTF8, Zstd

from intake_virtualzarr._typing import AnyArray, Attrs, JsonObject
from intake_virtualzarr.errors import HierarchyError, VirtualZarrError
from intake_virtualzarr.hierarchy.attributes import attributes_to_json
from intake_virtualzarr.hierarchy.data_types import data_type_to_json, fill_value_to_json
from intake_virtualzarr.storage.parsing import DAMAGE

__all__ = [
    "READABLE_VERSIONS",
    "VERSION",
    "dump",
    "group_document",
    "is_virtual",
    "naming",
    "ordinary_array",
    "ordinary_chunks",
    "transformer_of",
]

VERSION = "0.2"
"""Version of the on-disk format that is written."""
READABLE_VERSIONS = ("0.1", "0.2")
"""Versions that are read."""

ROWS = 4096
"""Edge of the chunks of a one-dimensional array [elements]; an append writes one of them anew."""
MOST_CHUNKS = 256
"""Chunks of a long one-dimensional array: each has a line in its document."""
CHUNK_BYTES = 16 * 1024 * 1024


def dump(document: Attrs) -> bytes:
    """JSON as it lies in the store."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()


@contextmanager
def naming(label: str, error: type[VirtualZarrError] = HierarchyError) -> Iterator[None]:
    """Let every error that a document causes name the array or file it belongs to.

    Raises
    ------
    VirtualZarrError
        ``error`` in place of the errors that Python has for absent entries, values of another kind, and sizes or depths that
        cannot be.
    """
    try:
        yield
    except VirtualZarrError as exc:
        if label in str(exc):
            raise
        raise type(exc)(f"{label}: {exc}") from exc
    except DAMAGE as exc:
        raise error(f"{label}: is damaged or of another format: {type(exc).__name__}: {exc}") from exc


def group_document(attrs: Attrs, members: Mapping[str, Attrs] | None = None) -> JsonObject:
    """Metadata of a group; ``members`` makes it the root that holds all documents."""
    document: JsonObject = {"zarr_format": 3, "node_type": "group", "attributes": attributes_to_json(attrs)}
    if members is not None:
        document["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": dict(members)}
    return document


def ordinary_array(values: AnyArray, dims: Sequence[str], attrs: Attrs) -> JsonObject:
    """Metadata of an array whose values the hierarchy holds itself."""
    dtype = values.dtype
    serializer: JsonObject = {"name": "bytes"}
    if dtype.kind == "O":
        serializer = {"name": "vlen-utf8"}
    elif dtype.itemsize > 1 and dtype.kind not in "SV":
        serializer["configuration"] = {"endian": "little"}
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(values.shape),
        "data_type": data_type_to_json(dtype),
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(_chunk_shape(values))}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill_value_to_json(np.zeros((), dtype)[()] if dtype.kind != "O" else "", dtype),
        "codecs": [serializer, {"name": "zstd", "configuration": {"level": 5, "checksum": False}}],
        "attributes": attributes_to_json(attrs, dtype),
        "dimension_names": list(dims),
    }


def _chunk_shape(values: AnyArray) -> tuple[int, ...]:
    if values.ndim == 1:
        return (max(ROWS, -(-values.size // MOST_CHUNKS)),) if values.dtype.kind != "O" else (max(values.size, 1),)
    if values.nbytes > CHUNK_BYTES and values.ndim:
        rows = max(1, CHUNK_BYTES * values.shape[0] // values.nbytes)
        return (rows, *(max(n, 1) for n in values.shape[1:]))
    return tuple(max(n, 1) for n in values.shape)


def ordinary_chunks(values: AnyArray, chunk_shape: Sequence[int], first: int = 0) -> Iterator[tuple[str, bytes]]:
    """Keys (below the array) and bytes of chunks; ``first`` skips leading chunks along the first axis."""
    grid = tuple(-(-n // c) for n, c in zip(values.shape, chunk_shape, strict=True))
    for coords in product(*(range(first if axis == 0 else 0, n) for axis, n in enumerate(grid))):
        box = tuple(slice(i * c, (i + 1) * c) for i, c in zip(coords, chunk_shape, strict=True))
        index: tuple[Any, ...] = (*box, ...)
        part = values[index]  # an array also of a scalar: NumPy's own scalars of text are as long as their value
        if part.shape != tuple(chunk_shape):
            whole = np.full(tuple(chunk_shape), "" if values.dtype.kind == "O" else np.zeros((), values.dtype)[()], values.dtype)
            whole[tuple(slice(0, n) for n in part.shape)] = part
            part = whole
        yield "/".join(("c", *map(str, coords))), encode_chunk(part)


def encode_chunk(part: AnyArray) -> bytes:
    """A chunk of an ordinary array, encoded."""
    if part.dtype.kind == "O":
        raw = bytes(VLenUTF8().encode(part.ravel()))
    else:
        little = part.astype(part.dtype.newbyteorder("<"), copy=False) if part.dtype.names is None else part
        raw = np.ascontiguousarray(little).tobytes()
    return bytes(Zstd(level=5).encode(raw))


def is_virtual(document: Attrs) -> bool:
    """Whether an array's document says that its chunks lie elsewhere."""
    encoding = document.get("chunk_key_encoding") or {}
    return bool(document.get("storage_transformers")) or encoding.get("name") == "virtual"


def transformer_of(document: Attrs, label: str) -> tuple[str, JsonObject]:
    """Name and configuration of the one storage transformer of a virtual array.

    Raises
    ------
    HierarchyError
        If there is not exactly one that is known here, in a known version.
    """
    transformers = document.get("storage_transformers") or []
    if document.get("chunk_key_encoding", {}).get("name") != "virtual" or len(transformers) != 1:
        raise HierarchyError(
            f"{label}: {len(transformers)} storage transformers and chunk_key_encoding "
            f"{document.get('chunk_key_encoding')!r}; a virtual array has one and 'virtual'"
        )
    name, configuration = transformers[0].get("name"), transformers[0].get("configuration") or {}
    if name not in ("chunk-manifest", "virtual-concatenation"):
        raise HierarchyError(
            f"{label}: storage transformer {name!r} is unknown; known are 'chunk-manifest' and 'virtual-concatenation'"
        )
    version = configuration.get("version", READABLE_VERSIONS[0])
    if version not in READABLE_VERSIONS:
        known = " and ".join(map(repr, READABLE_VERSIONS))
        raise HierarchyError(f"{label}: format version {version!r}, this package reads {known}; upgrade it")
    return name, configuration
