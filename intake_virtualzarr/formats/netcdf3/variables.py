"""Variables of a netCDF-3 file as stored arrays: contiguous blocks, or chunks of one or several records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import prod
from typing import NamedTuple

import numpy as np

from intake_virtualzarr.arrays.chunk_grid import AxisGrid, ChunkGrid
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.arrays.segments import Segment, StoredArray
from intake_virtualzarr.codecs.cf_packing import Packing
from intake_virtualzarr.codecs.spec import bytes_codec
from intake_virtualzarr.errors import FormatError, UnsupportedError
from intake_virtualzarr.formats.base import ScannedArray, ScannedFile, ScannedGroup
from intake_virtualzarr.formats.hdf5.contiguous import contiguous_grid
from intake_virtualzarr.formats.netcdf3.header import Header, Variable
from intake_virtualzarr.storage.source import Source

__all__ = ["scanned_file"]

TOGETHER = 1024 * 1024
"""Records that lie one after the other are taken together up to this size [bytes]."""
MAX_CHUNKS = 2**26
"""Chunks of one variable: a GiB of references."""
MAX_NBYTES = 2**63 - 1


class _Records(NamedTuple):
    """How the records of a file lie."""

    number: int
    step: int
    """From one record to the next [bytes]."""
    alone: bool
    """Whether there is but one record variable, so that nothing lies between its records."""


class _Span(NamedTuple):
    begin: int
    stop: int
    what: str


def scanned_file(header: Header, source: Source) -> ScannedFile:
    """The scan of a file; a variable that cannot be stored by reference is left out with its reason.

    Raises
    ------
    FormatError
        If values reach past the end of the file, or lie in the header or on each other.
    """
    recording = [v for v in header.variables if v.is_record]
    step = _record_size(recording)
    number = header.records if header.records is not None else _records_by_size(recording, step, source)
    records = _Records(number, step, len(recording) == 1)
    _check_places(header, recording, records, source)
    arrays: dict[str, ScannedArray] = {}
    left_out: dict[str, str] = {}
    names = Counter(v.name for v in header.variables)
    for v in header.variables:
        path = f"/{v.name}"
        try:
            _check_name(v.name, names[v.name])
            arrays[path] = _array(path, v, header, source, records)
        except UnsupportedError as exc:
            left_out[path] = f"{path}: {exc}"
    sizes = {name: length or number for name, length in header.dims}
    unlimited = frozenset(name for name, length in header.dims if length == 0)
    return ScannedFile(source, "netcdf3", {"/": ScannedGroup("/", header.attrs, sizes, unlimited)}, arrays, left_out)


def _record_size(recording: list[Variable]) -> int:
    """From one record to the next [bytes]: values padded to 4 bytes, but a single variable is not padded."""
    if len(recording) == 1:
        return recording[0].nbytes
    return sum(-(-v.nbytes // 4) * 4 for v in recording)


def _records_by_size(recording: list[Variable], step: int, source: Source) -> int:
    if not recording or source.size is None:
        return 0
    return max(0, (source.size - min(v.begin for v in recording)) // step)


def _check_places(header: Header, recording: list[Variable], records: _Records, source: Source) -> None:
    spans = [_Span(0, header.length, "the header")]
    spans += [_Span(v.begin, v.begin + v.nbytes, v.name) for v in header.variables if not v.is_record]
    if recording and records.number:
        one = [_Span(v.begin, v.begin + v.nbytes, v.name) for v in recording]
        begin, stop = min(one).begin, max(span.stop for span in one)
        if records.number > 1:
            second = begin + records.step
            one.append(_Span(second, max(stop, second), "the next record"))
        _check_apart(one, source)
        spans.append(_Span(begin, stop + records.step * (records.number - 1), "all records"))
    _check_apart(spans, source)


def _check_apart(spans: Iterable[_Span], source: Source) -> None:
    last = _Span(0, 0, "")
    for span in sorted(spans):
        if span.begin < last.stop:
            raise FormatError(
                f"{source.url}: {span.what}: begins at byte {span.begin}, where {last.what} reaches to {last.stop}: damaged header"
            )
        last = span


def _check_name(name: str, count: int) -> None:
    if count > 1:
        raise UnsupportedError(f"{count} variables have this name")
    if not name or "/" in name:
        raise UnsupportedError(f"{name!r} is not a name of a variable")


def _array(path: str, v: Variable, header: Header, source: Source, records: _Records) -> ScannedArray:
    shape = (records.number, *v.shape) if v.is_record else v.shape
    if v.dtype.itemsize * prod(n or 1 for n in shape) > MAX_NBYTES:
        raise FormatError(f"{source.url}: {v.name}: has the shape {shape}, which is a damaged header")
    last = v.begin + v.nbytes + (records.step * (records.number - 1) if v.is_record else 0)
    if source.size is not None and 0 not in shape and last > source.size:
        raise FormatError(
            f"{source.url}: {v.name}: its values reach to byte {last}, the file has {source.size}: truncated, or a damaged header"
        )
    native = v.dtype.newbyteorder("=")
    fill = np.zeros((), native)[()]
    grid, manifest = _in_records(v, records) if v.is_record else _fixed(v)
    stored = StoredArray(native, fill, grid, (bytes_codec(v.dtype),), manifest, (source,))
    segment = Segment.whole(stored, Packing.from_attrs(v.attrs, native))
    dims = tuple(header.dims[n][0] for n in v.dims)
    return ScannedArray(path, dims, native, shape, fill, (segment,), v.attrs)


def _fixed(v: Variable) -> tuple[ChunkGrid, ChunkManifest]:
    grid, offsets, lengths = contiguous_grid(v.shape, v.dtype.itemsize)
    return grid, ChunkManifest.from_columns(grid.grid_shape, offsets + np.uint64(v.begin), lengths)


def _in_records(v: Variable, records: _Records) -> tuple[ChunkGrid, ChunkManifest]:
    if records.number == 0:
        grid = ChunkGrid.regular((0, *v.shape), (1, *v.shape))
        return grid, ChunkManifest.empty(grid.grid_shape)
    together = max(1, min(records.number, TOGETHER // v.nbytes)) if records.alone else 1
    inner, within, lengths = contiguous_grid(v.shape, v.dtype.itemsize)
    if -(-records.number // together) * within.size > MAX_CHUNKS:
        raise UnsupportedError(f"{records.number} records that lie apart are more than the {MAX_CHUNKS} chunks of a manifest")
    place = (-1, *(1 for _ in v.shape))
    if together == 1:
        first = AxisGrid.regular(records.number, 1)
    else:  # the last chunk is stored short, not padded
        first = AxisGrid.varying(AxisGrid.regular(records.number, together).visible)
        lengths = lengths * first.visible.astype(np.uint64).reshape(place)
    grid = ChunkGrid((first, *inner.axes))
    starts = first.starts[:-1].astype(np.uint64) * np.uint64(records.step) + np.uint64(v.begin)
    return grid, ChunkManifest.from_columns(grid.grid_shape, starts.reshape(place) + within, lengths)
