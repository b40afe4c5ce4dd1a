"""NumPy's functions on virtual arrays: joins, axes, padding, masking. None of them reads a value, except comparisons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr.array import (
    VirtualZarrArray,
    _as_scalar,
    _covers,
    _family,
    _is_nan,
    fill_segment,
    is_fill,
    pool_of,
)
from intake_virtualzarr.cf import Packing
from intake_virtualzarr.errors import UnsupportedError
from intake_virtualzarr.grid import Shape
from intake_virtualzarr.indexing import runs_of
from intake_virtualzarr.masks import OuterMask, masks_by_axis
from intake_virtualzarr.segments import Segment, Window, same_fill

__all__ = ["concatenate", "dispatch", "dispatch_ufunc", "namespace", "stack", "where"]

COMPARE_LIMIT = 256 * 1024 * 1024
"""Comparisons and the null tests of xarray read values up to this size [bytes]."""

_FUNCTIONS: dict[Any, Callable[..., Any]] = {}


def _implements(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def add(implementation: Callable[..., Any]) -> Callable[..., Any]:
        for function in functions:
            _FUNCTIONS[function] = implementation
        return implementation

    return add


def dispatch(function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """``VirtualZarrArray.__array_function__``."""
    implementation = _FUNCTIONS.get(function)
    if implementation is None:
        name = getattr(function, "__name__", repr(function))
        raise UnsupportedError(
            f"numpy.{name} has no virtual form: it needs values. Load the array first (.load(), numpy.asarray), "
            "or make it lazy with .chunk()"
        )
    return implementation(*args, **kwargs)


def dispatch_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``VirtualZarrArray.__array_ufunc__``: equality reads values, everything else is refused."""
    if ufunc in (np.equal, np.not_equal) and method == "__call__" and not kwargs.get("out"):
        return ufunc(*(_values(x, ufunc.__name__) for x in inputs), **kwargs)
    raise UnsupportedError(
        f"numpy.{ufunc.__name__} has no virtual form: it needs values. Load the array first (.load(), numpy.asarray), "
        "make it lazy with .chunk(), or open the file decoded with xarray.open_dataset(…, engine='virtualzarr')"
    )


def _values(x: Any, name: str) -> Any:
    if not isinstance(x, VirtualZarrArray):
        return x
    if x.nbytes > COMPARE_LIMIT:
        raise UnsupportedError(
            f"numpy.{name} would read {x.nbytes} bytes of a virtual array; load it first if that is meant, "
            "or say compat='override' and coords='minimal' where xarray compares variables"
        )
    return np.asarray(x)


