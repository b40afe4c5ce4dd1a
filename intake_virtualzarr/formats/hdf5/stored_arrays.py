"""Raw descriptions of an HDF5 file as stored arrays and a `ScannedFile`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray, Attrs, DType, Shape
from intake_virtualzarr.arrays.chunk_grid import ChunkGrid
from intake_virtualzarr.arrays.manifest import MAX_CHUNK, ChunkManifest
from intake_virtualzarr.arrays.segments import Segment, StoredArray, Window
from intake_virtualzarr.codecs.cf_packing import PACKING_ATTRIBUTES, Packing
from intake_virtualzarr.codecs.hdf5_datatype import Datatype, parse_datatype
from intake_virtualzarr.codecs.hdf5_elements import Storage, convert, storage_of
from intake_virtualzarr.codecs.spec import CodecSpec, bytes_codec
from intake_virtualzarr.errors import FormatError, UnsupportedError, VirtualZarrError
from intake_virtualzarr.formats.base import ScannedArray, ScannedFile, ScannedGroup
from intake_virtualzarr.formats.hdf5.contiguous import PIECE, contiguous_grid
from intake_virtualzarr.formats.hdf5.external_storage import external_array
from intake_virtualzarr.formats.hdf5.filter_pipeline import MissingFilterError, codec_pipeline
from intake_virtualzarr.formats.hdf5.model import (
    Chunked,
    Compact,
    Contiguous,
    External,
    Mapped,
    MappedBlock,
    RawDataset,
    RawFile,
    Values,
)
from intake_virtualzarr.formats.hdf5.netcdf4_dimensions import (
    Dimensions,
    is_bare_dimension,
    name_dimensions,
    parent_of,
    public_attrs,
    public_path,
    size_of,
)
from intake_virtualzarr.storage.source import Source

__all__ = ["INLINE_LIMIT", "reason_of", "scanned_file", "segments_of"]

INLINE_LIMIT = 1024 * 1024
"""Variables up to this size are read and kept, where they cannot be stored by reference [bytes]."""
MAX_SPARSE_GRID = 2**22
"""A grid may have this many chunks, or `MAX_SPARSENESS` times those stored; more would be mostly empty columns."""
MAX_SPARSENESS = 64
MAX_ALTERNATIVES = 255
FEW = 4096
"""Columns of equal numbers up to this length are kept for other files."""

STRING = np.dtype(object)


def scanned_file(raw: RawFile, source: Source, *, decline: bool = False) -> ScannedFile:
    """Turn raw descriptions into a scan; what cannot be converted is left out with its reason.

    Parameters
    ----------
    raw : RawFile
        What a producer found.
    source : Source
        The file.
    decline : bool
        Raise `MissingFilterError` for a small dataset whose filter has no decoder here: HDF5's own library may have one.
    """
    left_out = dict(raw.left_out)
    shapes: dict[str, Shape] = {}
    for path, dataset in raw.datasets.items():
        if dataset.shape is None:
            left_out[path] = f"{path}: has a null dataspace, so no values"
        elif isinstance(dataset.layout, Values):
            shapes[path] = dataset.layout.values.shape
        else:
            shapes[path] = dataset.shape + _inner_of(dataset)
    names, dimensions = name_dimensions(raw, shapes)
    sources = (source,)
    arrays: dict[str, ScannedArray] = {}
    for path in shapes:
        dataset = raw.datasets[path]
        if is_bare_dimension(dataset):
            continue
        try:
            array = scanned_array(dataset, public_path(path), names[path], sources)
        except VirtualZarrError as exc:
            if decline and isinstance(exc, MissingFilterError) and _is_small(dataset):
                raise
            left_out[path] = reason_of(path, exc)
            continue
        arrays[array.path] = _fitted(array, parent_of(path), dimensions, dataset)
    groups = {
        path: ScannedGroup(path, public_attrs(group.attrs), dimensions[path].sizes, frozenset(dimensions[path].unlimited))
        for path, group in raw.groups.items()
    }
    return ScannedFile(source, "hdf5", groups, arrays, left_out)


def reason_of(path: str, exc: Exception) -> str:
    """An error as the reason why a path is left out."""
    text = str(exc)
    return text if text.startswith(path) else f"{path}: {text}"


def _is_small(dataset: RawDataset) -> bool:
    return prod(dataset.shape or ()) * parse_datatype(dataset.datatype).size <= INLINE_LIMIT


def _inner_of(dataset: RawDataset) -> Shape:
    try:
        return storage_of(parse_datatype(dataset.datatype)).inner
    except VirtualZarrError:
        return ()


def scanned_array(dataset: RawDataset, path: str, names: tuple[str, ...], sources: tuple[Source, ...]) -> ScannedArray:
    """Turn one dataset into an array of segments.

    Raises
    ------
    UnsupportedError, FormatError
        If it cannot be stored by reference.
    """
    datatype = parse_datatype(dataset.datatype)
    assert dataset.shape is not None
    if isinstance(dataset.layout, Values):
        stored = _inlined(path, dataset.layout)
        attrs = public_attrs(dataset.attrs, datatype)
        segments: tuple[Segment, ...] = (Segment.whole(stored, Packing.from_attrs(attrs, stored.dtype)),)
        return ScannedArray(path, names, stored.dtype, stored.shape, stored.fill_value, segments, attrs)
    storage = storage_of(datatype)
    attrs = public_attrs(dataset.attrs, datatype)
    fill = fill_value(datatype, dataset.fill)
    packing = _packing(attrs, storage.dtype)
    segments = segments_of(dataset, storage, fill, sources, packing)
    return ScannedArray(path, names, storage.dtype, dataset.shape + storage.inner, fill, segments, attrs)


def _packing(attrs: Attrs, dtype: DType) -> Packing | None:
    """`Packing.from_attrs`, once for equal attributes."""
    key: list[Any] = []
    for name in PACKING_ATTRIBUTES:
        value = attrs.get(name)
        if value is not None:
            key += (name, type(value), value)
    if not key:
        return None
    try:
        return _packing_of(dtype, tuple(key))
    except TypeError:  # several missing values: an array has no hash
        return Packing.from_attrs(attrs, dtype)


@lru_cache(maxsize=1024)
def _packing_of(dtype: DType, key: tuple[Any, ...]) -> Packing | None:
    return Packing.from_attrs(dict(zip(key[::3], key[2::3], strict=True)), dtype)


def segments_of(
    dataset: RawDataset, storage: Storage, fill: Any, sources: tuple[Source, ...], packing: Packing | None
) -> tuple[Segment, ...]:
    """The segments that show a dataset's values."""
    layout = dataset.layout
    if isinstance(layout, Mapped):
        return tuple(_mapped_segment(block, storage, sources, packing) for block in layout.blocks)
    if dataset.source is not None:
        sources = (dataset.source,)
    if isinstance(layout, Chunked):
        stored = _chunked(dataset, layout, storage, fill, sources)
    elif isinstance(layout, Contiguous):
        stored = _contiguous(dataset, layout, storage, fill, sources)
    elif isinstance(layout, Compact):
        stored = _compact(dataset, layout, storage, fill)
    elif isinstance(layout, External):
        stored = external_array(dataset, layout, storage, fill, sources[0].url)
    else:
        stored = _inlined(dataset.path, layout)
    return (Segment.whole(stored, packing),)


