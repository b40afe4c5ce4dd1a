"""Stored arrays, and segments: windows of stored arrays placed in a larger array."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol, overload, runtime_checkable

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import DType, Shape
from intake_virtualzarr.arrays.chunk_grid import ChunkGrid
from intake_virtualzarr.arrays.manifest import Manifest
from intake_virtualzarr.codecs.cf_packing import Packing
from intake_virtualzarr.codecs.spec import Pipeline
from intake_virtualzarr.errors import ManifestError
from intake_virtualzarr.storage.source import Source

__all__ = ["Segment", "SegmentSource", "Segments", "StoredArray", "Window", "check_segments", "covers", "same_fill", "source_of"]


def same_fill(a: object, b: object) -> bool:
    """Whether two fill values are one; NaN is NaN."""
    try:
        return bool(a == b) or bool(a != a and b != b)
    except (TypeError, ValueError):
        return False


@dataclass(frozen=True, eq=False)
class StoredArray:
    """A chunked array as it lies in source files: grid, codecs, manifest."""

    dtype: DType
    """Data type of the decoded values, native byte order."""
    fill_value: Any
    """Value of chunks that are not stored (Zarr's fill value; not CF's ``_FillValue``)."""
    grid: ChunkGrid
    """Chunk grid, visible and stored edges."""
    codecs: Pipeline
    """Codec pipeline of stored chunks."""
    manifest: Manifest
    """Where each chunk lies; its shape is that of the grid."""
    sources: Sequence[Source]
    """Source table that the manifest points into."""
    alternatives: tuple[Pipeline, ...] = ()
    """Codec pipelines of chunks whose ``codec`` is 1, 2, … (HDF5 skipped a filter)."""
    origin: str | None = None
    """URL of the array in the hierarchy that it was opened from; a concatenation can name it instead of copying it."""
    joined_along: int | None = None
    """Axis along which all files of ``sources`` lie one after the other, equally many chunks of each, if it was made so."""

    def __post_init__(self) -> None:
        if tuple(self.manifest.shape) != self.grid.grid_shape:
            raise ManifestError(f"manifest of shape {tuple(self.manifest.shape)} for a chunk grid of shape {self.grid.grid_shape}")
        if not self.dtype.isnative and self.dtype.names is None:
            raise ManifestError(f"data type {self.dtype} of decoded values is not in native byte order")

    @property
    def shape(self) -> Shape:
        """Shape [elements]."""
        return self.grid.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.grid.ndim


@dataclass(frozen=True, slots=True)
class Window:
    """Regularly spaced elements along one axis: ``start + step * k`` for ``k`` in ``range(count)``."""

    start: int
    count: int
    step: int = 1

    @property
    def indices(self) -> range:
        """The elements, as a range."""
        return range(self.start, self.start + self.step * self.count, self.step)

    def sub(self, start: int, count: int, step: int = 1) -> Window:
        """The window of a window."""
        return Window(self.start + self.step * start, count, self.step * step)

    def bounds(self) -> tuple[int, int]:
        """Lowest element and one past the highest."""
        if self.count == 0:
            return self.start, self.start
        last = self.start + self.step * (self.count - 1)
        return min(self.start, last), max(self.start, last) + 1


@lru_cache(maxsize=4096)
def _whole_windows(shape: Shape) -> tuple[Window, ...]:
    return tuple(Window(0, extent) for extent in shape)


@dataclass(frozen=True, eq=False)
class Segment:
    """A window of a stored array, at a place in a larger array."""

    stored: StoredArray
    """The array whose values are shown."""
    windows: tuple[Window, ...]
    """One for each axis of ``stored``."""
    axes: tuple[int | None, ...]
    """For each axis of the larger array the axis of ``stored``, or None for an axis that ``stored`` lacks."""
    offset: Shape
    """First element of the segment in the larger array."""
    shape: Shape
    """Extent of the segment in the larger array."""
    packing: Packing | None = None
    """CF packing of the stored values, applied only where the larger array is decoded."""

    def __post_init__(self) -> None:
        if not len(self.axes) == len(self.offset) == len(self.shape):
            raise ManifestError(f"segment of {len(self.axes)} axes has offset {self.offset} and shape {self.shape}")
        if len(self.windows) != self.stored.ndim:
            raise ManifestError(f"segment has {len(self.windows)} windows for {self.stored.ndim} axes")
        for window, extent in zip(self.windows, self.stored.shape, strict=True):
            low, high = window.bounds()
            if window.count and not (low >= 0 and high <= extent):
                raise ManifestError(f"window {window} leaves the stored axis of {extent} elements")
        used = [axis for axis in self.axes if axis is not None]
        if len(set(used)) != len(used):
            raise ManifestError(f"segment shows one stored axis twice: {self.axes}")
        for axis, extent in zip(self.axes, self.shape, strict=True):
            if axis is not None and self.windows[axis].count != extent:
                raise ManifestError(f"window {self.windows[axis]} fills an extent of {extent}")
        for axis, window in enumerate(self.windows):
            if axis not in used and window.count != 1:
                raise ManifestError(f"stored axis {axis} is dropped but {window.count} elements of it are shown")

    @classmethod
    def whole(cls, stored: StoredArray, packing: Packing | None = None) -> Segment:
        """The whole of a stored array, at the origin."""
        shape = stored.shape
        segment = object.__new__(cls)  # valid by construction, and files have one for each variable
        segment.__dict__.update(
            stored=stored,
            windows=_whole_windows(shape),
            axes=tuple(range(len(shape))),
            offset=(0,) * len(shape),
            shape=shape,
            packing=packing,
        )
        return segment

    @property
    def stop(self) -> Shape:
        """One past the last element in the larger array."""
        return tuple(o + n for o, n in zip(self.offset, self.shape, strict=True))

    @property
    def is_whole(self) -> bool:
        """Whether it shows all of its stored array, axis by axis."""
        if self.axes != tuple(range(len(self.windows))):
            return False
        for window, axis in zip(self.windows, self.stored.grid.axes, strict=True):
            if window.start != 0 or window.step != 1 or window.count != axis.extent:
                return False
        return True

    def moved(self, offset: Sequence[int]) -> Segment:
        """The same segment at another place."""
        # joins move every segment; what was checked once stays valid, and `replace` takes ten times as long
        other = object.__new__(Segment)
        other.__dict__.update(self.__dict__, offset=tuple(offset))
        return other

    def shifted(self, axis: int, by: int) -> Segment:
        """The same segment moved along one axis."""
        offset = self.offset
        return self.moved((*offset[:axis], offset[axis] + by, *offset[axis + 1 :]))

    def select(self, axis: int, start: int, count: int, step: int, at: int) -> Segment:
        """Elements ``start + step * k`` of the segment along one axis, placed at ``at`` on that axis.

        ``start`` counts from the segment's own first element.
        """
        stored_axis = self.axes[axis]
        windows = self.windows
        if stored_axis is not None:
            window = windows[stored_axis].sub(start, count, step)
            windows = (*windows[:stored_axis], window, *windows[stored_axis + 1 :])
        return replace(
            self,
            windows=windows,
            offset=(*self.offset[:axis], at, *self.offset[axis + 1 :]),
            shape=(*self.shape[:axis], count, *self.shape[axis + 1 :]),
        )


@runtime_checkable
class SegmentSource(Protocol):
    """Segments that are opened when they are touched: those of a concatenation in a hierarchy.

    It says what holds for all of them without opening any. A sequence otherwise: to iterate or to index opens all.
    """

    axis: int
    """Axis of the concatenation."""
    edges: npt.NDArray[np.int64]
    """Where each member begins along the axis, and the end of the last [elements]."""
    grid: ChunkGrid
    """Chunk grid of the whole array."""
    codecs: Pipeline
    """Codec pipeline that the array names."""
    dtype: DType
    """Data type of the array."""
    packing: Packing | None
    """CF packing that the attributes of the array name."""
    uniform: bool
    """Whether every chunk of every member is a chunk of ``grid``, encoded by ``codecs``."""

    def within(self, low: int, high: int) -> tuple[Segment, ...]:
        """The segments of the members that overlap ``[low, high)`` along the axis."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Segment]: ...

    def __contains__(self, segment: object, /) -> bool: ...

    @overload
    def __getitem__(self, index: int, /) -> Segment: ...

    @overload
    def __getitem__(self, index: slice, /) -> Sequence[Segment]: ...


