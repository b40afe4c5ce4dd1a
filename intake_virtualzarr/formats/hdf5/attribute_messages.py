"""Attributes of an object: in its header, or in dense storage.

References
----------
HDF5 File Format Specification 3.0, IV.A.2.m "The Attribute Message", IV.A.2.v "The Attribute Info Message".
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from struct import error as StructError
from typing import Any, NamedTuple

from intake_virtualzarr.codecs.hdf5_datatypes import Datatype, parse_datatype
from intake_virtualzarr.errors import FormatError, UnsupportedError
from intake_virtualzarr.formats.hdf5.attributes import attribute_value, decode_text, texts_value
from intake_virtualzarr.formats.hdf5.btree2 import read_records
from intake_virtualzarr.formats.hdf5.fractal import open_heap
from intake_virtualzarr.formats.hdf5.global_heap import HeapRef, parse_refs, read_heap
from intake_virtualzarr.formats.hdf5.header import SHARED, Message, read_shared, resolve_shared
from intake_virtualzarr.formats.hdf5.memory import Task
from intake_virtualzarr.formats.hdf5.messages import parse_dataspace
from intake_virtualzarr.formats.hdf5.state import State
from intake_virtualzarr.grid import Shape

__all__ = ["Attributes", "read_attributes"]

ATTRIBUTE, ATTRIBUTE_INFO = 0x0C, 0x15
SIZES = Struct("<BBHHH")
MAX_ATTRIBUTE = 64 * 1024 * 1024
DIMENSION_LIST = "DIMENSION_LIST"


class Attributes(NamedTuple):
    """Attributes of one object."""

    values: dict[str, Any]
    """By name, internal ones included; those without a Python form left out."""
    scales: tuple[tuple[int, ...], ...]
    """Addresses of the dimension scales attached to each axis."""
    damaged: dict[str, str]
    """Attributes that cannot be read, and why."""


class _Raw(NamedTuple):
    name: str
    datatype: Datatype
    shape: Shape | None
    data: bytes


def read_attributes(state: State, messages: Sequence[Message]) -> Task[Attributes]:
    """Read all attributes of an object."""
    blobs: list[bytes] = []
    for message in messages:
        if message.type == ATTRIBUTE:
            blobs.append(message.data if not message.flags & SHARED else (yield from resolve_shared(state, message)))
        elif message.type == ATTRIBUTE_INFO:
            blobs += yield from _read_dense(state, message.data)
    values: dict[str, Any] = {}
    damaged: dict[str, str] = {}
    pointing: list[_Raw] = []
    for number, blob in enumerate(blobs):
        try:
            raw = _parse_attribute(state, blob)
            if raw is None:
                raw = yield from _parse_shared(state, blob)
            if raw.datatype.has_references:
                if raw.datatype.kind in ("vlen-string", "vlen"):
                    values[raw.name] = None  # keeps its place
                    pointing.append(raw)
            else:
                values[raw.name] = attribute_value(raw.datatype, raw.shape, raw.data)
        except UnsupportedError:
            continue
        except (FormatError, StructError, IndexError, ValueError) as exc:
            damaged[f"attribute {number}"] = str(exc)
    scales: tuple[tuple[int, ...], ...] = ()
    if pointing:
        scales = yield from _follow(state, pointing, values, damaged)
    return Attributes(values, scales, damaged)


def _follow(
    state: State, pointing: list[_Raw], values: dict[str, Any], damaged: dict[str, str]
) -> Task[tuple[tuple[int, ...], ...]]:
    """Read attributes whose values lie in the global heap, all in one round; returns the dimension scales."""
    kept: list[tuple[_Raw, list[HeapRef]]] = []
    for raw in pointing:
        is_scales = raw.name == DIMENSION_LIST and raw.datatype.kind == "vlen"
        if raw.datatype.kind == "vlen" and not is_scales:
            del values[raw.name]  # a sequence of sequences has no Python form that netCDF4 would give
            continue
        kept.append((raw, parse_refs(state, raw.data) if raw.shape is not None else []))
    scales: tuple[tuple[int, ...], ...] = ()
    try:
        found = yield from read_heap(state, [ref for _, refs in kept for ref in refs])
    except FormatError as exc:
        for raw, _ in kept:
            del values[raw.name]
            damaged[raw.name] = str(exc)
        return scales
    at = 0
    for raw, refs in kept:
        blobs, at = found[at : at + len(refs)], at + len(refs)
        if raw.datatype.kind == "vlen":
            scales = tuple(_addresses(state, blob, ref.count) for blob, ref in zip(blobs, refs, strict=True))
            del values[raw.name]
        else:
            texts = [decode_text(blob[: ref.count].partition(b"\0")[0]) for blob, ref in zip(blobs, refs, strict=True)]
            values[raw.name] = texts_value(texts, raw.shape or ())
    return scales


def _addresses(state: State, blob: bytes, count: int) -> tuple[int, ...]:
    size = len(blob) // count if count else 0
    if size < state.offset_size:
        return ()
    # HDF5 1.12's references put their kind and size before the address; object references do not
    return tuple(state.address(blob, i * size) for i in range(count))


def _parse_attribute(state: State, data: bytes) -> _Raw | None:
    """Read an attribute message; None if parts of it lie elsewhere."""
    version, flags, name_size, type_size, space_size = SIZES.unpack_from(data)
    if version == 1:
        pos = 8
        step = 8
    elif version in (2, 3):
        if flags & 3:
            return None
        pos = 8 if version == 2 else 9
        step = 1
    else:
        raise FormatError(f"attribute message of version {version}, expected 1 to 3")
    name = data[pos : pos + name_size].partition(b"\0")[0]
    pos += -(-name_size // step) * step
    encoded = data[pos : pos + type_size]
    pos += -(-type_size // step) * step
    space = data[pos : pos + space_size]
    pos += -(-space_size // step) * step
    return _make(state, decode_text(name), encoded, space, data, pos)


def _parse_shared(state: State, data: bytes) -> Task[_Raw]:
    version, flags, name_size, type_size, space_size = SIZES.unpack_from(data)
    pos = 8 if version == 2 else 9
    name, pos = data[pos : pos + name_size].partition(b"\0")[0], pos + name_size
    encoded, pos = data[pos : pos + type_size], pos + type_size
    space, pos = data[pos : pos + space_size], pos + space_size
    if flags & 1:
        encoded = yield from read_shared(state, 0x03, encoded)
    if flags & 2:
        space = yield from read_shared(state, 0x01, space)
    return _make(state, decode_text(name), encoded, space, data, pos)


def _make(state: State, name: str, encoded: bytes, space: bytes, data: bytes, pos: int) -> _Raw:
    datatype = parse_datatype(encoded)
    shape = parse_dataspace(space, state.length_size)[0]
    if shape is None:
        return _Raw(name, datatype, None, b"")
    size = datatype.size
    for n in shape:
        size *= n
    if size > MAX_ATTRIBUTE or pos + size > len(data):
        raise FormatError(f"attribute {name!r} of {size} bytes leaves its message of {len(data)}")
    return _Raw(name, datatype, shape, data[pos : pos + size])


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
