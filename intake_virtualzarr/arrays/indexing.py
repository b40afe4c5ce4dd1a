"""NumPy indexing keys as one request per axis, and the runs into which listed elements split."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import Shape
from intake_virtualzarr.arrays.segments import Window
from intake_virtualzarr.errors import UnsupportedIndexError

__all__ = ["MAX_RUNS", "Key", "normalize_key", "runs_of"]

MAX_RUNS = 10_000
"""Listed elements that split into more regularly spaced runs than this are refused: each run is a segment."""


@dataclass(frozen=True, slots=True)
class Key:
    """A normalized key."""

    requests: tuple[Window | npt.NDArray[np.int64], ...]
    """One for each axis of the array."""
    dropped: frozenset[int]
    """Axes of the array that an integer removes."""
    new_axes: tuple[int, ...]
    """Positions of new axes in the result."""
    advanced_axis: int | None = None
    """Axis of the result that NumPy puts first: where an integer and a list of elements stand apart."""


def normalize_key(key: object, shape: Shape) -> Key:
    """Read a key as NumPy does, except that at most one axis may list elements.

    Raises
    ------
    IndexError
        If an element lies outside, or there are too many indices.
    UnsupportedIndexError
        If several axes list elements (NumPy would pair them), or a mask has several dimensions.
    """
    parts = list(key) if isinstance(key, tuple) else [key]
    parts = _expand_ellipsis(parts, len(shape))
    requests: list[Window | npt.NDArray[np.int64]] = []
    dropped: set[int] = set()
    new_axes: list[int] = []
    position = 0
    advanced: list[int] = []
    listed_at: int | None = None
    for place, part in enumerate(parts):
        if part is None:
            new_axes.append(position)
            position += 1
            continue
        axis = len(requests)
        extent = shape[axis]
        if isinstance(part, slice):
            start, stop, step = part.indices(extent)
            requests.append(Window(start, len(range(start, stop, step)), step))
        else:
            request, drop = _listed(part, extent, axis)
            requests.append(request)
            advanced.append(place)
            listed_at = listed_at if drop else position
            if drop:
                dropped.add(axis)
                continue
        position += 1
    if sum(not isinstance(request, Window) for request in requests) > 1:
        raise UnsupportedIndexError(
            "integer arrays on several axes at once (vectorized indexing) cannot be expressed by reference; "
            "index one axis after the other, or take the values of ds.vzarr.decode()"
        )
    apart = listed_at is not None and advanced[-1] - advanced[0] >= len(advanced)
    return Key(tuple(requests), frozenset(dropped), tuple(new_axes), listed_at if apart else None)


def _expand_ellipsis(parts: list[object], ndim: int) -> list[object]:
    given = sum(part is not None and part is not Ellipsis for part in parts)
    if sum(part is Ellipsis for part in parts) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    if given > ndim:
        raise IndexError(f"too many indices for an array of {ndim} dimensions: {given} were given")
    rest = [slice(None)] * (ndim - given)
    for i, part in enumerate(parts):
        if part is Ellipsis:
            return [*parts[:i], *rest, *parts[i + 1 :]]
    return [*parts, *rest]


def _listed(part: Any, extent: int, axis: int) -> tuple[Window | npt.NDArray[np.int64], bool]:
    if isinstance(part, bool | np.bool_):
        raise UnsupportedIndexError("a single boolean is not an index of a virtual array")
    try:
        return Window(_checked(operator.index(part), extent, axis), 1), True
    except TypeError:
        pass
    values = np.asarray(part)
    if values.size == 0 and values.dtype.kind == "f":
        values = values.astype(np.int64)
    if values.dtype.kind == "b":
        if values.ndim != 1:
            raise UnsupportedIndexError(
                "a mask of several dimensions cannot be expressed by reference; take the values of ds.vzarr.decode()"
            )
        if values.size != extent:
            raise IndexError(f"mask of {values.size} elements for axis {axis} of {extent}")
        values = np.flatnonzero(values)
    if values.dtype.kind not in "iu":
        raise IndexError(f"only integers, slices, '...', None and integer or boolean arrays are indices, not {part!r}")
    if values.ndim == 0:
        return Window(_checked(int(values), extent, axis), 1), True
    if values.ndim > 1:
        raise UnsupportedIndexError(
            "an index array of several dimensions (vectorized indexing) cannot be expressed by reference; "
            "take the values of ds.vzarr.decode()"
        )
    indices = values.astype(np.int64)
    if indices.size:
        low, high = int(indices.min()), int(indices.max())
        if low < -extent or high >= extent:
            raise IndexError(f"index {low if low < -extent else high} is out of bounds for axis {axis} of {extent}")
    return np.where(indices < 0, indices + extent, indices), False


def _checked(index: int, extent: int, axis: int) -> int:
    if not -extent <= index < extent:
        raise IndexError(f"index {index} is out of bounds for axis {axis} of {extent}")
    return index + extent if index < 0 else index


def runs_of(indices: npt.NDArray[np.int64]) -> list[Window]:
    """Split listed elements into regularly spaced runs, in order.

    Raises
    ------
    UnsupportedIndexError
        If there are more than `MAX_RUNS`.

    Examples
    --------
    >>> runs_of(np.array([0, 2, 4, 3, 3]))
    [Window(start=0, count=3, step=2), Window(start=3, count=1, step=1), Window(start=3, count=1, step=1)]
    """
    runs: list[Window] = []
    values = indices.tolist()
    at, total = 0, len(values)
    while at < total:
        step = values[at + 1] - values[at] if at + 1 < total else 1
        if step == 0:
            runs.append(Window(values[at], 1))
            at += 1
        else:
            stop = at + 1
            while stop < total and values[stop] - values[stop - 1] == step:
                stop += 1
            if stop - at == 2 and step != 1:  # two elements are not a pattern: the second may begin a longer run
                stop = at + 1
                step = 1
            runs.append(Window(values[at], stop - at, step if stop - at > 1 else 1))
            at = stop
        if len(runs) > MAX_RUNS:
            raise UnsupportedIndexError(
                f"{total} listed elements split into more than {MAX_RUNS} regularly spaced runs, each of them a segment; "
                "sort them, select in several steps, or take the values of ds.vzarr.decode()"
            )
    return runs
