"""Object headers, version 1 and 2, and the messages in them.

References
----------
HDF5 File Format Specification 3.0, IV.A.1 "Disk Format: Level 2A1 - Data Object Headers".
"""

from __future__ import annotations

from struct import Struct

from intake_virtualzarr.errors import FormatError
from intake_virtualzarr.formats.hdf5.checksum import check_sum
from intake_virtualzarr.formats.hdf5.fractal_heap import open_heap
from intake_virtualzarr.formats.hdf5.state import DeclinedError, State
from intake_virtualzarr.formats.hdf5.tasks import Task, fetch

__all__ = ["Message", "SHARED", "read_header", "read_shared", "resolve_shared"]

V1_PREFIX = Struct("<BxHII")
V1_MESSAGE = Struct("<HHB")
V2_MESSAGE = Struct("<BHB")
GUESS = 512
"""Bytes that are taken to hold a header until its prefix says more [bytes]."""
MAX_BLOCKS = 4096
"""Continuation blocks of one header."""
MAX_TYPE = 0x18
CONTINUATION = 0x10
SHARED, FAIL_IF_UNKNOWN = 0x02, 0x80
KEPT = frozenset((0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x0B, 0x0C, 0x0F, 0x11, 0x13, 0x14, 0x15, 0x18))
"""Messages that tell a reader something; the others are padding, comments, times, counts, free space."""


type Message = tuple[int, int, bytes]
"""Number in the specification, flags (bit 1: the data says where the message is; see `resolve_shared`), data.

A plain tuple: a file has thousands, and a class of its own would make each three times as slow.
"""


def read_header(state: State, address: int) -> Task[list[Message]]:
    """Read all messages of an object header, continuation blocks included.

    Raises
    ------
    FormatError
        If there is none at the address, or it is damaged.
    """
    memory = state.memory
    memory.check(address, 16)
    size = 16 if memory.size is None else min(GUESS, memory.size - memory.base - address)
    data = memory.peek(address, size) or (yield from fetch(memory, address, size))
    if data[:4] == b"OHDR":
        return (yield from _read_v2(state, address, data))
    if data[0] == 1:
        return (yield from _read_v1(state, address, data))
    raise FormatError(f"no object header at address {address:#x}: it starts with {data[:4]!r}")


def _read_v1(state: State, address: int, data: bytes) -> Task[list[Message]]:
    _, _count, _, size = V1_PREFIX.unpack_from(data)
    if 16 + size > len(data):
        data = yield from fetch(state.memory, address, 16 + size)
    elif state.memory.trace is not None:
        state.memory.trace.ranges.append((address + state.memory.base, 16 + size))
    messages: list[Message] = []
    blocks: list[tuple[int, int]] = []
    seen = {address}
    _scan_messages(state, data[16 : 16 + size], V1_MESSAGE, 8, messages, blocks)
    for at, length in blocks:  # grows while it runs
        if at in seen or len(blocks) > MAX_BLOCKS:
            raise FormatError(f"object header at address {address:#x} continues in circles, at {at:#x}")
        seen.add(at)
        block = state.memory.get(at, length) or (yield from fetch(state.memory, at, length))
        _scan_messages(state, block, V1_MESSAGE, 8, messages, blocks)
    return messages


def _scan_messages(
    state: State,
    block: bytes,
    head: Struct,
    head_size: int,
    messages: list[Message],
    blocks: list[tuple[int, int]],
) -> None:
    pos, end, unpack = 0, len(block), head.unpack_from
    while pos + head_size <= end:
        number, size, flags = unpack(block, pos)
        start = pos + head_size
        pos = start + size
        if number in KEPT:
            messages.append((number, flags, block[start:pos]))
        elif number == CONTINUATION:
            blocks.append((state.address(block, start), state.length(block, start + state.offset_size)))
        elif number > MAX_TYPE and flags & FAIL_IF_UNKNOWN:
            raise DeclinedError(f"header message {number:#x} is unknown here, yet the file says it matters")
    if pos > end:
        raise FormatError(f"the last message of a header leaves its block of {end} bytes")


def _read_v2(state: State, address: int, data: bytes) -> Task[list[Message]]:
    if data[4] != 2:
        raise FormatError(f"object header at address {address:#x} has version {data[4]}, expected 2")
    flags = data[5]
    pos = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    size = int.from_bytes(data[pos : pos + width], "little")
    pos += width
    total = pos + size + 4
    if total > len(data):
        data = yield from fetch(state.memory, address, total)
    elif state.memory.trace is not None:
        state.memory.trace.ranges.append((address + state.memory.base, total))
    data = data[:total]
    check_sum(data, "object header", address)
    messages: list[Message] = []
    blocks: list[tuple[int, int]] = []
    seen = {address}
    head_size = 6 if flags & 4 else 4
    _scan_messages(state, data[pos:-4], V2_MESSAGE, head_size, messages, blocks)
    for at, length in blocks:
        if at in seen or len(blocks) > MAX_BLOCKS:
            raise FormatError(f"object header at address {address:#x} continues in circles, at {at:#x}")
        seen.add(at)
        block = state.memory.get(at, length) or (yield from fetch(state.memory, at, length))
        if block[:4] != b"OCHK" or length < 8:
            raise FormatError(f"no continuation of an object header at address {at:#x}")
        check_sum(block, "object header continuation", at)
        _scan_messages(state, block[4:-4], V2_MESSAGE, head_size, messages, blocks)
    return messages


def resolve_shared(state: State, message: Message) -> Task[bytes]:
    """The data of a message that may lie elsewhere: in a committed datatype, or in a heap of shared messages."""
    number, flags, data = message
    return (yield from read_shared(state, number, data)) if flags & SHARED else data


def read_shared(state: State, number: int, data: bytes) -> Task[bytes]:
    """Follow a "shared message" record.

    Raises
    ------
    FormatError
        If it leads to no such message.
    """
    version, kind = data[0], data[1]
    if version == 3 and kind == 1:
        heap = state.shared_heaps.get(number)
        if heap is None:
            raise FormatError(f"header message {number:#x} lies in a heap of shared messages that the file lacks")
        opened = yield from open_heap(state, heap)
        return (yield from opened.read(state, data[2:10]))
    # version 1 puts the offset of a name before the address, as entries of symbol tables do
    pos = 8 + state.length_size if version == 1 else 2
    address = state.address(data, pos)
    for found, flags, content in (yield from read_header(state, address)):
        if found == number and not flags & SHARED:
            return content
    raise FormatError(f"header message {number:#x} is shared with address {address:#x}, which has none")
