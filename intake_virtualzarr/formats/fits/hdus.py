"""The parts of a FITS file (HDUs: a header, and values behind it), read in as few rounds as their chain allows.

Source: FITS standard 4.0 (2018), sections 3 and 4.4.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import prod

from intake_virtualzarr.errors import FormatError
from intake_virtualzarr.formats.fits.cards import BLOCK, END, Header, end_of_header, parse_header
from intake_virtualzarr.storage.reader import Buffer, ByteRange

__all__ = ["Hdu", "axes_of", "read_hdus"]

type Ask[T] = Generator[Sequence[ByteRange], Sequence[Buffer], T]

FIRST = 4 * BLOCK
"""Bytes of a header that are asked for before its length is known."""
MOST_HEADER = 16 * 1024 * 1024
"""A header that is longer has no end [bytes]."""
MOST_BYTES = 2**29
"""Headers and tables of one file that are read [bytes]: 30 million tiles."""
MOST_HDUS = 100_000
MOST_AXES = 999
AHEAD = 32
"""Headers that are asked for at once where lengths repeat: the frames of detectors, one after the other."""
LONGEST_PERIOD = 8
"""Lengths repeat after at most so many parts (values, errors, flags; values, errors, flags …)."""


@dataclass(frozen=True, eq=False)
class Hdu:
    """One part of a file."""

    number: int
    header: Header
    start: int
    """First byte of its values."""
    size: int
    """Its values, padding left out [bytes]."""
    table: bytes = field(default=b"", repr=False)
    """Rows of the table of a compressed image."""

    @property
    def kind(self) -> str:
        """``IMAGE``, ``BINTABLE``, ``TABLE`` or what else there is."""
        return "IMAGE" if self.number == 0 else self.header.text("XTENSION").upper()

    @property
    def is_compressed_image(self) -> bool:
        """Whether it is a table of compressed tiles."""
        return self.kind == "BINTABLE" and self.header.values.get("ZIMAGE") is True

    @property
    def is_random_groups(self) -> bool:
        """Whether it is of the old form of visibilities, a table in an image's clothes."""
        return _is_random_groups(self.number, self.header, self.axes)

    @property
    def axes(self) -> tuple[int, ...]:
        """Lengths of axes, the fastest first."""
        return axes_of(self.header, "NAXIS")


def axes_of(header: Header, name: str) -> tuple[int, ...]:
    """Lengths of axes, the fastest first.

    Raises
    ------
    FormatError
        If there are none, or too many.
    """
    count = header.whole(name)
    if not 0 <= count <= MOST_AXES:
        raise FormatError(f"keyword {name} is {count}, expected 0 to {MOST_AXES}")
    lengths = tuple(header.whole(f"{name}{axis + 1}") for axis in range(count))
    if any(length < 0 for length in lengths):
        raise FormatError(f"an axis has a negative length: {lengths}")
    return lengths


def _is_random_groups(number: int, header: Header, axes: tuple[int, ...]) -> bool:
    return number == 0 and header.values.get("GROUPS") is True and axes[:1] == (0,)


def read_hdus(url: str, size: int | None) -> Ask[list[Hdu]]:
    """Read the headers of all parts, and the rows of tables that hold compressed images.

    Raises
    ------
    FormatError
        If a header is damaged, or the file ends before its values do.
    """
    walk = _Walk(url, size)
    try:
        return (yield from walk.parts())
    except FormatError as exc:
        raise exc if url in str(exc) else FormatError(f"{url}: part {walk.number}: {exc}: it is damaged") from None


