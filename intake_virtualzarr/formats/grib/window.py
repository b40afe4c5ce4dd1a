"""Which bytes to ask for next, so that a file far away takes few rounds: windows that hold several headers, and guesses."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Generator, Sequence

from intake_virtualzarr.formats.base import Wanted
from intake_virtualzarr.storage.reader import Buffer, ByteRange

__all__ = ["HEADER", "Reading", "Window"]

type Reading[T] = Generator[Wanted, Sequence[Buffer], T]
"""A part of a parser, which ends with a result."""

HEADER = 512
"""Bytes that hold the sections before the values in most files."""
SMALL = 16 * 1024
"""Messages up to this size are read in windows of several, values included: that takes less than a round for each [bytes]."""
TOGETHER = 64
"""How many of them."""
MEDIUM, LARGE_WINDOW = 256 * 1024, 4 * 1024 * 1024
"""Far away, where a round takes as long as a megabyte, messages of all sizes up to the first are read so, too [bytes]."""
MOST_GUESSES = 256
"""Messages that are looked for ahead where all have been of one size."""


class Window:
    """The bytes of a file around the place where a parser is.

    Parameters
    ----------
    size : int, optional
        Length of the file [bytes].
    far : bool
        Whether a round takes long.
    """

    def __init__(self, size: int | None, *, far: bool = False) -> None:
        self._size = size
        self._far = far
        self.guessing = True
        """Whether more is asked for than what is needed now."""
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
        ranges = [(start, length)]
        if self.guessing:
            ranges = [(start, length if end not in (None, start) else max(length, self._step)), *self._ahead(start, end)]
        if self._size is not None:
            ranges = [(first, min(count, self._size - first)) for first, count in ranges if first < self._size]
        answers = yield ranges
        blocks = [(first, bytes(answer)) for (first, _), answer in zip(ranges, answers, strict=True)]
        if len(blocks[0][1]) < ranges[0][1]:  # the file ends here, whatever was said of its size
            self._end = start + len(blocks[0][1])
        self.keep(blocks)
        return blocks[0][1][:length]

    def keep(self, blocks: Sequence[tuple[int, bytes]]) -> None:
        """Hold parts of the file."""
        for block in blocks:
            insort(self._blocks, block, key=_first)

    @property
    def guesses_right(self) -> bool:
        """Whether messages have been of one size, or so small that windows hold several."""
        return self._guesses > 0 or self._length <= SMALL

    def ends_before(self, stop: int) -> bool:
        """Whether the file is known to end before a place."""
        return self._end is not None and stop > self._end

    def passed(self, at: int, length: int, header: int) -> None:
        """Note what the message at ``at`` was like: the next is likely to be so, too."""
        stop = at + length
        before = bisect_right(self._blocks, at, key=_first)
        self._blocks[:before] = [block for block in self._blocks[:before] if block[0] + len(block[1]) > stop]
        alike = length == self._length
        if length <= SMALL:
            self._step = length * TOGETHER
        elif self._far and self._length and not alike and length <= MEDIUM:
            self._step = LARGE_WINDOW
        else:
            self._step = max(HEADER, -(-(header + 64) // 64) * 64)
        self._guesses = min(max(2 * self._guesses, 4), MOST_GUESSES) if alike and length > SMALL else 0
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
        at = bisect_right(self._blocks, start, key=_first)
        for first, block in reversed(self._blocks[max(at - BACK, 0) : at]):
            inside = start - first
            if inside + length <= len(block):
                return block[inside : inside + length]
        return None


BACK = 4
"""Blocks that begin before a place and may hold it: a short one may hide a longer one that begins earlier."""


def _first(block: tuple[int, bytes]) -> int:
    return block[0]
