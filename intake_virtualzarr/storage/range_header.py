"""The Range header of http (RFC 9110, section 14), as servers read it."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Span", "parse_range", "span_of"]

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


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a value [bytes]."""

    start: int
    stop: int


class Headers(Protocol):
    """Headers of a request by name."""

    def get(self, name: str, /) -> str | None:
        """The header; None if there is none."""


def span_of(headers: Headers, validators: Collection[str], size: int) -> Span | None:
    """The part that a request asks for; None for all of it, also where the range is of another state than this one (``If-Range``).

    Parameters
    ----------
    headers : Headers
        Of the request.
    validators : collection of str
        What tells this state: its ETag, its time of change.
    size : int
        Size of the whole [bytes].

    Raises
    ------
    ValueError
        If the range begins behind the end.
    """
    asked, state = headers.get("range"), headers.get("if-range")
    part = None if asked is None or (state is not None and state.strip() not in validators) else parse_range(asked, size)
    if part is None:
        return None
    start, length = part
    if length == 0:
        raise ValueError(f"{asked} of {size} bytes")
    return Span(start, start + length)
