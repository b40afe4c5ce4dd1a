"""Variables of a netCDF-3 file as stored arrays: contiguous blocks, or one chunk a record."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from intake_virtualzarr.cf import Packing
from intake_virtualzarr.codecs.spec import bytes_codec
from intake_virtualzarr.errors import FormatError
from intake_virtualzarr.formats.base import ScannedArray, ScannedFile, ScannedGroup
from intake_virtualzarr.formats.netcdf3.header import Header, Variable
from intake_virtualzarr.grid import AxisGrid, ChunkGrid
from intake_virtualzarr.manifest import ChunkManifest
from intake_virtualzarr.segments import Segment, StoredArray
from intake_virtualzarr.sources import Source, SourceTable

__all__ = ["scanned_file"]

PIECE = 16 * 1024 * 1024
"""Contiguous values are split into pieces of about this size [bytes]."""
RECORDS = 1024 * 1024
"""Records that lie one after the other are taken together up to this size [bytes]."""


def scanned_file(header: Header, source: Source) -> ScannedFile:
    """The scan of a file.

    Raises
    ------
    FormatError
        If values reach past the end of the file.
    """
    recording = [v for v in header.variables if v.is_record]
    step = _record_size(recording)
    records = header.records if header.records is not None else _records_by_size(recording, step, source)
    arrays = {f"/{v.name}": _array(v, header, source, step, records, len(recording)) for v in header.variables}
    sizes = {name: length or records for name, length in header.dims}
    unlimited = frozenset(name for name, length in header.dims if length == 0)
    return ScannedFile(source, "netcdf3", {"/": ScannedGroup("/", header.attrs, sizes, unlimited)}, arrays, {})


def _record_size(recording: list[Variable]) -> int:
    """From one record to the next [bytes]: values padded to 4 bytes, but a single variable is not padded."""
    if len(recording) == 1:
        return recording[0].nbytes
    return sum(-(-v.nbytes // 4) * 4 for v in recording)


def _records_by_size(recording: list[Variable], step: int, source: Source) -> int:
    if not recording or step == 0 or source.size is None:
        return 0
    return max(0, (source.size - min(v.begin for v in recording)) // step)


def _array(v: Variable, header: Header, source: Source, step: int, records: int, recording: int) -> ScannedArray:
    dims = tuple(header.dims[n][0] for n in v.dims)
    shape = (records, *v.shape) if v.is_record else v.shape
    last = v.begin + (step * (records - 1) + v.nbytes if v.is_record and records else 0 if v.is_record else v.nbytes)
    if source.size is not None and 0 not in shape and last > source.size:
        raise FormatError(
            f"{source.url}: {v.name}: its values reach to byte {last}, the file has {source.size}: truncated, or a damaged header"
        )
    native = v.dtype.newbyteorder("=") if v.dtype.kind != "S" else v.dtype
    fill = np.zeros((), native)[()]
    grid, manifest = _records(v, step, records, recording) if v.is_record else _fixed(v)
    stored = StoredArray(native, fill, grid, (bytes_codec(v.dtype),), manifest, SourceTable((source,)))
    segment = Segment.whole(stored, Packing.from_attrs(v.attrs, native))
    return ScannedArray(f"/{v.name}", dims, native, shape, fill, (segment,), v.attrs)


def _fixed(v: Variable) -> tuple[ChunkGrid, ChunkManifest]:
    shape = v.shape
    if 0 in shape:
        return _nothing(shape)
    edges = list(shape)
    axis = 0
    while axis < len(edges) and v.dtype.itemsize * prod(edges) > PIECE:
        inner = v.dtype.itemsize * prod(edges[axis + 1 :])
        edges[axis] = max(1, PIECE // inner)
        axis += 1
    grid = ChunkGrid(tuple(AxisGrid.varying(AxisGrid.regular(n, e).visible) for n, e in zip(shape, edges, strict=True)))
    return grid, _contiguous(grid, v.begin, v.dtype.itemsize)


def _contiguous(grid: ChunkGrid, begin: int, itemsize: int) -> ChunkManifest:
    """References of chunks that are runs of C-ordered values."""
    offsets: Any = np.full(grid.grid_shape, begin, np.uint64)
    lengths: Any = np.full(grid.grid_shape, itemsize, np.int64)
    stride = itemsize
    for axis in reversed(range(grid.ndim)):
        place = tuple(-1 if n == axis else 1 for n in range(grid.ndim))
        own = grid.axes[axis]
        offsets = offsets + (own.starts[:-1] * stride).astype(np.uint64).reshape(place)
        lengths = lengths * own.visible.reshape(place)
        stride *= own.extent
    return ChunkManifest.from_columns(grid.grid_shape, offsets, lengths)


def _records(v: Variable, step: int, records: int, recording: int) -> tuple[ChunkGrid, ChunkManifest]:
    if records == 0 or 0 in v.shape:
        return _nothing((records, *v.shape))
    if recording == 1 and v.nbytes <= RECORDS:  # nothing lies between records
        together = max(1, min(records, RECORDS // max(v.nbytes, 1)))
        first = AxisGrid.varying(AxisGrid.regular(records, together).visible)
    else:
        first = AxisGrid.regular(records, 1)
    grid = ChunkGrid((first, *(AxisGrid.regular(n, n) for n in v.shape)))
    offsets = np.uint64(v.begin) + first.starts[:-1].astype(np.uint64) * np.uint64(step)
    place = (-1, *(1 for _ in v.shape))
    return grid, ChunkManifest.from_columns(grid.grid_shape, offsets.reshape(place), (first.visible * v.nbytes).reshape(place))


def _nothing(shape: tuple[int, ...]) -> tuple[ChunkGrid, ChunkManifest]:
    grid = ChunkGrid.regular(shape, tuple(max(n, 1) for n in shape))
    return grid, ChunkManifest.empty(grid.grid_shape)
