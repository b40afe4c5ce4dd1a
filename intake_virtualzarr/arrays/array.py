"""VirtualZarrArray: an array that is a list of segments, for xarray to wrap.

Nothing here reads values except `VirtualZarrArray.__array__`. NumPy's functions on these arrays are in `numpy_functions`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray, DType, JsonObject, Shape, ShapeLike
from intake_virtualzarr.arrays.chunk_cache import ChunkCache
from intake_virtualzarr.arrays.chunk_selection import AxisRequest, overlap, request_length
from intake_virtualzarr.arrays.fill_value import as_scalar, family, fill_segment, is_exact, is_fill, is_nan
from intake_virtualzarr.arrays.indexing import normalize_key, runs_of
from intake_virtualzarr.arrays.listed_references import listed_stored
from intake_virtualzarr.arrays.numpy_protocol import FUNCTIONS, array_namespace, dispatch, dispatch_ufunc
from intake_virtualzarr.arrays.pickled import digest_of
from intake_virtualzarr.arrays.read import Box, read_boxes, read_segments
from intake_virtualzarr.arrays.repr_html import array_html
from intake_virtualzarr.arrays.segments import (
    Segment,
    Segments,
    SegmentSource,
    StoredArray,
    Window,
    check_segments,
    covers,
    source_of,
)
from intake_virtualzarr.codecs.cf_packing import Packing
from intake_virtualzarr.errors import UnsupportedError, warn_renamed
from intake_virtualzarr.storage.options import merged_access
from intake_virtualzarr.storage.readers import Access, ReaderPool
from intake_virtualzarr.storage.source import Source

__all__ = ["VirtualZarrArray", "pool_of"]

_DEFAULT_READERS = ReaderPool()


class _TypeOnly:
    """A method that NumPy finds on the type and nobody finds on an instance.

    NumPy looks ``__array_function__`` and ``__array_ufunc__`` up on the type. dask looks for them on instances to decide
    whether blocks may stay what they are; blocks of a virtual array must become NumPy arrays, so instances must not show
    them. xarray is told through ``__array_namespace__`` that this is an array.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __get__(self, instance: object, owner: type) -> Callable[..., object]:
        if instance is not None:
            raise AttributeError("only the type has it")
        return self._function


