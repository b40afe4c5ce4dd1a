"""Chunk grids: where the edges of chunks lie along each axis, as stored and as seen.

A chunk is *stored* with its full shape (HDF5 pads edge chunks), and its leading corner, the *visible* part, is what the
array shows. Where an array is a join of files, such padded chunks lie in its middle; hence two numbers per chunk and axis.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Self

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import Shape
from intake_virtualzarr.errors import ChunkGridError
from intake_virtualzarr.storage.limits import MAX_AXIS_CHUNKS

__all__ = ["AxisGrid", "ChunkGrid", "Edges", "concatenate_axes"]

type Edges = npt.NDArray[np.int64]


def _edges(values: Iterable[int]) -> Edges:
    edges = np.array(values if isinstance(values, np.ndarray | list | tuple) else list(values), dtype=np.int64)
    edges.flags.writeable = False
    return edges


@dataclass(frozen=True, eq=False)
class AxisGrid:
    """The chunks along one axis.

    Either *regular* (``edge`` set; every chunk stored with that edge, the last one visible in part) or *varying*
    (``visible`` and ``stored`` list each chunk).
    """

    extent: int
    """Length of the axis [elements]."""
    edge: int | None
    """Stored edge of every chunk [elements], or None if chunks vary."""
    visible_edges: Edges | None = None
    """Visible edge of each chunk [elements]; only if ``edge`` is None."""
    stored_edges: Edges | None = None
    """Stored edge of each chunk [elements]; only if ``edge`` is None."""

    def __post_init__(self) -> None:
        if self.extent < 0:
            raise ChunkGridError(f"extent {self.extent} of an axis is negative")
        if self.edge is not None:
            if self.edge < 1:
                raise ChunkGridError(f"chunk edge {self.edge} is below 1")
            return
        if self.visible_edges is None or self.stored_edges is None:
            raise ChunkGridError("an axis needs either one edge or the edges of all chunks")
        if self.visible_edges.shape != self.stored_edges.shape or self.visible_edges.ndim != 1:
            raise ChunkGridError(f"{self.visible_edges.size} visible chunk edges for {self.stored_edges.size} stored ones")
        if self.visible_edges.size and int(self.visible_edges.min()) < 1:
            raise ChunkGridError(f"chunk edge {int(self.visible_edges.min())} is below 1")
        if np.any(self.stored_edges < self.visible_edges):
            bad = int(np.argmax(self.stored_edges < self.visible_edges))
            raise ChunkGridError(
                f"chunk {bad} shows {int(self.visible_edges[bad])} elements but stores {int(self.stored_edges[bad])}"
            )
        if int(self.visible_edges.sum()) != self.extent:
            raise ChunkGridError(f"chunk edges sum to {int(self.visible_edges.sum())}, the axis has {self.extent} elements")

    @classmethod
    def regular(cls, extent: int, edge: int) -> Self:
        """Chunks of equal stored edge."""
        return cls(int(extent), int(edge))

    @classmethod
    def varying(cls, visible: Iterable[int], stored: Iterable[int] | None = None) -> Self:
        """Chunks with the given edges; simplified to a regular axis where that says the same."""
        seen = _edges(visible)
        kept = seen if stored is None else _edges(stored)
        extent = int(seen.sum())
        if seen.size and kept.shape == seen.shape:
            edge = int(kept[0])
            if (kept == edge).all() and (seen[:-1] == edge).all() and 0 < int(seen[-1]) <= edge:
                return cls(extent, edge)
        return cls(extent, None, seen, kept)

    @property
    def is_regular(self) -> bool:
        """Whether all chunks are stored with one edge and all but the last are whole."""
        return self.edge is not None

    @property
    def count(self) -> int:
        """Number of chunks."""
        if self.edge is not None:
            return -(-self.extent // self.edge)
        assert self.visible_edges is not None
        return int(self.visible_edges.size)

    @cached_property
    def visible(self) -> Edges:
        """Visible edge of each chunk [elements]."""
        if self.visible_edges is not None:
            return self.visible_edges
        self._check_count()
        edges = np.full(self.count, self.edge, dtype=np.int64)
        if self.count:
            edges[-1] = self.extent - (self.count - 1) * int(self.edge or 1)
        return edges

    @cached_property
    def stored(self) -> Edges:
        """Stored edge of each chunk [elements]."""
        if self.stored_edges is not None:
            return self.stored_edges
        self._check_count()
        return np.full(self.count, self.edge, dtype=np.int64)

    @cached_property
    def starts(self) -> Edges:
        """First element of each chunk, and the extent as the last entry."""
        if self.edge is not None:
            self._check_count()
            starts = np.arange(self.count + 1, dtype=np.int64) * self.edge
            starts[-1] = self.extent
            return starts
        return np.concatenate([[0], np.cumsum(self.visible)]).astype(np.int64)

    def _check_count(self) -> None:
        """Raise if the edges of all chunks are more than memory should hold."""
        if self.count > MAX_AXIS_CHUNKS:
            raise ChunkGridError(f"an axis has {self.count} chunks; at most {MAX_AXIS_CHUNKS} are read")

    @property
    def is_whole(self) -> bool:
        """Whether every chunk shows all that it stores (a padded last chunk of a regular axis counts as whole)."""
        return self.edge is not None or bool(np.array_equal(self.visible, self.stored))

    def chunk_of(self, index: int) -> int:
        """The chunk that holds element ``index``."""
        if self.edge is not None:
            return index // self.edge
        return int(np.searchsorted(self.starts, index, side="right")) - 1

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """First and one past the last chunk that overlap ``[start, stop)``; an empty span for an empty box."""
        if stop <= start:
            return 0, 0
        return self.chunk_of(start), self.chunk_of(stop - 1) + 1

    def starts_at(self, index: int) -> bool:
        """Whether a chunk starts at element ``index`` (the extent counts)."""
        if index == self.extent:
            return True
        if self.edge is not None:
            return index % self.edge == 0
        at = int(np.searchsorted(self.starts, index))
        return at < self.starts.size and int(self.starts[at]) == index

    def crop(self, start: int, stop: int) -> AxisGrid:
        """The chunks that show ``[start, stop)``; ``start`` must be a chunk edge."""
        if not self.starts_at(start):
            raise ChunkGridError(f"element {start} is not at a chunk edge")
        if self.edge is not None:
            return AxisGrid(stop - start, self.edge)
        first, last = self.span(start, stop)
        visible = np.array(self.visible[first:last])
        if visible.size:
            visible[-1] = stop - int(self.starts[last - 1])
        return AxisGrid.varying(visible, self.stored[first:last])

    def same_as(self, other: AxisGrid) -> bool:
        """Whether both have the same chunks, visible and stored."""
        if self.edge is not None or other.edge is not None:
            return self.edge == other.edge and self.extent == other.extent
        return bool(np.array_equal(self.visible, other.visible) and np.array_equal(self.stored, other.stored))

    def __repr__(self) -> str:
        if self.edge is not None:
            return f"AxisGrid({self.extent}, edge={self.edge})"
        return f"AxisGrid({self.extent}, {self.count} chunks)"


def concatenate_axes(axes: Sequence[AxisGrid]) -> AxisGrid:
    """Put the chunks of several axes one after the other.

    Parameters
    ----------
    axes : sequence of AxisGrid
        At least one.

    Returns
    -------
    AxisGrid
        Regular where all chunks but the last are whole and of one edge.
    """
    filled = [axis for axis in axes if axis.count] or list(axes[:1])
    if len(filled) == 1:
        return filled[0]
    edge = filled[0].edge
    alike = edge is not None and all(axis.edge == edge for axis in filled)
    if alike and all(axis.extent % (edge or 1) == 0 for axis in filled[:-1]):
        return AxisGrid(sum(axis.extent for axis in filled), edge)
    visible = np.concatenate([axis.visible for axis in filled])
    stored = np.concatenate([axis.stored for axis in filled])
    return AxisGrid.varying(visible, stored)


@dataclass(frozen=True, eq=False)
class ChunkGrid:
    """The chunk grid of an array: one `AxisGrid` per axis."""

    axes: tuple[AxisGrid, ...]

    @classmethod
    def regular(cls, shape: Sequence[int], chunk_shape: Sequence[int]) -> Self:
        """Regular chunk grid.

        Raises
        ------
        ChunkGridError
            If the lengths differ or a chunk edge is below 1.

        References
        ----------
        Zarr v3 core specification, "Regular grids".

        Examples
        --------
        >>> ChunkGrid.regular((365, 721, 1440), (31, 721, 720)).grid_shape
        (12, 1, 2)
        """
        if len(shape) != len(chunk_shape):
            raise ChunkGridError(f"chunk shape {tuple(chunk_shape)} does not fit shape {tuple(shape)}")
        return cls(tuple(AxisGrid(int(n), int(c)) for n, c in zip(shape, chunk_shape, strict=True)))

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.axes)

    @cached_property
    def shape(self) -> Shape:
        """Shape of the array [elements]."""
        return tuple(axis.extent for axis in self.axes)

    @cached_property
    def grid_shape(self) -> Shape:
        """Number of chunks along each axis; ``()`` for a scalar."""
        return tuple(axis.count for axis in self.axes)

    @cached_property
    def chunk_shape(self) -> Shape | None:
        """Stored shape of every chunk, or None if chunks vary."""
        edges = tuple(axis.edge for axis in self.axes)
        return None if None in edges else tuple(int(e) for e in edges if e is not None)

    @property
    def is_regular(self) -> bool:
        """Whether Zarr's regular chunk grid can express this one."""
        return all(axis.is_regular for axis in self.axes)

    @property
    def is_whole(self) -> bool:
        """Whether no chunk needs cropping beyond what Zarr's grids do by themselves."""
        return all(axis.is_whole for axis in self.axes)

    def stored_shape(self, coords: Sequence[int]) -> Shape:
        """Stored shape of one chunk."""
        return tuple(axis.edge if axis.edge is not None else int(axis.stored[i]) for axis, i in zip(self.axes, coords, strict=True))

    def box(self, coords: Sequence[int]) -> tuple[slice, ...]:
        """The elements that one chunk shows."""
        return tuple(slice(int(axis.starts[i]), int(axis.starts[i + 1])) for axis, i in zip(self.axes, coords, strict=True))

    def same_as(self, other: ChunkGrid, *, but: int | None = None) -> bool:
        """Whether both grids agree on every axis (``but`` is not looked at)."""
        return self.ndim == other.ndim and all(
            a.same_as(b) for i, (a, b) in enumerate(zip(self.axes, other.axes, strict=True)) if i != but
        )

    def replace(self, axis: int, grid: AxisGrid) -> ChunkGrid:
        """The same grid with another axis in one place."""
        return ChunkGrid((*self.axes[:axis], grid, *self.axes[axis + 1 :]))

    def __iter__(self) -> chain[AxisGrid]:
        return chain(self.axes)
