"""Chunk indexes as columns: where each chunk of a dataset lies.

All nodes of one tree level are read at once and parsed with one structured ``frombuffer``; no Python object is made for
a chunk.

References
----------
HDF5 File Format Specification 3.0, III.A.1 (B-tree of version 1), IV.A.2.i (layout message), VII "Chunk Indexing".
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import Shape
from intake_virtualzarr.errors import FormatError
from intake_virtualzarr.formats.hdf5.btree_v2 import read_record_blocks
from intake_virtualzarr.formats.hdf5.header_messages import BTREE1, BTREE2, EXTENSIBLE, FIXED, IMPLICIT, SINGLE, Layout
from intake_virtualzarr.formats.hdf5.model import Chunked
from intake_virtualzarr.formats.hdf5.state import State
from intake_virtualzarr.formats.hdf5.tasks import Task, fetch_many
from intake_virtualzarr.formats.hdf5.trace import Leaf

__all__ = ["Entries", "Geometry", "entry_dtype", "read_chunks", "size_width"]

MAX_LEVELS = 32
MAX_ENTRIES = 2**31


class Geometry(NamedTuple):
    """What an index needs to know of its dataset."""

    shape: Shape
    """Shape [elements]."""
    maxshape: tuple[int | None, ...]
    """Largest shape; None for unlimited axes."""
    chunk_shape: Shape
    """Chunk shape [elements]."""
    chunk_bytes: int
    """Size of a chunk without filters [bytes]."""
    filtered: bool
    """Whether the dataset has filters."""
    size_width: int
    """Bytes of an encoded chunk size in the index."""


class Entries(NamedTuple):
    """Chunks found, as columns; undefined addresses are already dropped."""

    coords: npt.NDArray[np.int64]
    """Chunk coordinates in the grid, shape (chunks, rank)."""
    address: npt.NDArray[np.uint64]
    size: npt.NDArray[np.uint64]
    mask: npt.NDArray[np.uint32]


def size_width(layout: Layout, chunk_bytes: int, length_size: int) -> int:
    """Bytes of an encoded chunk size in the indexes of layout version 4 and 5."""
    if layout.wide_sizes:
        return length_size
    return min(8, 1 + (chunk_bytes.bit_length() - 1 + 8) // 8)


def read_chunks(state: State, layout: Layout, shape: Shape, maxshape: tuple[int | None, ...], *, filtered: bool) -> Task[Chunked]:
    """Read the chunk index of a dataset.

    Raises
    ------
    FormatError
        If it is damaged.
    """
    if len(layout.chunk_shape) != len(shape):
        raise FormatError(f"chunk shape {layout.chunk_shape} does not fit shape {shape}")
    chunk_bytes = prod(layout.chunk_shape) * layout.element_size
    width = size_width(layout, chunk_bytes, state.length_size)
    geometry = Geometry(shape, maxshape, layout.chunk_shape, chunk_bytes, filtered, width)
    if layout.address == state.undefined or 0 in shape:
        entries = _none(len(shape))
    else:
        entries = yield from _READERS[layout.index](state, layout, geometry)
    base = np.uint64(state.memory.base)
    offset = entries.address + base if base else entries.address
    return Chunked(layout.chunk_shape, entries.coords, offset, entries.size, entries.mask, layout.raw_edges)


def _none(rank: int) -> Entries:
    return Entries(np.zeros((0, rank), np.int64), np.zeros(0, np.uint64), np.zeros(0, np.uint64), np.zeros(0, np.uint32))


# ---------------------------------------------------------------- B-tree, version 1


def _read_btree1(state: State, layout: Layout, geometry: Geometry) -> Task[Entries]:
    o, rank = state.offset_size, len(geometry.shape)
    key = 8 + 8 * (rank + 1)
    entry = _btree1_entry(rank, o)
    head = 8 + 2 * o
    most = 2 * state.chunk_k
    node_size = head + most * (key + o) + key
    addresses = np.array([layout.address], np.uint64)
    level = -1
    trace, state.memory.trace = state.memory.trace, None
    while True:
        nodes = yield from fetch_many(state.memory, [(at, node_size) for at in addresses.tolist()])
        if level < 0:
            level = nodes[0][5]
            if level == 0 and trace is not None:
                trace.leaf = Leaf(nodes[0], head, entry)
                state.memory.trace = trace
            if level > MAX_LEVELS:
                raise FormatError(f"chunk B-tree at address {layout.address:#x} has {level} levels")
        rows = _level_rows(nodes, addresses, level, most, head, entry)
        children = rows["child"].astype(np.uint64)
        if level == 0:
            return _btree1_entries(rows, children, geometry)
        if np.unique(children).size != children.size:
            raise FormatError(f"chunk B-tree at address {layout.address:#x} leads in circles")
        level, addresses = level - 1, children


@lru_cache(maxsize=256)
def _btree1_entry(rank: int, offset_size: int) -> np.dtype[np.void]:
    """Key and child of a node; the key's offset along the axis of bytes is not looked at."""
    key = 8 + 8 * (rank + 1)
    return np.dtype(
        {
            "names": ["size", "mask", "at", "child"],
            "formats": ["<u4", "<u4", ("<u8", (rank,)), f"<u{offset_size}"],
            "offsets": [0, 4, 8, key],
            "itemsize": key + offset_size,
        }
    )


