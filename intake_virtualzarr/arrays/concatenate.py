"""Joining virtual arrays: along an axis, along a new one; what no segment covers as segments of fill."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import DType, Shape
from intake_virtualzarr.arrays.array import VirtualZarrArray, pool_of
from intake_virtualzarr.arrays.fill_value import family, fill_segment, is_fill, is_nan
from intake_virtualzarr.arrays.inline import inline_array
from intake_virtualzarr.arrays.segments import Segment, covers, same_fill
from intake_virtualzarr.codecs.cf_packing import Packing
from intake_virtualzarr.errors import UnsupportedError

__all__ = ["as_virtual", "axis_number", "concatenate", "filled", "join", "stack"]


def concatenate(
    arrays: Iterable[VirtualZarrArray | npt.ArrayLike],
    axis: int | None = 0,
    *,
    dtype: npt.DTypeLike | None = None,
    **kwargs: object,
) -> VirtualZarrArray:
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
        raise UnsupportedError("concatenating flattened arrays cannot be done by reference; give an axis")
    if kwargs.get("out") is not None:
        raise UnsupportedError("joining into an array in memory (out=) needs values; load the arrays first")
    if len({a.ndim for a in items}) != 1 or items[0].ndim == 0:
        raise ValueError(f"all arrays must have the same number of dimensions, found {sorted({a.ndim for a in items})}")
    axis = axis_number(axis, items[0].ndim)
    _same_other_axes(items, axis)
    if len(items) == 1:
        return items[0] if dtype is None else items[0].astype(dtype)
    return join(_harmonized(items), axis, dtype)


def _as_items(arrays: Iterable[VirtualZarrArray | npt.ArrayLike]) -> list[VirtualZarrArray]:
    """All as virtual arrays. Numbers in memory are taken as stored ones if the virtual arrays beside them are raw.

    xarray loads a variable to compare it and then joins the loaded values with virtual arrays of other files.
    """
    given = list(arrays)
    virtual = [a for a in given if type(a) is VirtualZarrArray]
    if len(virtual) == len(given):
        return virtual
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
            raise ValueError(f"cannot concatenate along axis {axis}: array 0 has shape {first}, array {i} has shape {item.shape}")


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


def join(items: Sequence[VirtualZarrArray], axis: int, dtype: npt.DTypeLike | None) -> VirtualZarrArray:
    """Segments of arrays that agree in meaning and in all other axes, one array after the other."""
    counted = _time_units(items)
    dtypes = {a.dtype for a in items}
    common = np.dtype(dtype) if dtype is not None else next(iter(dtypes)) if len(dtypes) == 1 else common_dtype(dtypes)
    if len(dtypes) > 1 or common not in dtypes:
        items = [item.astype(common) for item in items]
    first, fill = items[0], items[0].fill_value
    # raw arrays are harmonized: all stored segments share one packing
    packing = None if first.decoded else next((s.packing for a in items for s in a.segments if s.packing is not None), None)
    segments: list[Segment] = []
    at = 0
    for item in items:
        parts: Iterable[Segment] = item.segments
        if item.fill_value is not fill and not same_fill(item.fill_value, fill) and not covers(item.shape, parts):
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
        time_units=counted,
        check=False,
    )


def _time_units(items: Sequence[VirtualZarrArray]) -> str | None:
    """What the numbers of all count; those of a fill value count nothing.

    Raises
    ------
    UnsupportedError
        If they count from different dates: joined as they are, they would be other times.
    """
    found = list(dict.fromkeys(a.time_units for a in items if a.time_units is not None))
    if len(found) > 1:
        raise UnsupportedError(
            f"times that count {found[0]!r} cannot be joined by reference with times that count {found[1]!r}; "
            "join with intake_virtualzarr.open_virtual_mfdataset, which reads them as dates, decode the datasets first "
            "(.vzarr.decode()), or name the variable in loadable_variables"
        )
    return found[0] if found else None


def _packed_fill(segment: Segment, packing: Packing) -> Segment:
    """A region of one stored number, joined with packed numbers, is packed like them; NaN is not a stored number."""
    plain = is_fill(segment) and not is_nan(segment.stored.fill_value)
    return replace(segment, packing=packing) if plain else segment


def common_dtype(dtypes: Iterable[DType]) -> DType:
    try:
        result = np.result_type(*dtypes)
    except TypeError as exc:
        raise UnsupportedError(f"no common data type for {sorted(map(str, dtypes))}") from exc
    if len({family(d) for d in dtypes}) > 1:
        raise UnsupportedError(f"no common data type for {sorted(map(str, dtypes))}")
    return result


def filled(array: VirtualZarrArray) -> VirtualZarrArray:
    """The same array with segments for the parts that none covered.

    Their value is packed like those of the other segments, unless it is NaN, which is not a packed number.
    """
    missing = [((0,) * array.ndim, array.shape)]
    for segment in array.segments:
        missing = [piece for box in missing for piece in _minus(box, (segment.offset, segment.shape))]
    dtype = array.dtype
    packing = None if array.decoded or is_nan(array.fill_value) else array.packing
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


def stack(
    arrays: Iterable[VirtualZarrArray | npt.ArrayLike], axis: int = 0, *, dtype: npt.DTypeLike | None = None, **kwargs: object
) -> VirtualZarrArray:
    """Join arrays along a new axis."""
    items = _as_items(arrays)
    if not items:
        raise ValueError("need at least one array to stack")
    if len({a.shape for a in items}) != 1:
        raise ValueError(f"all arrays must have the same shape, found {sorted({a.shape for a in items})}")
    axis = axis_number(axis, items[0].ndim + 1)
    return concatenate([a.insert_axis(axis) for a in items], axis=axis, dtype=dtype, **kwargs)


def as_virtual(values: npt.ArrayLike) -> VirtualZarrArray:
    """An array in memory as a virtual array: its values are kept inline.

    Raises
    ------
    UnsupportedError
        For dates and other types that have no plain bytes.
    """
    return inline_array(np.asarray(values))


def axis_number(axis: int, ndim: int) -> int:
    """An axis counted from the front."""
    axis = int(axis)
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(axis, ndim)
    return axis + ndim if axis < 0 else axis
