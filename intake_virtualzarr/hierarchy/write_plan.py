"""How an array of segments is written: as one manifest, or as a tree of concatenations of manifests.

`plan_array` cuts the array between segments (and through them, where nothing else is possible), along one axis after the
other, and fuses neighbours whose chunks can stand in one manifest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import Shape
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.chunk_grid import AxisGrid, ChunkGrid, concatenate_axes
from intake_virtualzarr.arrays.fill_value import is_fill
from intake_virtualzarr.arrays.joined_files import file_by_file
from intake_virtualzarr.arrays.manifest import MAX_PIPELINES, ChunkManifest, concatenate_manifests
from intake_virtualzarr.arrays.rank import with_own_axes
from intake_virtualzarr.arrays.segments import Segment, StoredArray, Window, same_fill
from intake_virtualzarr.codecs.cf_packing import Packing
from intake_virtualzarr.codecs.spec import Pipeline
from intake_virtualzarr.storage.source import SourceTable, unify_tables

__all__ = ["Concat", "Fill", "Leaf", "Plan", "plan_array", "view_grid"]


@dataclass(frozen=True, eq=False)
class Leaf:
    """A stored array, or a window of one."""

    stored: StoredArray
    shape: Shape
    """Extent in the larger array."""
    windows: tuple[Window, ...] | None = None
    """None: the whole stored array, axis by axis."""
    axes: tuple[int | None, ...] | None = None
    """None: the axes of the stored array."""
    decode: Packing | None = None
    """How values become those of the larger array."""

    @property
    def is_whole(self) -> bool:
        """Whether it is all of its stored array, axis by axis."""
        return self.windows is None and self.axes is None

    @property
    def is_plain(self) -> bool:
        """Whether it is a manifest and nothing else."""
        return self.is_whole and self.decode is None


@dataclass(frozen=True, eq=False)
class Fill:
    """A region without chunks."""

    shape: Shape


@dataclass(frozen=True, eq=False)
class Concat:
    """Members one after the other along an axis."""

    axis: int
    shape: Shape
    members: tuple[Plan, ...]


type Plan = Leaf | Fill | Concat


def plan_array(array: VirtualZarrArray, *, fuse: bool = True) -> Plan:
    """The plan of an array (decoded or raw; a mixed one must be decoded before)."""
    segments = [s for s in array.segments if 0 not in s.shape]
    segments = with_own_axes(segments) if fuse else [part for segment in segments for part in file_by_file(segment)]
    return _build(segments, (0,) * array.ndim, array.shape, array, fuse)


def _build(segments: Sequence[Segment], low: Shape, shape: Shape, array: VirtualZarrArray, fuse: bool) -> Plan:
    if not segments or 0 in shape:
        return Fill(shape)
    if len(segments) == 1 and segments[0].offset == low and segments[0].shape == shape:
        return _leaf(segments[0], array, fuse)
    if fuse and len(segments) > 1 and (row := _end_to_end(segments, low, shape, array)) is not None:
        return row
    axis, cuts = _best_cuts(segments, low, shape)
    if not cuts:
        axis, at = _forced_cut(segments, low, shape)
        cuts = [at]
        segments = [part for s in segments for part in _split(s, axis, at)]
    members: list[Plan] = []
    edges = [low[axis], *cuts, low[axis] + shape[axis]]
    order = sorted(segments, key=lambda s: s.offset[axis])
    position = 0
    for start, stop in pairwise(edges):
        inside = []
        while position < len(order) and order[position].offset[axis] < stop:
            inside.append(order[position])
            position += 1
        corner = (*low[:axis], start, *low[axis + 1 :])
        extent = (*shape[:axis], stop - start, *shape[axis + 1 :])
        one = inside[0] if len(inside) == 1 else None
        if one is not None and one.offset == corner and one.shape == extent:
            members.append(_leaf(one, array, fuse))
        else:
            members.append(_build(inside, corner, extent, array, fuse))
    if fuse:
        members = _fused(members, axis, array)
    return members[0] if len(members) == 1 else Concat(axis, shape, tuple(members))


def _end_to_end(segments: Sequence[Segment], low: Shape, shape: Shape, array: VirtualZarrArray) -> Leaf | None:
    """Whole files one after the other whose chunks fit in one manifest, in one pass; None if they lie in any other way."""
    first = segments[0]
    axis = next((i for i, (a, b) in enumerate(zip(low, segments[1].offset, strict=True)) if a != b), None)
    if axis is None or first.stored.dtype != array.dtype:
        return None
    head, tail, at = low[:axis], low[axis + 1 :], low[axis]
    a = first.stored
    stored: list[StoredArray] = []
    for s in segments:
        b = s.stored
        if s.offset != (*head, at, *tail) or (array.decoded and s.packing is not None) or not b.sources:
            return None
        alike = b.grid is a.grid and s.windows is first.windows and s.axes == first.axes
        if not (alike and stored) and not s.is_whole:
            return None
        if stored and not _can_join(a, b, axis):
            return None
        stored.append(b)
        at += s.shape[axis]
    whole = (*first.shape[:axis], at - low[axis], *first.shape[axis + 1 :])
    if whole != shape:
        return None
    codecs = _CommonCodecs()
    return _fuse(stored, axis, codecs) if all(map(codecs.take, stored)) else None


def _best_cuts(segments: Sequence[Segment], low: Shape, shape: Shape) -> tuple[int, list[int]]:
    """The axis with most planes that no segment crosses, and these planes."""
    best: tuple[int, list[int]] = (0, [])
    for axis in range(len(shape)):
        intervals = sorted({(s.offset[axis], s.offset[axis] + s.shape[axis]) for s in segments})
        end = low[axis] + shape[axis]
        cuts: list[int] = []
        reach = low[axis]
        for start, stop in intervals:
            if start >= reach:
                cuts.extend(p for p in {reach, start} if low[axis] < p < end)
            reach = max(reach, stop)
        if low[axis] < reach < end:
            cuts.append(reach)
        cuts = sorted(set(cuts))
        if len(cuts) > len(best[1]):
            best = (axis, cuts)
    return best


def _forced_cut(segments: Sequence[Segment], low: Shape, shape: Shape) -> tuple[int, int]:
    for axis in range(len(shape)):
        for s in segments:
            for at in (s.offset[axis], s.stop[axis]):
                if low[axis] < at < low[axis] + shape[axis]:
                    return axis, at
    raise AssertionError("several segments fill one box, so they overlap")


def _split(segment: Segment, axis: int, at: int) -> list[Segment]:
    start, stop = segment.offset[axis], segment.stop[axis]
    if not start < at < stop:
        return [segment]
    return [
        segment.select(axis, 0, at - start, 1, start),
        segment.select(axis, at - start, stop - at, 1, at),
    ]


def _leaf(segment: Segment, array: VirtualZarrArray, fuse: bool) -> Plan:
    stored = segment.stored
    if is_fill(segment) and same_fill(stored.fill_value, array.fill_value):
        return Fill(segment.shape)
    decode = segment.packing if array.decoded else None
    if decode is None and stored.dtype != array.dtype:
        decode = Packing(array.dtype)
    identity = segment.axes == tuple(range(stored.ndim))
    if segment.is_whole:
        return Leaf(stored, segment.shape, decode=decode)
    if identity and _at_chunk_edges(segment) and (fuse or stored.origin is None):
        return Leaf(_cropped(stored, segment.windows), segment.shape, decode=decode)
    windows: tuple[Window, ...] = segment.windows
    if fuse or stored.origin is None:
        stored, windows = _trimmed(stored, windows)
    return Leaf(stored, segment.shape, windows, None if identity else segment.axes, decode)


def _at_chunk_edges(segment: Segment) -> bool:
    """Whether every window is a run of elements that begins at a chunk edge (it may end anywhere: readers crop)."""
    return all(w.step == 1 and axis.starts_at(w.start) for w, axis in zip(segment.windows, segment.stored.grid.axes, strict=True))


def _cropped(stored: StoredArray, windows: Sequence[Window]) -> StoredArray:
    axes, slices = [], []
    for window, axis in zip(windows, stored.grid.axes, strict=True):
        first, last = axis.span(window.start, window.start + window.count)
        slices.append(slice(first, last))
        axes.append(axis.crop(window.start, window.start + window.count))
    manifest = stored.manifest.region(tuple(slices))
    return replace(stored, grid=ChunkGrid(tuple(axes)), manifest=manifest, origin=None, joined_along=None)


def _trimmed(stored: StoredArray, windows: Sequence[Window]) -> tuple[StoredArray, tuple[Window, ...]]:
    """The chunks that windows touch, and the windows in them."""
    whole = []
    shifted = []
    for window, axis in zip(windows, stored.grid.axes, strict=True):
        low, high = window.bounds()
        first, last = axis.span(low, high)
        start = int(axis.starts[first]) if last > first else 0
        stop = int(axis.starts[last]) if last > first else 0
        whole.append(Window(start, stop - start))
        shifted.append(Window(window.start - start, window.count, window.step))
    return _cropped(stored, whole), tuple(shifted)


# ---------------------------------------------------------------------- fusing


def _fused(members: Sequence[Plan], axis: int, array: VirtualZarrArray) -> list[Plan]:
    """Join neighbours whose chunks can stand in one manifest, and are decoded alike."""
    out: list[Plan] = []
    group: list[Leaf] = []
    codecs = _CommonCodecs()

    def flush() -> None:
        nonlocal codecs
        if group:
            fused = _fuse([leaf.stored for leaf in group], axis, codecs) if len(group) > 1 else group[0]
            out.append(replace(fused, decode=group[0].decode))
            group.clear()
        codecs = _CommonCodecs()

    for member in members:
        leaf = member if isinstance(member, Leaf) else _empty_like(member, group, axis, array)
        if isinstance(leaf, Leaf) and leaf.is_whole and _fits(group, leaf, axis) and codecs.take(leaf.stored):
            group.append(leaf)
        else:
            flush()
            if isinstance(member, Leaf) and member.is_whole and codecs.take(member.stored):
                group.append(member)
            else:
                out.append(member)
    flush()
    return out


def _empty_like(member: Plan, group: list[Leaf], axis: int, array: VirtualZarrArray) -> Leaf | None:
    """A fill region as chunks that are not stored, on the grid of the neighbours."""
    if not isinstance(member, Fill) or not group or member.shape[axis] == 0:
        return None
    stored = group[-1].stored
    if not same_fill(stored.fill_value, array.fill_value):
        return None
    neighbour = stored.grid.axes[axis]
    edge = int(neighbour.edge if neighbour.edge is not None else neighbour.stored[0])
    grid = stored.grid.replace(axis, AxisGrid.regular(member.shape[axis], edge))
    empty = StoredArray(stored.dtype, stored.fill_value, grid, stored.codecs, ChunkManifest.empty(grid.grid_shape), SourceTable(()))
    return Leaf(empty, member.shape)


def _fits(group: list[Leaf], leaf: Leaf, axis: int) -> bool:
    return bool(group) and group[0].decode == leaf.decode and _can_join(group[0].stored, leaf.stored, axis)


def _can_join(a: StoredArray, b: StoredArray, axis: int) -> bool:
    """Whether the chunks of the second array may stand after those of the first, under the metadata of the first."""
    if a.dtype != b.dtype or not (a.grid is b.grid or a.grid.same_as(b.grid, but=axis)):
        return False
    if not same_fill(a.fill_value, b.fill_value) and not _fill_is_moot(b):
        return False
    if a.codecs is b.codecs:
        return True
    return not (a.codecs[0].name != b.codecs[0].name and "vlen" in a.codecs[0].name + b.codecs[0].name)


def _fill_is_moot(stored: StoredArray) -> bool:
    """Whether an array lists all its chunks, so that its fill value shows nowhere."""
    length = stored.manifest.load().length
    return length.size > 0 and bool((length > 0).all())


def _fuse(stored: Sequence[StoredArray], axis: int, common: _CommonCodecs) -> Leaf:
    first = stored[0]
    table, mappings = unify_tables([s.sources for s in stored])
    grid = first.grid.replace(axis, concatenate_axes([s.grid.axes[axis] for s in stored]))
    manifest = concatenate_manifests([s.manifest.load() for s in stored], axis, mappings, common.numbers)
    codecs = common.pipelines
    fused = StoredArray(first.dtype, first.fill_value, grid, codecs[0], manifest, table, tuple(codecs[1:]))
    return Leaf(fused, fused.shape)


class _CommonCodecs:
    """The codec pipelines of arrays whose chunks stand in one manifest, and for each array the new numbers of its own."""

    def __init__(self) -> None:
        self.pipelines: list[Pipeline] = []
        self.numbers: list[list[int]] = []
        self._known: dict[int, int] = {}
        self._alike: dict[Pipeline, int] = {}
        self._first: tuple[Pipeline, list[int]] | None = None

    def take(self, stored: StoredArray) -> bool:
        """Take an array along; False, and nothing taken, if its chunks would need more pipelines than a manifest has."""
        if self._first is not None and stored.codecs is self._first[0] and not stored.alternatives:
            self.numbers.append(self._first[1])
            return True
        before = len(self.pipelines)
        numbers = [self._number(stored.codecs), *map(self._number, stored.alternatives)]
        if len(self.pipelines) > MAX_PIPELINES:
            del self.pipelines[before:]
            self._known = {key: number for key, number in self._known.items() if number < before}
            self._alike = {key: number for key, number in self._alike.items() if number < before}
            return False
        self._first = self._first or (stored.codecs, numbers[:1])
        self.numbers.append(numbers)
        return True

    def _number(self, pipeline: Pipeline) -> int:
        found = self._known.get(id(pipeline))
        if found is None:
            found = self._alike.setdefault(tuple(codec.decoding() for codec in pipeline), len(self.pipelines))
            if found == len(self.pipelines):
                self.pipelines.append(pipeline)
            self._known[id(pipeline)] = found
        return found


def view_grid(plan: Plan, shape: Shape) -> ChunkGrid:
    """The chunk grid that an array shows: the members' chunks in sequence, so that none is decoded twice."""
    return ChunkGrid(tuple(AxisGrid.varying(_edges(plan, axis, shape)) for axis in range(len(shape))))


