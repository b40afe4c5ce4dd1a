"""Messages of GRIB as bytes: taken apart into sections, one field of several put together, and stubs that have no values.

Source: WMO Manual on Codes, volume I.2 (WMO-No. 306), FM 92 GRIB edition 2 and FM 92 GRIB edition 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from intake_virtualzarr.errors import CodecError

__all__ = ["Sections", "message1", "message2", "sections_of", "signed", "stub1", "stub2"]

type Sections = Mapping[int, bytes]
"""Sections of one field by number, each whole."""

END = b"7777"
NO_BITMAP = b"\0\0\0\x06\x06\xff"
NO_VALUES = b"\0\0\0\x05\x07"
SIMPLE = b"\0\0\0\x15\x05" + bytes(16)
"""Section 5 of simple packing, all zero."""


def signed(raw: bytes) -> int:
    """An integer whose first bit is its sign."""
    number = int.from_bytes(raw, "big")
    top = 1 << 8 * len(raw) - 1
    return number if number < top else top - number


def sections_of(message: bytes, place: int | None) -> dict[int, bytes]:
    """The sections that hold for one field of a message of edition 2.

    Parameters
    ----------
    message : bytes
        A whole message.
    place : int, optional
        Place of the field among several; default: the only one.

    Raises
    ------
    CodecError
        If the message is damaged, or has no such field.
    """
    if len(message) < 20 or message[:4] != b"GRIB" or message[7] != 2:
        raise CodecError(f"bytes that begin with {message[:8]!r} are no GRIB message of edition 2")
    now: dict[int, bytes] = {}
    bitmap = b""
    for count, section in enumerate(_fields(message, now)):
        if now[6][5] == 254:  # the bitmap of an earlier field holds on
            now[6] = bitmap or now[6]
        bitmap = now[6]
        if count == (place or 0):
            if not {1, 3, 4, 5, 6} <= set(now):
                break
            return {**now, 7: section}
    raise CodecError(f"GRIB message of {len(message)} bytes has no field {place or 0}")


def _fields(message: bytes, now: dict[int, bytes]) -> Iterator[bytes]:
    """Each section 7, ``now`` filled with what holds for it."""
    at, end = 16, len(message) - 4
    while at + 5 <= end:
        size, number = int.from_bytes(message[at : at + 4], "big"), message[at + 4]
        if not 5 <= size <= end - at or not 1 <= number <= 7 or (number == 6 and size < 6):
            raise CodecError(f"GRIB message: section {number} at byte {at} has {size} bytes: it is damaged")
        section = message[at : at + size]
        if number == 7:
            if 6 not in now:
                raise CodecError(f"GRIB message: values at byte {at} without a bitmap section: it is damaged")
            yield section
        else:
            now[number] = section
        at += size


def message2(discipline: int, sections: Sections) -> bytes:
    """A message of edition 2 with one field."""
    body = b"".join(sections[number] for number in range(1, 8) if sections.get(number))
    return b"GRIB\0\0" + bytes([discipline, 2]) + (16 + len(body) + 4).to_bytes(8, "big") + body + END


def stub2(discipline: int, sections: Sections) -> bytes:
    """A message of edition 2 that has the sections given, and no values."""
    return message2(discipline, {**sections, 5: SIMPLE, 6: NO_BITMAP, 7: NO_VALUES})


def message1(*sections: bytes) -> bytes:
    """A message of edition 1."""
    body = b"".join(sections)
    return b"GRIB" + (8 + len(body) + 4).to_bytes(3, "big") + b"\x01" + body + END


def stub1(product: bytes, grid: bytes) -> bytes:
    """A message of edition 1 that has the sections given, and no values."""
    flags = product[7] & ~0x40 & 0xFF
    return message1(product[:7] + bytes([flags]) + product[8:], grid, b"\0\0\x0c" + bytes(9))
