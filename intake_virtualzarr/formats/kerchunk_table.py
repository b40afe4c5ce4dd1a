"""References that are in memory as a source table and a manifest."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import Shape
from intake_virtualzarr.arrays.manifest import ChunkManifest, Manifest
from intake_virtualzarr.arrays.whole_file_manifest import WHOLE, WholeFiles
from intake_virtualzarr.errors import UnsupportedError
from intake_virtualzarr.formats.kerchunk_urls import source_url
from intake_virtualzarr.hierarchy.array_metadata import ArrayMetadata
from intake_virtualzarr.storage.limits import MAX_TILES
from intake_virtualzarr.storage.source import Source, SourceTable

__all__ = ["counted_shape", "inline_source", "table_of"]

MAX_OFFSET = 2**63 - 1


def inline_source(name: str, content: bytes) -> Source:
    """Bytes that the references hold themselves.

    Raises
    ------
    UnsupportedError
        If there are none: no codec gives an empty chunk, and a manifest takes it for one that is not stored.
    """
    if not content:
        raise UnsupportedError(f"chunk {name!r} has no bytes")
    return Source(f"inline:{name}", size=len(content), content=content)


def table_of(
    path: str, metadata: ArrayMetadata, keys: Sequence[str], references: Sequence[Any], base: str
) -> tuple[SourceTable, Manifest]:
    """The chunks of one array.

    Parameters
    ----------
    path : str
        Path of the array.
    metadata : ArrayMetadata
        Grid, and form of the keys.
    keys : sequence of str
        Keys below the array. Chunks outside the grid are left out, as Zarr never asks for them.
    references : sequence
        For each key bytes, ``[url, offset, length]``, or ``[url]`` for a whole file.
    base : str
        URL of the references, for relative paths.

    Raises
    ------
    UnsupportedError
        If a key or reference has an unknown form, or an offset or length cannot be.
    """
    shape = counted_shape(metadata)
    coords = metadata.keys.coords(keys, len(shape))
    inside = (coords < np.array(shape, np.int64)).all(axis=1)
    if not inside.all():
        chosen = np.flatnonzero(inside).tolist()
        keys, references, coords = [keys[i] for i in chosen], [references[i] for i in chosen], coords[inside]
    rows: list[Source] = []
    row_of, offset_of, length_of = _columns(path, keys, references, base, rows)
    source, offset, length = np.zeros(shape, np.uint32), np.zeros(shape, np.uint64), np.zeros(shape, np.uint32)
    if keys:
        at = tuple(coords.T) if shape else ()
        for grid, column in ((source, row_of), (offset, offset_of), (length, length_of)):
            grid[at] = column if shape else column[-1]
    table, manifest = SourceTable(tuple(rows)), ChunkManifest(source, offset, length)
    return table, WholeFiles(manifest, table) if (length_of == WHOLE).any() else manifest


def _columns(
    path: str, keys: Sequence[str], references: Sequence[Any], base: str, rows: list[Source]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Row of the source table, offset and length of each reference; new rows are added to ``rows``."""
    known: dict[Any, int] = {}
    row_of, offset_of, length_of = [], [], []
    for key, reference in zip(keys, references, strict=True):
        if type(reference) is bytes:
            row_of.append(len(rows))
            offset_of.append(0)
            length_of.append(len(reference))
            rows.append(inline_source(f"{path}/{key}", reference))
            continue
        if type(reference) is list and len(reference) == 1:
            reference = [reference[0], 0, WHOLE]
        if type(reference) is not list or len(reference) != 3:
            _refuse(key, reference)
        url, offset, length = reference
        if type(offset) is not int or type(length) is not int or not 0 <= offset <= MAX_OFFSET or not 0 < length <= WHOLE:
            _refuse(key, reference)
        row = known.get(url) if type(url) is str else None
        if row is None:
            row = known[url] = len(rows)
            rows.append(Source(source_url(url, base)))
        row_of.append(row)
        offset_of.append(offset)
        length_of.append(length)
    return np.array(row_of, np.int64), np.array(offset_of, np.int64), np.array(length_of, np.int64)


def _refuse(key: str, reference: Any) -> None:
    if not isinstance(reference, list) or len(reference) != 3:
        raise UnsupportedError(f"chunk {key!r} is {reference!r}, expected [url, offset, length]")
    _, offset, length = reference
    if type(length) is int and length >= WHOLE:
        raise UnsupportedError(f"chunk {key!r} of {length} encoded bytes is longer than {WHOLE - 1}")
    raise UnsupportedError(f"chunk {key!r} has offset {offset!r} and length {length!r}")


def counted_shape(metadata: ArrayMetadata) -> Shape:
    """The shape of the chunk grid.

    Raises
    ------
    UnsupportedError
        If its references would not fit into memory.
    """
    shape = metadata.grid.grid_shape
    if prod(shape) > MAX_TILES:
        raise UnsupportedError(f"has {prod(shape)} chunks; at most {MAX_TILES} are held in memory")
    return shape
