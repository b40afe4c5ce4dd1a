"""Which bytes to ask for next, so that a file far away takes few rounds: windows that hold several headers, and guesses."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from intake_virtualzarr.storage.reader import Buffer, ByteRange

__all__ = ["Reading", "Window"]

type Reading[T] = Generator[Sequence[ByteRange], Sequence[Buffer], T]
"""A part of a parser, which ends with a result."""

HEADER = 512
"""Bytes that hold the sections before the values in most files."""
SMALL = 16 * 1024
"""Messages up to this size are read in windows of several, values included: that takes less than a round for each [bytes]."""
TOGETHER = 64
"""How many of them."""
MOST_GUESSES = 256
"""Messages that are looked for ahead where all have been of one size."""


class Window:
    """The bytes of a file around the place where a parser is."""

    def __init__(self, size: int | None) -> None:
        self._size = size
        self._blocks: list[tuple[int, bytes]] = []
        self._end = size
        self._step = HEADER
        self._guesses = 0
        self._length = 0

    def need(self, start: int, length: int, end: int | None = None) -> Reading[bytes]:
        """Bytes from ``start`` on: fewer than ``length`` only at the end of the file.

        ``end`` says where a message ends, if that is known by now: what begins there is fetched in the same round, if there is one.
        """
        if self._end is not None:
            length = max(min(length, self._end - start), 0)
        found = self._held(start, length)
        if found is not None:
            return found
        ranges = [(start, length if end not in (None, start) else max(length, self._step)), *self._ahead(start, end)]
        if self._size is not None:
            ranges = [(first, min(count, self._size - first)) for first, count in ranges if first < self._size]
        answers = yield ranges
        blocks = [(first, bytes(answer)) for (first, _), answer in zip(ranges, answers, strict=True)]
        if len(blocks[0][1]) < ranges[0][1]:  # the file ends here, whatever was said of its size
            self._end = start + len(blocks[0][1])
        self._blocks = sorted([*(b for b in self._blocks if b[0] + len(b[1]) > start), *blocks])
        return blocks[0][1][:length]

    def ends_before(self, stop: int) -> bool:
        """Whether the file is known to end before a place."""
        return self._end is not None and stop > self._end

    def passed(self, at: int, length: int, header: int) -> None:
        """Note what the message at ``at`` was like: the next is likely to be so, too."""
        stop = at + length
        self._blocks = [block for block in self._blocks if block[0] + len(block[1]) > stop]
        self._step = min(length, SMALL) * TOGETHER if length <= SMALL else max(HEADER, -(-(header + 64) // 64) * 64)
        right = length == self._length and length > SMALL
        self._guesses = min(max(2 * self._guesses, 4), MOST_GUESSES) if right else 0
        self._length = length

    def _ahead(self, start: int, end: int | None) -> list[ByteRange]:
        """The headers of the next message, and of those further on if messages have been of one size."""
        if end is None:
            return []
        next_one = [] if end == start else [(end, self._step)]
        return next_one + [(end + k * self._length, self._step) for k in range(1, self._guesses + 1)]

    def _held(self, start: int, length: int) -> bytes | None:
        if not length:
            return b""
        for first, block in self._blocks:
            if first > start:
                break
            inside = start - first
            if inside + length <= len(block):
                return block[inside : inside + length]
        return None