def _level_rows(
    nodes: list[bytes], addresses: npt.NDArray[np.uint64], level: int, most: int, head: int, entry: np.dtype[np.void]
) -> npt.NDArray[np.void]:
    """Entries of all nodes of a level."""
    start = b"TREE\x01" + bytes((level,))
    parts: list[bytes] = []
    for address, node in zip(addresses.tolist(), nodes, strict=True):
        count = node[6] | node[7] << 8
        if node[:6] != start or count > most:
            raise FormatError(f"no chunk B-tree node of level {level} at address {address:#x}")
        parts.append(node[head : head + count * entry.itemsize])
    return np.frombuffer(parts[0] if len(parts) == 1 else b"".join(parts), entry)


def _btree1_entries(rows: npt.NDArray[np.void], children: npt.NDArray[np.uint64], geometry: Geometry) -> Entries:
    starts = rows["at"].astype(np.int64)  # absurd ones become negative
    coords = np.empty_like(starts)
    for axis, edge in enumerate(geometry.chunk_shape):  # NumPy divides by one number much faster than by several
        coords[:, axis] = starts[:, axis] // edge if edge > 1 else starts[:, axis]
    if (coords * np.array(geometry.chunk_shape, np.int64) != starts).any() or starts.min(initial=0) < 0:
        raise FormatError(f"a chunk of shape {geometry.chunk_shape} starts between chunks of the grid")
    return Entries(coords, children, rows["size"].copy(), rows["mask"].copy())


# ---------------------------------------------------------------- layout version 4


def _read_single(state: State, layout: Layout, geometry: Geometry) -> Task[Entries]:
    size, mask = layout.single or (geometry.chunk_bytes, 0)
    return Entries(
        np.zeros((1, len(geometry.shape)), np.int64),
        np.array([layout.address], np.uint64),
        np.array([size], np.uint64),
        np.array([mask], np.uint32),
    )
    yield ()  # type: ignore[unreachable]


