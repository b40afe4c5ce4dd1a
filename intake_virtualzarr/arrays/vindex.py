"""Values at listed points: of each chunk that holds some of them the box around these, all boxes by one read.

The alternative, the outer product of all coordinates, reads a thousand times a thousand chunks for a track of a thousand points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.segments import Window, source_of

__all__ = ["read_points"]

AT_ONCE = 64 * 1024 * 1024
"""Values of the boxes that are read at once [bytes]."""

type Key = Sequence[slice | npt.NDArray[np.integer[Any]]]


def read_points(array: VirtualZarrArray, key: Key, name: str = "array") -> AnyArray:
    """Read elements at points along some axes, and slices along the others.

    Parameters
    ----------
    array : VirtualZarrArray
        Where from.
    key : sequence of slice or integer array, length ndim
        The arrays broadcast against each other; each of their elements names a point. Negative numbers count from the end.
    name : str
        For messages.

    Returns
    -------
    numpy.ndarray
        The axes of the broadcast arrays, then those of the slices (NumPy's proposed ``vindex``).

    Raises
    ------
    IndexError
        If a point lies outside the array.
    """
    axes = [axis for axis, part in enumerate(key) if not isinstance(part, slice)]
    slices = {axis: part for axis, part in enumerate(key) if isinstance(part, slice)}
    others = [axis for axis in range(array.ndim) if axis not in axes]
    shape, places = _places(array, key, axes)
    windows = [_window(slices[axis], array.shape[axis]) for axis in others]
    out = np.empty((places.shape[1], *(window.count for window in windows)), dtype=array.dtype)
    groups = _by_chunk(array, axes, places)
    for part in _portions(groups, prod(window.count for window in windows) * array.dtype.itemsize):
        boxes = []
        for _, low, high in part:
            request: list[Any] = [None] * array.ndim
            for axis, a, b in zip(axes, low, high, strict=True):
                request[axis] = Window(int(a), int(b - a) + 1)
            for axis, window in zip(others, windows, strict=True):
                request[axis] = window
            boxes.append(request)
        for (chosen, low, _), values in zip(part, array.read_many(boxes, name), strict=True):
            inside = tuple(places[:, chosen] - low[:, np.newaxis])
            out[chosen] = values.transpose(*axes, *others)[inside]
    return out.reshape((*shape, *out.shape[1:]))


def _places(array: VirtualZarrArray, key: Key, axes: Sequence[int]) -> tuple[tuple[int, ...], npt.NDArray[np.int64]]:
    """Shape of the broadcast arrays, and for each axis the elements of all points."""
    listed = np.broadcast_arrays(*(np.asarray(key[axis], dtype=np.int64) for axis in axes))
    places = np.stack([part.reshape(-1) for part in listed])
    for row, axis in zip(places, axes, strict=True):
        extent = array.shape[axis]
        wrong = (row < -extent) | (row >= extent)
        if wrong.any():
            raise IndexError(f"index {row[wrong][0]} is out of bounds for axis {axis} with size {extent}")
        row[row < 0] += extent
    return listed[0].shape, places


def _window(part: slice, extent: int) -> Window:
    start, stop, step = part.indices(extent)
    return Window(start, len(range(start, stop, step)), step)


type Group = tuple[npt.NDArray[np.intp], npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Numbers of the points in one chunk, and the lowest and highest element of them along each axis."""


def _by_chunk(array: VirtualZarrArray, axes: Sequence[int], places: npt.NDArray[np.int64]) -> Iterator[Group]:
    if not places.shape[1]:
        return
    source = source_of(array.segments)
    edges = [np.cumsum(array.chunks[a]) if source is None else source.grid.axes[a].starts[1:] for a in axes]
    chunks = np.stack([np.searchsorted(edge, row, side="right") for edge, row in zip(edges, places, strict=True)])
    order = np.lexsort(chunks[::-1])
    sorted_chunks = chunks[:, order]
    starts = np.flatnonzero(np.r_[True, (sorted_chunks[:, 1:] != sorted_chunks[:, :-1]).any(axis=0)])
    for chosen in np.split(order, starts[1:]):
        inside = places[:, chosen]
        yield chosen, inside.min(axis=1), inside.max(axis=1)


def _portions(groups: Iterator[Group], row_bytes: int) -> Iterator[list[Group]]:
    """Groups whose boxes fit into memory at once."""
    part: list[Group] = []
    size = 0
    for group in groups:
        nbytes = int(np.prod(group[2] - group[1] + 1)) * row_bytes
        if part and size + nbytes > AT_ONCE:
            yield part
            part, size = [], 0
        part.append(group)
        size += nbytes
    if part:
        yield part
