"""Superblocks, version 0 to 3, and what their extension says.

References
----------
HDF5 File Format Specification 3.0, II.A "Disk Format: Level 0A - Format Signature and Superblock".
"""

from __future__ import annotations

from intake_virtualzarr.errors import FormatError
from intake_virtualzarr.formats.hdf5.checksum import check_sum
from intake_virtualzarr.formats.hdf5.object_header import read_header
from intake_virtualzarr.formats.hdf5.state import DeclinedError, State
from intake_virtualzarr.formats.hdf5.tasks import Task, fetch

__all__ = ["SIGNATURE", "read_superblock"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
SIZES = (2, 4, 8)
MAX_USER_BLOCK = 64 * 1024 * 1024
SHARED_TABLE, BTREE_K, DRIVER, CACHE_IMAGE = 0x0F, 0x13, 0x14, 0x18
SHAREABLE = (0x01, 0x03, 0x05, 0x0B, 0x0C)
"""Messages that may lie in a heap of shared messages."""


def read_superblock(state: State) -> Task[int]:
    """Find and read the superblock.

    Returns
    -------
    int
        Address of the root group's object header.

    Raises
    ------
    FormatError
        If there is none, or it is damaged.
    """
    at = 0
    while True:
        data = state.memory.get(at, 8)
        if data is None and (state.memory.size is None or at + 8 <= state.memory.size) and at <= MAX_USER_BLOCK:
            data = yield from fetch(state.memory, at, 8)
        if data is None:
            raise FormatError(f"{state.url}: no HDF5 signature at byte 0, 512, 1024, 2048 …: not an HDF5 file")
        if data == SIGNATURE:
            break
        at = max(512, at * 2)
    version = (yield from fetch(state.memory, at, 9))[8]
    if version <= 1:
        return (yield from _read_old(state, at, version))
    if version <= 3:
        return (yield from _read_new(state, at))
    raise DeclinedError(f"superblock of version {version}")


def _set_sizes(state: State, offset_size: int, length_size: int) -> None:
    if offset_size not in SIZES or length_size not in SIZES:
        raise FormatError(f"addresses of {offset_size} and lengths of {length_size} bytes, expected 2, 4 or 8")
    state.offset_size, state.length_size = offset_size, length_size
    state.undefined = (1 << 8 * offset_size) - 1


def _set_base(state: State, at: int, base: int, end: int) -> None:
    """Take the base address from where the superblock is, and compare the end of the file with the file."""
    # a user block may have been put before the file without a change to the superblock; HDF5 then trusts its place
    state.memory.base = at
    size = state.memory.size
    if size is not None and end != state.undefined and end - base + at > size:
        raise FormatError(f"{state.url}: truncated: the superblock says that the file has {end - base + at} bytes, it has {size}")


def _read_old(state: State, at: int, version: int) -> Task[int]:
    head = yield from fetch(state.memory, at, 24)
    _set_sizes(state, head[13], head[14])
    state.group_leaf_k = int.from_bytes(head[16:18], "little") or 4
    state.group_k = int.from_bytes(head[18:20], "little") or 16
    pos = 24 + (4 if version == 1 else 0)
    size = pos + 6 * state.offset_size + 32
    data = yield from fetch(state.memory, at, size)
    if version == 1:
        state.chunk_k = int.from_bytes(data[24:26], "little") or 32
    _set_base(state, at, state.address(data, pos), state.address(data, pos + 2 * state.offset_size))
    driver = state.address(data, pos + 3 * state.offset_size)
    if driver != state.undefined:
        yield from _check_driver(state, driver)
    # the root group's symbol table entry: offset of its name, then the address of its header
    return state.address(data, pos + 5 * state.offset_size)


def _check_driver(state: State, address: int) -> Task[None]:
    data = yield from fetch(state.memory, address, 16)
    raise DeclinedError(f"the file is one part of a file family or split file (driver {data[8:16]!r})")


def _read_new(state: State, at: int) -> Task[int]:
    head = yield from fetch(state.memory, at, 12)
    _set_sizes(state, head[9], head[10])
    size = 12 + 4 * state.offset_size + 4
    data = yield from fetch(state.memory, at, size)
    check_sum(data, "superblock", at)
    _set_base(state, at, state.address(data, 12), state.address(data, 12 + 2 * state.offset_size))
    extension = state.address(data, 12 + state.offset_size)
    root = state.address(data, 12 + 3 * state.offset_size)
    if extension != state.undefined:
        yield from _read_extension(state, extension)
    return root


def _read_extension(state: State, address: int) -> Task[None]:
    for number, _, data in (yield from read_header(state, address)):
        if number == BTREE_K and len(data) >= 7:
            state.chunk_k, state.group_k, state.group_leaf_k = (
                int.from_bytes(data[i : i + 2], "little") or k for i, k in ((1, 32), (3, 16), (5, 4))
            )
        elif number == SHARED_TABLE:
            table, count = state.address(data, 1), data[1 + state.offset_size]
            yield from _read_shared_table(state, table, count)
        elif number == DRIVER:
            raise DeclinedError("the file is one part of a file family or split file")
        elif number == CACHE_IMAGE:
            raise DeclinedError("the file holds an image of HDF5's metadata cache")


def _read_shared_table(state: State, address: int, count: int) -> Task[None]:
    entry = 14 + 2 * state.offset_size
    data = yield from fetch(state.memory, address, 4 + count * entry + 4)
    if data[:4] != b"SMTB":
        raise FormatError(f"no table of shared messages at address {address:#x}")
    check_sum(data, "table of shared messages", address)
    for index in range(count):
        pos = 4 + index * entry
        flags = int.from_bytes(data[pos + 2 : pos + 4], "little")
        heap = state.address(data, pos + 14 + state.offset_size)
        for number in SHAREABLE:
            if flags >> number & 1:
                state.shared_heaps[number] = heap
