"""From message to message, and from section to section: where fields lie and what heads them, without their values.

Source: WMO Manual on Codes, volume I.2 (WMO-No. 306), FM 92 GRIB edition 2 and FM 92 GRIB edition 1.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from intake_virtualzarr.errors import FormatError, UnsupportedError
from intake_virtualzarr.formats.grib.messages import Field, edition1, edition2
from intake_virtualzarr.formats.grib.window import Reading, Window
from intake_virtualzarr.storage.reader import Buffer, ByteRange
from intake_virtualzarr.storage.source import Source

__all__ = ["MOST_FIELDS", "walk"]

MOST_FIELDS = 2_000_000
"""Fields of one file; each takes some hundred bytes of memory."""
MOST_JUNK = 1024 * 1024
"""Bytes between two messages that are no message: headings of WMO bulletins, padding."""
LOOK = 64 * 1024
"""What is searched for the next message at once [bytes]."""


def walk(source: Source) -> Generator[Sequence[ByteRange], Sequence[Buffer], list[Field]]:
    """All fields of a file.

    Raises
    ------
    FormatError
        If a message is damaged, reaches behind the end of the file, or there is none.
    UnsupportedError
        If one is of another edition than 1 and 2.
    """
    window = Window(source.size)
    fields: list[Field] = []
    at: int | None = yield from _next_message(window, 0, source)
    while at is not None:
        found = yield from _message(window, at, source)
        fields += found.fields
        if len(fields) > MOST_FIELDS:
            raise FormatError(f"{source.url}: has more than {MOST_FIELDS} fields")
        window.passed(at, found.length, found.header)
        at = yield from _next_message(window, at + found.length, source)
    if not fields:
        raise FormatError(f"{source.url}: holds no GRIB message")
    return fields


@dataclass(frozen=True, slots=True)
class _Message:
    fields: list[Field]
    length: int
    """[bytes]"""
    header: int
    """Bytes before the values of the first field."""


def _message(window: Window, at: int, source: Source) -> Reading[_Message]:
    head = yield from window.need(at, 8)
    edition = head[7] if len(head) == 8 else -1
    where = f"{source.url}: the message at byte {at}"
    if edition not in (1, 2):
        raise UnsupportedError(f"{where} is of GRIB edition {edition}; 1 and 2 are read")
    length, fields, header = yield from (edition1 if edition == 1 else edition2)(window, at, where)
    return _Message(fields, length, header)


def _next_message(window: Window, at: int, source: Source) -> Reading[int | None]:
    """Where the next message begins, at ``at`` or after what is no message; None at the end of the file."""
    head = yield from window.need(at, 4)
    if head == b"GRIB":
        return at
    junk = 0
    while len(head) >= 4:
        head = yield from window.need(at + junk, LOOK)
        found = head.find(b"GRIB")
        if found >= 0:
            return at + junk + found
        junk += max(len(head) - 3, 1)
        if junk > MOST_JUNK:
            if not at:
                raise FormatError(f"{source.url}: no GRIB message begins within its first {MOST_JUNK} bytes")
            raise FormatError(f"{source.url}: what follows byte {at}, where a message ends, is no GRIB for {MOST_JUNK} bytes")
    return None
