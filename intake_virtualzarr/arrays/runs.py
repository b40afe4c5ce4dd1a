"""Placing many decoded chunks by few copies: neighbours along an axis are a run, and go to their place together.

Each copy of NumPy costs microseconds and hands the interpreter over once; with chunks of a few kB that is more than the copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.arrays.read_plan import SegmentSelection

__all__ = ["Run", "place", "runs"]


@dataclass(frozen=True, slots=True)
class Run:
    """Chunks that follow each other along an axis of the result."""

    first: int
    """Which of the decoded chunks is the first."""
    count: int
    """How many they are."""
    axis: int
    """Along which axis they lie."""
    inside: tuple[Any, ...]
    """Slices: elements of each chunk; with several chunks all elements along ``axis``."""
    outside: tuple[Any, ...]
    """Slices: where the elements of all go."""


def runs(share: SegmentSelection, where: npt.NDArray[np.intp]) -> Iterator[Run]:
    """The chunks at ascending places of a box, as few runs.

    Parameters
    ----------
    share : SegmentSelection
        What is asked for: slices without steps, of chunks of one shape.
    where : integer array
        Places of the decoded chunks in its box of chunks, in C order, ascending.
    """
    axis = max((a for a, n in enumerate(share.shape) if n > 1), default=len(share.shape) - 1)
    at = np.unravel_index(where, share.shape)
    whole = np.asarray(share.wholes[axis])[at[axis]]
    # all axes behind this one have one chunk, so neighbours along it are neighbours in C order
    joined = (np.diff(where) == 1) & (np.diff(at[axis]) == 1) & whole[1:] & whole[:-1]
    starts = np.flatnonzero(np.concatenate([[True], ~joined]))
    counts = np.diff(np.append(starts, where.size)).tolist()
    places = zip(*(part[starts].tolist() for part in at), strict=True)
    for first, count, place_ in zip(starts.tolist(), counts, places, strict=True):
        inside = tuple(own[i] for own, i in zip(share.insides, place_, strict=True))
        outside: list[Any] = [own[i] for own, i in zip(share.outsides, place_, strict=True)]
        outside[axis] = slice(outside[axis].start, share.outsides[axis][place_[axis] + count - 1].stop)
        yield Run(first, count, axis, inside, tuple(outside))


def place(values: AnyArray, run: Run, out: AnyArray) -> None:
    """Copy the elements of a run; ``values`` are all decoded chunks, stacked along a first axis."""
    target: AnyArray = out[run.outside]
    chosen: tuple[Any, ...] = (slice(run.first, run.first + run.count), *run.inside)
    part: AnyArray = values[chosen]
    if run.count == 1:
        target[...] = part[0]
        return
    shape = (*target.shape[: run.axis], run.count, part.shape[run.axis + 1], *target.shape[run.axis + 1 :])
    # splitting an axis is a view, whatever the strides
    order = (*range(1, run.axis + 1), 0, *range(run.axis + 1, part.ndim))
    np.copyto(np.reshape(target, shape, copy=False), part.transpose(order), casting="unsafe")
