"""Which elements of an array come from which source files."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.segments import Segment

__all__ = ["uses_sources"]


def uses_sources(array: VirtualZarrArray, axis: int | None, urls: Collection[str]) -> npt.NDArray[np.bool_]:
    """Find the elements along an axis that have a chunk in one of some files.

    Parameters
    ----------
    array : VirtualZarrArray
    axis : int, optional
        Axis of the array; without one, the whole array is one element.
    urls : collection of str
        Absolute URLs of files.

    Returns
    -------
    array of bool, shape (length of the axis,) or (1,)
    """
    found = np.zeros(1 if axis is None else array.shape[axis], dtype=bool)
    for segment in array.segments:
        sources = segment.stored.sources
        rows = [row for row in range(len(sources)) if sources[row].url in urls]
        if rows:
            _mark(segment, axis, rows, found)
    return found


def _mark(segment: Segment, axis: int | None, rows: list[int], found: npt.NDArray[np.bool_]) -> None:
    manifest = segment.stored.manifest.load()
    hit = (manifest.length > 0) & np.isin(manifest.source, rows)
    stored_axis = None if axis is None else segment.axes[axis]
    if axis is None or stored_axis is None:
        where = slice(None) if axis is None else slice(segment.offset[axis], segment.offset[axis] + segment.shape[axis])
        found[where] |= bool(hit.any())
        return
    chunks = hit.any(axis=tuple(n for n in range(hit.ndim) if n != stored_axis))
    window, grid = segment.windows[stored_axis], segment.stored.grid.axes[stored_axis]
    elements = np.asarray(window.indices)
    of_chunk = np.searchsorted(grid.starts, elements, side="right") - 1
    start = segment.offset[axis]
    found[start : start + len(elements)] |= chunks[of_chunk]
