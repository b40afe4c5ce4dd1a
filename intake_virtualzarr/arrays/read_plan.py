"""Planning a read: which chunks of which stored arrays, and where their elements go. No bytes are read here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray, Shape
from intake_virtualzarr.arrays.chunk_grid import AxisGrid
from intake_virtualzarr.arrays.chunk_selection import AxisPick, AxisRequest, Selector, assign, pick
from intake_virtualzarr.arrays.segments import Segment, StoredArray

__all__ = ["ChunkList", "Placement", "SegmentSelection", "plan_read"]

type Column = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where elements of a decoded chunk go."""

    share: SegmentSelection
    inside: tuple[Selector, ...]
    """Elements of the chunk, per axis of the stored array."""
    outside: tuple[Selector, ...]
    """Where they go, per axis of the result."""
    whole: bool
    """Whether ``inside`` is all of the chunk."""


class SegmentSelection:
    """What one segment contributes to a request: a box of chunks, per axis of the stored array a list of picks."""

    __slots__ = ("_outer", "chunks", "insides", "is_basic", "is_unit", "outsides", "segment", "shape", "wholes")

    def __init__(self, segment: Segment, axes: Sequence[tuple[int | None, list[AxisPick]]]) -> None:
        stored = segment.stored
        by_axis: list[list[AxisPick]] = [[] for _ in range(stored.ndim)]
        self._outer: dict[int, Selector] = {}
        for axis, (stored_axis, picks) in enumerate(axes):
            if stored_axis is None:
                self._outer[axis] = picks[0].outside
            else:
                by_axis[stored_axis] = picks
        for stored_axis, window in enumerate(segment.windows):
            if not by_axis[stored_axis]:  # an axis that was dropped: one element
                grid = stored.grid.axes[stored_axis]
                chunk = grid.chunk_of(window.start)
                inner = window.start - int(grid.starts[chunk])
                by_axis[stored_axis] = [AxisPick(chunk, slice(inner, inner + 1), slice(0, 1))]
        self.segment = segment
        self.shape = tuple(len(picks) for picks in by_axis)
        self.chunks = [[p.chunk for p in picks] for picks in by_axis]
        self.insides = [[p.inside for p in picks] for picks in by_axis]
        self.outsides = [[p.outside for p in picks] for picks in by_axis]
        self.wholes = [_whole(picks, stored.grid.axes[n]) for n, picks in enumerate(by_axis)]
        slices = all(isinstance(s, slice) for picks in by_axis for p in picks[:1] for s in (p.inside, p.outside))
        self.is_basic = slices and not self._outer and segment.axes == tuple(range(stored.ndim))
        """Whether axes agree and all selectors are slices."""
        self.is_unit = self.is_basic and bool(by_axis) and all(picks[0].inside.step is None for picks in by_axis)  # type: ignore[union-attr]
        """Whether, moreover, elements that are asked for are neighbours."""

    def columns(self) -> tuple[Column, Column, Column, Column, Column]:
        """Number in the grid, source, offset, length and codec of each chunk, in C order of the box."""
        stored = self.segment.stored
        spans = tuple(slice(min(c), max(c) + 1) for c in self.chunks)
        manifest = stored.manifest.region(spans)
        dense = all(s.stop - s.start == len(c) for s, c in zip(spans, self.chunks, strict=True))
        inner = None if dense else np.ix_(*(np.asarray(c) - s.start for s, c in zip(spans, self.chunks, strict=True)))

        def flat(column: AnyArray) -> Column:
            return (column if inner is None else column[inner]).reshape(-1).astype(np.int64)

        numbers = np.zeros((1,) * stored.ndim, dtype=np.int64)
        for axis, (chunks, count) in enumerate(zip(self.chunks, stored.grid.grid_shape, strict=True)):
            place = np.asarray(chunks, dtype=np.int64).reshape([-1 if a == axis else 1 for a in range(stored.ndim)])
            numbers = numbers * count + place
        length = flat(manifest.length)
        codec = np.zeros_like(length) if manifest.codec is None else flat(manifest.codec)
        return numbers.reshape(-1), flat(manifest.source), flat(manifest.offset), length, codec

    def placements(self, where: npt.NDArray[np.intp]) -> Iterator[Placement]:
        """Placements of the chunks at places ``where`` of the box."""
        if not self.shape:
            for _ in where:
                yield Placement(self, (), tuple(self._outer[axis] for axis in range(len(self.segment.axes))), True)
            return
        at = [part.tolist() for part in np.unravel_index(where, self.shape)]

        def column[T](picks: list[list[T]]) -> Iterator[tuple[T, ...]]:
            """What is picked on each axis, chunk by chunk."""
            return zip(*([own[i] for i in places] for own, places in zip(picks, at, strict=True)), strict=True)

        for inside, outside, wholes in zip(column(self.insides), column(self.outsides), column(self.wholes), strict=True):
            if not self.is_basic:
                outside = tuple(
                    self._outer[axis] if stored_axis is None else outside[stored_axis]
                    for axis, stored_axis in enumerate(self.segment.axes)
                )
            yield Placement(self, inside, outside, False not in wholes)


def _whole(picks: list[AxisPick], grid: AxisGrid) -> list[bool]:
    edges = [grid.edge] * len(picks) if grid.edge is not None else grid.stored[[p.chunk for p in picks]].tolist()
    return [isinstance(p.inside, slice) and p.inside == slice(0, edge) for p, edge in zip(picks, edges, strict=True)]