class VirtualZarrArray(np.lib.mixins.NDArrayOperatorsMixin):
    """Segments of stored arrays that together are one array.

    Attributes
    ----------
    shape : tuple of int
        Shape [elements].
    dtype : numpy.dtype
        Data type of the values, native byte order.
    fill_value : scalar
        Value of what no segment covers.
    segments : tuple of Segment
        In the order of their offsets; they do not overlap.
    decoded : bool
        Whether the values are those after CF decoding (each segment by its own packing).
    mixed : bool
        Whether joined segments differ in packing, so that the attributes of no single file describe the array. Such an
        array joins, slices and is written like any other; its values are shown by ``ds.vzarr.decode()``.
    readers : ReaderPool
        How sources are opened.
    time_units : str or None
        What the numbers count if they are times; such numbers join with those that count the same only.
    """

    __slots__ = ("__weakref__", "decoded", "dtype", "fill_value", "mixed", "readers", "segments", "shape", "time_units")
    # above ndarray, so that ``ndarray == virtual`` comes here
    __array_priority__: ClassVar[float] = 1000.0
    # Any, as xarray's protocols of arrays say it otherwise
    __array_function__: ClassVar[Any] = _TypeOnly(dispatch)
    __array_ufunc__: ClassVar[Any] = _TypeOnly(dispatch_ufunc)

    def __init__(
        self,
        shape: Sequence[int],
        dtype: npt.DTypeLike,
        fill_value: object,
        segments: Iterable[Segment] | SegmentSource = (),
        *,
        decoded: bool = False,
        mixed: bool = False,
        readers: ReaderPool | None = None,
        time_units: str | None = None,
        check: bool = True,
    ) -> None:
        self.shape: Shape = tuple(int(n) for n in shape)
        self.dtype = np.dtype(dtype)
        self.fill_value = as_scalar(fill_value, self.dtype)
        self.segments: Segments = segments if isinstance(segments, tuple | SegmentSource) else tuple(segments)
        self.decoded = decoded
        self.mixed = mixed
        self.readers = readers or _DEFAULT_READERS
        self.time_units = time_units
        if check:
            check_segments(self.shape, self.segments)

    # ------------------------------------------------------------------ making

    @classmethod
    def from_stored(
        cls, stored: StoredArray, packing: Packing | None = None, readers: ReaderPool | None = None
    ) -> VirtualZarrArray:
        """The whole of one stored array."""
        return cls(stored.shape, stored.dtype, stored.fill_value, (Segment.whole(stored, packing),), readers=readers, check=False)

    @classmethod
    def from_references(
        cls,
        shape: Sequence[int],
        chunk_shape: Sequence[int],
        dtype: npt.DTypeLike,
        urls: Sequence[str | PathLike[str] | Source],
        offset: npt.ArrayLike,
        length: npt.ArrayLike,
        source: npt.ArrayLike = 0,
        *,
        codecs: Sequence[Any] | None = None,
        fill_value: object = 0,
    ) -> VirtualZarrArray:
        """An array from columns of references that you have: of another index, a database, a computation.

        Parameters
        ----------
        shape, chunk_shape : sequence of int
            Shape of the array and of its chunks [elements]; edge chunks are stored whole, as Zarr and HDF5 do.
        dtype : dtype
            Type of the stored numbers, with their byte order where no ``codecs`` are given.
        urls : sequence of str, path or Source
            The files. A ``Source`` also tells size, ETag or time of change, which every read then checks.
        offset, length : array_like of int
            First byte and encoded size of each chunk [bytes], in the shape of the chunk grid (or flat, in C order, or whatever
            broadcasts to it). Length 0: the chunk is not stored and reads as ``fill_value``. Arrays of uint64 and uint32 are taken
            as they are, without a copy.
        source : array_like of int
            For each chunk the number of its file in ``urls``. Arrays of uint32 are not copied.
        codecs : sequence, optional
            How chunks are encoded, as in Zarr v3 metadata (or codecs of zarr-python); default: plain bytes.
        fill_value : scalar
            Value of chunks that are not stored.

        Raises
        ------
        ManifestError
            If a column does not fit the chunk grid, or names a file that is not there.

        Examples
        --------
        >>> array = VirtualZarrArray.from_references((2, 6), (1, 3), "int16", ["a.bin", "b.bin"], [[0, 6]], 6, [[0], [1]])
        >>> array.n_references
        4
        """
        return cls.from_stored(listed_stored(shape, chunk_shape, dtype, urls, offset, length, source, codecs, fill_value))

    @classmethod
    def full(
        cls,
        shape: int | Sequence[int],
        dtype: npt.DTypeLike,
        fill_value: object,
        chunk_shape: Sequence[int] | None = None,
    ) -> VirtualZarrArray:
        """An array of one value that takes no memory.

        Parameters
        ----------
        shape : int or sequence of int
            Shape [elements].
        dtype : dtype
            Data type.
        fill_value : scalar
            The value.
        chunk_shape : sequence of int, optional
            Chunk shape of the array when it is written [elements]; default: one chunk.
        """
        whole = (int(shape),) if isinstance(shape, int | np.integer) else tuple(int(n) for n in shape)
        segments: list[Segment] = []
        if chunk_shape is not None:
            segments.append(fill_segment(whole, np.dtype(dtype), fill_value, chunk_shape))
        return cls(whole, dtype, fill_value, segments)

    def replace(self, **changes: Any) -> VirtualZarrArray:
        """A copy with some attributes changed (not checked again)."""
        values = {name: getattr(self, name) for name in self.__slots__ if name != "__weakref__"}
        values.update(changes)
        return VirtualZarrArray(**values, check=False)

    # ------------------------------------------------------------------ shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        size = 1
        for n in self.shape:
            size *= n
        return size

    @property
    def nbytes(self) -> int:
        """Size of the values if they were loaded [bytes]."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    @property
    def T(self) -> VirtualZarrArray:  # noqa: N802 - NumPy's name
        """The array with its axes reversed."""
        return self.transpose()

    @property
    def chunks(self) -> tuple[tuple[int, ...], ...]:
        """Edges at which files' chunks begin, per axis [elements], in dask's form."""
        return tuple(tuple(np.diff(cuts).tolist()) or (0,) for cuts in self._cuts())

    def _cuts(self) -> list[npt.NDArray[np.int64]]:
        source = source_of(self.segments)
        if source is not None:
            return [axis.starts for axis in source.grid.axes]
        cuts = []
        for axis, extent in enumerate(self.shape):
            points = [np.array([0, extent], dtype=np.int64)]
            seen: set[tuple[int, int, int, int]] = set()
            for segment in self.segments:
                stored_axis = segment.axes[axis]
                start = segment.offset[axis]
                window = None if stored_axis is None else segment.windows[stored_axis]
                grid = None if stored_axis is None else segment.stored.grid.axes[stored_axis]
                key = (start, segment.shape[axis], id(grid), 0 if window is None else window.start)
                if key in seen:
                    continue
                seen.add(key)
                points.append(np.array([start, start + segment.shape[axis]], dtype=np.int64))
                if grid is None or window is None or window.step != 1:
                    continue
                first, last = grid.span(window.start, window.start + window.count)
                points.append(grid.starts[first + 1 : last] - window.start + start)
            cuts.append(np.unique(np.concatenate(points)))
        return cuts

    @property
    def packing(self) -> Packing | None:
        """The packing that all stored segments share, or None (also if there is none)."""
        packings = {segment.packing for segment in self.segments if not is_fill(segment)}
        return next(iter(packings)) if len(packings) == 1 else None

    @property
    def encoded(self) -> bool:
        """Whether what it shows are stored numbers that are not the values: packed ones, or times."""
        if self.decoded:
            return False
        source = source_of(self.segments)
        packed = source.packing is not None if source is not None else any(s.packing is not None for s in self.segments)
        return packed or self.time_units is not None

    @property
    def references(self) -> int:
        """Deprecated: use `n_references`."""
        warn_renamed("VirtualZarrArray.references", "VirtualZarrArray.n_references")
        return self.n_references

    @property
    def n_references(self) -> int:
        """Number of stored chunks that the segments can reach."""
        seen: dict[tuple[int, tuple[slice, ...]], int] = {}
        for segment in self.segments:
            stored = segment.stored
            bounds = (window.bounds() for window in segment.windows)
            box = tuple(slice(*grid.span(*one)) for grid, one in zip(stored.grid.axes, bounds, strict=True))
            if (id(stored), box) not in seen:
                seen[id(stored), box] = stored.manifest.region(box).count
        return sum(seen.values())

    # ------------------------------------------------------------------ values

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> AnyArray:
        if copy is False:
            raise ValueError("a virtual array has no memory to share: its values must be read (copy=False was asked)")
        values = self.read(tuple(Window(0, extent) for extent in self.shape))
        return values if dtype is None else values.astype(dtype, copy=False)

    def read(
        self,
        requests: Sequence[AxisRequest],
        name: str = "array",
        cache: ChunkCache | None = None,
        out: AnyArray | None = None,
    ) -> AnyArray:
        """Read elements into memory.

        Parameters
        ----------
        requests : sequence of Window or integer array, length ndim
            Elements along each axis, none of them negative.
        name : str
            For messages.
        cache : ChunkCache, optional
            Decoded chunks to use and to keep.
        out : numpy.ndarray, optional
            Where to put the elements; of the array's data type and the shape of the requests. Default: a new array.

        Raises
        ------
        UnsupportedError
            If the array is mixed and not decoded: its values have no meaning beside one set of attributes.
        SourceError, CodecError
            If a listed chunk cannot be fetched or decoded.
        """
        self._check_readable()
        shape = tuple(request_length(request) for request in requests)
        if out is None:
            out = np.empty(shape, dtype=self.dtype)
        elif out.shape != shape or out.dtype != self.dtype:
            raise ValueError(f"out has shape {out.shape} and type {out.dtype}, expected {shape} and {self.dtype}")
        read_segments(
            self.touched(requests),
            requests,
            out,
            self.fill_value,
            self.readers,
            decoded=self.decoded,
            name=name,
            cache=cache,
        )
        return out

    def read_many(
        self, requests: Sequence[Sequence[AxisRequest]], name: str = "array", cache: ChunkCache | None = None
    ) -> list[AnyArray]:
        """Read several boxes at once, so that near chunks of different boxes are fetched by one request.

        Parameters and errors as `read`, with the requests of each box.
        """
        self._check_readable()
        boxes = [Box(self.touched(one), one, np.empty(tuple(request_length(r) for r in one), dtype=self.dtype)) for one in requests]
        read_boxes(boxes, self.fill_value, self.readers, decoded=self.decoded, name=name, cache=cache)
        return [box.out for box in boxes]

    def _check_readable(self) -> None:
        if self.mixed:
            raise UnsupportedError(
                "the joined files pack this variable differently (scale_factor, add_offset, _FillValue, …), so no one set of "
                "attributes describes its stored numbers; use ds.vzarr.decode(), write it with ds.vzarr.to_zarr(), "
                "or join with intake_virtualzarr.open_virtual_mfdataset"
            )

    def touched(self, requests: Sequence[AxisRequest]) -> tuple[Segment, ...]:
        """The segments that may hold requested elements; not all members of a concatenation are opened for that."""
        if isinstance(self.segments, tuple):
            return self.segments
        source = self.segments
        request = requests[source.axis]
        if isinstance(request, Window):
            return source.within(*request.bounds())
        return source.within(int(request.min()), int(request.max()) + 1) if request.size else ()

    def decode(self) -> VirtualZarrArray:
        """The array of decoded values: each segment by its own CF packing, in a common data type, missing values NaN."""
        if self.decoded:
            return self.replace(mixed=False)
        dtypes, has_nan = set(), False
        for segment in self.segments:
            dtype = segment.stored.dtype
            if not is_exact(dtype, self.dtype) and self.dtype.kind not in "fc":
                self._check_one_cast(dtype)
            if is_fill(segment) and is_nan(segment.stored.fill_value):
                has_nan = True  # made by a join or a mask, not by a file: whatever holds NaN will do
            elif not is_fill(segment):
                if segment.packing is not None and segment.packing.odd is not None:
                    raise UnsupportedError(f"stored numbers cannot be decoded: {segment.packing.odd}")
                dtypes.add(dtype if segment.packing is None else segment.packing.dtype)
        packing = self.packing
        fill = self.fill_value if packing is None else _decode_fill(self.fill_value, packing, self)
        common = np.result_type(*dtypes) if dtypes else self.dtype
        if packing is None and self.dtype.kind in "fc" and common.kind in "iufc":
            common = np.result_type(common, self.dtype)
        has_nan = has_nan or (is_nan(fill) and not covers(self.shape, self.segments))
        if has_nan and common.kind in "iu":
            common = np.dtype("f4" if common.itemsize <= 2 else "f8")
        return self.replace(dtype=common, fill_value=as_scalar(fill, common), decoded=True, mixed=False)

    # ------------------------------------------------------------------ NumPy and xarray

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return array_namespace()

    def __getitem__(self, key: object) -> VirtualZarrArray | AnyArray:
        normal = normalize_key(key, self.shape)
        if self.shape and not normal.new_axes and all(isinstance(r, Window) and r.count == 0 for r in normal.requests):
            # dask takes such an array as the pattern of its blocks, which are NumPy arrays; it has no values anyway
            return np.empty((0,) * self.ndim, dtype=self.dtype)
        out = self
        for axis, request in enumerate(normal.requests):
            if isinstance(request, Window):
                if request != Window(0, self.shape[axis]):
                    out = out.select(axis, [request])
            else:
                out = out.select(axis, runs_of(request))
        for axis in sorted(normal.dropped, reverse=True):
            out = out.drop_axis(axis)
        for position in normal.new_axes:
            out = out.insert_axis(position)
        if normal.advanced_axis:
            out = out.transpose(normal.advanced_axis, *(n for n in range(out.ndim) if n != normal.advanced_axis))
        return out

    def select(self, axis: int, windows: Sequence[Window]) -> VirtualZarrArray:
        """Elements along one axis: the windows, one after the other."""
        segments: list[Segment] = []
        at = 0
        for window in windows:
            for segment in self.segments:
                begin, end = overlap(window, segment.offset[axis], segment.offset[axis] + segment.shape[axis])
                if begin < end:
                    inner = window.start + window.step * begin - segment.offset[axis]
                    segments.append(segment.select(axis, inner, end - begin, window.step, at + begin))
            at += window.count
        shape = (*self.shape[:axis], at, *self.shape[axis + 1 :])
        return self.replace(shape=shape, segments=tuple(segments))

    def drop_axis(self, axis: int) -> VirtualZarrArray:
        """Remove an axis of one element."""
        if self.shape[axis] != 1:
            raise ValueError(f"cannot drop axis {axis} of {self.shape[axis]} elements; only one of 1 element")
        segments = tuple(
            Segment(s.stored, s.windows, _without(s.axes, axis), _without(s.offset, axis), _without(s.shape, axis), s.packing)
            for s in self.segments
        )
        return self.replace(shape=_without(self.shape, axis), segments=segments)

    def insert_axis(self, axis: int, extent: int = 1) -> VirtualZarrArray:
        """Add an axis along which the values repeat."""
        segments = tuple(
            Segment(
                s.stored,
                s.windows,
                _with(s.axes, axis, None),
                _with(s.offset, axis, 0),
                _with(s.shape, axis, extent),
                s.packing,
            )
            for s in (self.segments if extent else ())
        )
        return self.replace(shape=_with(self.shape, axis, extent), segments=segments)

    def transpose(self, *axes: Any) -> VirtualZarrArray:
        """Permute the axes, as ``numpy.ndarray.transpose``."""
        order = axes[0] if len(axes) == 1 and (axes[0] is None or not isinstance(axes[0], int | np.integer)) else axes
        if order is None or len(order) == 0:
            order = range(self.ndim)[::-1]
        order = tuple(int(a) + self.ndim if a < 0 else int(a) for a in order)
        if sorted(order) != list(range(self.ndim)):
            raise ValueError(f"axes {order} are not a permutation of {self.ndim} axes")
        if order == tuple(range(self.ndim)):
            return self
        segments = tuple(
            Segment(
                s.stored,
                s.windows,
                tuple(s.axes[i] for i in order),
                tuple(s.offset[i] for i in order),
                tuple(s.shape[i] for i in order),
                s.packing,
            )
            for s in self.segments
        )
        return self.replace(shape=tuple(self.shape[i] for i in order), segments=segments)

    def astype(self, dtype: npt.DTypeLike, *, copy: bool = True, **kwargs: object) -> VirtualZarrArray:
        """The same array with values cast on reading; the stored data type of each segment is kept."""
        to = np.dtype(dtype)
        if to.kind in "SU" and to.itemsize == 0 and to.kind == self.dtype.kind:
            return self  # "some length": NumPy keeps the one that is there
        if to == self.dtype:
            return self
        if to.kind not in "biufcOUS" or self.dtype.kind not in "biufcOUS" or family(to) != family(self.dtype):
            raise UnsupportedError(f"a virtual array of {self.dtype} cannot be cast to {to}; load it first")
        self._check_one_cast(to)
        return self.replace(dtype=to, fill_value=as_scalar(self.fill_value, to))

    def _check_one_cast(self, to: DType) -> None:
        """Values are cast once, when they are read: raise if a cast to the present type has already lost something."""
        for segment in self.segments:
            packing = segment.packing if self.decoded else None
            first = segment.stored.dtype if packing is None else packing.dtype
            if not is_exact(first, self.dtype):
                raise UnsupportedError(
                    f"values of {first} were cast to {self.dtype}, and a second cast, to {to}, cannot be stored by reference; "
                    "cast once, or take the values of ds.vzarr.decode()"
                )

    def squeeze(self, axis: int | tuple[int, ...] | None = None) -> VirtualZarrArray:
        """Remove axes of one element."""
        out: VirtualZarrArray = FUNCTIONS[np.squeeze](self, axis)
        return out

    def reshape(self, *shape: ShapeLike, **kwargs: object) -> VirtualZarrArray:
        """Only reshapes that add or drop axes of one element can be done by reference."""
        out: VirtualZarrArray = FUNCTIONS[np.reshape](self, shape[0] if len(shape) == 1 else shape)
        return out

    def __eq__(self, other: object) -> Any:
        return np.equal(self, other)  # type: ignore[call-overload]

    def __ne__(self, other: object) -> Any:
        return np.not_equal(self, other)  # type: ignore[call-overload]

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return bool(np.asarray(self))

    def __float__(self) -> float:
        return float(np.asarray(self))

    def __int__(self) -> int:
        return int(np.asarray(self))

    def __dask_tokenize__(self) -> tuple[object, ...]:
        # by what goes to another process: equal references have equal names, and members of a concatenation stay unopened
        return "VirtualZarrArray", self.shape, str(self.dtype), repr(self.fill_value), self.decoded, digest_of(self.segments)

    def __reduce__(self) -> tuple[Callable[[JsonObject], VirtualZarrArray], tuple[JsonObject]]:
        values = {name: getattr(self, name) for name in self.__slots__ if name != "__weakref__"}
        return _rebuild, (values,)

    def __deepcopy__(self, memo: object) -> VirtualZarrArray:
        return self

    def __copy__(self) -> VirtualZarrArray:
        return self

    def copy(self, order: str = "C") -> VirtualZarrArray:
        """Itself: it is immutable."""
        return self

    # ------------------------------------------------------------------ looks

    def __repr__(self) -> str:
        flags = ", mixed" if self.mixed else ", decoded" if self.decoded else ""
        return (
            f"VirtualZarrArray(shape={self.shape}, dtype={self.dtype}, segments={_segment_count(self)}, "
            f"chunks={_grid_text(self)}{flags})"
        )

    def _repr_inline_(self, max_width: int) -> str:
        count = _segment_count(self)
        text = f"VirtualZarrArray<{count} segment{'s' if count != 1 else ''}, "
        return (text + f"chunks {_grid_text(self)}>")[:max_width]

    def _repr_html_(self) -> str:
        return array_html(self)


def _rebuild(values: JsonObject) -> VirtualZarrArray:
    return VirtualZarrArray(**values, check=False)


def _segment_count(array: VirtualZarrArray) -> int:
    """Number of segments, or of members that are not opened for a repr."""
    source = source_of(array.segments)
    return len(array.segments) if source is None else len(source.edges) - 1


def _grid_text(array: VirtualZarrArray) -> str:
    return "x".join(str(max(cuts.size - 1, 0)) for cuts in array._cuts()) or "1"


def _without[T](values: tuple[T, ...], axis: int) -> tuple[T, ...]:
    return values[:axis] + values[axis + 1 :]


def _with[T](values: tuple[T, ...], axis: int, value: T) -> tuple[T, ...]:
    return (*values[:axis], value, *values[axis:])


def _decode_fill(fill: object, packing: Packing, array: VirtualZarrArray) -> object:
    if is_nan(fill):
        return np.nan
    raw = next(segment.stored.dtype for segment in array.segments if not is_fill(segment))
    value = np.array([fill])
    with np.errstate(all="ignore"):
        stored = value.astype(raw)
    return packing.decode(stored if stored[0] == value[0] else value)[0]


def pool_of(arrays: Iterable[VirtualZarrArray]) -> ReaderPool:
    """The readers for a join: the one pool of all, or a new one with the options of all."""
    pools = {id(a.readers): a.readers for a in arrays}
    if len(pools) == 1:
        return next(iter(pools.values()))
    access = merged_access(pool.access for pool in pools.values())
    return _DEFAULT_READERS if access == Access() else ReaderPool(access)