def _mapped_segment(block: MappedBlock, storage: Storage, sources: tuple[Source, ...], packing: Packing | None) -> Segment:
    inner = storage_of(parse_datatype(block.source.datatype))
    if inner.dtype != storage.dtype or inner.inner:
        raise UnsupportedError(
            f"virtual dataset of {storage.dtype} shows {block.source.path} of {inner.dtype}; such a conversion is not supported"
        )
    fill = fill_value(parse_datatype(block.source.datatype), block.source.fill)
    parts = segments_of(block.source, inner, fill, sources, packing)
    if len(parts) != 1 or not parts[0].is_whole:
        raise UnsupportedError(f"virtual dataset shows another virtual dataset, {block.source.path}")
    windows = tuple(Window(*window) for window in block.windows)
    return Segment(parts[0].stored, windows, block.axes, block.offset, block.shape, packing)


@lru_cache(maxsize=1024)
def fill_value(datatype: Datatype, raw: bytes | None) -> Any:
    """The fill value as a NumPy scalar: zero (or empty) if the file names none.

    Raises
    ------
    FormatError
        If it has not the size of the datatype.
    UnsupportedError
        If the elements of an array datatype have different fill values.
    """
    storage = storage_of(datatype)
    if not raw:
        return np.zeros((), storage.dtype)[()]
    if len(raw) != datatype.size:
        raise FormatError(f"fill value has {len(raw)} bytes, the datatype {datatype.size}")
    base = datatype
    while base.kind == "array":
        assert base.base is not None
        base = base.base
    values = convert(base, np.frombuffer(raw, np.uint8).reshape(-1, base.size))
    if any(raw[i : i + base.size] != raw[: base.size] for i in range(base.size, len(raw), base.size)):
        raise UnsupportedError("fill value of an array datatype whose elements differ")
    return values[0]