def _usual(edges: Sequence[npt.NDArray[np.int64]], weights: Sequence[int]) -> npt.NDArray[np.int64]:
    """The edges that most of the array has: one odd file must not cut the chunks of all others into parts."""
    votes: dict[bytes, int] = {}
    for one, weight in zip(edges, weights, strict=True):
        votes[one.tobytes()] = votes.get(one.tobytes(), 0) + weight
    return max(edges, key=lambda one: (votes[one.tobytes()], one.size))


def _edges(plan: Plan, axis: int, shape: Shape) -> npt.NDArray[np.int64]:
    if isinstance(plan, Fill):
        return np.array([shape[axis]] if shape[axis] else [], dtype=np.int64)
    if isinstance(plan, Concat):
        if plan.axis == axis:
            return np.concatenate([_edges(m, axis, m.shape) for m in plan.members])
        return _usual([_edges(m, axis, m.shape) for m in plan.members], [m.shape[plan.axis] for m in plan.members])
    source = axis if plan.axes is None else plan.axes[axis]
    if source is None:
        return np.array([1] * plan.shape[axis] if plan.shape[axis] < 4096 else [plan.shape[axis]], dtype=np.int64)
    grid = plan.stored.grid.axes[source]
    if plan.windows is None:
        return grid.visible
    window = plan.windows[source]
    elements = np.arange(window.start, window.start + window.step * window.count, window.step)
    chunks = np.searchsorted(grid.starts, elements, side="right")
    cuts = np.flatnonzero(np.diff(chunks)) + 1
    return np.diff(np.concatenate([[0], cuts, [window.count]])).astype(np.int64)
