"""Chunk edges that arrays advise xarray and dask to take."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.segments import source_of

__all__ = ["chunk_hint", "preferred_chunks", "stored_edges"]


CHEAP_BYTES = 64 * 1024
"""Chunks up to this size [bytes] may be read several times without harm."""
BLOCK_BYTES = 128 * 1024 * 1024
"""Blocks are not made larger than this [bytes] for the sake of agreement."""

SMALL_BLOCK = 4 * 1024 * 1024
"""Blocks below this are joined where there are many [bytes]."""
MANY_BLOCKS = 2000
"""Blocks of all variables together that a task each is fine for."""

type Edges = int | tuple[int, ...]
"""Chunk edges along one axis: one number where they are regular."""


def preferred_chunks(arrays: Mapping[str, tuple[Sequence[Hashable], VirtualZarrArray]]) -> dict[str, dict[Hashable, Edges]]:
    """Chunk edges that xarray takes for ``chunks={}``: those of the file, and along a dimension the same for all variables.

    Where stored chunks differ, those that are cheap to read in parts (uncompressed or small ones) follow the others. Others
    get a common multiple, unless blocks would grow too large: then they differ, as with any engine. Where the variables together
    have more than some `MANY_BLOCKS` blocks, small ones are joined: a task for each would cost more than its values.

    Parameters
    ----------
    arrays : mapping
        Dimensions and array of each variable of a group.
    """
    hints = {name: list(chunk_hint(array)) for name, (_, array) in arrays.items()}
    yielding = {name for name, (_, array) in arrays.items() if _is_cheap(array, hints[name])}
    users: dict[Hashable, list[tuple[str, int]]] = {}
    for name, (dims, _) in arrays.items():
        if tuple(dims) != (name,):  # indexes are in memory
            for axis, dim in enumerate(dims):
                users.setdefault(dim, []).append((name, axis))
    for members in users.values():
        _agree(members, hints, yielding, arrays)
    _grow(hints, users, arrays)
    return {name: dict(zip(dims, hints[name], strict=True)) for name, (dims, _) in arrays.items()}


def _grow(
    hints: dict[str, list[Edges]],
    users: Mapping[Hashable, Sequence[tuple[str, int]]],
    arrays: Mapping[str, tuple[Sequence[Hashable], VirtualZarrArray]],
) -> None:
    """Join edges where a variable has so many small chunks that a task for each would cost more than its values.

    All variables along a dimension get the same longer edges; those along which variables differ stay.
    """
    settled: set[Hashable] = set()
    many = max(MANY_BLOCKS // max(len(arrays), 1), 16)
    for name in sorted(arrays, key=lambda one: -arrays[one][1].nbytes):
        dims, array = arrays[name]
        for axis in reversed(range(len(dims))):
            blocks = math.prod(_count(edges, extent) for edges, extent in zip(hints[name], array.shape, strict=True))
            size = array.dtype.itemsize * math.prod(map(_longest, hints[name]))
            if blocks <= many or size >= SMALL_BLOCK:
                break
            members = users.get(dims[axis], ())
            if dims[axis] in settled or len({hints[n][a] for n, a in members}) != 1:
                continue
            longer = _longer(hints[name][axis], array.shape[axis], math.ceil(SMALL_BLOCK / size))
            for other, at in members:
                hints[other][at] = longer
        settled.update(dims)


def _count(edges: Edges, extent: int) -> int:
    return math.ceil(extent / edges) if isinstance(edges, int) else len(edges)


def _longer(edges: Edges, extent: int, times: int) -> Edges:
    """Neighbouring edges joined, so many at a time."""
    if isinstance(edges, int):
        return max(min(edges * times, extent), 1)
    return tuple(sum(edges[at : at + times]) for at in range(0, len(edges), times))


def _agree(
    members: Sequence[tuple[str, int]], hints: dict[str, list[Edges]], yielding: set[str], arrays: Mapping[str, Any]
) -> None:
    """Let variables have the same edges along a dimension that they share."""
    if len({hints[name][axis] for name, axis in members}) == 1:
        return
    firm = [(name, axis) for name, axis in members if name not in yielding]
    name, axis = members[0]
    extent = arrays[name][1].shape[axis]
    if not firm:
        common: Edges | None = min((hints[name][axis] for name, axis in members), key=_longest)
    else:
        common = _multiple([hints[name][axis] for name, axis in firm], extent)
        if any(_block_bytes(arrays[n][1], hints[n], a, _longest(common)) > BLOCK_BYTES for n, a in firm):
            common = None
    follow = common if common is not None else min((hints[n][a] for n, a in firm), key=_longest)
    for name, axis in members:
        if name in yielding:
            hints[name][axis] = follow
        elif common is not None:
            hints[name][axis] = common


def _longest(edges: Edges) -> int:
    return edges if isinstance(edges, int) else max(edges)


def _multiple(edges: Sequence[Edges], extent: int) -> Edges:
    """The shortest edges at which chunks of all begin."""
    distinct = set(edges)
    if len(distinct) == 1:
        return edges[0]
    numbers = [edge for edge in distinct if isinstance(edge, int)]
    if len(numbers) == len(distinct):
        return min(math.lcm(*numbers), extent)
    shared = set(range(0, extent, math.lcm(*numbers))) if numbers else set(range(extent))
    for one in distinct:
        if not isinstance(one, int):
            shared &= {0, *np.cumsum(one).tolist()}
    cuts = [*sorted(shared - {extent}), extent]
    return tuple(np.diff(cuts).tolist())


def _block_bytes(array: VirtualZarrArray, hint: Sequence[Edges], axis: int, edge: int) -> int:
    """Size of the largest block if its edge along one axis is another [bytes]."""
    return array.dtype.itemsize * edge * math.prod(_longest(e) for a, e in enumerate(hint) if a != axis)


def _is_cheap(array: VirtualZarrArray, hint: Sequence[Edges]) -> bool:
    """Whether parts of chunks can be read without reading much else."""
    if array.dtype.itemsize * math.prod(map(_longest, hint)) <= CHEAP_BYTES:
        return True
    source = source_of(array.segments)
    codecs = [source.codecs] if source is not None else [segment.stored.codecs for segment in array.segments]
    return all(len(one) <= 1 for one in codecs)


def chunk_hint(array: VirtualZarrArray) -> tuple[Any, ...]:
    """Chunk edges per axis in xarray's form: one number where they are regular, else a tuple."""
    quick = _regular_hint(array)
    if quick is not None:
        return quick
    hint: list[Any] = []
    for edges in array.chunks:
        first = edges[0]
        regular = all(edge == first for edge in edges[:-1]) and edges[-1] <= first
        hint.append(max(first, 1) if regular else edges)
    return tuple(hint)


def _regular_hint(array: VirtualZarrArray) -> tuple[int, ...] | None:
    """The hint of an array that shows one stored array, as files' variables do; None if that is not regular.

    Behind the stored values there may be fill: the rest of an unlimited dimension.
    """
    segments = array.segments
    if type(segments) is not tuple or len(segments) != 1 or any(segments[0].offset) or not segments[0].is_whole:
        return None
    hint: list[int] = []
    for axis, extent in zip(segments[0].stored.grid.axes, array.shape, strict=True):
        edge, rest = axis.edge, extent - axis.extent
        if edge is None or (rest and (not axis.extent or axis.extent % edge or rest > edge)):
            return None
        hint.append(max(min(edge, axis.extent), 1))
    return tuple(hint)


def stored_edges(array: VirtualZarrArray) -> tuple[int, ...] | None:
    """Chunk edges as a file stores them, which may be longer than the array; None for any but a file's own array."""
    segments = array.segments
    if type(segments) is not tuple or len(segments) != 1 or any(segments[0].offset) or not segments[0].is_whole:
        return None
    edges = tuple(axis.edge for axis in segments[0].stored.grid.axes)
    return None if None in edges else edges  # type: ignore[return-value]
