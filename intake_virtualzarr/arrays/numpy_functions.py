"""NumPy's functions on virtual arrays: axes, padding, masking (joins are in `joins`). Only comparisons read values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray, DType, JsonObject, Shape, ShapeLike
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.concatenate import axis_number, concatenate, filled, join, stack
from intake_virtualzarr.arrays.fill_value import as_scalar
from intake_virtualzarr.arrays.indexing import runs_of
from intake_virtualzarr.arrays.numpy_protocol import FUNCTIONS, provide
from intake_virtualzarr.arrays.outer_mask import OuterMask, masks_by_axis
from intake_virtualzarr.arrays.segments import Segment, Window, covers, same_fill
from intake_virtualzarr.errors import UnsupportedError

__all__ = ["namespace", "where"]

COMPARE_LIMIT = 256 * 1024 * 1024
"""Comparisons and the null tests of xarray read values up to this size [bytes]."""

LOGIC = frozenset(
    {np.bitwise_or, np.bitwise_and, np.bitwise_xor, np.invert, np.logical_or, np.logical_and, np.logical_not, np.logical_xor}
)
"""What xarray does with results of comparisons and null tests; the latter are virtual arrays of False for integers."""


type Operand = VirtualZarrArray | OuterMask | npt.ArrayLike
"""What NumPy's functions are given beside virtual arrays."""


def _implements[F: Callable[..., object]](*functions: object) -> Callable[[F], F]:
    def add(implementation: F) -> F:
        for function in functions:
            FUNCTIONS[function] = implementation
        return implementation

    return add


def _ufunc(ufunc: np.ufunc, method: str, inputs: Sequence[npt.ArrayLike], kwargs: JsonObject) -> AnyArray | np.generic:
    """``VirtualZarrArray.__array_ufunc__``: equality, and logic on its results, read values; everything else is refused."""
    logic = ufunc in LOGIC and all(np.result_type(x) == np.dtype(bool) for x in inputs)
    if (logic or ufunc in (np.equal, np.not_equal)) and method == "__call__" and not kwargs.get("out"):
        compared: AnyArray | np.generic = ufunc(*(_values(x, ufunc.__name__) for x in inputs), **kwargs)
        return compared
    raise UnsupportedError(
        f"numpy.{ufunc.__name__} cannot be done by reference: it needs values; take those of ds.vzarr.decode(), which are read "
        "when they are asked for, or open the file decoded with xarray.open_dataset(…, engine='virtualzarr')"
    )


def _values(x: VirtualZarrArray | npt.ArrayLike, name: str) -> npt.ArrayLike:
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
    def isnan(x: VirtualZarrArray | npt.ArrayLike) -> npt.NDArray[np.bool_]:
        return np.isnan(np.asarray(_values(x, "isnan")))

    @staticmethod
    def asarray(x: Operand, **kwargs: Any) -> VirtualZarrArray | OuterMask | AnyArray:
        return x if isinstance(x, OuterMask | VirtualZarrArray) and not kwargs else np.asarray(x, **kwargs)

    @staticmethod
    def logical_not(x: OuterMask | npt.ArrayLike) -> OuterMask | AnyArray:
        return ~x if isinstance(x, OuterMask) else np.logical_not(x)

    @staticmethod
    def where(condition: OuterMask | npt.ArrayLike, x: Operand, y: Operand) -> VirtualZarrArray | AnyArray:
        # a merge with compat="no_conflicts" has read both sides to compare them, and fills the gaps of one from the other
        if np.ndim(x) and np.ndim(y):
            return np.where(np.asarray(condition), _values(x, "where"), _values(y, "where"))
        return where(condition, x, y)

    @staticmethod
    def astype[A: (VirtualZarrArray, AnyArray)](x: A, dtype: npt.DTypeLike, /, *, copy: bool = True, device: object = None) -> A:
        return x.astype(dtype, copy=copy)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Namespace)

    def __hash__(self) -> int:
        return hash(_Namespace)


namespace = _Namespace()
"""What ``VirtualZarrArray.__array_namespace__`` returns."""

provide(ufunc=_ufunc, namespace=namespace)


_implements(np.concatenate)(concatenate)
_implements(np.stack)(stack)


# ---------------------------------------------------------------------- axes


@_implements(np.expand_dims)
def _expand_dims(a: VirtualZarrArray, axis: int | tuple[int, ...]) -> VirtualZarrArray:
    axes = axis if isinstance(axis, tuple) else (axis,)
    ndim = a.ndim + len(axes)
    for position in sorted(axis_number(n, ndim) for n in axes):
        a = a.insert_axis(position)
    return a


