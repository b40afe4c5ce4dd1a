"""HDF5 virtual datasets: pairs of hyperslabs as blocks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from intake_virtualzarr.errors import UnsupportedError
from intake_virtualzarr.formats.hdf5.model import MappedBlock, RawDataset

__all__ = ["mapped_blocks"]

type Slab = tuple[tuple[int, int, int, int], ...]
"""Start, stride, count and block along each axis."""
MAX_BLOCKS = 100_000


def mapped_blocks(source: RawDataset, shown: Slab, place: Slab) -> Iterator[MappedBlock]:
    """Pair the elements of two hyperslabs, in C order, as blocks that are regular in both.

    Parameters
    ----------
    source : RawDataset
        The dataset that holds the values.
    shown, place : tuple
        Hyperslabs in the source and in the virtual dataset, of equally many elements.

    Raises
    ------
    UnsupportedError
        If the shapes of the two selections differ by more than axes of length 1.
    """
    extents = [_runs(axis) for axis in place]
    sizes = [count * block for _, _, count, block in place]
    inner = [count * block for _, _, count, block in shown]
    axes = _match(inner, sizes)
    total = 1
    for runs in extents:
        total *= len(runs)
    if total > MAX_BLOCKS:
        raise UnsupportedError(f"is a virtual dataset of {total} blocks")
    for combination in product(*extents):
        windows: list[tuple[int, int, int]] = []
        for axis, (start, stride, count, block) in enumerate(shown):
            position = axes.index(axis) if axis in axes else None
            first, length = (0, 1) if position is None else combination[position][1:]
            step = _step(stride, count, block)
            windows.append((start + step * first, length, step))
        offset = tuple(run[0] for run in combination)
        yield MappedBlock(source, tuple(windows), tuple(axes), offset, tuple(run[2] for run in combination))


def _step(stride: int, count: int, block: int) -> int:
    if count == 1 or stride == block:
        return 1
    if block == 1:
        return stride
    raise UnsupportedError("is a virtual dataset that shows every few blocks of its source")


def _runs(axis: tuple[int, int, int, int]) -> list[tuple[int, int, int]]:
    """Stretches of neighbours along one axis: first element, first in the order of selection, length."""
    start, stride, count, block = axis
    if count == 1 or stride == block:
        return [(start, 0, count * block)]
    return [(start + k * stride, k * block, block) for k in range(count)]


def _match(inner: list[int], sizes: list[int]) -> list[int | None]:
    """For each axis shown the axis of the source, axes of length 1 aside."""
    axes: list[int | None] = []
    left = list(range(len(inner)))
    for size in sizes:
        while left and inner[left[0]] == 1 and size != 1:
            left.pop(0)
        if left and inner[left[0]] == size:
            axes.append(left.pop(0))
        elif size == 1:
            axes.append(None)
        else:
            raise UnsupportedError("is a virtual dataset whose blocks have another shape than their source")
    if any(inner[axis] != 1 for axis in left):
        raise UnsupportedError("is a virtual dataset whose blocks have another shape than their source")
    return axes