def _chunked(dataset: RawDataset, layout: Chunked, storage: Storage, fill: Any, sources: Sequence[Source]) -> StoredArray:
    assert dataset.shape is not None
    shape, chunk_shape = dataset.shape + storage.inner, layout.chunk_shape + storage.inner
    grid, counts, strides = _regular_grid(shape, chunk_shape)
    nbytes = prod(chunk_shape) * storage.itemsize
    if nbytes > MAX_CHUNK:
        raise UnsupportedError(f"chunks of {nbytes} bytes; readers hold less than {MAX_CHUNK}")
    rank, total = len(layout.chunk_shape), prod(counts)
    coords, offset, size, mask = layout.coords, layout.offset, layout.size, layout.mask
    limits = np.array(counts[:rank], dtype=np.int64)
    outside = coords >= limits
    if outside.any():  # a shrunk dataset may keep chunks outside
        inside = ~outside.any(axis=1)
        coords, offset, size, mask = coords[inside], offset[inside], size[inside], mask[inside]
    itemsize = storage.itemsize * prod(storage.inner)
    masks = _masks(dataset, layout, coords, mask)
    numbers = [masks] if isinstance(masks, int) else _by_frequency(masks)
    pipelines = tuple([codec_pipeline(storage.codec, itemsize, nbytes, dataset.filters, m) for m in numbers])
    if not len(coords):
        return StoredArray(storage.dtype, fill, grid, pipelines[0], ChunkManifest.empty(counts), sources)
    if total > max(MAX_SPARSE_GRID, MAX_SPARSENESS * len(coords)):
        raise UnsupportedError(
            f"{len(coords)} chunks of a grid of {total} are stored; such a sparse dataset has no manifest here, "
            "rewrite it with larger chunks"
        )
    if not dataset.filters and (size != nbytes).any():
        raise FormatError(f"a chunk without filters has {int(size[size != nbytes][0])} bytes, expected {nbytes}")
    if not size.all() or (size.dtype.itemsize > 4 and int(size.max()) > MAX_CHUNK):
        raise FormatError(f"encoded chunk sizes run from {int(size.min())} to {int(size.max())} bytes")
    codec = None
    if total == 1 and len(coords) == 1:  # the scatter below, in a fifth of the time
        column = size.astype(np.uint32).reshape(counts)
        manifest = ChunkManifest(_first_source(counts), offset.reshape(counts), column)
        return StoredArray(storage.dtype, fill, grid, pipelines[0], manifest, sources)
    flat = coords @ strides[:rank]
    if not isinstance(masks, int) and len(numbers) > 1:
        index = np.zeros(len(masks), np.uint8)
        for number, m in enumerate(numbers):
            index[masks == m] = number
        codec = _spread(flat, index, total, np.uint8, counts)
    manifest = ChunkManifest(
        _first_source(counts),
        _spread(flat, offset, total, np.uint64, counts),
        _spread(flat, size, total, np.uint32, counts),
        codec,
    )
    return StoredArray(storage.dtype, fill, grid, pipelines[0], manifest, sources, pipelines[1:])


@lru_cache(maxsize=1024)
def _regular_grid(shape: Shape, chunk_shape: Shape) -> tuple[ChunkGrid, Shape, npt.NDArray[np.int64]]:
    """A regular grid, its shape, and how far apart neighbours along each axis lie in C order."""
    grid = ChunkGrid.regular(shape, chunk_shape)
    counts = grid.grid_shape
    return grid, counts, np.array([prod(counts[axis + 1 :]) for axis in range(len(counts))], np.int64)


def _first_source(counts: Shape) -> npt.NDArray[np.uint32]:
    """A column of row 0 of the source table: one for all files of a series, if it is small."""
    return _few_zeros(counts) if prod(counts) <= FEW else np.zeros(counts, np.uint32)


@lru_cache(maxsize=1024)
def _few_zeros(counts: Shape) -> npt.NDArray[np.uint32]:
    zeros = np.zeros(counts, np.uint32)
    zeros.flags.writeable = False
    return zeros


def _spread(flat: npt.NDArray[np.int64], values: AnyArray, total: int, dtype: npt.DTypeLike, counts: Shape) -> AnyArray:
    column = np.zeros(counts, dtype)
    column.reshape(total)[flat] = values
    return column


def _masks(
    dataset: RawDataset, layout: Chunked, coords: npt.NDArray[np.int64], mask: npt.NDArray[np.uint32]
) -> npt.NDArray[np.uint32] | int:
    """Filter mask of each chunk, or one number for all."""
    if not dataset.filters:
        return 0
    assert dataset.shape is not None
    everything = (1 << len(dataset.filters)) - 1
    if layout.raw_edges and len(coords):
        whole = np.array(dataset.shape, np.int64) // np.array(layout.chunk_shape, np.int64)
        mask = np.where((coords >= whole).any(axis=1), np.uint32(everything), mask)
    elif not mask.any():
        return 0
    return mask & np.uint32(everything)


