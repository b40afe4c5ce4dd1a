"""The cards of a FITS header as keywords and values.

Source: FITS standard 4.0 (2018), sections 4.1 and 4.2, CONTINUE of 4.2.1.2; ESO's HIERARCH convention.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from intake_virtualzarr.errors import FormatError

__all__ = ["BLOCK", "CARD", "END", "Header", "Value", "end_of_header", "parse_header"]

type Value = str | bool | int | float | list[float]
"""Value of a keyword; a complex number is a list of two."""

BLOCK = 2880
"""Headers and values fill whole blocks [bytes]."""
CARD = 80
END = b"END     "
COMMENTS = ("COMMENT", "HISTORY")
TEXT = re.compile(r"\s*'((?:[^']|'')*)'")
WHOLE = re.compile(r"[-+]?\d{1,30}")
REAL = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[EeDd][-+]?\d{1,4})?")
COMPLEX = re.compile(r"\(\s*([^,()]+?)\s*,\s*([^,()]+?)\s*\)")
LARGEST_WHOLE = 2**63


@dataclass(frozen=True, eq=False)
class Header:
    """The keywords of a header."""

    values: Mapping[str, Value] = field(repr=False)
    """Values by keyword, as first given; keywords without a value are left out."""

    def text(self, name: str, default: str = "") -> str:
        """A text."""
        value = self.values.get(name)
        return value.strip() if isinstance(value, str) else default

    def whole(self, name: str, default: int | None = None) -> int:
        """A whole number.

        Raises
        ------
        FormatError
            If it is absent and has no default, or is none.
        """
        value = self.values.get(name, default)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise FormatError(f"keyword {name} is {value!r}, expected a whole number")
        return value

    def real(self, name: str, default: float) -> float:
        """A real number.

        Raises
        ------
        FormatError
            If it is none.
        """
        value = self.values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise FormatError(f"keyword {name} is {value!r}, expected a number")
        return float(value)


def end_of_header(raw: bytes) -> int | None:
    """Where the END card stands in the first bytes of a header; None if it has not come yet."""
    at = raw.find(END)
    while at >= 0 and at % CARD:
        at = raw.find(END, at + 1)
    return None if at < 0 else at


def parse_header(raw: bytes) -> Header:
    """Parse the cards before END.

    Cards that follow no rule are left out: readers of FITS do so, as writers are many.
    """
    values: dict[str, Value] = {}
    comments: dict[str, list[str]] = {}
    longer: str | None = None
    for at in range(0, len(raw), CARD):
        card = raw[at : at + CARD].decode("latin-1")
        name = card[:8].rstrip()
        if name == "CONTINUE" and longer is not None:
            longer = _continue(values, longer, card[8:])
            continue
        longer = None
        if name in COMMENTS:
            comments.setdefault(name, []).append(card[8:].rstrip())
            continue
        keyword, text = _split(card, name)
        if not keyword or keyword in values:
            continue
        value = _value(text)
        if value is not None:
            values[keyword] = value
            longer = keyword if isinstance(value, str) and value.endswith("&") else None
    return Header(values | {name: "\n".join(lines) for name, lines in comments.items()})


def _split(card: str, name: str) -> tuple[str, str]:
    """Keyword, and the text behind its equals sign; no keyword where there is no value."""
    if card[8:10] == "= ":
        return name.upper(), card[10:]
    if name == "HIERARCH" and "=" in card:
        long_name, _, text = card[9:].partition("=")
        return " ".join(long_name.upper().split()), text
    return "", ""


def _continue(values: dict[str, Value], keyword: str, text: str) -> str | None:
    """Lengthen a text; gives the keyword if it goes on."""
    part, before = _value(text), values[keyword]
    if not isinstance(part, str) or not isinstance(before, str):
        return None
    values[keyword] = before[:-1] + part
    return keyword if part.endswith("&") else None


def _value(text: str) -> Value | None:
    quoted = TEXT.match(text)
    if quoted is not None:
        return quoted[1].replace("''", "'").rstrip()
    plain = text.partition("/")[0].strip()
    if plain in ("T", "F"):
        return plain == "T"
    pair = COMPLEX.fullmatch(plain)
    if pair is None:
        return _number(plain)
    parts = [number for one in pair.groups() if (number := _number(one)) is not None]
    return [float(number) for number in parts] if len(parts) == 2 else None


def _number(text: str) -> int | float | None:
    """A number; None if it is none, or not finite."""
    if WHOLE.fullmatch(text):
        whole = int(text)
        return whole if -LARGEST_WHOLE <= whole < LARGEST_WHOLE else float(whole)
    if REAL.fullmatch(text) is None:
        return None
    number = float(text.upper().replace("D", "E"))
    return number if abs(number) != float("inf") else None