class _Namespace:
    """NumPy, as xarray sees it for virtual arrays: its own null tests may read small arrays."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def isnan(x: Any) -> Any:
        return np.isnan(_values(x, "isnan"))

    @staticmethod
    def asarray(x: Any, **kwargs: Any) -> Any:
        return x if isinstance(x, OuterMask | VirtualZarrArray) and not kwargs else np.asarray(x, **kwargs)

    @staticmethod
    def logical_not(x: Any) -> Any:
        return ~x if isinstance(x, OuterMask) else np.logical_not(x)

    @staticmethod
    def where(condition: Any, x: Any, y: Any) -> Any:
        # a merge with compat="no_conflicts" has read both sides to compare them, and fills the gaps of one from the other
        if np.ndim(x) and np.ndim(y):
            return np.where(np.asarray(condition), _values(x, "where"), _values(y, "where"))
        return where(condition, x, y)

    @staticmethod
    def astype(x: Any, dtype: npt.DTypeLike, /, *, copy: bool = True, device: Any = None) -> Any:
        return x.astype(dtype, copy=copy)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Namespace)

    def __hash__(self) -> int:
        return hash(_Namespace)


namespace = _Namespace()
"""What ``VirtualZarrArray.__array_namespace__`` returns."""


# ---------------------------------------------------------------------- joins


@_implements(np.concatenate)
def concatenate(arrays: Iterable[Any], axis: int | None = 0, *, dtype: npt.DTypeLike | None = None, **kwargs: Any) -> Any:
    """Join arrays along an axis.

    Arrays that pack values differently are joined decoded, each segment by its own packing, and the result is marked as
    mixed.

    Raises
    ------
    ValueError
        If shapes disagree on another axis.
    UnsupportedError
        If strings or structures are joined with numbers.
    """
    items = _as_items(arrays)
    if not items:
        raise ValueError("need at least one array to concatenate")
    if axis is None:
        raise UnsupportedError("concatenating flattened arrays has no virtual form; give an axis")
    if kwargs.get("out") is not None:
        raise UnsupportedError("joining into an array in memory (out=) needs values; load the arrays first")
    if len({a.ndim for a in items}) != 1 or items[0].ndim == 0:
        raise ValueError(f"all arrays must have the same number of dimensions, found {sorted({a.ndim for a in items})}")
    axis = _axis(axis, items[0].ndim)
    _same_other_axes(items, axis)
    if len(items) == 1:
        return items[0] if dtype is None else items[0].astype(dtype)
    return _join(_harmonized(items), axis, dtype)


def _as_items(arrays: Iterable[Any]) -> list[VirtualZarrArray]:
    """All as virtual arrays. Numbers in memory are taken as stored ones if the virtual arrays beside them are raw.

    xarray loads a variable to compare it and then joins the loaded values with virtual arrays of other files.
    """
    given = list(arrays)
    if all(type(a) is VirtualZarrArray for a in given):
        return given
    raw = [a for a in given if isinstance(a, VirtualZarrArray) and not a.decoded]
    packings = {s.packing for a in raw for s in a.segments if not is_fill(s)}
    items = []
    for a in given:
        if isinstance(a, VirtualZarrArray):
            items.append(a)
            continue
        item = as_virtual(a)
        if packings - {None}:
            if len(packings) > 1:
                raise UnsupportedError(
                    "values in memory cannot be joined with virtual arrays that are packed in different ways; "
                    "decode these first (ds.vzarr.decode()), or join with intake_virtualzarr.open_virtual_mfdataset"
                )
            packing = next(iter(packings))
            item = item.replace(segments=tuple(replace(s, packing=packing) for s in item.segments))
        items.append(item)
    return items


def _same_other_axes(items: Sequence[VirtualZarrArray], axis: int) -> None:
    first = items[0].shape
    for i, item in enumerate(items):
        if item.shape != first and item.shape[:axis] + item.shape[axis + 1 :] != first[:axis] + first[axis + 1 :]:
            raise ValueError(
                f"cannot concatenate along axis {axis}: array 0 has shape {first}, array {i} has shape {item.shape}"
            )


def _harmonized(items: list[VirtualZarrArray]) -> list[VirtualZarrArray]:
    """Bring arrays to one meaning of their numbers: all raw with one packing, or all decoded."""
    any_decoded = any(a.decoded for a in items)
    if not any_decoded and len({s.packing for a in items for s in a.segments}) <= 1:
        return items
    packings = {s.packing for a in items for s in a.segments if not is_fill(s)}
    if not any_decoded and len(packings) <= 1:
        return items
    if any_decoded and all(a.decoded or _is_plain(a) for a in items):
        mixed = any(a.mixed for a in items)
        return [a.replace(decoded=True, mixed=mixed) for a in items]
    return [a.decode().replace(mixed=True) for a in items]


def _is_plain(array: VirtualZarrArray) -> bool:
    return all(s.packing is None for s in array.segments)


def _join(items: Sequence[VirtualZarrArray], axis: int, dtype: npt.DTypeLike | None) -> VirtualZarrArray:
    dtypes = {a.dtype for a in items}
    common = np.dtype(dtype) if dtype is not None else next(iter(dtypes)) if len(dtypes) == 1 else _common(dtypes)
    if len(dtypes) > 1 or common not in dtypes:
        items = [item.astype(common) for item in items]
    first, fill = items[0], items[0].fill_value
    # raw arrays are harmonized: all stored segments share one packing
    packing = None if first.decoded else next((s.packing for a in items for s in a.segments if s.packing is not None), None)
    segments: list[Segment] = []
    at = 0
    for item in items:
        parts = item.segments
        if item.fill_value is not fill and not same_fill(item.fill_value, fill) and not _covers(item.shape, parts):
            parts = filled(item).segments
        if packing is not None:
            parts = [_packed_fill(s, packing) for s in parts]
        for s in parts:
            segments.append(s.shifted(axis, at) if at else s)
        at += item.shape[axis]
    shape = (*first.shape[:axis], at, *first.shape[axis + 1 :])
    return VirtualZarrArray(
        shape,
        common,
        fill,
        segments,
        decoded=first.decoded,
        mixed=any(a.mixed for a in items),
        readers=pool_of(items),
        check=False,
    )


def _packed_fill(segment: Segment, packing: Packing) -> Segment:
    """A region of one stored number, joined with packed numbers, is packed like them; NaN is no stored number."""
    plain = is_fill(segment) and not _is_nan(segment.stored.fill_value)
    return replace(segment, packing=packing) if plain else segment


def _common(dtypes: Iterable[np.dtype[Any]]) -> np.dtype[Any]:
    try:
        result = np.result_type(*dtypes)
    except TypeError as exc:
        raise UnsupportedError(f"no common data type for {sorted(map(str, dtypes))}") from exc
    if len({_family(d) for d in dtypes}) > 1:
        raise UnsupportedError(f"no common data type for {sorted(map(str, dtypes))}")
    return result


def filled(array: VirtualZarrArray) -> VirtualZarrArray:
    """The same array with segments for the parts that none covered.

    Their value is packed like those of the other segments, unless it is NaN, which is no packed number.
    """
    missing = [((0,) * array.ndim, array.shape)]
    for segment in array.segments:
        missing = [piece for box in missing for piece in _minus(box, (segment.offset, segment.shape))]
    dtype = array.dtype
    packing = None if array.decoded or _is_nan(array.fill_value) else array.packing
    fills = [
        replace(fill_segment(shape, dtype, array.fill_value), offset=offset, packing=packing)
        for offset, shape in missing
        if 0 not in shape
    ]
    return array.replace(segments=(*array.segments, *fills))


type _Box = tuple[Shape, Shape]


def _minus(box: _Box, hole: _Box) -> list[_Box]:
    """A box without another, as disjoint boxes."""
    offset, shape = box
    starts = [max(o, h) for o, h in zip(offset, hole[0], strict=True)]
    stops = [min(o + n, h + m) for o, n, h, m in zip(offset, shape, *hole, strict=True)]
    if any(a >= b for a, b in zip(starts, stops, strict=True)):
        return [box]
    pieces: list[_Box] = []
    low, extent = list(offset), list(shape)
    for axis in range(len(offset)):
        before, after = starts[axis] - low[axis], low[axis] + extent[axis] - stops[axis]
        if before:
            pieces.append((tuple(low), (*extent[:axis], before, *extent[axis + 1 :])))
        if after:
            pieces.append(((*low[:axis], stops[axis], *low[axis + 1 :]), (*extent[:axis], after, *extent[axis + 1 :])))
        low[axis], extent[axis] = starts[axis], stops[axis] - starts[axis]
    return pieces


@_implements(np.stack)
def stack(arrays: Iterable[Any], axis: int = 0, **kwargs: Any) -> Any:
    """Join arrays along a new axis."""
    items = _as_items(arrays)
    if not items:
        raise ValueError("need at least one array to stack")
    if len({a.shape for a in items}) != 1:
        raise ValueError(f"all arrays must have the same shape, found {sorted({a.shape for a in items})}")
    axis = _axis(axis, items[0].ndim + 1)
    return concatenate([a.insert_axis(axis) for a in items], axis=axis, **kwargs)


def as_virtual(values: Any) -> VirtualZarrArray:
    """An array in memory as a virtual array: its values are kept inline.

    Raises
    ------
    UnsupportedError
        For dates and other types that have no plain bytes.
    """
    from intake_virtualzarr.inline import inline_array

    return inline_array(np.asarray(values))


# ---------------------------------------------------------------------- axes


def _axis(axis: int, ndim: int) -> int:
    axis = int(axis)
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(axis, ndim)
    return axis + ndim if axis < 0 else axis


@_implements(np.expand_dims)
def _expand_dims(a: VirtualZarrArray, axis: int | tuple[int, ...]) -> VirtualZarrArray:
    axes = axis if isinstance(axis, tuple) else (axis,)
    ndim = a.ndim + len(axes)
    for position in sorted(_axis(n, ndim) for n in axes):
        a = a.insert_axis(position)
    return a


@_implements(np.squeeze)
def squeeze(a: VirtualZarrArray, axis: int | tuple[int, ...] | None = None) -> VirtualZarrArray:
    """Remove axes of one element."""
    if axis is None:
        axes = [i for i, n in enumerate(a.shape) if n == 1]
    else:
        axes = [_axis(n, a.ndim) for n in (axis if isinstance(axis, tuple) else (axis,))]
    for n in sorted(axes, reverse=True):
        a = a.drop_axis(n)
    return a


@_implements(np.reshape)
def reshape(a: VirtualZarrArray, shape: Any, *args: Any, **kwargs: Any) -> VirtualZarrArray:
    """Add or drop axes of one element.

    Raises
    ------
    UnsupportedError
        For any other reshape.
    """
    wanted = (int(shape),) if isinstance(shape, int | np.integer) else tuple(int(n) for n in shape)
    if -1 in wanted:
        rest = int(np.prod([n for n in wanted if n != -1], dtype=np.int64))
        wanted = tuple(a.size // rest if n == -1 and rest else n for n in wanted)
    if tuple(n for n in wanted if n != 1) != tuple(n for n in a.shape if n != 1):
        raise UnsupportedError(
            f"reshaping {a.shape} to {wanted} has no virtual form: chunks would have to be cut; load or chunk the array first"
        )
    a = squeeze(a)
    for axis, n in enumerate(wanted):
        if n == 1:
            a = a.insert_axis(axis)
    return a


@_implements(np.broadcast_to)
def _broadcast_to(a: Any, shape: Any, subok: bool = False) -> VirtualZarrArray:
    wanted = (int(shape),) if isinstance(shape, int | np.integer) else tuple(int(n) for n in shape)
    if len(wanted) < a.ndim:
        raise ValueError(f"array of shape {a.shape} could not be broadcast to {wanted}")
    for _ in range(len(wanted) - a.ndim):
        a = a.insert_axis(0)
    for axis, (have, want) in enumerate(zip(a.shape, wanted, strict=True)):
        if have == want:
            continue
        if have != 1:
            raise ValueError(f"array of shape {a.shape} could not be broadcast to {wanted}")
        a = a.drop_axis(axis).insert_axis(axis, want)
    return a  # type: ignore[no-any-return]


@_implements(np.transpose, np.permute_dims)
def _transpose(a: VirtualZarrArray, axes: Sequence[int] | None = None) -> VirtualZarrArray:
    return a.transpose(axes)


@_implements(np.moveaxis)
def _moveaxis(a: VirtualZarrArray, source: Any, destination: Any) -> VirtualZarrArray:
    return a.transpose(_moved(a.ndim, source, destination))


def _moved(ndim: int, source: Any, destination: Any) -> tuple[int, ...]:
    froms = [_axis(n, ndim) for n in (source if np.iterable(source) else [source])]
    tos = [_axis(n, ndim) for n in (destination if np.iterable(destination) else [destination])]
    order = [n for n in range(ndim) if n not in froms]
    for to, frm in sorted(zip(tos, froms, strict=True)):
        order.insert(to, frm)
    return tuple(order)


@_implements(np.swapaxes)
def _swapaxes(a: VirtualZarrArray, axis1: int, axis2: int) -> VirtualZarrArray:
    order = list(range(a.ndim))
    i, j = _axis(axis1, a.ndim), _axis(axis2, a.ndim)
    order[i], order[j] = order[j], order[i]
    return a.transpose(order)


@_implements(np.flip)
def _flip(m: VirtualZarrArray, axis: int | tuple[int, ...] | None = None) -> VirtualZarrArray:
    axes = range(m.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    flipped = {_axis(n, m.ndim) for n in axes}
    out: VirtualZarrArray = m[tuple(slice(None, None, -1) if n in flipped else slice(None) for n in range(m.ndim))]
    return out


@_implements(np.take)
def _take(
    a: VirtualZarrArray, indices: Any, axis: int | None = None, out: None = None, mode: str = "raise"
) -> VirtualZarrArray:
    if axis is None:
        raise UnsupportedError("numpy.take of a flattened array has no virtual form; give an axis")
    if mode != "raise" or out is not None:
        raise UnsupportedError(f"numpy.take with mode={mode!r} or out has no virtual form; clip or wrap the indices first")
    taken: VirtualZarrArray = a[(slice(None),) * _axis(axis, a.ndim) + (indices,)]
    return taken


@_implements(np.roll)
def _roll(a: VirtualZarrArray, shift: Any, axis: Any = None) -> VirtualZarrArray:
    if axis is None:
        raise UnsupportedError("numpy.roll of a flattened array has no virtual form; give an axis")
    for by, along in np.broadcast(shift, axis):
        n = _axis(along, a.ndim)
        extent = a.shape[n]
        if extent and by % extent:
            cut = extent - int(by) % extent
            a = a.select(n, [Window(cut, extent - cut), Window(0, cut)])
    return a


# ---------------------------------------------------------------------- padding and masking


@_implements(np.pad)
def _pad(array: VirtualZarrArray, pad_width: Any, mode: str = "constant", **kwargs: Any) -> VirtualZarrArray:
    widths = _pairs(pad_width, array.ndim, "pad_width")
    if mode == "constant":
        values = _pairs(kwargs.get("constant_values", 0), array.ndim, "constant_values", number=False)
        for axis, (width, value) in enumerate(zip(widths, values, strict=True)):
            array = _pad_constant(array, axis, width, value)
        return array
    if mode not in ("edge", "wrap", "reflect", "symmetric") or kwargs.get("reflect_type", "even") != "even":
        raise UnsupportedError(f"padding with mode={mode!r} {kwargs or ''} needs values; load the array first")
    for axis, (before, after) in enumerate(widths):
        if before or after:
            indices = np.pad(np.arange(array.shape[axis]), (before, after), mode=mode, **kwargs)  # type: ignore[call-overload]
            array = array.select(axis, runs_of(indices))
    return array


def _pairs(value: Any, ndim: int, name: str, *, number: bool = True) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        raise UnsupportedError(f"{name} as a dict is not known to numpy.pad here")
    pairs = np.broadcast_to(np.asarray(value), (ndim, 2)).tolist() if ndim else []
    if number and any(n < 0 for pair in pairs for n in pair):
        raise ValueError("index can't contain negative values")
    if not number:
        original = np.broadcast_to(np.asarray(value), (ndim, 2))
        return [(row[0], row[1]) for row in original]
    return [(a, b) for a, b in pairs]


def _pad_constant(array: VirtualZarrArray, axis: int, width: tuple[int, int], values: tuple[Any, Any]) -> VirtualZarrArray:
    parts = [array]
    for side, extent in enumerate(width):
        if extent:
            shape = (*array.shape[:axis], extent, *array.shape[axis + 1 :])
            piece = VirtualZarrArray(
                shape, array.dtype, values[side], decoded=array.decoded, mixed=array.mixed, readers=array.readers
            )
            parts = [piece, *parts] if side == 0 else [*parts, piece]
    return _join(parts, axis, array.dtype) if len(parts) > 1 else array


@_implements(np.where)
def where(condition: Any, *choices: Any) -> VirtualZarrArray:
    """Keep elements where a mask is true; elsewhere a scalar.

    The mask must be an outer product of one mask per axis (what xarray's reindex and outer join make).

    Raises
    ------
    UnsupportedError
        If the mask has another form, or both choices are arrays.
    """
    if len(choices) != 2:
        raise UnsupportedError("numpy.where with one argument needs values; load the array first")
    x, y = choices
    keep = condition if isinstance(condition, OuterMask) else np.asarray(condition, dtype=bool)
    if not isinstance(x, VirtualZarrArray):
        x, y, keep = y, x, ~keep
    if not isinstance(x, VirtualZarrArray):
        raise UnsupportedError("numpy.where on a virtual mask needs values; load the mask first")
    scalar = y if not isinstance(y, VirtualZarrArray) else _single_value(y)
    if scalar is None or np.ndim(scalar) != 0:
        raise UnsupportedError(
            "numpy.where with two arrays has no virtual form: the other value must be a scalar; load or chunk the arrays first"
        )
    shape = np.broadcast_shapes(keep.shape, x.shape)
    x = _broadcast_to(x, shape)
    dtype = np.result_type(x.dtype, np.asarray(scalar).dtype if isinstance(scalar, np.ndarray | np.generic) else scalar)
    x = x.astype(dtype)
    masks = masks_by_axis(keep, shape)
    if masks is None:
        raise UnsupportedError(
            "numpy.where with a mask that varies along several axes at once has no virtual form; load or chunk the array first"
        )
    return _masked(x, masks, _as_scalar(scalar, dtype))


def _single_value(array: VirtualZarrArray) -> Any:
    if array.segments or array.size == 0:
        return None
    return array.fill_value


def _masked(
    array: VirtualZarrArray, masks: Sequence[npt.NDArray[np.bool_] | None], other: Any
) -> VirtualZarrArray:
    if not same_fill(array.fill_value, other) and not _covers(array.shape, array.segments):
        array = filled(array)
    segments: Sequence[Segment] = array.segments
    for axis, mask in enumerate(masks):
        if mask is None:
            continue
        edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
        kept: list[Segment] = []
        for start, stop in edges.reshape(-1, 2).tolist():
            for segment in segments:
                low, high = max(start, segment.offset[axis]), min(stop, segment.stop[axis])
                if low < high:
                    kept.append(segment.select(axis, low - segment.offset[axis], high - low, 1, low))
        segments = kept
    return array.replace(segments=tuple(segments), fill_value=other)


# ---------------------------------------------------------------------- making


@_implements(np.full_like)
def _full_like(a: VirtualZarrArray, fill_value: Any, dtype: Any = None, shape: Any = None, **kwargs: Any) -> VirtualZarrArray:
    return VirtualZarrArray(
        a.shape if shape is None else shape,
        a.dtype if dtype is None else dtype,
        fill_value,
        decoded=False,
        readers=a.readers,
    )


@_implements(np.zeros_like)
def _zeros_like(a: VirtualZarrArray, dtype: Any = None, shape: Any = None, **kwargs: Any) -> VirtualZarrArray:
    return _full_like(a, 0, dtype, shape)  # type: ignore[no-any-return]


@_implements(np.ones_like)
def _ones_like(a: VirtualZarrArray, dtype: Any = None, shape: Any = None, **kwargs: Any) -> VirtualZarrArray:
    return _full_like(a, 1, dtype, shape)  # type: ignore[no-any-return]


@_implements(np.empty_like)
def _empty_like(a: VirtualZarrArray, dtype: Any = None, shape: Any = None, **kwargs: Any) -> VirtualZarrArray:
    return _full_like(a, a.fill_value, dtype, shape)  # type: ignore[no-any-return]


@_implements(np.result_type)
def _result_type(*arrays_and_dtypes: Any) -> np.dtype[Any]:
    return np.result_type(*(a.dtype if isinstance(a, VirtualZarrArray) else a for a in arrays_and_dtypes))


@_implements(np.can_cast)
def _can_cast(from_: Any, to: Any, casting: Any = "safe") -> bool:
    return np.can_cast(from_.dtype if isinstance(from_, VirtualZarrArray) else from_, to, casting)


@_implements(np.shape)
def _shape(a: VirtualZarrArray) -> Shape:
    return a.shape


@_implements(np.ndim)
def _ndim(a: VirtualZarrArray) -> int:
    return a.ndim


@_implements(np.size)
def _size(a: VirtualZarrArray, axis: int | None = None) -> int:
    return a.size if axis is None else a.shape[axis]


@_implements(np.copy)
def _copy(a: VirtualZarrArray, *args: Any, **kwargs: Any) -> VirtualZarrArray:
    return a


@_implements(np.iscomplexobj)
def _iscomplexobj(x: VirtualZarrArray) -> bool:
    return x.dtype.kind == "c"


@_implements(np.array_equal)
def _array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> bool:
    return np.array_equal(_values(a1, "array_equal"), _values(a2, "array_equal"), equal_nan=equal_nan)


@_implements(np.broadcast_arrays)
def _broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    shape = np.broadcast_shapes(*(np.shape(a) for a in args))
    return tuple(np.broadcast_to(a, shape) for a in args)


@_implements(np.array_repr, np.array2string)
def _array_repr(arr: VirtualZarrArray, *args: Any, **kwargs: Any) -> str:
    return repr(arr)


@_implements(np.array_str)
def _array_str(a: VirtualZarrArray, *args: Any, **kwargs: Any) -> str:
    return repr(a)
