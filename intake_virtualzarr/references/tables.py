"""References that are in memory as a source table and a manifest."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from intake_virtualzarr.errors import UnsupportedError
from intake_virtualzarr.grid import Shape
from intake_virtualzarr.manifest import ChunkManifest
from intake_virtualzarr.references.metadata import ArrayMetadata
from intake_virtualzarr.references.places import source_url
from intake_virtualzarr.sources import Source, SourceTable

__all__ = ["counted_shape", "inline_source", "table_of"]

MAX_CHUNKS = 2**26
"""Chunks of one array: a GiB of references."""
MAX_CHUNK = 2**32 - 1
"""Encoded size of a chunk that a manifest holds [bytes]."""

type Entry = tuple[str, Any]
"""Key below the array, and the reference: bytes, or ``[url, offset, length]``."""


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


def table_of(path: str, metadata: ArrayMetadata, entries: Sequence[Entry], base: str) -> tuple[SourceTable, ChunkManifest]:
    """The chunks of one array.

    Parameters
    ----------
    path : str
        Path of the array.
    metadata : ArrayMetadata
        Grid, and form of the keys.
    entries : sequence of Entry
        References; those outside the grid are left out, as Zarr never asks for them.
    base : str
        URL of the references, for relative paths.

    Raises
    ------
    UnsupportedError
        If a key or reference has an unknown form, or an offset or length cannot be.
    """
    shape = counted_shape(metadata)
    coords = metadata.keys.coords([key for key, _ in entries], len(shape))
    inside = (coords < np.array(shape, np.int64)).all(axis=1)
    rows: list[Source] = []
    urls: dict[Any, int] = {}
    row_of, offsets, lengths = (np.zeros(len(entries), np.int64) for _ in range(3))
    for number, (key, reference) in enumerate(entries):
        if not inside[number]:
            continue
        if isinstance(reference, bytes):
            row_of[number], lengths[number] = len(rows), len(reference)
            rows.append(inline_source(f"{path}/{key}", reference))
            continue
        url, offset, length = _parts(key, reference)
        row = urls.get(url)
        if row is None:
            row = urls[url] = len(rows)
            rows.append(Source(source_url(url, base)))
        row_of[number], offsets[number], lengths[number] = row, offset, length
    if lengths.size and int(lengths.max()) > MAX_CHUNK:
        raise UnsupportedError(f"a chunk of {int(lengths.max())} encoded bytes is longer than {MAX_CHUNK}")
    source, offset_of, length_of = np.zeros(shape, np.uint32), np.zeros(shape, np.uint64), np.zeros(shape, np.uint32)
    at = tuple(coords[inside].T) if shape else ()
    if shape or entries:
        for grid, column in ((source, row_of), (offset_of, offsets), (length_of, lengths)):
            grid[at] = column[inside] if shape else column[-1]
    return SourceTable(tuple(rows)), ChunkManifest(source, offset_of, length_of)


def counted_shape(metadata: ArrayMetadata) -> Shape:
    """The shape of the chunk grid.

    Raises
    ------
    UnsupportedError
        If its references would not fit into memory.
    """
    shape = metadata.grid.grid_shape
    if prod(shape) > MAX_CHUNKS:
        raise UnsupportedError(f"has {prod(shape)} chunks; at most {MAX_CHUNKS} are held in memory")
    return shape


def _parts(key: str, reference: Any) -> tuple[Any, int, int]:
    if isinstance(reference, list) and len(reference) == 1:
        raise UnsupportedError(f"chunk {key!r} is a whole file whose length the references do not tell")
    if not isinstance(reference, list) or len(reference) != 3:
        raise UnsupportedError(f"chunk {key!r} is {reference!r}, expected [url, offset, length]")
    url, offset, length = reference
    if type(offset) is not int or type(length) is not int or offset < 0 or length < 1:
        raise UnsupportedError(f"chunk {key!r} has offset {offset!r} and length {length!r}")
    return url, offset, length
