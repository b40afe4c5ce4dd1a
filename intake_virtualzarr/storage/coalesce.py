"""Merging of byte ranges: many small ranges become few requests."""

from __future__ import annotations

from collections.abc import Sequence

from intake_virtualzarr.storage.reader import Buffer, ByteRange

__all__ = ["GAP", "LARGEST", "merge_ranges", "split_merged"]

GAP = 64 * 1024
"""Ranges nearer than this are fetched as one [bytes]: at 50 ms latency, 64 KiB cost less than another request."""
LARGEST = 16 * 1024 * 1024
"""No merged range grows past this [bytes]."""


def merge_ranges(
    ranges: Sequence[ByteRange], gap: int = GAP, largest: int = LARGEST
) -> tuple[list[ByteRange], list[tuple[int, int]]]:
    """Merge near ranges.

    Returns
    -------
    merged : list of (start, length)
        Disjoint, ascending.
    places : list of (merged index, offset)
        Where each given range lies.

    Examples
    --------
    >>> merge_ranges([(100, 10), (0, 10)], gap=200)
    ([(0, 110)], [(0, 100), (0, 0)])
    """
    order = sorted(range(len(ranges)), key=ranges.__getitem__)
    merged: list[ByteRange] = []
    places: list[tuple[int, int]] = [(0, 0)] * len(ranges)
    start = stop = -1
    for index in order:
        first, length = ranges[index]
        last = first + length
        if start >= 0 and first - stop <= gap and max(stop, last) - start <= max(largest, length):
            stop = max(stop, last)
            merged[-1] = (start, stop - start)
        else:
            start, stop = first, last
            merged.append((start, length))
        places[index] = (len(merged) - 1, first - start)
    return merged, places


def split_merged(ranges: Sequence[ByteRange], places: Sequence[tuple[int, int]], blocks: Sequence[Buffer]) -> list[Buffer]:
    """Cut merged blocks into the ranges that were asked for, without a copy."""
    views = [memoryview(block) for block in blocks]
    return [views[block][at : at + length] for (_, length), (block, at) in zip(ranges, places, strict=True)]
