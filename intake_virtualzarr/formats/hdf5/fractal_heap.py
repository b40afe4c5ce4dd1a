"""Fractal heaps: where new groups keep links, and objects their attributes, once there are many.

References
----------
HDF5 File Format Specification 3.0, III.G "Disk Format: Level 1G - Fractal Heap".
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from intake_virtualzarr.errors import FormatError
from intake_virtualzarr.formats.hdf5.btree_v2 import encoded_size, read_records
from intake_virtualzarr.formats.hdf5.checksum import check_sum
from intake_virtualzarr.formats.hdf5.header_messages import parse_filters
from intake_virtualzarr.formats.hdf5.state import DeclinedError, State
from intake_virtualzarr.formats.hdf5.tasks import Task, fetch, fetch_many

__all__ = ["FractalHeap", "open_heap"]

MANAGED, HUGE, TINY = 0, 1, 2
MAX_OBJECT = 64 * 1024 * 1024
DEFLATE = 1


@dataclass(slots=True, eq=False)
class FractalHeap:
    """An open heap. Blocks are read when an object in them is asked for."""

    address: int
    id_size: int
    """Size of a heap id [bytes]."""
    filters: bytes
    """Encoded filter pipeline of direct blocks and huge objects; empty for none."""
    checksummed: bool
    huge_tree: int
    """Address of the B-tree of huge objects."""
    width: int
    """Blocks in a row of the doubling table."""
    start_size: int
    """Size of the blocks of the first row [bytes]."""
    max_direct: int
    """Size of the largest direct block [bytes]."""
    max_bits: int
    """Size of the heap's address space [bits]."""
    root: int
    rows: int
    """Rows of the root indirect block; 0 if the root is a direct block."""
    root_filtered: tuple[int, int]
    """Encoded size and filter mask of the root direct block."""
    offset_bytes: int = 0
    length_bytes: int = 0
    pointers: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    """Indirect blocks by address: rows and bytes."""
    huge: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)
    """Huge objects by key: address, encoded size, filter mask, size."""

    def read(self, state: State, heap_id: bytes) -> Task[bytes]:
        """Read one object."""
        return (yield from self.read_many(state, [heap_id]))[0]

    def read_many(self, state: State, heap_ids: Sequence[bytes]) -> Task[list[bytes]]:
        """Read objects; all direct blocks are asked for at once.

        Raises
        ------
        FormatError
            If an id leads nowhere.
        """
        if self.rows == 0 and not self.filters and all(i[0] & 0x30 == 0 for i in heap_ids):
            return (yield from self._read_single_block(state, heap_ids))
        places: list[tuple[int, int, int]] = []
        found: dict[int, bytes] = {}
        for index, heap_id in enumerate(heap_ids):
            kind = heap_id[0] >> 4 & 3
            if kind == TINY:
                found[index] = self._tiny(heap_id)
            elif kind == HUGE:
                found[index] = yield from self._read_huge(state, heap_id)
            elif kind == MANAGED:
                offset = int.from_bytes(heap_id[1 : 1 + self.offset_bytes], "little")
                rest = heap_id[1 + self.offset_bytes :]
                places.append((index, offset, int.from_bytes(rest[: self.length_bytes], "little")))
            else:
                raise FormatError(f"id {heap_id.hex()} of the heap at address {self.address:#x} is of no known kind")
        yield from self._read_managed(state, places, found)
        return [found[index] for index in range(len(heap_ids))]

    def _tiny(self, heap_id: bytes) -> bytes:
        if self.id_size <= 18:
            size, start = (heap_id[0] & 15) + 1, 1
        else:
            size, start = ((heap_id[0] & 15) << 8 | heap_id[1]) + 1, 2
        return heap_id[start : start + size]

    # ------------------------------------------------ managed objects

    def _read_managed(self, state: State, places: list[tuple[int, int, int]], found: dict[int, bytes]) -> Task[None]:
        blocks: dict[int, tuple[int, int, int, int]] = {}
        ranges: list[tuple[int, int]] = []
        where: list[tuple[int, int, int]] = []
        for index, offset, size in places:
            if not 0 < size <= MAX_OBJECT:
                raise FormatError(f"object of {size} bytes in the heap at address {self.address:#x}")
            address, start, encoded, mask, block_size = yield from self._locate(state, offset)
            if offset - start + size > block_size:
                raise FormatError(f"object at {offset} leaves its block in the heap at address {self.address:#x}")
            if self.filters:
                blocks[address] = (encoded, mask, block_size, start)
                where.append((index, address, offset - start))
                ranges.append((address, encoded))
            else:
                ranges.append((address + offset - start, size))
                where.append((index, -1, 0))
        data = yield from fetch_many(state.memory, ranges)
        for (index, address, at), (_, _, size), raw in zip(where, places, data, strict=True):
            if address < 0:
                found[index] = raw
            else:
                found[index] = self._unfilter(raw, blocks[address][1], blocks[address][2])[at : at + size]

    def _read_single_block(self, state: State, heap_ids: Sequence[bytes]) -> Task[list[bytes]]:
        """Managed objects of a heap that has only one block, as most have."""
        if not heap_ids:
            return []
        size, at = self.start_size, 1 + self.offset_bytes
        block = state.memory.get(self.root, size) or (yield from fetch(state.memory, self.root, size))
        found: list[bytes] = []
        for heap_id in heap_ids:
            offset = int.from_bytes(heap_id[1:at], "little")
            length = int.from_bytes(heap_id[at : at + self.length_bytes], "little")
            if not 0 < length <= size - offset:
                raise FormatError(f"object of {length} bytes at {offset} leaves the heap at address {self.address:#x}")
            found.append(block[offset : offset + length])
        return found

    def _unfilter(self, raw: bytes, mask: int, size: int) -> bytes:
        for number, (filter_id, _) in reversed(list(enumerate(parse_heap_filters(self.filters)))):
            if mask >> number & 1:
                continue
            if filter_id != DEFLATE:
                raise DeclinedError(f"heap at address {self.address:#x} uses filter {filter_id}")
            try:
                raw = zlib.decompressobj().decompress(raw, size)
            except zlib.error as exc:
                raise FormatError(f"block of the heap at address {self.address:#x} is damaged ({exc})") from exc
        return raw

    def _row_size(self, row: int) -> int:
        return self.start_size << max(row - 1, 0)

    def _locate(self, state: State, offset: int) -> Task[tuple[int, int, int, int, int]]:
        """Address, first heap offset, encoded size, filter mask and size of the direct block that holds an offset."""
        if self.rows == 0:
            return self.root, 0, self.root_filtered[0], self.root_filtered[1], self._row_size(0)
        address, rows, start = self.root, self.rows, 0
        for _ in range(self.max_bits):
            block = yield from self._indirect(state, address, rows)
            row, column, first = self._place(offset - start, rows)
            entry = row * self.width + column
            direct_rows = self._direct_rows(rows)
            entry_size = state.offset_size + (state.length_size + 4 if self.filters else 0)
            head = 5 + state.offset_size + self.offset_bytes
            size = self._row_size(row)
            if row < direct_rows:
                at = head + entry * entry_size
                child = state.address(block, at)
                encoded = state.length(block, at + state.offset_size) if self.filters else size
                mask_at = at + state.offset_size + state.length_size
                mask = int.from_bytes(block[mask_at : mask_at + 4], "little") if self.filters else 0
                return child, start + first, encoded, mask, size
            at = head + direct_rows * self.width * entry_size
            at += (entry - direct_rows * self.width) * state.offset_size
            address, start = state.address(block, at), start + first
            rows = (size // (self.start_size * self.width)).bit_length()
        raise FormatError(f"heap at address {self.address:#x} leads in circles")

    def _direct_rows(self, rows: int) -> int:
        return min(rows, (self.max_direct // self.start_size).bit_length() + 1)

    def _place(self, offset: int, rows: int) -> tuple[int, int, int]:
        """Row, column and first offset of the block that holds an offset of an indirect block."""
        first = 0
        for row in range(rows):
            size = self._row_size(row)
            if offset < first + size * self.width:
                column = (offset - first) // size
                return row, column, first + column * size
            first += size * self.width
        raise FormatError(f"offset {offset} leaves the heap at address {self.address:#x}")

    def _indirect(self, state: State, address: int, rows: int) -> Task[bytes]:
        known = self.pointers.get(address)
        if known is not None and known[0] == rows:
            return known[1]
        direct = self._direct_rows(rows) * self.width
        entry_size = state.offset_size + (state.length_size + 4 if self.filters else 0)
        size = 5 + state.offset_size + self.offset_bytes + direct * entry_size
        size += (rows * self.width - direct) * state.offset_size + 4
        block = yield from fetch(state.memory, address, size)
        if block[:4] != b"FHIB":
            raise FormatError(f"no indirect heap block at address {address:#x}")
        check_sum(block, "indirect heap block", address)
        self.pointers[address] = (rows, block)
        return block

    # ------------------------------------------------ huge objects

    def _read_huge(self, state: State, heap_id: bytes) -> Task[bytes]:
        o, n = state.offset_size, state.length_size
        direct = o + n + (n + 4 if self.filters else 0) < self.id_size
        if direct:
            address, size = state.address(heap_id, 1), state.length(heap_id, 1 + o)
            mask = int.from_bytes(heap_id[1 + o + n : 5 + o + n], "little") if self.filters else 0
            whole = state.length(heap_id, 5 + o + n) if self.filters else size
        else:
            if not self.huge:
                yield from self._index_huge(state)
            key = int.from_bytes(heap_id[1 : 1 + min(n, self.id_size - 1)], "little")
            if key not in self.huge:
                raise FormatError(f"huge object {key} is not in the heap at address {self.address:#x}")
            address, size, mask, whole = self.huge[key]
        if size > MAX_OBJECT or whole > MAX_OBJECT:
            raise FormatError(f"huge object of {max(size, whole)} bytes in the heap at address {self.address:#x}")
        raw = yield from fetch(state.memory, address, size)
        return self._unfilter(raw, mask, whole) if self.filters else raw

    def _index_huge(self, state: State) -> Task[None]:
        o, n = state.offset_size, state.length_size
        for record in (yield from read_records(state, self.huge_tree, (1, 2))):
            address, size = state.address(record, 0), state.length(record, o)
            if self.filters:
                mask = int.from_bytes(record[o + n : o + n + 4], "little")
                whole, key = state.length(record, o + n + 4), state.length(record, o + 2 * n + 4)
            else:
                mask, whole, key = 0, size, state.length(record, o + n)
            self.huge[key] = (address, size, mask, whole)


def parse_heap_filters(data: bytes) -> list[tuple[int, tuple[int, ...]]]:
    """Filters of a heap, as of a dataset."""
    return [(f.id, f.values) for f in parse_filters(data)]


def open_heap(state: State, address: int) -> Task[FractalHeap]:
    """Read a heap's header, once.

    Raises
    ------
    FormatError
        If there is none at the address, or it is damaged.
    """
    if address in state.heaps:
        heap: FractalHeap = state.heaps[address]
        state.memory.trace = None  # what it has read is in the trace of another object
        return heap
    o, n = state.offset_size, state.length_size
    size = 26 + 12 * n + 3 * o
    data = state.memory.get(address, size) or (yield from fetch(state.memory, address, size))
    if data[:4] != b"FRHP":
        raise FormatError(f"no fractal heap at address {address:#x}")
    filter_size = int.from_bytes(data[7:9], "little")
    if filter_size:
        size += n + 4 + filter_size
        data = yield from fetch(state.memory, address, size)
    check_sum(data, "fractal heap", address)
    table = 14 + 10 * n + 2 * o
    tail = table + 8 + 2 * n + o
    width = int.from_bytes(data[table : table + 2], "little")
    start, max_direct = state.length(data, table + 2), state.length(data, table + 2 + n)
    bits = int.from_bytes(data[table + 2 + 2 * n : table + 4 + 2 * n], "little")
    rows = int.from_bytes(data[tail - 2 : tail], "little")
    if not width or not start or not start <= max_direct < 1 << 40 or not 0 < bits <= 64 or rows > 64:
        raise FormatError(f"fractal heap at address {address:#x} has an absurd doubling table")
    heap = FractalHeap(
        address,
        int.from_bytes(data[5:7], "little"),
        data[tail + n + 4 : -4] if filter_size else b"",
        bool(data[9] & 2),
        state.address(data, 14 + n),
        width,
        start,
        max_direct,
        bits,
        state.address(data, tail - 2 - o),
        rows,
        (state.length(data, tail), int.from_bytes(data[tail + n : tail + n + 4], "little")) if filter_size else (0, 0),
        -(-bits // 8),
        min(encoded_size(max_direct), encoded_size(int.from_bytes(data[10:14], "little"))),
    )
    state.heaps[address] = heap
    return heap
