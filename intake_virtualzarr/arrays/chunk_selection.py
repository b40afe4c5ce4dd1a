"""Which elements of which chunks a request needs, along one axis and for a whole stored array."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.arrays.chunk_grid import AxisGrid
from intake_virtualzarr.arrays.segments import Segment, Window

__all__ = ["AxisPick", "AxisRequest", "Selector", "assign", "overlap", "pick", "picks_of", "request_length", "strided", "take"]

type Selector = slice | npt.NDArray[np.intp]
type AxisRequest = Window | npt.NDArray[np.int64]
"""Elements along one axis: regularly spaced, or listed."""


@dataclass(frozen=True, slots=True)
class AxisPick:
    """What one chunk of an axis contributes."""

    chunk: int
    """Index of the chunk along the axis."""
    inside: Selector
    """Elements of the chunk."""
    outside: Selector
    """Where they go along the axis of the result."""


def request_length(request: AxisRequest) -> int:
    """Number of elements that a request asks for along its axis."""
    return request.count if isinstance(request, Window) else int(request.size)


def picks_of(grid: AxisGrid, window: Window, into: int) -> list[AxisPick]:
    """Chunks that a window touches; its first element goes to position ``into`` of the result."""
    if window.count == 0:
        return []
    if window.step == 1:
        return list(_unit_picks(grid, window, into))
    low, high = window.bounds()
    first, last = grid.span(low, high)
    picks = []
    for chunk in range(first, last):
        start, stop = int(grid.starts[chunk]), int(grid.starts[chunk + 1])
        begin, end = overlap(window, start, stop)
        if begin >= end:
            continue
        inner = window.start + window.step * begin - start
        picks.append(AxisPick(chunk, strided(inner, end - begin, window.step), slice(into + begin, into + end)))
    return picks


def _unit_picks(grid: AxisGrid, window: Window, into: int) -> Iterator[AxisPick]:
    start, stop = window.start, window.start + window.count
    first, last = grid.span(start, stop)
    shift = into - start
    edges = grid.starts[first : last + 1].tolist()
    for i, chunk in enumerate(range(first, last)):
        low, high = edges[i], edges[i + 1]
        a, b = max(low, start), min(high, stop)
        yield AxisPick(chunk, slice(a - low, b - low), slice(a + shift, b + shift))


def strided(start: int, count: int, step: int) -> slice:
    """``start + step * k`` for ``k < count`` as a slice that works for negative steps down to element 0."""
    stop = start + step * count
    return slice(start, stop if stop >= 0 else None, step)


def overlap(window: Window, start: int, stop: int) -> tuple[int, int]:
    """The range of ``k`` for which element ``k`` of the window lies in ``[start, stop)``."""
    if window.step > 0:
        low = -(-(start - window.start) // window.step)
        high = -(-(stop - window.start) // window.step)
    else:
        step = -window.step
        low = -(-(window.start - stop + 1) // step)
        high = (window.start - start) // step + 1
    return max(low, 0), min(high, window.count)


def _listed_picks(grid: AxisGrid, indices: npt.NDArray[np.int64], outside: npt.NDArray[np.intp]) -> list[AxisPick]:
    chunks = np.searchsorted(grid.starts, indices, side="right") - 1
    order = np.argsort(chunks, kind="stable")
    numbers, begins = np.unique(chunks[order], return_index=True)
    picks = []
    for number, part in zip(numbers.tolist(), np.split(order, begins[1:]), strict=True):
        picks.append(AxisPick(number, indices[part] - int(grid.starts[number]), outside[part]))
    return picks


def pick(segment: Segment, axis: int, request: AxisRequest) -> tuple[int | None, list[AxisPick]] | None:
    """What a segment contributes along one axis of the larger array.

    Returns
    -------
    stored axis, picks
        For an axis that the stored array lacks: None and one pick whose ``outside`` is filled by repetition.
    None
        If the request misses the segment.
    """
    offset, extent, stored_axis = segment.offset[axis], segment.shape[axis], segment.axes[axis]
    if isinstance(request, Window):
        begin, end = overlap(request, offset, offset + extent)
        if begin >= end:
            return None
        if stored_axis is None:
            return None, [AxisPick(0, slice(None), slice(begin, end))]
        inner = request.start + request.step * begin - offset
        window = segment.windows[stored_axis].sub(inner, end - begin, request.step)
        return stored_axis, picks_of(segment.stored.grid.axes[stored_axis], window, begin)
    outside = np.flatnonzero((request >= offset) & (request < offset + extent))
    if outside.size == 0:
        return None
    if stored_axis is None:
        return None, [AxisPick(0, slice(None), outside)]
    window = segment.windows[stored_axis]
    indices = window.start + window.step * (request[outside] - offset)
    return stored_axis, _listed_picks(segment.stored.grid.axes[stored_axis], indices, outside)


def assign(out: AnyArray, where: tuple[Selector, ...], values: AnyArray) -> None:
    """``out[where] = values``, each selector along its own axis."""
    if all(isinstance(w, slice) for w in where):
        out[where] = values
        return
    listed = [np.arange(n)[w] if isinstance(w, slice) else w for w, n in zip(where, out.shape, strict=True)]
    out[np.ix_(*listed)] = values


def take(values: AnyArray, inside: tuple[Selector, ...]) -> AnyArray:
    """``values[inside]``, each selector along its own axis."""
    slices = tuple(s if isinstance(s, slice) else slice(None) for s in inside)
    values = values[slices]
    for axis, selector in enumerate(inside):
        if not isinstance(selector, slice):
            values = values.take(selector, axis=axis)
    return values
