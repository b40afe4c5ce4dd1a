"""The Range header of http (RFC 9110, section 14), as servers read it."""

from __future__ import annotations

import re

__all__ = ["parse_range"]

RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})")


def parse_range(text: str, size: int) -> tuple[int, int] | None:
    """Read a Range header.

    Returns
    -------
    (int, int) or None
        First byte and number of bytes, 0 if the range lies behind the end; ``None`` for what is answered whole.

    References
    ----------
    RFC 9110, section 14.

    Examples
    --------
    >>> parse_range("bytes=2-4", 10), parse_range("bytes=-3", 10), parse_range("bytes=8-", 10), parse_range("bytes=10-", 10)
    ((2, 3), (7, 3), (8, 2), (10, 0))
    """
    found = RANGE.fullmatch(text.strip())
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if first == "":
        length = min(int(last), size)
        return size - length, length
    if last != "" and int(last) < int(first):
        return None
    stop = size if last == "" else min(int(last) + 1, size)
    return int(first), max(0, stop - int(first))
