"""Fixed and extensible arrays: chunk indexes of layout version 4.

References
----------
HDF5 File Format Specification 3.0, VII.C "Fixed Array Index", VII.D "Extensible Array Index".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from intake_virtualzarr.errors import FormatError
from intake_virtualzarr.formats.hdf5.checksum import check_sum
from intake_virtualzarr.formats.hdf5.state import State
from intake_virtualzarr.formats.hdf5.tasks import Task, fetch, fetch_many

__all__ = ["read_extensible_array", "read_fixed_array"]

type Elements = tuple[npt.NDArray[np.void], npt.NDArray[np.int64]]
"""Elements, and the index of each in the array."""
type _Block = tuple[int, int, int, npt.NDArray[np.intp] | None]
"""Address of a data block, its first index in the array, its elements, and its pages that are written if it has pages."""
PREFIX = 6
"""Signature, version and client of every block [bytes]."""


def _check_block(data: bytes, signature: bytes, address: int) -> None:
    if data[:4] != signature:
        raise FormatError(f"no block {signature.decode()} of a chunk index at address {address:#x}")


def read_fixed_array(state: State, address: int, entry: np.dtype[np.void]) -> Task[Elements]:
    """Read all elements of a fixed array; pages that were never written are left out."""
    o, n = state.offset_size, state.length_size
    head = yield from fetch(state.memory, address, 8 + n + o + 4)
    _check_block(head, b"FAHD", address)
    check_sum(head, "fixed array", address)
    page_bits, count = head[7], state.length(head, 8)
    if head[6] != entry.itemsize:
        raise FormatError(f"fixed array at address {address:#x} has elements of {head[6]} bytes, expected {entry.itemsize}")
    state.memory.check(0, count * entry.itemsize)
    block = state.address(head, 8 + n)
    if block == state.undefined or count == 0:
        return np.zeros(0, entry), np.zeros(0, np.int64)
    page = 1 << min(page_bits, 62)
    if count <= page:
        size = PREFIX + o + count * entry.itemsize + 4
        data = yield from fetch(state.memory, block, size)
        _check_block(data, b"FADB", block)
        check_sum(data, "fixed array block", block)
        return np.frombuffer(data, entry, count, PREFIX + o), np.arange(count)
    pages = -(-count // page)
    bitmap = -(-pages // 8)
    first = PREFIX + o + bitmap + 4
    data = yield from fetch(state.memory, block, first)
    _check_block(data, b"FADB", block)
    check_sum(data, "fixed array block", block)
    written = np.unpackbits(np.frombuffer(data, np.uint8, bitmap, PREFIX + o))[:pages].nonzero()[0]
    return (yield from _read_pages(state, block + first, written, page, count, entry))


def _read_pages(
    state: State,
    start: int,
    written: npt.NDArray[np.intp],
    page: int,
    count: int,
    entry: np.dtype[np.void],
) -> Task[Elements]:
    """Pages of a block that has ``count`` elements and whose first page is at ``start``."""
    stride = page * entry.itemsize + 4
    numbers = written.tolist()
    counts = [min(page, count - p * page) for p in numbers]
    ranges = [(start + p * stride, c * entry.itemsize + 4) for p, c in zip(numbers, counts, strict=True)]
    data = yield from fetch_many(state.memory, ranges)
    for (at, _), raw in zip(ranges, data, strict=True):
        check_sum(raw, "page of a chunk index", at)
    if not data:
        return np.zeros(0, entry), np.zeros(0, np.int64)
    elements = np.concatenate([np.frombuffer(raw, entry, c) for raw, c in zip(data, counts, strict=True)])
    index = np.concatenate([np.arange(p * page, p * page + c) for p, c in zip(numbers, counts, strict=True)])
    return elements, index


class _Shape(NamedTuple):
    """Creation parameters of an extensible array."""

    address: int
    bits: int
    """Bits of the largest number of elements."""
    in_index: int
    """Elements in the index block."""
    in_block: int
    """Elements in the smallest data block."""
    pointers: int
    """Smallest number of data block addresses in a super block."""
    page: int
    """Elements in a page of a data block."""
    offset_bytes: int
    """Size of a block's offset in the array [bytes]."""


