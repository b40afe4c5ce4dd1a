"""Attributes of an object: in its header, or in dense storage.

References
----------
HDF5 File Format Specification 3.0, IV.A.2.m "The Attribute Message", IV.A.2.v "The Attribute Info Message".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod
from struct import Struct
from struct import error as StructError
from typing import Any, NamedTuple

import numpy as np

from intake_virtualzarr._typing import JsonObject, Shape
from intake_virtualzarr.codecs.hdf5_datatype import Datatype, parse_datatype
from intake_virtualzarr.errors import FormatError, UnsupportedError
from intake_virtualzarr.formats.hdf5.attribute_values import attribute_reader, decode_text, texts_value
from intake_virtualzarr.formats.hdf5.btree_v2 import read_records
from intake_virtualzarr.formats.hdf5.fractal_heap import open_heap
from intake_virtualzarr.formats.hdf5.global_heap import HeapRef, parse_refs, read_heap
from intake_virtualzarr.formats.hdf5.header_messages import parse_dataspace
from intake_virtualzarr.formats.hdf5.object_header import SHARED, Message, read_shared, resolve_shared
from intake_virtualzarr.formats.hdf5.state import State
from intake_virtualzarr.formats.hdf5.tasks import Task

__all__ = ["Attributes", "read_attributes"]

ATTRIBUTE, ATTRIBUTE_INFO = 0x0C, 0x15
SIZES = Struct("<BBHHH")
DIMENSION_LIST = "DIMENSION_LIST"


class Attributes(NamedTuple):
    """Attributes of one object."""

    values: JsonObject
    """By name, internal ones included; those without a Python form left out."""
    scales: tuple[tuple[int, ...], ...]
    """Addresses of the dimension scales attached to each axis."""
    damaged: dict[str, str]
    """Attributes that cannot be read, and why."""


class _Raw(NamedTuple):
    """An attribute whose value lies in the global heap."""

    name: str
    datatype: Datatype
    shape: Shape | None
    data: bytes


class _Kind(NamedTuple):
    """What the datatype and dataspace of an attribute say of it."""

    datatype: Datatype
    shape: Shape | None
    size: int
    """Stored size [bytes]."""
    points: bool
    """Whether the value lies elsewhere in the file."""
    read: Callable[[bytes], Any] | None
    """Function from the stored bytes to the value, unless it points."""


@lru_cache(maxsize=2048)
def _kind_of(encoded: bytes, space: bytes, length_size: int) -> _Kind:
    datatype = parse_datatype(encoded)
    shape = parse_dataspace(space, length_size)[0]
    size = 0 if shape is None else datatype.size * prod(shape)
    points = datatype.has_references
    return _Kind(datatype, shape, size, points, None if points else attribute_reader(datatype, shape))


_KNOWN: dict[bytes, tuple[str, Any]] = {}
"""Attributes seen lately, by their message: the files of an archive repeat theirs. Only what cannot be changed."""
MOST_KNOWN, MAX_KNOWN = 8192, 1024


def _remember(blob: bytes, name: str, value: Any) -> None:
    if len(_KNOWN) >= MOST_KNOWN:
        _KNOWN.clear()
    _KNOWN[blob] = (name, value)


def read_attributes(state: State, messages: Sequence[Message]) -> Task[Attributes]:
    """Read all attributes of an object."""
    blobs: list[bytes] = []
    for message in messages:
        number, flags, data = message
        if number == ATTRIBUTE:
            blobs.append((yield from resolve_shared(state, message)) if flags & SHARED else data)
        elif number == ATTRIBUTE_INFO:
            blobs += yield from _read_dense(state, data)
    values: JsonObject = {}
    damaged: dict[str, str] = {}
    pointing: list[_Raw] = []
    for number, blob in enumerate(blobs):
        known = _KNOWN.get(blob)
        if known is not None:
            values[known[0]] = known[1]
            continue
        try:
            parts = _split(blob)
            shared_parts = parts is None
            if parts is None:
                parts = yield from _split_shared(state, blob)
            name, encoded, space, pos = parts
            kind = _kind_of(encoded, space, state.length_size)
            data = blob[pos : pos + kind.size]
            if len(data) < kind.size:
                raise FormatError(f"attribute {name!r} of {kind.size} bytes leaves its message of {len(blob)}")
            if kind.read is not None:
                value = values[name] = kind.read(data)
                if isinstance(value, str | np.generic) and not (shared_parts or len(blob) > MAX_KNOWN):
                    _remember(blob, name, value)
            elif kind.datatype.kind in ("vlen-string", "vlen"):
                values[name] = None  # keeps its place
                pointing.append(_Raw(name, kind.datatype, kind.shape, data))
        except UnsupportedError:
            continue
        except (FormatError, StructError, IndexError, ValueError) as exc:
            damaged[f"attribute {number}"] = str(exc)
    scales: tuple[tuple[int, ...], ...] = ()
    if pointing:
        scales = yield from _follow(state, pointing, values, damaged)
    return Attributes(values, scales, damaged)


def _follow(state: State, pointing: list[_Raw], values: JsonObject, damaged: dict[str, str]) -> Task[tuple[tuple[int, ...], ...]]:
    """Read attributes whose values lie in the global heap, all in one round; returns the dimension scales."""
    kept: list[tuple[_Raw, list[HeapRef]]] = []
    for raw in pointing:
        is_scales = raw.name == DIMENSION_LIST and raw.datatype.kind == "vlen"
        if raw.datatype.kind == "vlen" and not is_scales:
            values.pop(raw.name, None)  # a sequence of sequences has no Python form that netCDF4 would give
            continue
        kept.append((raw, parse_refs(state, raw.data) if raw.shape is not None else []))
    scales: tuple[tuple[int, ...], ...] = ()
    try:
        found = yield from read_heap(state, [ref for _, refs in kept for ref in refs])
    except FormatError as exc:
        for raw, _ in kept:
            values.pop(raw.name, None)
            damaged[raw.name] = str(exc)
        return scales
    at = 0
    for raw, refs in kept:
        blobs, at = found[at : at + len(refs)], at + len(refs)
        if raw.datatype.kind == "vlen":
            scales = tuple(_addresses(state, blob, length) for blob, (length, _, _) in zip(blobs, refs, strict=True))
            values.pop(raw.name, None)
        else:
            texts = [decode_text(blob[:length].partition(b"\0")[0]) for blob, (length, _, _) in zip(blobs, refs, strict=True)]
            values[raw.name] = texts_value(texts, raw.shape or ())
    return scales


def _addresses(state: State, blob: bytes, count: int) -> tuple[int, ...]:
    if count == 1 and len(blob) == state.offset_size:
        return (int.from_bytes(blob, "little"),)
    size = len(blob) // count if count else 0
    if size < state.offset_size:
        return ()
    # HDF5 1.12's references put their kind and size before the address; object references do not
    return tuple(state.address(blob, i * size) for i in range(count))


type _Parts = tuple[str, bytes, bytes, int]
"""Name, datatype, dataspace, place of the value."""


def _split(data: bytes) -> _Parts | None:
    """Split an attribute message; None if parts of it lie elsewhere."""
    version, flags, name_size, type_size, space_size = SIZES.unpack_from(data)
    if version == 3:
        pos, step = 9, 1
    elif version == 1:
        pos, step, flags = 8, 8, 0
    elif version == 2:
        pos, step = 8, 1
    else:
        raise FormatError(f"attribute message of version {version}, expected 1 to 3")
    if flags & 3:
        return None
    name = decode_text(data[pos : pos + name_size].partition(b"\0")[0])
    if step == 1:
        types = pos + name_size
        spaces = types + type_size
        return name, data[types:spaces], data[spaces : spaces + space_size], spaces + space_size
    types = pos + -(-name_size // 8) * 8
    spaces = types + -(-type_size // 8) * 8
    return name, data[types : types + type_size], data[spaces : spaces + space_size], spaces + -(-space_size // 8) * 8


def _split_shared(state: State, data: bytes) -> Task[_Parts]:
    version, flags, name_size, type_size, space_size = SIZES.unpack_from(data)
    pos = 8 if version == 2 else 9
    name, pos = data[pos : pos + name_size].partition(b"\0")[0], pos + name_size
    encoded, pos = data[pos : pos + type_size], pos + type_size
    space, pos = data[pos : pos + space_size], pos + space_size
    if flags & 1:
        encoded = yield from read_shared(state, 0x03, encoded)
    if flags & 2:
        space = yield from read_shared(state, 0x01, space)
    return decode_text(name), encoded, space, pos


def _read_dense(state: State, data: bytes) -> Task[list[bytes]]:
    if len(data) < 2:
        raise FormatError("attribute info message is cut short")
    pos = 2 + (2 if data[1] & 1 else 0)
    heap_address = state.address(data, pos)
    index = state.address(data, pos + state.offset_size)
    if heap_address == state.undefined or index == state.undefined:
        return []
    heap = yield from open_heap(state, heap_address)
    records = yield from read_records(state, index, (8,))
    records.sort(key=lambda record: record[9:13][::-1])  # creation order
    blobs: list[bytes] = []
    plain = [record for record in records if not record[8] & SHARED]
    found = iter((yield from heap.read_many(state, [record[:8] for record in plain])))
    for record in records:
        if record[8] & SHARED:
            blobs.append((yield from _read_shared_attribute(state, record[:8])))
        else:
            blobs.append(next(found))
    return blobs


def _read_shared_attribute(state: State, heap_id: bytes) -> Task[bytes]:
    return (yield from read_shared(state, ATTRIBUTE, b"\x03\x01" + heap_id))