class _Walk:
    """Goes from part to part."""

    def __init__(self, url: str, size: int | None) -> None:
        self._url = url
        self._size = size
        self._asked = 0
        self._held: dict[int, bytes] = {}
        self._spans: list[int] = []
        self._longest = FIRST
        self.number = 0

    def parts(self) -> Ask[list[Hdu]]:
        """All parts up to the end, or to what is none."""
        found: list[Hdu] = []
        at = 0
        while self._is_inside(at):
            raw = yield from self._header(at)
            if raw is None:
                break
            if len(found) >= MOST_HDUS:
                raise FormatError(f"{self._url}: has more than {MOST_HDUS} parts")
            length = -(-(len(raw) + len(END)) // BLOCK) * BLOCK
            hdu = self._hdu(parse_header(raw), at + length)
            following = hdu.start + -(-hdu.size // BLOCK) * BLOCK
            self._spans.append(following - at)
            self._longest = min(max(self._longest, length), 64 * FIRST)
            found.append((yield from self._with_table(hdu, following)))
            at, self.number = following, self.number + 1
        return found

    def _is_inside(self, at: int) -> bool:
        return self._size is None or at + BLOCK <= self._size

    def _hdu(self, header: Header, start: int) -> Hdu:
        if self.number == 0 and header.values.get("SIMPLE") is not True:
            raise FormatError(f"{self._url}: says that it does not follow the FITS standard (SIMPLE is not T)")
        axes, bits = axes_of(header, "NAXIS"), abs(header.whole("BITPIX"))
        if bits not in (8, 16, 32, 64):
            raise FormatError(f"keyword BITPIX is {header.whole('BITPIX')}, expected 8, 16, 32, 64, -32 or -64")
        is_groups = _is_random_groups(self.number, header, axes)
        repeats, extra = 1, 0
        if self.number or is_groups:
            repeats, extra = header.whole("GCOUNT", 1), header.whole("PCOUNT", 0)
        values = prod(axes[1:] if is_groups else axes) if axes else 0
        size = bits // 8 * repeats * (extra + values) if axes else 0
        if repeats < 0 or extra < 0:
            raise FormatError(f"keywords GCOUNT and PCOUNT are {repeats} and {extra}")
        if self._size is not None and start + size > self._size:
            raise FormatError(
                f"{self._url}: the values of part {self.number} reach to byte {start + size}, the file has {self._size}: "
                f"it is truncated"
            )
        return Hdu(self.number, header, start, size)

    def _header(self, at: int) -> Ask[bytes | None]:
        """The cards of a header before END; None where no part begins."""
        raw = self._held.pop(at, b"")
        if not raw:
            places = [at, *self._guesses(at)]
            first, *others = yield [self._range(place, self._longest) for place in places]
            raw = bytes(first)
            self._held = {place: bytes(data) for place, data in zip(places[1:], others, strict=True)}
        if self.number and raw[:8] != b"XTENSION":
            return None  # what follows the last part is free
        while (end := end_of_header(raw)) is None:
            if len(raw) >= MOST_HEADER:
                raise FormatError(f"{self._url}: the header of part {self.number} at byte {at} does not end: it is damaged")
            (more,) = yield [self._range(at + len(raw), max(len(raw), BLOCK))]
            if not len(more):
                raise FormatError(f"{self._url}: the header of part {self.number} at byte {at} is cut off: the file is truncated")
            raw += bytes(more)
        return raw[:end]

    def _with_table(self, hdu: Hdu, following: int) -> Ask[Hdu]:
        """The part with the table of its tiles, if it has one; the header behind it comes in the same round."""
        if not hdu.is_compressed_image or len(hdu.axes) != 2:
            return hdu
        width, rows = hdu.axes
        wanted = [self._range(hdu.start, width * rows)]
        if self._is_inside(following):
            wanted.append(self._range(following, self._longest))
        table, *next_one = yield wanted
        if next_one:
            self._held[following] = bytes(next_one[0])
        return Hdu(hdu.number, hdu.header, hdu.start, hdu.size, bytes(table))

    def _guesses(self, at: int) -> list[int]:
        """Where the next parts should begin, if lengths repeat."""
        spans = self._spans
        for period in range(1, LONGEST_PERIOD + 1):
            if len(spans) >= 2 * period and spans[-period:] == spans[-2 * period : -period]:
                next_spans = [spans[-period + index % period] for index in range(min(AHEAD, len(spans)))]
                places = [at + distance for distance in accumulate(next_spans)]
                return [place for place in places if self._is_inside(place)]
        return []

    def _range(self, at: int, length: int) -> ByteRange:
        self._asked += length
        if self._asked > MOST_BYTES:
            raise FormatError(f"{self._url}: has more than {MOST_BYTES} bytes of headers and tables: it is damaged")
        return at, length
