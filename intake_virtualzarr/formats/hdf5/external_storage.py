"""Raw values in other files (HDF5 external storage)."""

from __future__ import annotations

from math import prod
from typing import Any
from urllib.parse import quote

import numpy as np

from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.arrays.segments import StoredArray
from intake_virtualzarr.codecs.hdf5_elements import Storage
from intake_virtualzarr.errors import FormatError, UnsupportedError
from intake_virtualzarr.formats.hdf5.contiguous import PIECE, contiguous_grid, split_grid
from intake_virtualzarr.formats.hdf5.model import External, RawDataset
from intake_virtualzarr.hierarchy.source_table import resolve
from intake_virtualzarr.storage.source import Source

__all__ = ["beside", "external_array"]


def beside(url: str, name: str) -> str:
    """The URL of a file that another file names; whether it may be opened is not asked here.

    A relative name resolves against the URL alone, never against the working directory: HDF5's other places to look are of
    the machine that wrote the file.
    """
    return f"file://{quote(name)}" if name.startswith("/") else resolve(url, quote(name))


def external_array(dataset: RawDataset, layout: External, storage: Storage, fill: Any, url: str) -> StoredArray:
    """Stored array of a dataset whose raw values lie in other files.

    Raises
    ------
    UnsupportedError
        If the files are not cut between rows of the leading axis.
    FormatError
        If they are too short.
    """
    assert dataset.shape is not None
    shape = dataset.shape + storage.inner
    nbytes = prod(shape) * storage.itemsize
    sizes: list[int] = []
    for part in layout.parts:
        left = nbytes - sum(sizes)
        sizes.append(left if part.size is None else min(part.size, left))
    if sum(sizes) < nbytes:
        raise FormatError(f"external files hold {sum(sizes)} bytes, expected {nbytes}")
    used = [(part, size) for part, size in zip(layout.parts, sizes, strict=True) if size]
    sources = tuple(Source(beside(url, part.name)) for part, _ in used) or (Source("inline:"),)
    if len(used) <= 1:
        grid, offsets, lengths = contiguous_grid(shape, storage.itemsize)
        start = np.uint64(used[0][0].offset if used else 0)
        manifest = ChunkManifest.from_columns(grid.grid_shape, offsets + start, lengths)
        return StoredArray(storage.dtype, fill, grid, (storage.codec,), manifest, sources)
    row = nbytes // shape[0]
    if any(size % row or size > PIECE for _, size in used):
        raise UnsupportedError("external files are cut within a row of the leading axis; rewrite it into one file")
    edges = np.array([size // row for _, size in used], np.int64)
    grid, _, lengths = split_grid(shape, storage.itemsize, 0, edges)
    column = (-1, *(1 for _ in shape[1:]))
    starts = np.array([part.offset for part, _ in used], np.uint64).reshape(column)
    rows = np.arange(len(used), dtype=np.uint32).reshape(column)
    manifest = ChunkManifest.from_columns(grid.grid_shape, starts, lengths, rows)
    return StoredArray(storage.dtype, fill, grid, (storage.codec,), manifest, sources)
