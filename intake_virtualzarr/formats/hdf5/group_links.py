"""Links of a group: symbol tables of old groups, link messages and dense storage of new ones.

References
----------
HDF5 File Format Specification 3.0, III.A.1, III.B, III.D; IV.A.2.c, IV.A.2.g, IV.A.2.r.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from intake_virtualzarr.errors import FormatError
from intake_virtualzarr.formats.hdf5.attribute_values import decode_text
from intake_virtualzarr.formats.hdf5.btree_v2 import read_records
from intake_virtualzarr.formats.hdf5.fractal_heap import open_heap
from intake_virtualzarr.formats.hdf5.object_header import SHARED, Message, resolve_shared
from intake_virtualzarr.formats.hdf5.state import State
from intake_virtualzarr.formats.hdf5.tasks import Task, fetch, fetch_many

__all__ = ["Link", "parse_link", "read_links", "read_local_names"]

SYMBOL_TABLE, LINK_INFO, LINK = 0x11, 0x02, 0x06
MAX_LEVELS = 32
COUNT = Struct("<H")
SOFT_IN_TABLE = 2


class Link(NamedTuple):
    """One entry of a group."""

    name: str
    """Name in the group."""
    address: int | None = None
    """Hard links: address of the object header."""
    target: str | None = None
    """Soft and external links: path of the object."""
    file: str | None = None
    """External links: the other file."""
    order: int = -1
    """Creation order, or -1 if it is not tracked."""


def read_links(state: State, messages: list[Message]) -> Task[list[Link]]:
    """Read all links of a group, in creation order if the file tracks it, else by name."""
    links: list[Link] = []
    for message in messages:
        number, flags, data = message
        if number == LINK:
            if flags & SHARED:
                data = yield from resolve_shared(state, message)
            links.append(_known_link(data, state.offset_size))
        elif number == SYMBOL_TABLE:
            links += yield from _read_table(state, data)
        elif number == LINK_INFO:
            links += yield from _read_dense(state, data)
    tracked = links and all(link.order >= 0 for link in links)
    links.sort(key=(lambda link: link.order) if tracked else (lambda link: link.name.encode()))
    return links


@lru_cache(maxsize=2048)
def _known_link(data: bytes, offset_size: int) -> Link:
    """`parse_link`, once for each message: the files of an archive repeat theirs."""
    return parse_link(offset_size, data)


def parse_link(offset_size: int, data: bytes) -> Link:
    """Read a link message.

    Raises
    ------
    FormatError
        If it is cut short or of an unknown kind.
    """
    if len(data) < 4 or data[0] != 1:
        raise FormatError(f"link message {data[:4]!r} is not of version 1")
    flags, pos, kind, order = data[1], 2, 0, -1
    if flags & 8:
        kind, pos = data[pos], pos + 1
    if flags & 4:
        order, pos = int.from_bytes(data[pos : pos + 8], "little", signed=True), pos + 8
    if flags & 16:
        pos += 1
    width = 1 << (flags & 3)
    size, pos = int.from_bytes(data[pos : pos + width], "little"), pos + width
    raw, pos = data[pos : pos + size], pos + size
    if pos >= len(data):
        raise FormatError(f"link message of {len(data)} bytes is cut short")
    name = decode_text(raw)
    if kind == 0:
        return Link(name, int.from_bytes(data[pos : pos + offset_size], "little"), order=order)
    value = data[pos + 2 : pos + 2 + int.from_bytes(data[pos : pos + 2], "little")]
    if kind == 1:
        return Link(name, target=decode_text(value), order=order)
    if kind == 64:
        file, _, target = value[1:].partition(b"\0")
        return Link(name, target=decode_text(target.partition(b"\0")[0]), file=decode_text(file), order=order)
    return Link(name, order=order)


def _read_dense(state: State, data: bytes) -> Task[list[Link]]:
    if len(data) < 2:
        raise FormatError("link info message is cut short")
    pos = 2 + (8 if data[1] & 1 else 0)
    heap_address = state.address(data, pos)
    index = state.address(data, pos + state.offset_size)
    if heap_address == state.undefined or index == state.undefined:
        return []
    heap = yield from open_heap(state, heap_address)
    records = yield from read_records(state, index, (5,))
    blobs = yield from heap.read_many(state, [record[4:11] for record in records])
    return [parse_link(state.offset_size, blob) for blob in blobs]


def _read_table(state: State, data: bytes) -> Task[list[Link]]:
    o, n = state.offset_size, state.length_size
    tree, heap = state.address(data, 0), state.address(data, o)
    node_size = 8 + 2 * o + (2 * state.group_k + 1) * n + 2 * state.group_k * o
    if tree == state.undefined or heap == state.undefined:
        return []
    root, head = yield from fetch_many(state.memory, ((tree, node_size), (heap, 8 + 2 * n + o)))
    if head[:4] != b"HEAP":
        raise FormatError(f"no local heap at address {heap:#x}")
    leaves = yield from _read_tree(state, tree, root, node_size)
    names_at, names_size = state.address(head, 8 + 2 * n), state.length(head, 8)
    entry = 2 * o + 24
    size = 8 + 2 * state.group_leaf_k * entry
    names, *nodes = yield from fetch_many(state.memory, [(names_at, names_size), *((address, size) for address in leaves)])
    links: list[Link] = []
    for address, node in zip(leaves, nodes, strict=True):
        if node[:4] != b"SNOD":
            raise FormatError(f"no symbol table node at address {address:#x}")
        (count,) = COUNT.unpack_from(node, 6)
        if count > 2 * state.group_leaf_k:
            node = yield from fetch(state.memory, address, 8 + count * entry)
        for index in range(count):
            links.append(_table_entry(state, node, 8 + index * entry, names))
    return links


def _table_entry(state: State, node: bytes, pos: int, names: bytes) -> Link:
    o = state.offset_size
    name = _heap_text(names, state.address(node, pos))
    if node[pos + 2 * o] == SOFT_IN_TABLE:
        at = int.from_bytes(node[pos + 2 * o + 8 : pos + 2 * o + 12], "little")
        return Link(name, target=_heap_text(names, at))
    return Link(name, state.address(node, pos + o))


def _heap_text(names: bytes, at: int) -> str:
    if at >= len(names):
        raise FormatError(f"name at byte {at} of a local heap of {len(names)} bytes")
    end = names.find(b"\0", at)
    return decode_text(names[at : end if end >= 0 else len(names)])


def _read_tree(state: State, address: int, root: bytes, node_size: int) -> Task[list[int]]:
    """Addresses of the symbol table nodes under a group's B-tree."""
    o, n = state.offset_size, state.length_size
    level = root[5]
    if level > MAX_LEVELS:
        raise FormatError(f"group B-tree at address {address:#x} has {level} levels")
    nodes, addresses = [root], [address]
    while True:
        children: list[int] = []
        for at, node in zip(addresses, nodes, strict=True):
            if node[:4] != b"TREE" or node[4] != 0 or node[5] != level:
                raise FormatError(f"no group B-tree node of level {level} at address {at:#x}")
            (count,) = COUNT.unpack_from(node, 6)
            if count > 2 * state.group_k:
                raise FormatError(f"group B-tree node at address {at:#x} has {count} children of {2 * state.group_k}")
            first = 8 + 2 * o + n
            children += [state.address(node, first + i * (n + o)) for i in range(count)]
        if len(set(children)) != len(children):
            raise FormatError(f"group B-tree at address {address:#x} leads in circles")
        if level == 0:
            return children
        level -= 1
        addresses = children
        nodes = yield from fetch_many(state.memory, [(at, node_size) for at in addresses])


def read_local_names(state: State, address: int, offsets: list[int]) -> Task[list[str]]:
    """Read names in a local heap, given by their offsets in it."""
    o, n = state.offset_size, state.length_size
    head = yield from fetch(state.memory, address, 8 + 2 * n + o)
    if head[:4] != b"HEAP":
        raise FormatError(f"no local heap at address {address:#x}")
    names = yield from fetch(state.memory, state.address(head, 8 + 2 * n), state.length(head, 8))
    return [_heap_text(names, at) for at in offsets]
