"""Axes of one element, added to stored arrays or dropped from them: their chunks hold the same bytes.

Files without a time axis that are stacked, members of an ensemble, one level of a file with a chunk for each level: such
segments show a stored array of another rank. Where no byte of a chunk changes its place, the stored array itself can have
the rank of the larger array; its chunks then stand in one manifest with others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from intake_virtualzarr._typing import AnyArray, Shape
from intake_virtualzarr.arrays.chunk_grid import AxisGrid, ChunkGrid
from intake_virtualzarr.arrays.manifest import ChunkManifest, Manifest
from intake_virtualzarr.arrays.segments import Segment, StoredArray, Window
from intake_virtualzarr.codecs.spec import CodecSpec, Pipeline

__all__ = ["RankedManifest", "with_own_axes"]

OF_THE_SHAPE = frozenset({"sharding_indexed", "numcodecs.json2"})
"""Codecs whose bytes or configuration tell of the rank of a chunk."""
OF_PICTURES = ("tiff.", "imagecodecs_")
"""Beginnings of names of codecs that look at the last axes of a chunk: rows, columns and, after a transposition, bands."""
ONE = AxisGrid.regular(1, 1)


@dataclass(frozen=True, eq=False)
class RankedManifest:
    """A manifest with axes of one chunk added or dropped, read when it is asked for."""

    manifest: Manifest
    """The manifest as it is."""
    axes: tuple[int | None, ...]
    """For each axis that is shown the axis of ``manifest``, in its order, or None for an added one."""
    dropped: tuple[tuple[int, int], ...] = ()
    """Axes of ``manifest`` that are not shown, each with the chunk that is."""

    @property
    def shape(self) -> Shape:
        """Shape of the chunk grid."""
        return tuple(1 if axis is None else self.manifest.shape[axis] for axis in self.axes)

    @property
    def nbytes(self) -> int:
        """Memory of the manifest behind it [bytes]."""
        return self.manifest.nbytes

    @property
    def deferred(self) -> bool:
        """As the manifest behind it."""
        return self.manifest.deferred

    def region(self, slices: tuple[slice, ...]) -> ChunkManifest:
        """The references of a box of chunks."""
        inner = [slice(None)] * len(self.manifest.shape)
        for gone, chunk in self.dropped:
            inner[gone] = slice(chunk, chunk + 1)
        for axis, part in zip(self.axes, slices, strict=True):
            if axis is not None:
                inner[axis] = part
        found = self.manifest.region(tuple(inner))
        shape = tuple(1 if axis is None else found.shape[axis] for axis in self.axes)
        added = tuple(part if axis is None else slice(None) for axis, part in zip(self.axes, slices, strict=True))

        def column(values: AnyArray) -> AnyArray:
            return values.reshape(shape)[added]

        codec = None if found.codec is None else column(found.codec)
        return ChunkManifest(column(found.source), column(found.offset), column(found.length), codec)

    def load(self) -> ChunkManifest:
        """All references that are shown."""
        return self.region((slice(None),) * len(self.axes))


def with_own_axes(segments: Sequence[Segment]) -> list[Segment]:
    """Segments, each of a stored array that has the axes of the larger array wherever its chunks can stay as they are.

    Others (transposed, repeated along an axis, cut out of the middle of chunks) are left as they are.
    """
    known: dict[tuple[int, tuple[int | None, ...], tuple[tuple[int, int], ...]], ChunkGrid] = {}
    return [_ranked(segment, known) or segment for segment in segments]


def _ranked(
    segment: Segment, known: dict[tuple[int, tuple[int | None, ...], tuple[tuple[int, int], ...]], ChunkGrid]
) -> Segment | None:
    stored, axes = segment.stored, segment.axes
    if axes == tuple(range(stored.ndim)):
        return None
    used = [axis for axis in axes if axis is not None]
    if any(a > b for a, b in pairwise(used)) or any(a is None and n != 1 for a, n in zip(axes, segment.shape, strict=True)):
        return None
    dropped = _dropped_chunks(segment, frozenset(used))
    codecs = [_of_rank(pipeline, axes, stored.ndim) for pipeline in (stored.codecs, *stored.alternatives)]
    if dropped is None or None in codecs:
        return None
    kept = [pipeline for pipeline in codecs if pipeline is not None]
    # one object for grids that are one: joins compare them by identity first
    grid = known.setdefault(
        (id(stored.grid), axes, dropped), ChunkGrid(tuple(ONE if axis is None else stored.grid.axes[axis] for axis in axes))
    )
    manifest = RankedManifest(stored.manifest, axes, dropped)
    ranked = StoredArray(stored.dtype, stored.fill_value, grid, kept[0], manifest, stored.sources, tuple(kept[1:]))
    windows = tuple(Window(0, 1) if axis is None else segment.windows[axis] for axis in axes)
    whole = Segment.whole(ranked, segment.packing).moved(segment.offset)
    return whole if windows == whole.windows else replace(whole, windows=windows, shape=segment.shape)


def _dropped_chunks(segment: Segment, used: frozenset[int]) -> tuple[tuple[int, int], ...] | None:
    """The axes of the stored array that are not shown, each with its chunk; None if one holds more than one element."""
    found = []
    for axis, (window, grid) in enumerate(zip(segment.windows, segment.stored.grid.axes, strict=True)):
        if axis in used:
            continue
        chunk = grid.chunk_of(window.start)
        if (grid.edge if grid.edge is not None else int(grid.stored[chunk])) != 1:
            return None
        found.append((axis, chunk))
    return tuple(found)


def _of_rank(codecs: Pipeline, axes: Sequence[int | None], ndim: int) -> Pipeline | None:
    """A pipeline for chunks of the axes that are shown; None if it cannot be said."""
    if any(codec.name in OF_THE_SHAPE for codec in codecs):
        return None
    if any(codec.name.startswith(OF_PICTURES) for codec in codecs) and not _shows_pictures(codecs, axes, ndim):
        return None
    return tuple(_transposition(codec, axes, ndim) if codec.name == "transpose" else codec for codec in codecs)


def _shows_pictures(codecs: Pipeline, axes: Sequence[int | None], ndim: int) -> bool:
    """Whether the last axes of a chunk, as it is stored, stay the last ones (a transposition puts others in front)."""
    if codecs[0].name == "transpose":
        return {axis for axis in axes if axis is not None} == set(range(ndim))
    return tuple(axes[-2:]) == (ndim - 2, ndim - 1)


def _transposition(codec: CodecSpec, axes: Sequence[int | None], ndim: int) -> CodecSpec:
    """A transposition with axes of one element put in front, where they move nothing, and without those that are dropped."""
    shown = {axis: position for position, axis in enumerate(axes) if axis is not None}
    order = [shown[axis] for axis in codec.configuration["order"] if axis in shown]
    return CodecSpec.of("transpose", order=[*(i for i, axis in enumerate(axes) if axis is None), *order])