def _by_frequency(masks: npt.NDArray[np.uint32]) -> list[int]:
    numbers, counts = np.unique(masks, return_counts=True)
    if len(numbers) > MAX_ALTERNATIVES + 1:
        raise UnsupportedError(f"{len(numbers)} different filter masks")
    # mask 0 is the array's own pipeline, wherever it occurs
    order = sorted(zip(numbers.tolist(), counts.tolist(), strict=True), key=lambda p: (p[0] != 0, -p[1]))
    return [number for number, _ in order]


def _contiguous(dataset: RawDataset, layout: Contiguous, storage: Storage, fill: Any, sources: Sequence[Source]) -> StoredArray:
    assert dataset.shape is not None
    shape = dataset.shape + storage.inner
    nbytes = prod(shape) * storage.itemsize
    if layout.offset is None or nbytes == 0:
        grid, counts, _ = _regular_grid(shape, tuple(max(n, 1) for n in shape))
        manifest = ChunkManifest.empty(counts)
    elif layout.size < nbytes:
        raise FormatError(f"{layout.size} bytes are stored, expected {nbytes}")
    elif sources[0].size is not None and layout.offset + nbytes > sources[0].size:
        raise FormatError(f"{nbytes} bytes from byte {layout.offset} leave the file of {sources[0].size}: it is truncated")
    elif nbytes <= PIECE:
        grid, counts, _ = _regular_grid(shape, shape)
        offset, length = np.full(counts, layout.offset, np.uint64), np.full(counts, nbytes, np.uint32)
        manifest = ChunkManifest(_first_source(counts), offset, length)
    else:
        grid, offsets, lengths = contiguous_grid(shape, storage.itemsize)
        manifest = ChunkManifest.from_columns(grid.grid_shape, offsets + np.uint64(layout.offset), lengths)
    return StoredArray(storage.dtype, fill, grid, (storage.codec,), manifest, sources)


def _compact(dataset: RawDataset, layout: Compact, storage: Storage, fill: Any) -> StoredArray:
    assert dataset.shape is not None
    shape = dataset.shape + storage.inner
    nbytes = prod(shape) * storage.itemsize
    if nbytes and not layout.data:
        return _content_array(dataset.path, b"", shape, storage.dtype, storage.codec, fill)
    if len(layout.data) < nbytes:
        raise FormatError(f"{len(layout.data)} bytes are stored, expected {nbytes}")
    return _content_array(dataset.path, layout.data[:nbytes], shape, storage.dtype, storage.codec, fill)


def _content_array(path: str, content: bytes, shape: Shape, dtype: DType, codec: CodecSpec, fill: Any) -> StoredArray:
    grid = ChunkGrid.regular(shape, tuple(max(n, 1) for n in shape))
    if not content or 0 in shape:
        return StoredArray(dtype, fill, grid, (codec,), ChunkManifest.empty(grid.grid_shape), (Source("inline:"),))
    manifest = ChunkManifest.from_columns(grid.grid_shape, 0, len(content))
    source = Source(f"inline:{path}", size=len(content), content=content)
    return StoredArray(dtype, fill, grid, (codec,), manifest, (source,))


def _inlined(path: str, layout: Values) -> StoredArray:
    values = layout.values
    if values.dtype == STRING:
        from numcodecs import VLenUTF8

        content = bytes(VLenUTF8().encode(np.ascontiguousarray(values).reshape(-1)))
        codec = CodecSpec.of("vlen-utf8")
        return _content_array(path, content if values.size else b"", values.shape, STRING, codec, layout.fill or "")
    native = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("=")))
    fill = np.zeros((), native.dtype)[()] if layout.fill is None else layout.fill
    return _content_array(path, native.tobytes(), values.shape, native.dtype, bytes_codec(native.dtype), fill)


def _fitted(array: ScannedArray, group: str, dimensions: Mapping[str, Dimensions], dataset: RawDataset) -> ScannedArray:
    """Extend a variable that is shorter than an unlimited dimension it has, as netCDF-4 does; the rest is fill."""
    maxshape = dataset.maxshape or ()
    if None not in maxshape:
        return array
    shape = tuple(
        max(extent, size_of(name, group, dimensions) or 0) if axis < len(maxshape) and maxshape[axis] is None else extent
        for axis, (name, extent) in enumerate(zip(array.dims, array.shape, strict=True))
    )
    if shape == array.shape:
        return array
    return ScannedArray(array.path, array.dims, array.dtype, shape, array.fill_value, array.segments, array.attrs)
