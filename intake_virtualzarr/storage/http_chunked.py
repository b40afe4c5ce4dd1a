"""Bodies in parts, each with its length before it (RFC 9112, 7.1)."""

from __future__ import annotations

__all__ = ["ChunkedBody"]

MAX_LINE = 8 * 1024
"""No line between parts is longer [bytes]."""


class ChunkedBody:
    r"""Puts a body together, whatever pieces it comes in.

    Examples
    --------
    >>> one = ChunkedBody()
    >>> one.feed(b"3\r\nab"), one.feed(b"c\r\n0\r\n\r\n"), bytes(one.body)
    (False, True, b'abc')
    """

    def __init__(self) -> None:
        self.body = bytearray()
        """What came."""
        self.rest = bytearray()
        """What stands behind the end, or is not understood yet."""
        self._left = 0  # bytes of the part that are missing
        self._after_part = False
        self._in_trailer = False

    def feed(self, came: bytes) -> bool:
        """Take bytes; whether the body is complete.

        Raises
        ------
        ValueError
            If they are not what the format asks for.
        """
        self.rest += came
        while True:
            if self._left:
                taken = min(self._left, len(self.rest))
                self.body += self.rest[:taken]
                del self.rest[:taken]
                self._left -= taken
                if self._left:
                    return False
                self._after_part = True
            line = self._line()
            if line is None:
                return False
            if self._after_part:
                self._after_part = False
                if line:
                    raise ValueError("a part is longer than it says")
            elif self._in_trailer:
                if not line:
                    return True
            else:
                self._begin(line)

    def _line(self) -> bytes | None:
        end = self.rest.find(b"\r\n")
        if end < 0:
            if len(self.rest) > MAX_LINE:
                raise ValueError("a line between parts is too long")
            return None
        line = bytes(self.rest[:end])
        del self.rest[: end + 2]
        return line

    def _begin(self, line: bytes) -> None:
        digits = line.partition(b";")[0].strip()
        if not digits or len(digits) > 15 or digits.strip(b"0123456789abcdefABCDEF"):
            raise ValueError(f"{line[:20]!r} is no length of a part")
        self._left = int(digits, 16)
        self._in_trailer = self._left == 0
