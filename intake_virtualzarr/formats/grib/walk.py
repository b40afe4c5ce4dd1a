"""From message to message, and from section to section: where fields lie and what heads them, without their values.

Source: WMO Manual on Codes, volume I.2 (WMO-No. 306), FM 92 GRIB edition 2 and FM 92 GRIB edition 1.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from intake_virtualzarr.errors import FormatError, UnsupportedError, VirtualZarrError
from intake_virtualzarr.formats.base import Wanted
from intake_virtualzarr.formats.grib.messages import END, Field, edition1, edition2
from intake_virtualzarr.formats.grib.sidecar import sidecar_offsets
from intake_virtualzarr.formats.grib.window import HEADER, Reading, Window
from intake_virtualzarr.storage.reader import Buffer
from intake_virtualzarr.storage.source import Source
from intake_virtualzarr.storage.urls import is_local

__all__ = ["MOST_FIELDS", "walk"]

MOST_FIELDS = 2_000_000
"""Fields of one file; each takes some hundred bytes of memory."""
MOST_JUNK = 1024 * 1024
"""Bytes between two messages that are no message: headings of WMO bulletins, padding."""
LOOK = 64 * 1024
"""What is searched for the next message at once [bytes]."""
WITHOUT_LIST = 2
"""Messages that are read before a list beside the file is asked for."""
AT_ONCE = 512
"""Messages of a list whose headers are fetched in one round."""


def walk(source: Source) -> Reading[list[Field]]:
    """All fields of a file.

    Raises
    ------
    FormatError
        If a message is damaged, reaches behind the end of the file, or there is none.
    UnsupportedError
        If one is of another edition than 1 and 2.
    """
    window = Window(source.size, far=not is_local(source.url))
    ahead = LookAhead(source, window)
    fields: list[Field] = []
    at: int | None = yield from _next_message(window, 0, source)
    while at is not None:
        yield from ahead.before(at)
        found = yield from _message(window, at, source)
        fields += found.fields
        if len(fields) > MOST_FIELDS:
            raise FormatError(f"{source.url}: has more than {MOST_FIELDS} fields")
        window.passed(at, found.length, found.header)
        at = yield from _next_message(window, at + found.length, source)
    if not fields:
        raise FormatError(f"{source.url}: holds no GRIB message")
    return fields


class LookAhead:
    """Fetches what many messages need at once, where a list beside the file tells where they are."""

    def __init__(self, source: Source, window: Window) -> None:
        self._source = source
        self._window = window
        self._passed = 0
        self._offsets: Sequence[int] | None = () if is_local(source.url) else None
        self._fetched: Sequence[int] = ()
        """Offsets whose messages have been fetched last."""
        self._arrived = 0
        """At how many of them a message began."""

    def before(self, at: int) -> Reading[None]:
        """Before the message at ``at`` is read: look further, if that is worth it."""
        if self._offsets is None and self._passed >= WITHOUT_LIST and not self._window.guesses_right:
            self._offsets = yield from sidecar_offsets(self._source)
        self._passed += 1
        if not self._offsets:
            return
        if self._fetched and at <= self._fetched[-1]:
            self._arrived += 1
            return
        k = bisect_left(self._offsets, at)
        if self._offsets[k : k + 1] != [at] or 2 * self._arrived < len(self._fetched):
            self._offsets = ()  # the list is of another file
            return
        self._fetched, self._arrived = self._offsets[k : k + AT_ONCE], 1
        yield from _fetched(self._window, self._fetched, self._source)


def _fetched(window: Window, offsets: Sequence[int], source: Source) -> Reading[None]:
    """Walk over messages side by side, for their bytes alone: each round asks for what all of them need next."""
    heads = [(max(at - len(END), 0), HEADER + len(END)) for at in offsets]  # with the end of the message before
    answers = yield heads
    window.keep([(start, bytes(answer)) for (start, _), answer in zip(heads, answers, strict=True)])
    window.guessing = False
    running = [_message(window, at, source) for at in offsets]
    wanted = {k: ask for k, one in enumerate(running) if (ask := _sent(one, None)) is not None}
    while wanted:
        answers = yield [place for ask in wanted.values() for place in ask]
        parts = iter(answers)
        found = {k: [next(parts) for _ in ask] for k, ask in wanted.items()}
        wanted = {k: ask for k, answer in found.items() if (ask := _sent(running[k], answer)) is not None}
    window.guessing = True


def _sent(one: Reading[_Message], answer: Sequence[Buffer] | None) -> Wanted | None:
    """What a walk wants next; None at its end. What is wrong with a message, the walk over the file says."""
    try:
        return next(one) if answer is None else one.send(answer)
    except (StopIteration, VirtualZarrError):
        return None


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
