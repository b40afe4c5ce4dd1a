"""HDF5 virtual datasets: pairs of hyperslabs as blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product

from intake_virtualzarr._typing import Shape
from intake_virtualzarr.errors import UnsupportedError
from intake_virtualzarr.formats.hdf5.model import MappedBlock, RawDataset

__all__ = ["Axis", "OpenSlab", "Slab", "as_far_as_both_go", "is_numbered", "mapped_blocks", "numbered_name", "numbered_slabs"]

type Axis = tuple[int, int, int, int]
"""Start, stride, count and block along one axis."""
type Slab = tuple[Axis, ...]
type OpenSlab = tuple[tuple[int, int, int | None, int | None], ...]
"""As `Slab`; None for an unlimited count or block."""
MAX_BLOCKS = 100_000
MAX_FILES = 10_000
"""Numbered sources of one virtual dataset."""
NUMBER = re.compile(r"%(%|b)")


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


# ---------------------------------------------------------------- unlimited selections


def is_numbered(name: str) -> bool:
    """Whether the name of a file or dataset holds ``%b``, which stands for a number."""
    return "%b" in name.replace("%%", "")


def numbered_name(name: str, number: int) -> str:
    """The name of one of the numbered files or datasets."""
    return NUMBER.sub(lambda match: "%" if match[1] == "%" else str(number), name)


def open_axis(slab: OpenSlab) -> int | None:
    """The axis along which a hyperslab is unlimited.

    Raises
    ------
    UnsupportedError
        If there are several.
    """
    axes = [axis for axis, (_, _, count, block) in enumerate(slab) if count is None or block is None]
    if len(axes) > 1:
        raise UnsupportedError("is a virtual dataset with a selection that is unlimited along several axes")
    return axes[0] if axes else None


def numbered_slabs(place: OpenSlab, shape: Shape) -> Iterator[tuple[int, Slab]]:
    """The place of each numbered source in a virtual dataset of a shape: its number, and a hyperslab.

    Raises
    ------
    UnsupportedError
        If the places are not blocks along one axis.
    """
    axis = open_axis(place)
    if axis is None or place[axis][3] is None:
        raise UnsupportedError("is a virtual dataset over numbered sources without an unlimited number of places for them")
    start, stride, _, block = place[axis]
    assert block is not None
    if shape[axis] - start > MAX_FILES * stride:
        raise UnsupportedError(f"is a virtual dataset over more than {MAX_FILES} numbered sources")
    for number, at in enumerate(range(start, shape[axis], stride)):
        yield number, _closed(place, axis, (at, 1, 1, min(block, shape[axis] - at)))


def as_far_as_both_go(shown: OpenSlab, inner: Shape, place: OpenSlab, shape: Shape) -> tuple[Slab, Slab] | None:
    """Unlimited hyperslabs in a source of shape ``inner`` and in a virtual dataset of ``shape``, cut to the elements that both
    have; None if there are none.

    Raises
    ------
    UnsupportedError
        If only one of them is unlimited, or they end within a block.
    """
    here, there = open_axis(shown), open_axis(place)
    if here is None and there is None:
        return _closed(shown), _closed(place)
    if here is None or there is None:
        raise UnsupportedError("is a virtual dataset that shows a limited part of its source without limit")
    ours, theirs = _extended(shown[here], inner[here]), _extended(place[there], shape[there])
    length = min(ours[2] * ours[3], theirs[2] * theirs[3])
    if length == 0:
        return None
    return _closed(shown, here, _shortened(ours, length)), _closed(place, there, _shortened(theirs, length))


def _closed(slab: OpenSlab, axis: int | None = None, at: Axis = (0, 1, 1, 1)) -> Slab:
    """A hyperslab with one axis replaced, all others limited."""
    axes: list[Axis] = []
    for index, (start, stride, count, block) in enumerate(slab):
        if index == axis:
            axes.append(at)
        else:
            assert count is not None
            assert block is not None
            axes.append((start, stride, count, block))
    return tuple(axes)


def _extended(axis: tuple[int, int, int | None, int | None], extent: int) -> Axis:
    """An unlimited axis of a hyperslab as far as the extent allows."""
    start, stride, count, block = axis
    room = max(extent - start, 0)
    if block is None or stride == block:
        return start, 1, 1, room
    if count is not None:
        return start, stride, count, block
    whole, rest = divmod(room, stride)
    if 0 < rest < block:
        raise UnsupportedError("is a virtual dataset that ends within a block of its source")
    return start, stride, whole + (1 if rest else 0), block


def _shortened(axis: Axis, length: int) -> Axis:
    start, stride, count, block = axis
    if count * block == length:
        return axis
    if count == 1:
        return start, 1, 1, length
    if length % block:
        raise UnsupportedError("is a virtual dataset that ends within a block of its source")
    return start, stride, length // block, block
