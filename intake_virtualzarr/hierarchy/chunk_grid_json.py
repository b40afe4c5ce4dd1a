"""Chunk grids in Zarr v3 metadata: regular, and rectilinear with run lengths."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from intake_virtualzarr._typing import JsonObject, Shape
from intake_virtualzarr.arrays.chunk_grid import AxisGrid, ChunkGrid, Edges
from intake_virtualzarr.errors import ChunkGridError, HierarchyError
from intake_virtualzarr.storage.limits import MAX_AXES, MAX_AXIS_CHUNKS, MAX_EXTENT, MAX_GRID
from intake_virtualzarr.storage.parsing import as_list, as_whole

__all__ = ["grid_from_json", "grid_to_json", "shape_from_json", "stored_shapes_to_json"]


def _runs(edges: Edges) -> list[Any]:
    """Edges with run lengths: ``[10, 10, 10, 1]`` becomes ``[[10, 3], 1]``."""
    if edges.size == 0:
        return []
    starts = np.flatnonzero(np.concatenate([[True], edges[1:] != edges[:-1]]))
    counts = np.diff(np.concatenate([starts, [edges.size]]))
    return [
        int(edge) if count == 1 else [int(edge), int(count)]
        for edge, count in zip(edges[starts].tolist(), counts.tolist(), strict=True)
    ]


def grid_to_json(grid: ChunkGrid) -> JsonObject:
    """The ``chunk_grid`` member: regular if it can be."""
    shape = grid.chunk_shape
    if shape is not None:
        return {"name": "regular", "configuration": {"chunk_shape": list(shape)}}
    shapes = [axis.edge if axis.edge is not None else _runs(axis.visible) for axis in grid.axes]
    return {"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": shapes}}


def stored_shapes_to_json(grid: ChunkGrid) -> list[Any] | None:
    """The ``stored_chunk_shapes`` member, or None where the grid says it all."""
    if grid.is_whole:
        return None
    shapes: list[Any] = []
    for axis in grid.axes:
        if axis.edge is not None:
            shapes.append(axis.edge)
        elif axis.stored.size and (axis.stored == axis.stored[0]).all():
            shapes.append(int(axis.stored[0]))
        else:
            shapes.append(_runs(axis.stored))
    return shapes


def _edges(document: Any, where: str) -> Edges:
    parts: list[Edges] = []
    total = 0
    for entry in document:
        if isinstance(entry, list):
            if len(entry) != 2:
                raise HierarchyError(f"{where}: run {entry!r} is not [edge, count]")
            count = as_whole(entry[1], f"{where}: run {entry!r}", HierarchyError, most=MAX_AXIS_CHUNKS)
            parts.append(np.full(count, int(entry[0]), dtype=np.int64))
        else:
            parts.append(np.array([int(entry)], dtype=np.int64))
        total += parts[-1].size
        if total > MAX_AXIS_CHUNKS:
            raise HierarchyError(f"{where}: lists more than {MAX_AXIS_CHUNKS} chunks along an axis")
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def grid_from_json(document: Any, shape: Sequence[int], stored: Any, where: str) -> ChunkGrid:
    """Read ``chunk_grid`` (and ``stored_chunk_shapes``).

    Raises
    ------
    HierarchyError
        If they do not fit the shape or each other.
    """
    name, configuration = document.get("name"), document.get("configuration") or {}
    if name == "regular":
        edges: list[Any] = list(configuration["chunk_shape"])
    elif name == "rectilinear":
        edges = list(configuration["chunk_shapes"])
    else:
        raise HierarchyError(f"{where}: chunk_grid {name!r} is unknown; expected 'regular' or 'rectilinear'")
    if len(edges) != len(shape) or (stored is not None and len(stored) != len(shape)):
        raise HierarchyError(f"{where}: chunk grid of {len(edges)} axes for an array of {len(shape)}")
    if len(shape) > MAX_AXES:
        raise HierarchyError(f"{where}: has {len(shape)} axes; at most {MAX_AXES} are read")
    axes = []
    for n, edge in enumerate(edges):
        kept = None if stored is None else stored[n]
        try:
            axes.append(_axis(int(shape[n]), edge, kept, where))
        except (ValueError, TypeError, OverflowError) as exc:
            if isinstance(exc, HierarchyError):
                raise
            raise HierarchyError(f"{where}: axis {n}: {exc}") from exc
    grid = ChunkGrid(tuple(axes))
    if prod(grid.grid_shape) > MAX_GRID:
        raise HierarchyError(f"{where}: has a chunk grid of shape {grid.grid_shape}; at most {MAX_GRID} chunks are read")
    return grid


def shape_from_json(document: Any, where: str) -> Shape:
    """The shape of an array.

    Raises
    ------
    HierarchyError
        If it is no list of sizes.
    """
    shape = as_list(document, f"{where}: shape", HierarchyError, MAX_AXES)
    return tuple(as_whole(n, f"{where}: shape", HierarchyError, most=MAX_EXTENT) for n in shape)


def _axis(extent: int, edge: Any, kept: Any, where: str) -> AxisGrid:
    if not isinstance(edge, list):
        as_whole(edge, f"{where}: chunk edge", HierarchyError)
        regular = AxisGrid.regular(extent, int(edge))
        if kept is None or kept == edge:
            return regular
        as_whole(regular.count, f"{where}: chunks of {edge} along an axis of {extent}", HierarchyError, most=MAX_AXIS_CHUNKS)
        stored = _edges(kept, where) if isinstance(kept, list) else np.full(regular.count, int(kept), dtype=np.int64)
        return AxisGrid.varying(regular.visible, stored)
    visible = _edges(edge, where)
    if kept is None:
        # the last chunk may reach past the extent (Zarr allows it): it is stored whole and seen in part
        seen = visible.copy()
        over = int(visible.sum()) - extent
        if seen.size and 0 < over < int(seen[-1]):
            seen[-1] -= over
        return _checked(AxisGrid.varying(seen, visible), extent)
    stored = _edges(kept, where) if isinstance(kept, list) else np.full(visible.size, int(kept), dtype=np.int64)
    return _checked(AxisGrid.varying(visible, stored), extent)


def _checked(axis: AxisGrid, extent: int) -> AxisGrid:
    if axis.extent != extent:
        raise ChunkGridError(f"chunk edges sum to {axis.extent}, the axis has {extent} elements")
    return axis