def _grid(lengths: tuple[int, ...], chunk_shape: Shape) -> Shape:
    return tuple(-(-n // c) for n, c in zip(lengths, chunk_shape, strict=True))


def largest_grid(geometry: Geometry) -> Shape:
    """Chunk grid of the largest shape: indexes are laid out for it. Unlimited axes count as they are now."""
    lengths = tuple(n if top is None else max(n, top) for n, top in zip(geometry.shape, geometry.maxshape, strict=True))
    return _grid(lengths, geometry.chunk_shape)


def _read_implicit(state: State, layout: Layout, geometry: Geometry) -> Task[Entries]:
    state.memory.trace = None  # whether its chunks lie in the file is a question of the size of the file
    grid, count = _grid(geometry.shape, geometry.chunk_shape), 0
    count = prod(grid)
    if state.memory.size is not None and count * geometry.chunk_bytes > state.memory.size:
        raise FormatError(f"{count} chunks of {geometry.chunk_bytes} bytes leave the file")
    if count > MAX_ENTRIES:
        raise FormatError(f"an implicit chunk index of {count} chunks")
    coords = np.indices(grid, np.int64).reshape(len(grid), -1).T
    strides = _strides(largest_grid(geometry))
    index = (coords * strides).sum(axis=1)
    address = np.uint64(layout.address) + index.astype(np.uint64) * np.uint64(geometry.chunk_bytes)
    return Entries(coords, address, np.full(count, geometry.chunk_bytes, np.uint64), np.zeros(count, np.uint32))
    yield ()  # type: ignore[unreachable]


def _strides(grid: Shape) -> npt.NDArray[np.int64]:
    return np.array([prod(grid[i + 1 :]) for i in range(len(grid))], np.int64)


def coords_of(index: npt.NDArray[np.int64], grid: Shape) -> npt.NDArray[np.int64]:
    """Chunk coordinates of linear indexes; the first axis may run past its end (it is the unlimited one)."""
    coords = np.empty((index.size, len(grid)), np.int64)
    rest = index
    for axis in range(len(grid) - 1, 0, -1):
        rest, coords[:, axis] = np.divmod(rest, max(grid[axis], 1))
    coords[:, 0] = rest
    return coords


def entry_dtype(state: State, geometry: Geometry) -> np.dtype[np.void]:
    """An element of fixed and extensible arrays."""
    if not geometry.filtered:
        return np.dtype([("address", f"V{state.offset_size}")])
    return np.dtype([("address", f"V{state.offset_size}"), ("size", f"V{geometry.size_width}"), ("mask", "<u4")])


def wide_numbers(raw: npt.NDArray[np.void]) -> npt.NDArray[np.uint64]:
    """Fields of 1 to 8 bytes as numbers."""
    width = raw.dtype.itemsize
    padded = np.zeros((raw.size, 8), np.uint8)
    padded[:, :width] = np.ascontiguousarray(raw).view(np.uint8).reshape(-1, width)
    return padded.view("<u8")[:, 0].astype(np.uint64, copy=False)


def array_entries(
    state: State, geometry: Geometry, elements: npt.NDArray[np.void], index: npt.NDArray[np.int64], grid: Shape
) -> Entries:
    """Entries of the elements of a fixed or extensible array whose addresses are defined."""
    address = wide_numbers(elements["address"])
    stored = address != np.uint64(state.undefined)
    if not stored.all():
        address, elements, index = address[stored], elements[stored], index[stored]
    coords = coords_of(index, grid)
    if geometry.filtered:
        return Entries(coords, address, wide_numbers(elements["size"]), elements["mask"].copy())
    size = np.full(address.size, geometry.chunk_bytes, np.uint64)
    return Entries(coords, address, size, np.zeros(address.size, np.uint32))


def _read_fixed(state: State, layout: Layout, geometry: Geometry) -> Task[Entries]:
    from intake_virtualzarr.formats.hdf5.array_indexes import read_fixed_array

    elements, index = yield from read_fixed_array(state, layout.address, entry_dtype(state, geometry))
    return array_entries(state, geometry, elements, index, largest_grid(geometry))


def _read_extensible(state: State, layout: Layout, geometry: Geometry) -> Task[Entries]:
    from intake_virtualzarr.formats.hdf5.array_indexes import read_extensible_array

    unlimited = [axis for axis, top in enumerate(geometry.maxshape) if top is None]
    if len(unlimited) != 1:
        raise FormatError(f"extensible array for a dataset of largest shape {geometry.maxshape}")
    axis = unlimited[0]
    grid = largest_grid(geometry)
    # the unlimited axis is put first, so that the array grows at its end
    order = [axis, *(a for a in range(len(grid)) if a != axis)]
    elements, index = yield from read_extensible_array(state, layout.address, entry_dtype(state, geometry))
    entries = array_entries(state, geometry, elements, index, tuple(grid[a] for a in order))
    if axis == 0:
        return entries
    coords = np.empty_like(entries.coords)
    coords[:, order] = entries.coords
    return entries._replace(coords=coords)


def _read_btree2(state: State, layout: Layout, geometry: Geometry) -> Task[Entries]:
    rank, o = len(geometry.shape), state.offset_size
    kind, size, blocks = yield from read_record_blocks(state, layout.address, (10, 11))
    fields = [("address", f"V{o}")]
    if kind == 11:
        fields += [("size", f"V{geometry.size_width}"), ("mask", "<u4")]
    record = np.dtype([*fields, ("coords", "<u8", (rank,))])
    if record.itemsize != size:
        raise FormatError(f"chunk B-tree at address {layout.address:#x} has records of {size} bytes, expected {record.itemsize}")
    rows = np.frombuffer(b"".join(blocks), record)
    if (rows["coords"] > np.uint64(1 << 62)).any():
        raise FormatError(f"chunk B-tree at address {layout.address:#x} has absurd chunk coordinates")
    coords = rows["coords"].astype(np.int64)
    address = wide_numbers(rows["address"])
    if kind == 11:
        return Entries(coords, address, wide_numbers(rows["size"]), rows["mask"].copy())
    return Entries(coords, address, np.full(len(rows), geometry.chunk_bytes, np.uint64), np.zeros(len(rows), np.uint32))


_READERS = {
    BTREE1: _read_btree1,
    SINGLE: _read_single,
    IMPLICIT: _read_implicit,
    FIXED: _read_fixed,
    EXTENSIBLE: _read_extensible,
    BTREE2: _read_btree2,
}
