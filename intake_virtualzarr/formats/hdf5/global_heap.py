"""Global heap collections: where variable-length data lies.

References
----------
HDF5 File Format Specification 3.0, III.E "Disk Format: Level 1E - Global Heap".
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from intake_virtualzarr.errors import FormatError
from intake_virtualzarr.formats.hdf5.state import State
from intake_virtualzarr.formats.hdf5.tasks import Task, fetch_many

__all__ = ["HeapRef", "parse_refs", "read_heap"]

OBJECT = Struct("<HHI")


type HeapRef = tuple[int, int, int]
"""Where a variable-length value lies: its elements, address of the collection, number of the object in it."""

USUAL = Struct("<IQI")
"""A stored reference with addresses of 8 bytes."""


def parse_refs(state: State, raw: bytes) -> list[HeapRef]:
    """Read stored variable-length elements."""
    o = state.offset_size
    size = 8 + o
    if len(raw) % size:
        raise FormatError(f"variable-length elements of {size} bytes in {len(raw)} bytes")
    if o == 8:
        return list(USUAL.iter_unpack(raw))
    return [
        (
            int.from_bytes(raw[i : i + 4], "little"),
            int.from_bytes(raw[i + 4 : i + 4 + o], "little"),
            int.from_bytes(raw[i + 4 + o : i + size], "little"),
        )
        for i in range(0, len(raw), size)
    ]


def read_heap(state: State, refs: Sequence[HeapRef]) -> Task[list[bytes]]:
    """Read the bytes of variable-length values, all collections at once.

    Raises
    ------
    FormatError
        If a reference leads nowhere.
    """
    known = state.collections
    nowhere = (0, state.undefined)
    wanted = {address for length, address, _ in refs if length and address not in known and address not in nowhere}
    if wanted:
        yield from _read_collections(state, sorted(wanted))
    trace = state.memory.trace
    if trace is not None:  # also those that another object has read
        used = {address for length, address, _ in refs if length and address not in nowhere}
        trace.ranges.extend((address + state.memory.base, state.extents[address]) for address in used)
    values: list[bytes] = []
    for length, address, number in refs:
        if not length or address in nowhere:
            values.append(b"")
            continue
        value = known[address].get(number)
        if value is None:
            raise FormatError(f"object {number} is not in the global heap collection at address {address:#x}")
        values.append(value)
    return values


def _read_collections(state: State, addresses: list[int]) -> Task[None]:
    memory = state.memory
    heads = yield from fetch_many(memory, [(at, 8 + state.length_size) for at in addresses])
    ranges: list[tuple[int, int]] = []
    for address, head in zip(addresses, heads, strict=True):
        if head[:4] != b"GCOL":
            raise FormatError(f"no global heap collection at address {address:#x}")
        size = state.length(head, 8)
        memory.check(address, size)
        ranges.append((address, size))
    for (address, _), data in zip(ranges, (yield from fetch_many(memory, ranges)), strict=True):
        state.collections[address], state.extents[address] = _objects(state, data), len(data)


def _objects(state: State, data: bytes) -> dict[int, bytes]:
    objects: dict[int, bytes] = {}
    pos = head = -(-(8 + state.length_size) // 8) * 8  # both heads are padded to a multiple of 8
    while pos + head <= len(data):
        index, _, _ = OBJECT.unpack_from(data, pos)
        if index == 0:
            break  # free space runs to the end
        size = state.length(data, pos + 8)
        start = pos + head
        if start + size > len(data):
            raise FormatError(f"object {index} of {size} bytes leaves its global heap collection")
        objects[index] = data[start : start + size]
        pos = start + -(-size // 8) * 8
    return objects