@_implements(np.squeeze)
def squeeze(a: VirtualZarrArray, axis: int | tuple[int, ...] | None = None) -> VirtualZarrArray:
    """Remove axes of one element."""
    if axis is None:
        axes = [i for i, n in enumerate(a.shape) if n == 1]
    else:
        axes = [axis_number(n, a.ndim) for n in (axis if isinstance(axis, tuple) else (axis,))]
    for n in sorted(axes, reverse=True):
        a = a.drop_axis(n)
    return a


def _as_shape(shape: ShapeLike) -> Shape:
    return (int(shape),) if isinstance(shape, int | np.integer) else tuple(int(n) for n in shape)


@_implements(np.reshape)
def reshape(a: VirtualZarrArray, shape: ShapeLike, *args: object, **kwargs: object) -> VirtualZarrArray:
    """Add or drop axes of one element.

    Raises
    ------
    UnsupportedError
        For any other reshape.
    """
    wanted = _as_shape(shape)
    if -1 in wanted:
        rest = int(np.prod([n for n in wanted if n != -1], dtype=np.int64))
        wanted = tuple(a.size // rest if n == -1 and rest else n for n in wanted)
    if tuple(n for n in wanted if n != 1) != tuple(n for n in a.shape if n != 1):
        raise UnsupportedError(
            f"reshaping {a.shape} to {wanted} cannot be done by reference: chunks would have to be cut; "
            "take the values of ds.vzarr.decode()"
        )
    a = squeeze(a)
    for axis, n in enumerate(wanted):
        if n == 1:
            a = a.insert_axis(axis)
    return a


@_implements(np.broadcast_to)
def _broadcast_to(a: VirtualZarrArray, shape: ShapeLike, subok: bool = False) -> VirtualZarrArray:
    wanted = _as_shape(shape)
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
    return a


@_implements(np.transpose, np.permute_dims)
def _transpose(a: VirtualZarrArray, axes: Sequence[int] | None = None) -> VirtualZarrArray:
    return a.transpose(axes)


@_implements(np.moveaxis)
def _moveaxis(a: VirtualZarrArray, source: ShapeLike, destination: ShapeLike) -> VirtualZarrArray:
    return a.transpose(_moved(a.ndim, source, destination))


def _moved(ndim: int, source: ShapeLike, destination: ShapeLike) -> tuple[int, ...]:
    froms = [axis_number(n, ndim) for n in (source if isinstance(source, Iterable) else [source])]
    tos = [axis_number(n, ndim) for n in (destination if isinstance(destination, Iterable) else [destination])]
    order = [n for n in range(ndim) if n not in froms]
    for to, frm in sorted(zip(tos, froms, strict=True)):
        order.insert(to, frm)
    return tuple(order)


@_implements(np.swapaxes)
def _swapaxes(a: VirtualZarrArray, axis1: int, axis2: int) -> VirtualZarrArray:
    order = list(range(a.ndim))
    i, j = axis_number(axis1, a.ndim), axis_number(axis2, a.ndim)
    order[i], order[j] = order[j], order[i]
    return a.transpose(order)


@_implements(np.flip)
def _flip(m: VirtualZarrArray, axis: int | tuple[int, ...] | None = None) -> VirtualZarrArray | AnyArray:
    axes = range(m.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    flipped = {axis_number(n, m.ndim) for n in axes}
    return m[tuple(slice(None, None, -1) if n in flipped else slice(None) for n in range(m.ndim))]


@_implements(np.take)
def _take(
    a: VirtualZarrArray, indices: npt.ArrayLike, axis: int | None = None, out: None = None, mode: str = "raise"
) -> VirtualZarrArray | AnyArray:
    if axis is None:
        raise UnsupportedError("numpy.take of a flattened array cannot be done by reference; give an axis")
    if mode != "raise" or out is not None:
        raise UnsupportedError(f"numpy.take with mode={mode!r} or out cannot be done by reference; clip or wrap the indices first")
    return a[(slice(None),) * axis_number(axis, a.ndim) + (indices,)]


@_implements(np.roll)
def _roll(a: VirtualZarrArray, shift: npt.ArrayLike, axis: npt.ArrayLike | None = None) -> VirtualZarrArray:
    if axis is None:
        raise UnsupportedError("numpy.roll of a flattened array cannot be done by reference; give an axis")
    for by, along in np.broadcast(shift, axis):
        n = axis_number(along, a.ndim)
        extent = a.shape[n]
        if extent and by % extent:
            cut = extent - int(by) % extent
            a = a.select(n, [Window(cut, extent - cut), Window(0, cut)])
    return a


# ---------------------------------------------------------------------- padding and masking


@_implements(np.pad)
def _pad(array: VirtualZarrArray, pad_width: npt.ArrayLike, mode: str = "constant", **kwargs: Any) -> VirtualZarrArray:
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


def _pairs(value: npt.ArrayLike, ndim: int, name: str, *, number: bool = True) -> list[tuple[Any, Any]]:
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
    return join(parts, axis, array.dtype) if len(parts) > 1 else array


@_implements(np.where)
def where(condition: OuterMask | npt.ArrayLike, *choices: Operand) -> VirtualZarrArray:
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
            "numpy.where with two arrays cannot be done by reference: the other value must be a scalar; "
            "take the values of ds.vzarr.decode()"
        )
    shape = np.broadcast_shapes(keep.shape, x.shape)
    x = _broadcast_to(x, shape)
    dtype = np.result_type(x.dtype, np.asarray(scalar).dtype if isinstance(scalar, np.ndarray | np.generic) else scalar)
    x = x.astype(dtype)
    masks = masks_by_axis(keep, shape)
    if masks is None:
        raise UnsupportedError(
            "numpy.where with a mask that varies along several axes at once cannot be done by reference; "
            "take the values of ds.vzarr.decode()"
        )
    return _masked(x, masks, as_scalar(scalar, dtype))


def _single_value(array: VirtualZarrArray) -> Any:
    if array.segments or array.size == 0:
        return None
    return array.fill_value


def _masked(array: VirtualZarrArray, masks: Sequence[npt.NDArray[np.bool_] | None], other: object) -> VirtualZarrArray:
    if not same_fill(array.fill_value, other) and not covers(array.shape, array.segments):
        array = filled(array)
    segments: Iterable[Segment] = array.segments
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
def _full_like(
    a: VirtualZarrArray, fill_value: object, dtype: npt.DTypeLike | None = None, shape: ShapeLike | None = None, **kwargs: object
) -> VirtualZarrArray:
    return VirtualZarrArray(
        a.shape if shape is None else _as_shape(shape),
        a.dtype if dtype is None else dtype,
        fill_value,
        decoded=False,
        readers=a.readers,
    )


@_implements(np.zeros_like)
def _zeros_like(
    a: VirtualZarrArray, dtype: npt.DTypeLike | None = None, shape: ShapeLike | None = None, **kwargs: object
) -> VirtualZarrArray:
    return _full_like(a, 0, dtype, shape)


@_implements(np.ones_like)
def _ones_like(
    a: VirtualZarrArray, dtype: npt.DTypeLike | None = None, shape: ShapeLike | None = None, **kwargs: object
) -> VirtualZarrArray:
    return _full_like(a, 1, dtype, shape)


@_implements(np.empty_like)
def _empty_like(
    a: VirtualZarrArray, dtype: npt.DTypeLike | None = None, shape: ShapeLike | None = None, **kwargs: object
) -> VirtualZarrArray:
    return _full_like(a, a.fill_value, dtype, shape)


@_implements(np.result_type)
def _result_type(*arrays_and_dtypes: Any) -> DType:
    return np.result_type(*(a.dtype if isinstance(a, VirtualZarrArray) else a for a in arrays_and_dtypes))


@_implements(np.can_cast)
def _can_cast(from_: VirtualZarrArray | npt.DTypeLike, to: npt.DTypeLike, casting: np._CastingKind = "safe") -> bool:
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
def _copy(a: VirtualZarrArray, *args: object, **kwargs: object) -> VirtualZarrArray:
    return a


@_implements(np.iscomplexobj)
def _iscomplexobj(x: VirtualZarrArray) -> bool:
    return x.dtype.kind == "c"


@_implements(np.array_equal)
def _array_equal(a1: VirtualZarrArray | npt.ArrayLike, a2: VirtualZarrArray | npt.ArrayLike, equal_nan: bool = False) -> bool:
    return np.array_equal(_values(a1, "array_equal"), _values(a2, "array_equal"), equal_nan=equal_nan)


@_implements(np.broadcast_arrays)
def _broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    shape = np.broadcast_shapes(*(np.shape(a) for a in args))
    return tuple(np.broadcast_to(a, shape) for a in args)


@_implements(np.array_repr, np.array2string)
def _array_repr(arr: VirtualZarrArray, *args: object, **kwargs: object) -> str:
    return repr(arr)


@_implements(np.array_str)
def _array_str(a: VirtualZarrArray, *args: object, **kwargs: object) -> str:
    return repr(a)