type Segments = tuple[Segment, ...] | SegmentSource
"""The segments of an array: at hand, or opened when they are touched."""


def source_of(segments: Segments) -> SegmentSource | None:
    """What opens segments when they are touched; None for segments at hand."""
    return None if isinstance(segments, tuple) else segments


def covers(shape: Shape, segments: Iterable[Segment]) -> bool:
    """Whether segments that do not overlap fill an array."""
    total = 1
    for n in shape:
        total *= n
    return sum(int(np.prod(s.shape, dtype=np.int64)) for s in segments) >= total


def check_segments(shape: Shape, segments: Collection[Segment]) -> None:
    """Raise if a segment leaves the array or two overlap."""
    for segment in segments:
        if len(segment.offset) != len(shape):
            raise ManifestError(f"segment of {len(segment.offset)} axes in an array of {len(shape)}")
        if any(o < 0 or stop > n for o, stop, n in zip(segment.offset, segment.stop, shape, strict=True)):
            raise ManifestError(f"segment at {segment.offset} of shape {segment.shape} leaves the array {shape}")
    if len(segments) > 1 and shape:
        _check_overlap(segments, len(shape))


def _check_overlap(segments: Collection[Segment], ndim: int) -> None:
    # sweep along the axis on which most segments begin at a place of their own
    axis = max(range(ndim), key=lambda a: len({s.offset[a] for s in segments}))
    active: list[Segment] = []
    for segment in sorted(segments, key=lambda s: s.offset[axis]):
        if 0 in segment.shape:
            continue
        active = [other for other in active if other.stop[axis] > segment.offset[axis]]
        for other in active:
            if all(a < d and c < b for a, b, c, d in zip(segment.offset, segment.stop, other.offset, other.stop, strict=True)):
                raise ManifestError(
                    f"segments at {segment.offset} of shape {segment.shape} and at {other.offset} of shape {other.shape} overlap"
                )
        active.append(segment)
