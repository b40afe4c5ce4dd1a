"""A stored array from columns of references that somebody else made: another index, a table, a computation."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr.arrays.chunk_grid import ChunkGrid
from intake_virtualzarr.arrays.fill_value import as_scalar
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.arrays.segments import StoredArray
from intake_virtualzarr.codecs.spec import CodecSpec, Pipeline, bytes_codec
from intake_virtualzarr.errors import ManifestError
from intake_virtualzarr.storage.source import Source, SourceTable
from intake_virtualzarr.storage.urls import absolute_url

__all__ = ["listed_stored"]


def listed_stored(
    shape: Sequence[int],
    chunk_shape: Sequence[int],
    dtype: npt.DTypeLike,
    urls: Sequence[str | PathLike[str] | Source],
    offset: npt.ArrayLike,
    length: npt.ArrayLike,
    source: npt.ArrayLike = 0,
    codecs: Sequence[Any] | None = None,
    fill_value: object = 0,
) -> StoredArray:
    """Parameters and errors as `VirtualZarrArray.from_references`."""
    stored_type = np.dtype(dtype)
    grid = ChunkGrid.regular(shape, chunk_shape)
    for name, column in (("offset", offset), ("length", length), ("source", source)):
        _check_shape(name, column, grid)
    manifest = ChunkManifest.from_columns(grid.grid_shape, offset, length, source)
    table = SourceTable(tuple(one if isinstance(one, Source) else Source(absolute_url(one)) for one in urls))
    _check_rows(manifest, len(table))
    native = stored_type if stored_type.names else stored_type.newbyteorder("=")
    pipeline = (bytes_codec(stored_type),) if codecs is None else _pipeline(codecs)
    return StoredArray(native, as_scalar(fill_value, native), grid, pipeline, manifest, table)


def _check_shape(name: str, column: npt.ArrayLike, grid: ChunkGrid) -> None:
    """Raise unless there is one number, or one for each chunk."""
    found = np.shape(column)
    size = int(np.prod(found, dtype=np.int64))
    flat = len(found) == 1 and size == int(np.prod(grid.grid_shape, dtype=np.int64))
    if found == () or found == grid.grid_shape or flat:
        return
    try:
        fits = np.broadcast_shapes(found, grid.grid_shape) == grid.grid_shape
    except ValueError:
        fits = False
    if not fits:
        raise ManifestError(
            f"{name!r} has shape {found}; expected one number, or a shape that broadcasts to the chunk grid {grid.grid_shape}"
        )


def _check_rows(manifest: ChunkManifest, count: int) -> None:
    rows, length = manifest.source, manifest.length
    if not rows.size or int(rows.max()) < count:
        return
    wrong = (rows >= count) & (length > 0)  # what is not stored may say anything
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ManifestError(f"chunk {at} lies in file number {int(rows[at])}, there are {count} URLs (numbers begin at 0)")


def _pipeline(codecs: Sequence[Any]) -> Pipeline:
    documents = (one.to_dict() if hasattr(one, "to_dict") else one for one in codecs)
    return tuple(one if isinstance(one, CodecSpec) else CodecSpec.from_json(one) for one in documents)