def read_extensible_array(state: State, address: int, entry: np.dtype[np.void]) -> Task[Elements]:
    """Read all elements of an extensible array; blocks that were never written are left out."""
    o, n = state.offset_size, state.length_size
    head = yield from fetch(state.memory, address, 12 + 6 * n + o + 4)
    _check_block(head, b"EAHD", address)
    check_sum(head, "extensible array", address)
    size, bits, in_index, in_block, pointers, page_bits = head[6:12]
    if size != entry.itemsize:
        raise FormatError(f"extensible array at address {address:#x} has elements of {size} bytes, expected {entry.itemsize}")
    powers = (in_block, pointers)
    if not 0 < bits <= 64 or page_bits > 62 or any(p < 1 or p & (p - 1) for p in powers):
        raise FormatError(f"extensible array at address {address:#x} has absurd parameters {tuple(head[6:12])}")
    shape = _Shape(address, bits, in_index, in_block, pointers, 1 << page_bits, -(-bits // 8))
    block = state.address(head, 12 + 6 * n)
    if block == state.undefined:
        return np.zeros(0, entry), np.zeros(0, np.int64)
    return (yield from _read_index_block(state, block, shape, entry))


def _read_index_block(state: State, address: int, shape: _Shape, entry: np.dtype[np.void]) -> Task[Elements]:
    o = state.offset_size
    supers = 1 + shape.bits - (shape.in_block.bit_length() - 1)
    first_super = 2 * (shape.pointers.bit_length() - 1)
    direct, indirect = 2 * (shape.pointers - 1), max(supers - first_super, 0)
    body = PREFIX + o
    size = body + shape.in_index * entry.itemsize + (direct + indirect) * o + 4
    data = yield from fetch(state.memory, address, size)
    _check_block(data, b"EAIB", address)
    check_sum(data, "extensible array index block", address)
    elements = [np.frombuffer(data, entry, shape.in_index, body)]
    indexes = [np.arange(shape.in_index, dtype=np.int64)]
    blocks: list[_Block] = []
    pos, start = body + shape.in_index * entry.itemsize, shape.in_index
    for number in range(min(first_super, supers)):
        count, length = 1 << number // 2, shape.in_block << (number + 1) // 2
        for _ in range(count):
            at, pos = state.address(data, pos), pos + o
            if at != state.undefined:
                blocks.append((at, start, length, None))
            start += length
    pos = body + shape.in_index * entry.itemsize + direct * o
    yield from _read_super_blocks(state, data, pos, start, first_super, supers, shape, entry, blocks)
    yield from _read_data_blocks(state, blocks, shape, entry, elements, indexes)
    return np.concatenate(elements), np.concatenate(indexes)


def _read_super_blocks(
    state: State,
    data: bytes,
    pos: int,
    start: int,
    first: int,
    supers: int,
    shape: _Shape,
    entry: np.dtype[np.void],
    blocks: list[_Block],
) -> Task[None]:
    o = state.offset_size
    ranges: list[tuple[int, int]] = []
    described: list[tuple[int, int, int, int]] = []
    for number in range(first, supers):
        count, length = 1 << number // 2, shape.in_block << (number + 1) // 2
        at, pos = state.address(data, pos), pos + o
        if at != state.undefined:
            bitmap = -(-(length // shape.page) // 8) if length > shape.page else 0
            size = PREFIX + o + shape.offset_bytes + count * (bitmap + o) + 4
            state.memory.check(at, size)
            ranges.append((at, size))
            described.append((start, count, length, bitmap))
        start += count * length
    for (at, _), (begin, count, length, bitmap), raw in zip(
        ranges, described, (yield from fetch_many(state.memory, ranges)), strict=True
    ):
        _check_block(raw, b"EASB", at)
        check_sum(raw, "extensible array super block", at)
        maps = PREFIX + o + shape.offset_bytes
        pages = length // shape.page
        # the bits of all blocks follow each other without a gap, in room that has one after each block
        written = np.unpackbits(np.frombuffer(raw, np.uint8, count * bitmap, maps))
        for index in range(count):
            child = state.address(raw, maps + count * bitmap + index * o)
            if child != state.undefined:
                numbers = written[index * pages : (index + 1) * pages].nonzero()[0] if bitmap else None
                blocks.append((child, begin + index * length, length, numbers))


def _read_data_blocks(
    state: State,
    blocks: list[_Block],
    shape: _Shape,
    entry: np.dtype[np.void],
    elements: list[npt.NDArray[np.void]],
    indexes: list[npt.NDArray[np.int64]],
) -> Task[None]:
    head = PREFIX + state.offset_size + shape.offset_bytes
    whole = [block for block in blocks if block[3] is None]
    ranges = [(at, head + length * entry.itemsize + 4) for at, _, length, _ in whole]
    for (at, start, length, _), raw in zip(whole, (yield from fetch_many(state.memory, ranges)), strict=True):
        _check_block(raw, b"EADB", at)
        check_sum(raw, "extensible array block", at)
        elements.append(np.frombuffer(raw, entry, length, head))
        indexes.append(np.arange(start, start + length))
    for at, start, length, written in blocks:
        if written is None:
            continue
        # the head of a paged block has its own checksum
        found, index = yield from _read_pages(state, at + head + 4, written, shape.page, length, entry)
        elements.append(found)
        indexes.append(index + start)
