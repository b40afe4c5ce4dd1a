"""Contiguous data in pieces: one chunk, or several where one would be too long."""

from __future__ import annotations

from math import prod

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import Shape
from intake_virtualzarr.arrays.chunk_grid import AxisGrid, ChunkGrid
from intake_virtualzarr.errors import UnsupportedError

__all__ = ["PIECE", "contiguous_grid", "split_grid"]

MAX_PIECES = 2**22
"""Pieces of one array; more is taken for damage."""
PIECE = 64 * 1024 * 1024
"""Contiguous data longer than this is split along its leading axes [bytes]."""


def contiguous_grid(
    shape: Shape, itemsize: int, piece: int = PIECE
) -> tuple[ChunkGrid, npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Chunk grid of C-ordered values that lie in one stretch.

    Returns
    -------
    grid : ChunkGrid
        One chunk, or chunks of at most ``piece`` bytes where single elements allow it.
    offsets, lengths : numpy.ndarray of uint64, shape of the grid
        Where each chunk lies [bytes].

    Raises
    ------
    UnsupportedError
        If that makes more than `MAX_PIECES` chunks.
    """
    axis = 0
    while axis < len(shape) and prod(shape[axis:]) * itemsize > piece and prod(shape[axis + 1 :]) * itemsize > piece:
        axis += 1
    inner = prod(shape[axis + 1 :]) * itemsize
    if axis >= len(shape) or prod(shape) == 0 or (axis == 0 and shape[0] * inner <= piece):
        grid = ChunkGrid.regular(shape, tuple(max(n, 1) for n in shape))
        count = prod(grid.grid_shape)
        zeros = np.zeros(count, np.uint64).reshape(grid.grid_shape)
        return grid, zeros, zeros + np.uint64(prod(shape) * itemsize)
    rows = max(1, piece // inner)
    count = prod(shape[:axis]) * -(-shape[axis] // rows)
    if count > MAX_PIECES:
        raise UnsupportedError(f"is one stretch of {prod(shape) * itemsize} bytes, which would make {count} pieces")
    visible = np.full(-(-shape[axis] // rows), rows, np.int64)
    visible[-1] = shape[axis] - rows * (len(visible) - 1)
    return split_grid(shape, itemsize, axis, visible)


def split_grid(
    shape: Shape, itemsize: int, axis: int, edges: npt.NDArray[np.int64]
) -> tuple[ChunkGrid, npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Grid with edges of 1 before ``axis``, the given edges along it, and whole axes behind it."""
    axes = [AxisGrid(n, 1) for n in shape[:axis]]
    # the last chunk is stored short, not padded: hence a varying axis unless the edges are equal
    axes.append(AxisGrid.varying(edges, edges) if (edges != edges[0]).any() else AxisGrid(shape[axis], int(edges[0])))
    axes += [AxisGrid(n, n) for n in shape[axis + 1 :]]
    grid = ChunkGrid(tuple(axes))
    inner = prod(shape[axis + 1 :]) * itemsize
    lengths = np.broadcast_to((edges * inner).astype(np.uint64).reshape(-1, *(1 for _ in shape[axis + 1 :])), grid.grid_shape)
    ends = np.cumsum(lengths.reshape(-1), dtype=np.uint64)
    return grid, (ends - lengths.reshape(-1)).reshape(grid.grid_shape), lengths
