"""B-trees of version 2: all records of a tree, level by level.

References
----------
HDF5 File Format Specification 3.0, III.A.2 "Disk Format: Level 1A2 - Version 2 B-trees".
"""

from __future__ import annotations

from struct import Struct

import numpy as np
import numpy.typing as npt

from intake_virtualzarr.errors import FormatError
from intake_virtualzarr.formats.hdf5.checksum import check_sum
from intake_virtualzarr.formats.hdf5.state import State
from intake_virtualzarr.formats.hdf5.tasks import Task, fetch, fetch_many

__all__ = ["encoded_size", "read_record_blocks", "read_records"]

HEAD = Struct("<4sBBIHHBB")
MAX_DEPTH = 32
OVERHEAD = 10
"""Signature, version, type and checksum of a node [bytes]."""


def encoded_size(limit: int) -> int:
    """Bytes that hold any number up to ``limit``."""
    return max(1, (limit.bit_length() + 7) // 8)


def read_records(state: State, address: int, types: tuple[int, ...]) -> Task[list[bytes]]:
    """Read all records of a tree, in no particular order."""
    _, size, blocks = yield from read_record_blocks(state, address, types)
    return [block[i : i + size] for block in blocks for i in range(0, len(block), size)]


def read_record_blocks(state: State, address: int, types: tuple[int, ...]) -> Task[tuple[int, int, list[bytes]]]:
    """Read all records of a tree, as one block of bytes for each node.

    Returns
    -------
    type, size : int
        Type of the records and their size [bytes].
    blocks : list of bytes
        Records of each node, one after the other.

    Raises
    ------
    FormatError
        If the tree is damaged or not of one of the given types.
    """
    total_at = HEAD.size + state.offset_size + 2
    head = yield from fetch(state.memory, address, total_at + state.length_size + 4)
    signature, _, kind, node_size, record_size, depth, _, _ = HEAD.unpack_from(head)
    if signature != b"BTHD" or kind not in types:
        raise FormatError(f"no B-tree of type {types} at address {address:#x}: {signature!r}, type {kind}")
    check_sum(head, "B-tree header", address)
    root = state.address(head, HEAD.size)
    count = int.from_bytes(head[total_at - 2 : total_at], "little")
    total = state.length(head, total_at)
    if record_size == 0 or node_size < OVERHEAD + record_size or depth > MAX_DEPTH:
        raise FormatError(f"B-tree at address {address:#x} has nodes of {node_size} bytes and {depth} levels")
    state.memory.check(0, total)
    if root == state.undefined or total == 0:
        return kind, record_size, []
    if depth == 0:
        return kind, record_size, [(yield from _read_leaf(state, root, count, node_size, record_size, kind, total))]
    widths = _widths(state, node_size, record_size, depth)
    blocks: list[bytes] = []
    level = np.array([[root, count]], np.uint64)
    for remaining in range(depth, -1, -1):
        level = yield from _read_level(state, level, node_size, record_size, kind, remaining, widths, blocks)
    if sum(len(block) for block in blocks) != total * record_size:
        raise FormatError(f"B-tree at address {address:#x} does not hold the {total} records that it claims")
    return kind, record_size, blocks


def _read_leaf(state: State, address: int, count: int, node_size: int, record_size: int, kind: int, total: int) -> Task[bytes]:
    """The records of a tree that has only one node, as most have."""
    size = 6 + count * record_size + 4
    if size > node_size or count != total:
        raise FormatError(f"B-tree node at address {address:#x} has {count} records of {total}")
    node = state.memory.get(address, size) or (yield from fetch(state.memory, address, size))
    if node[:4] != b"BTLF" or node[5] != kind:
        raise FormatError(f"no B-tree node of type {kind} at address {address:#x}")
    check_sum(node, "B-tree node", address)
    return node[6:-4]


def _widths(state: State, node_size: int, record_size: int, depth: int) -> tuple[int, list[int]]:
    """Size of the number of records in a child, and at each level of the number in its subtree [bytes]."""
    most = (node_size - OVERHEAD) // record_size
    width = encoded_size(most)
    subtree, cumulative = [0], most
    for _ in range(depth):
        pointer = state.offset_size + width + subtree[-1]
        here = (node_size - OVERHEAD - pointer) // (record_size + pointer)
        cumulative = min((here + 1) * cumulative + here, 2**64 - 1)
        subtree.append(encoded_size(cumulative))
    return width, subtree


def _read_level(
    state: State,
    level: npt.NDArray[np.uint64],
    node_size: int,
    record_size: int,
    kind: int,
    remaining: int,
    widths: tuple[int, list[int]],
    blocks: list[bytes],
) -> Task[npt.NDArray[np.uint64]]:
    """Read the nodes of one level; append their records, return their children and record counts."""
    width, subtree = widths
    total = subtree[remaining - 1] if remaining else 0
    pointer = state.offset_size + width + total
    ranges: list[tuple[int, int]] = []
    for address, count in level.tolist():
        size = 6 + count * record_size + ((count + 1) * pointer if remaining else 0) + 4
        if size > node_size:
            raise FormatError(f"B-tree node at address {address:#x} has {count} records, too many for its size")
        ranges.append((address, size))
    if len({address for address, _ in ranges}) != len(ranges):
        raise FormatError(f"B-tree with a node at address {ranges[0][0]:#x} leads in circles")
    nodes = yield from fetch_many(state.memory, ranges)
    below: list[npt.NDArray[np.uint64]] = []
    signature = b"BTIN" if remaining else b"BTLF"
    for (address, _), count, node in zip(ranges, level[:, 1].tolist(), nodes, strict=True):
        if node[:4] != signature or node[5] != kind:
            raise FormatError(f"no B-tree node of type {kind} at address {address:#x}")
        check_sum(node, "B-tree node", address)
        end = 6 + count * record_size
        blocks.append(node[6:end])
        if remaining:
            raw = np.frombuffer(node, np.uint8, (count + 1) * pointer, end).reshape(-1, pointer)
            below.append(_pointers(raw, state.offset_size, width))
    return np.concatenate(below) if below else np.zeros((0, 2), np.uint64)


def _pointers(raw: npt.NDArray[np.uint8], offset_size: int, width: int) -> npt.NDArray[np.uint64]:
    padded = np.zeros((raw.shape[0], 2, 8), np.uint8)
    padded[:, 0, :offset_size] = raw[:, :offset_size]
    padded[:, 1, :width] = raw[:, offset_size : offset_size + width]
    return padded.view("<u8")[:, :, 0]
