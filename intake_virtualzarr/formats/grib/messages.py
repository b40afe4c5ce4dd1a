"""The sections of one message, of either edition."""

from __future__ import annotations

from dataclasses import dataclass

from intake_virtualzarr.errors import FormatError
from intake_virtualzarr.formats.grib.window import Reading, Window

__all__ = ["END", "Field", "edition1", "edition2"]

LONGEST = 4 * 1024 * 1024
"""A section before the values that is longer is taken for damage [bytes]."""
END = b"7777"
LARGE = 0x800000
"""Bit of the length in edition 1 that tells of a length in units of 120 bytes."""


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One field: where its message lies, and the sections that describe it."""

    edition: int
    offset: int
    """First byte of the message [bytes]."""
    length: int
    """Length of the message [bytes]."""
    place: int | None
    """Its place among the fields of the message, if there are several."""
    discipline: int
    """Octet 7 of the message in edition 2, else 0."""
    identification: bytes
    """Section 1."""
    local: bytes
    """Section 2 of edition 2, or nothing."""
    grid: bytes
    """The section that describes the grid (3, or 2 of edition 1); nothing if the message has none."""
    grid_offset: int
    """Its first byte in the file [bytes]."""
    product: bytes
    """Section 4 of edition 2; of edition 1 the same as section 1."""


type _Found = Reading[tuple[int, list[Field], int]]
"""Length of the message, its fields, and length of what stands before the values."""


def edition2(window: Window, at: int, where: str) -> _Found:
    """The fields of a message of edition 2."""
    head = yield from window.need(at, 16)
    length = int.from_bytes(head[8:16], "big")
    end = _checked_end(window, at, length, 16 + 21 + 5, where)
    sections: dict[int, tuple[int, bytes]] = {}
    found: list[tuple[dict[int, tuple[int, bytes]], int]] = []
    place, header = at + 16, 0
    while place < end:
        start = yield from window.need(place, 6)
        size, number = int.from_bytes(start[:4], "big"), start[4] if len(start) > 4 else 0
        if not 5 <= size <= end - place or not 1 <= number <= 7:
            raise FormatError(f"{where}: the section at byte {place} has the number {number} and {size} bytes: it is damaged")
        _check_order(number, sections, where)
        if number < 5:
            content = yield from _whole(window, place, size, where)
            sections[number] = (place, content)
        else:
            sections[number] = (place, start)
        if number == 6 and size > 6:  # what follows a bitmap is most likely the values, and then the next message
            yield from window.need(place + size, 6, end)
        if number == 7:
            found.append((dict(sections), place))
            header = header or place - at
            for later in (4, 5, 6, 7):
                sections.pop(later, None)
        place += size
    if not found or place != end or 4 in sections:
        raise FormatError(f"{where}: its sections end at byte {place}, expected {end} and values: it is damaged")
    yield from _check_last(window, end, where)
    several = len(found) > 1
    fields = [_field(at, length, head[6], sections, k if several else None) for k, (sections, _) in enumerate(found)]
    return length, fields, header


def _field(at: int, length: int, discipline: int, sections: dict[int, tuple[int, bytes]], place: int | None) -> Field:
    grid_offset, grid = sections[3]
    local = sections[2][1] if 2 in sections else b""
    return Field(2, at, length, place, discipline, sections[1][1], local, grid, grid_offset, sections[4][1])


NEEDS = {1: 0, 2: 1, 3: 1, 4: 3, 5: 4, 6: 5, 7: 6}
"""The section that stands before each, if not at once."""
LEAST = {1: 21, 2: 5, 3: 14, 4: 11}
"""No section is shorter [bytes]."""


def _check_order(number: int, sections: dict[int, tuple[int, bytes]], where: str) -> None:
    needed = NEEDS[number]
    if (needed and needed not in sections) or (number == 1 and sections) or (number < 4 and 4 in sections):
        raise FormatError(f"{where}: section {number} stands where it cannot: it is damaged")


def _whole(window: Window, place: int, size: int, where: str) -> Reading[bytes]:
    if size > LONGEST:
        raise FormatError(f"{where}: a section of {size} bytes before the values is longer than {LONGEST}: it is damaged")
    content = yield from window.need(place, size)
    if len(content) < max(size, LEAST.get(content[4], 0) if len(content) > 4 else 5):
        raise FormatError(f"{where}: the section at byte {place} has {len(content)} bytes: it is damaged")
    return content


def _checked_end(window: Window, at: int, length: int, least: int, where: str) -> int:
    """Where the last four bytes of the message begin."""
    if length < least:
        raise FormatError(f"{where} has {length} bytes, which no message has: it is damaged")
    if window.ends_before(at + length):
        raise FormatError(f"{where} has {length} bytes and reaches behind the end of the file: the file is truncated, or damaged")
    return at + length - 4


def _check_last(window: Window, end: int, where: str) -> Reading[None]:
    last = yield from window.need(end, 4, end)
    if last != END:
        raise FormatError(f"{where} ends at byte {end + 4}, but not with {END.decode()}: the file is truncated, or damaged")


def edition1(window: Window, at: int, where: str) -> _Found:
    """The field of a message of edition 1."""
    head = yield from window.need(at, 8 + 28)
    if len(head) < 8 + 28:
        raise FormatError(f"{where} ends after {len(head)} bytes: it is damaged")
    length, product_size = int.from_bytes(head[4:7], "big"), int.from_bytes(head[8:11], "big")
    flags = head[15]
    if not 28 <= product_size <= LONGEST:
        raise FormatError(f"{where}: its first section has {product_size} bytes: it is damaged")
    product = yield from _whole1(window, at + 8, product_size, where)
    grid_offset = place = at + 8 + product_size
    grid = b""
    if flags & 0x80:
        size = yield from _size1(window, place, where)
        grid = yield from _whole1(window, place, size, where)
        place += size
    header = place - at
    if length & LARGE:
        length = yield from _large(window, at, place, length, flags, where)
    end = _checked_end(window, at, length, 8 + 28 + 11 + 4, where)
    if place + 11 > end:
        raise FormatError(f"{where}: its sections reach to byte {place}, the message to {at + length}: it is damaged")
    yield from _check_last(window, end, where)
    return length, [Field(1, at, length, None, 0, product, b"", grid, grid_offset, product)], header


def _whole1(window: Window, place: int, size: int, where: str) -> Reading[bytes]:
    content = yield from window.need(place, size)
    if len(content) < size:
        raise FormatError(f"{where} ends within a section: it is damaged")
    return content


def _size1(window: Window, place: int, where: str) -> Reading[int]:
    start = yield from window.need(place, 3)
    size = int.from_bytes(start, "big")
    if len(start) < 3 or size < 6:
        raise FormatError(f"{where}: the section at byte {place} has {size} bytes: it is damaged")
    return size


def _large(window: Window, at: int, place: int, length: int, flags: int, where: str) -> Reading[int]:
    """The length of a message of more than 8 MiB, as ECMWF writes it.

    References
    ----------
    ecCodes, ``grib_io.c``: the length counts 120 bytes each, and the one of section 4 says by how much that is too long.
    """
    if flags & 0x40:
        place += yield from _size1(window, place, where)
    start = yield from window.need(place, 3)
    rest = int.from_bytes(start, "big")
    return (length & ~LARGE) * 120 - rest + 4 if rest < 120 else length
