"""Appends that take the last pieces of an array along: a thousand appends leave some twenty pieces, not a thousand.

Opening a piece costs a request, so that an array that grew by many small appends would be read slowly. What is published is
never changed, so an append now and then writes what the last pieces list once more, as one manifest with what is new, and the
array names that instead. As in a log-structured merge tree pieces are merged with some of about their own size: each reference is
written again some log(n) times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from intake_virtualzarr._typing import Attrs
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.segments import Window
from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.hierarchy.transaction import HierarchyTransaction
from intake_virtualzarr.hierarchy.write_plan import Leaf, plan_array

__all__ = ["merged_tail", "tail_length"]

FEWEST = 8
"""No fewer pieces than this become one."""
LARGEST_SHARE = 4
"""None of them is more than this part of the result: otherwise that would be written again and again."""
FURTHEST = 64
"""So many pieces are looked at."""


def tail_length(lengths: Sequence[int]) -> int:
    """How many of the last pieces are merged, given the length of each; 0 if none.

    Examples
    --------
    >>> tail_length([3650, 1, 1, 1, 1, 1, 1, 1, 1])
    8
    >>> tail_length([8, 1, 1, 1])
    0
    """
    total = largest = 0
    for count, length in enumerate(reversed(lengths), 1):
        total += length
        largest = max(largest, length)
        if count >= FEWEST and largest * LARGEST_SHARE <= total:
            return count
        if count >= FURTHEST:
            break
    return 0


def merged_tail(
    addition: HierarchyTransaction, path: str, members: Sequence[Attrs], axis: int, there: VirtualZarrArray, data: VirtualZarrArray
) -> tuple[int, VirtualZarrArray]:
    """What is appended to an array, together with its last pieces where these are small and fit in one manifest.

    Parameters
    ----------
    addition : HierarchyTransaction
        The change.
    path : str
        Path of the array.
    members : sequence of dict
        Its pieces.
    axis : int
        Along which they lie.
    there : VirtualZarrArray
        The array as it is.
    data : VirtualZarrArray
        What is appended.

    Returns
    -------
    kept, data
        How many pieces stay, and what comes after them.
    """
    lengths = [int(member["length"]) for member in members]
    own = 0
    while own < len(members) and _is_plain_part(members[-1 - own]):
        own += 1
    kept, joined = len(members), data
    while True:
        count = tail_length([*lengths[len(members) - own : kept], joined.shape[axis]]) - 1
        if count < 1:
            return kept, joined
        start = sum(lengths[: kept - count])
        tail = there.select(axis, [Window(start, there.shape[axis] - start)])
        try:
            candidate: Any = np.concatenate([tail, data], axis=axis)
            fits = _is_one_manifest(candidate, data)
        except VirtualZarrError:  # old pieces that cannot be read (pages gone, files that changed) are no matter of an append
            fits = False
        if not fits:
            return kept, joined
        kept, joined = kept - count, candidate


def _is_plain_part(member: Attrs) -> bool:
    """Whether a piece is an array of this store that is shown as it is."""
    named = member.get("array")
    return isinstance(named, str) and "://" not in named and "parts/" in named and not {"select", "axes", "decode"} & set(member)


def _is_one_manifest(array: object, data: VirtualZarrArray) -> bool:
    if not isinstance(array, VirtualZarrArray) or array.mixed or array.dtype != data.dtype:
        return False
    plan = plan_array(array)
    return isinstance(plan, Leaf) and plan.is_plain
