"""Object headers, version 1 and 2, and the messages in them.

References
----------
HDF5 File Format Specification 3.0, IV.A.1 "Disk Format: Level 2A1 - Data Object Headers".
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from numcodecs.jenkins import jenkins_lookup3

from intake_virtualzarr.errors import FormatError
from intake_virtualzarr.formats.hdf5.memory import Task, fetch
from intake_virtualzarr.formats.hdf5.state import DeclinedError, State

__all__ = ["Message", "check_sum", "read_header", "resolve_shared"]

V1_PREFIX = Struct("<BxHII")
V1_MESSAGE = Struct("<HHB")
V2_MESSAGE = Struct("<BHB")
GUESS = 512
"""Bytes that are taken to hold a header until its prefix says more [bytes]."""
MAX_BLOCKS = 4096
"""Continuation blocks of one header."""
MAX_TYPE = 0x18
CONTINUATION, NIL, DATATYPE = 0x10, 0x00, 0x03
SHARED, FAIL_IF_UNKNOWN = 0x02, 0x80


class Message(NamedTuple):
    """One header message."""

    type: int
    """Its number in the specification."""
    flags: int
    """Bit 1: the data says where the message is; see `resolve_shared`."""
    data: bytes
    """Its bytes."""


def check_sum(data: bytes, what: str, address: int) -> None:
    """Verify Jenkins' lookup3 checksum in the last four bytes.

    Raises
    ------
    FormatError
        If it does not match.
    """
    if jenkins_lookup3(data[:-4], 0) != int.from_bytes(data[-4:], "little"):
        raise FormatError(f"checksum of the {what} at address {address:#x} does not match: the file is damaged")


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
    data = yield from fetch(memory, address, size)
    if data[:4] == b"OHDR":
        return (yield from _read_v2(state, address, data))
    if data[0] == 1:
        return (yield from _read_v1(state, address, data))
    raise FormatError(f"no object header at address {address:#x}: it starts with {data[:4]!r}")


def _read_v1(state: State, address: int, data: bytes) -> Task[list[Message]]:
    _, count, _, size = V1_PREFIX.unpack_from(data)
    if 16 + size > len(data):
        data = yield from fetch(state.memory, address, 16 + size)
    messages: list[Message] = []
    blocks: list[tuple[int, int]] = []
    seen = {address}
    _v1_messages(state, data[16 : 16 + size], messages, blocks)
    for at, length in blocks:  # grows while it runs
        if at in seen or len(blocks) > MAX_BLOCKS:
            raise FormatError(f"object header at address {address:#x} continues in circles, at {at:#x}")
        seen.add(at)
        _v1_messages(state, (yield from fetch(state.memory, at, length)), messages, blocks)
    return messages


def _v1_messages(state: State, block: bytes, messages: list[Message], blocks: list[tuple[int, int]]) -> None:
    pos, end = 0, len(block)
    while pos + 8 <= end:
        number, size, flags = V1_MESSAGE.unpack_from(block, pos)
        pos += 8
        if pos + size > end:
            raise FormatError(f"header message {number:#x} of {size} bytes leaves its block of {end}")
        if number == CONTINUATION:
            blocks.append((state.address(block, pos), state.length(block, pos + state.offset_size)))
        elif number != NIL:
            _keep(messages, number, flags, block[pos : pos + size])
        pos += size


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
    data = data[:total]
    check_sum(data, "object header", address)
    messages: list[Message] = []
    blocks: list[tuple[int, int]] = []
    seen = {address}
    _v2_messages(state, data[pos:-4], flags, messages, blocks)
    for at, length in blocks:
        if at in seen or len(blocks) > MAX_BLOCKS:
            raise FormatError(f"object header at address {address:#x} continues in circles, at {at:#x}")
        seen.add(at)
        block = yield from fetch(state.memory, at, length)
        if block[:4] != b"OCHK" or length < 8:
            raise FormatError(f"no continuation of an object header at address {at:#x}")
        check_sum(block, "object header continuation", at)
        _v2_messages(state, block[4:-4], flags, messages, blocks)
    return messages


def _v2_messages(
    state: State, block: bytes, header_flags: int, messages: list[Message], blocks: list[tuple[int, int]]
) -> None:
    extra = 2 if header_flags & 4 else 0
    pos, end = 0, len(block)
    while pos + 4 + extra <= end:
        number, size, flags = V2_MESSAGE.unpack_from(block, pos)
        pos += 4 + extra
        if pos + size > end:
            raise FormatError(f"header message {number:#x} of {size} bytes leaves its block of {end}")
        if number == CONTINUATION:
            blocks.append((state.address(block, pos), state.length(block, pos + state.offset_size)))
        elif number != NIL:
            _keep(messages, number, flags, block[pos : pos + size])
        pos += size


def _keep(messages: list[Message], number: int, flags: int, data: bytes) -> None:
    if number > MAX_TYPE:
        if flags & FAIL_IF_UNKNOWN:
            raise DeclinedError(f"header message {number:#x} is unknown here, and the file says it must be understood")
        return
    messages.append(Message(number, flags, data))


def resolve_shared(state: State, message: Message) -> Task[bytes]:
    """The data of a message that may lie elsewhere: in a committed datatype, or in a heap of shared messages."""
    if not message.flags & SHARED:
        return message.data
    return (yield from read_shared(state, message.type, message.data))


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
        from intake_virtualzarr.formats.hdf5.fractal import open_heap

        opened = yield from open_heap(state, heap)
        return (yield from opened.read(state, data[2:10]))
    # version 1 puts the offset of a name before the address, as entries of symbol tables do
    pos = 8 + state.length_size if version == 1 else 2
    address = state.address(data, pos)
    for message in (yield from read_header(state, address)):
        if message.type == number and not message.flags & SHARED:
            return message.data
    raise FormatError(f"header message {number:#x} is shared with address {address:#x}, which has none")