class ChunkList:
    """Stored chunks of one stored array that a request needs, each once, as columns.

    Attributes
    ----------
    stored : StoredArray
        Whose chunks they are.
    number : integer array
        Number of each chunk in the grid, in C order.
    source, offset, length, codec : integer array
        Where each lies, and how it is encoded.
    out : numpy.ndarray
        Where elements of them go.
    """

    __slots__ = ("_users", "_where", "codec", "length", "number", "offset", "out", "shares", "source", "stored")

    def __init__(self, shares: Sequence[SegmentSelection], out: AnyArray, *, decoded: bool) -> None:
        self.stored: StoredArray = shares[0].segment.stored
        self.shares = shares
        self.out = out
        parts = []
        for share in shares:
            columns = share.columns()
            where = np.arange(columns[0].size)
            missing = columns[3] == 0
            if missing.any():
                _fill(share, where[missing], out, decoded=decoded)
                columns = tuple(column[~missing] for column in columns)
                where = where[~missing]
            parts.append((*columns, where))
        self._users: npt.NDArray[np.intp] | None = None
        if len(parts) == 1:
            self.number, self.source, self.offset, self.length, self.codec, self._where = parts[0]
            return
        joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
        numbers, first, inverse = np.unique(joined[0], return_index=True, return_inverse=True)
        self.number = numbers
        self.source, self.offset, self.length, self.codec = (column[first] for column in joined[1:5])
        order = np.argsort(inverse, kind="stable")
        bounds = np.searchsorted(inverse[order], np.arange(numbers.size + 1))
        share_of = np.repeat(np.arange(len(parts)), [part[0].size for part in parts])
        # per chunk the range of its users, then per user share and place
        self._where = bounds
        self._users = np.stack([share_of[order], joined[5][order]])

    def __len__(self) -> int:
        return int(self.number.size)

    def keep(self, chosen: npt.NDArray[np.intp]) -> None:
        """Forget all chunks but the chosen ones."""
        self.number, self.source, self.offset = self.number[chosen], self.source[chosen], self.offset[chosen]
        self.length, self.codec = self.length[chosen], self.codec[chosen]
        if self._users is None:
            self._where = self._where[chosen]
            return
        starts, stops = self._where[:-1][chosen], self._where[1:][chosen]
        picked = [np.arange(a, b) for a, b in zip(starts, stops, strict=True)]
        self._users = self._users[:, np.concatenate(picked)] if picked else self._users[:, :0]
        self._where = np.concatenate([[0], np.cumsum(stops - starts)]).astype(np.intp)

    def placements(self, chosen: npt.NDArray[np.intp]) -> Iterator[Sequence[Placement]]:
        """For each chosen chunk all places where elements of it go."""
        if self._users is None:
            for placement in self.shares[0].placements(self._where[chosen]):
                yield (placement,)
            return
        for index in chosen.tolist():
            users = self._users[:, self._where[index] : self._where[index + 1]]
            yield [placement for share, place in users.T.tolist() for placement in self.shares[share].placements(np.array([place]))]

    def places(self, chosen: npt.NDArray[np.intp]) -> tuple[SegmentSelection, npt.NDArray[np.intp]] | None:
        """What asks for the chosen chunks, and their places in its box; None if several segments do."""
        return None if self._users is not None else (self.shares[0], self._where[chosen])

    def coords(self, index: int) -> Shape:
        """Chunk coordinates of one chunk."""
        return tuple(int(i) for i in np.unravel_index(int(self.number[index]), self.stored.grid.grid_shape))


def plan_read(
    segments: Iterable[Segment],
    requests: Sequence[AxisRequest],
    out: AnyArray,
    fill_value: object,
    *,
    decoded: bool,
) -> list[ChunkList]:
    """Chunks that a request needs; what no segment covers and chunks that are not stored are filled at once."""
    by_stored: dict[int, list[SegmentSelection]] = {}
    covered = 0
    for segment in segments:
        axes = []
        for axis, request in enumerate(requests):
            picked = pick(segment, axis, request)
            if picked is None:
                break
            axes.append(picked)
        else:
            covered += _volume(axes, out.shape)
            by_stored.setdefault(id(segment.stored), []).append(SegmentSelection(segment, axes))
    if covered < out.size:
        out[...] = fill_value
    return [ChunkList(shares, out, decoded=decoded) for shares in by_stored.values()]


def _volume(axes: list[tuple[int | None, list[AxisPick]]], shape: Shape) -> int:
    return prod(sum(_selected(p.outside, extent) for p in picks) for (_, picks), extent in zip(axes, shape, strict=True))


def _selected(selector: Selector, extent: int) -> int:
    return len(range(*selector.indices(extent))) if isinstance(selector, slice) else int(selector.size)


def _fill(share: SegmentSelection, where: npt.NDArray[np.intp], out: AnyArray, *, decoded: bool) -> None:
    stored, packing = share.segment.stored, share.segment.packing
    fill: Any = stored.fill_value
    if decoded and packing is not None:
        fill = packing.decode(np.array([fill], dtype=stored.dtype))[0]
    # NumPy assigns no NaN to integers, but casts it like any array
    value = np.asarray(fill).astype(out.dtype)
    for placement in share.placements(where):
        if all(isinstance(w, slice) for w in placement.outside):
            out[(*placement.outside, ...)] = value  # without the dots an array of one object would hold the array
        else:
            assign(out, placement.outside, value)
