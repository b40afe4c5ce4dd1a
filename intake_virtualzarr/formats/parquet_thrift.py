"""Structures of Parquet files, in Thrift's compact protocol: as mappings from the numbers of their fields."""

from __future__ import annotations

import struct

from intake_virtualzarr.errors import FormatError

__all__ = ["Struct", "read_struct", "varint"]

type Value = int | float | bool | bytes | list[Value] | Struct
type Struct = dict[int, Value]

STOP, TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 11, 12
MAX_DEPTH = 12
"""Structures within structures; those of Parquet have 5."""


def varint(raw: memoryview, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and the place behind it.

    Examples
    --------
    >>> varint(memoryview(bytes([0xAC, 0x02])), 0)
    (300, 2)
    """
    value = shift = 0
    while at < len(raw) and shift < 70:
        byte = raw[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise FormatError("a number has no end")


def read_struct(raw: memoryview, at: int, depth: int = 0) -> tuple[Struct, int]:
    """A structure, and the place behind it.

    Raises
    ------
    FormatError
        If it is none.

    References
    ----------
    Apache Thrift, "Thrift Compact protocol encoding".
    """
    if depth > MAX_DEPTH:
        raise FormatError("structures are nested too deeply")
    found: Struct = {}
    number = 0
    while True:
        head, at = _byte(raw, at)
        if head == STOP:
            return found, at
        if head >> 4:
            number += head >> 4
        else:
            coded, at = varint(raw, at)
            number = _signed(coded)
        kind = head & 15
        if kind in (TRUE, FALSE):
            found[number] = kind == TRUE
        else:
            found[number], at = _value(raw, at, kind, depth)


def _value(raw: memoryview, at: int, kind: int, depth: int) -> tuple[Value, int]:
    if kind in (4, 5, 6):
        value, at = varint(raw, at)
        return _signed(value), at
    if kind in (TRUE, FALSE, BYTE):  # in lists a truth takes a byte
        return _byte(raw, at)
    if kind == DOUBLE:
        return struct.unpack("<d", _bytes(raw, at, 8))[0], at + 8
    if kind == BINARY:
        length, at = varint(raw, at)
        return _bytes(raw, at, length), at + length
    if kind in (LIST, SET):
        return _list(raw, at, depth)
    if kind == MAP:
        return _map(raw, at, depth)
    if kind == STRUCT:
        return read_struct(raw, at, depth + 1)
    raise FormatError(f"a field has the unknown type {kind}")


def _list(raw: memoryview, at: int, depth: int) -> tuple[list[Value], int]:
    head, at = _byte(raw, at)
    count, kind = head >> 4, head & 15
    if count == 15:
        count, at = varint(raw, at)
    if count > len(raw) - at:  # each takes a byte or more
        raise FormatError(f"a list claims {count} members")
    values: list[Value] = []
    for _ in range(count):
        value, at = _value(raw, at, kind, depth + 1)
        values.append(value)
    return values, at


def _map(raw: memoryview, at: int, depth: int) -> tuple[list[Value], int]:
    count, at = varint(raw, at)
    if not count:
        return [], at
    kinds, at = _byte(raw, at)
    if count > len(raw) - at:
        raise FormatError(f"a map claims {count} members")
    values: list[Value] = []
    for _ in range(count):
        for kind in (kinds >> 4, kinds & 15):
            value, at = _value(raw, at, kind, depth + 1)
            values.append(value)
    return values, at


def _byte(raw: memoryview, at: int) -> tuple[int, int]:
    if at >= len(raw):
        raise FormatError("a structure ends early")
    return raw[at], at + 1


def _bytes(raw: memoryview, at: int, length: int) -> bytes:
    if length > len(raw) - at:
        raise FormatError("a text ends early")
    return bytes(raw[at : at + length])


def _signed(value: int) -> int:
    return value >> 1 ^ -(value & 1)
