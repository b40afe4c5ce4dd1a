"""The table of an image compressed by tiles: one row for each, and where its bytes lie.

Source: FITS standard 4.0 (2018), sections 7.3 and 10.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.arrays.manifest import MAX_CHUNK
from intake_virtualzarr.errors import FormatError, UnsupportedError
from intake_virtualzarr.formats.fits.hdus import Hdu

__all__ = ["STREAMS", "Tiles", "read_table", "streams_of"]

FORM = re.compile(r"(\d{0,9})([LXBIJKAEDCMPQ])(.*)")
WIDTHS = {"L": 1, "B": 1, "A": 1, "I": 2, "J": 4, "K": 8, "E": 4, "D": 8, "C": 8, "M": 16, "P": 8, "Q": 16}
"""Size of an element by its letter [bytes]; bits (X) are counted apart."""
TYPES = {"B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
PLACES = {"P": ">i4", "Q": ">i8"}
STREAMS = ("COMPRESSED_DATA", "GZIP_COMPRESSED_DATA", "UNCOMPRESSED_DATA")
"""Columns in which a tile may lie."""


@dataclass(frozen=True)
class _Column:
    """A column of the table."""

    start: int
    width: int
    letter: str
    element: str
    """Letter of what lies in the heap."""


@dataclass(frozen=True, eq=False)
class Tiles:
    """The table of a compressed image."""

    hdu: Hdu
    rows: npt.NDArray[np.uint8] = field(repr=False)
    columns: Mapping[str, _Column]

    def numbers(self, name: str) -> AnyArray:
        """A column of single numbers, or the keyword of that name for all rows."""
        column = self.columns.get(name)
        if column is None:
            return np.full(len(self.rows), self.hdu.header.real(name, 0.0))
        if column.letter not in TYPES or column.width != WIDTHS[column.letter]:
            raise UnsupportedError(f"its column {name} does not hold single numbers")
        return self._raw(column).view(TYPES[column.letter])[:, 0]

    def has(self, name: str) -> bool:
        """Whether there is such a column or keyword."""
        return name in self.columns or name in self.hdu.header.values

    def places(self, name: str) -> tuple[AnyArray, AnyArray]:
        """Offset from the heap and length of the streams of a column [bytes]."""
        column = self.columns[name]
        if column.letter not in PLACES or column.width != WIDTHS[column.letter]:
            raise UnsupportedError(f"its column {name} does not lie in the heap")
        both = self._raw(column).view(PLACES[column.letter]).astype(np.int64)
        counts, offsets = both[:, 0], both[:, 1]
        if (both < 0).any() or (both > 2**60).any():
            raise FormatError(f"column {name} says that a tile lies at byte {offsets.min()} of {counts.min()} to {counts.max()}")
        return offsets, counts * WIDTHS.get(column.element, 1)

    def _raw(self, column: _Column) -> AnyArray:
        return np.ascontiguousarray(self.rows[:, column.start : column.start + column.width])


def read_table(hdu: Hdu, number: int) -> Tiles:
    columns: dict[str, _Column] = {}
    at = 0
    for index in range(1, hdu.header.whole("TFIELDS") + 1):
        form = FORM.fullmatch(hdu.header.text(f"TFORM{index}"))
        if form is None or index > 999:
            raise FormatError(f"keyword TFORM{index} is {hdu.header.values.get(f'TFORM{index}')!r}")
        count, letter = int(form[1] or 1), form[2]
        width = -(-count // 8) if letter == "X" else count * WIDTHS[letter]
        columns[hdu.header.text(f"TTYPE{index}")] = _Column(at, width, letter, form[3][:1])
        at += width
    width = hdu.axes[0]
    if at != width:
        raise FormatError(f"columns have {at} bytes, rows {width}")
    if "COMPRESSED_DATA" not in columns:
        raise FormatError("its table has no column COMPRESSED_DATA")
    if "NULL_PIXEL_MASK" in columns:
        raise UnsupportedError("it keeps missing values in masks beside its tiles (NULL_PIXEL_MASK)")
    if len(hdu.table) < width * number:
        raise FormatError(f"its table has {len(hdu.table)} bytes, expected {width * number}: the file is truncated")
    rows = np.frombuffer(hdu.table, np.uint8)[: width * number].reshape(number, width)
    return Tiles(hdu, rows, columns)


def streams_of(tiles: Tiles) -> tuple[AnyArray, AnyArray, AnyArray]:
    """For each tile the column in which it lies, its offset in the file, and its length."""
    hdu = tiles.hdu
    number = len(tiles.rows)
    choice, offsets, lengths = np.zeros(number, np.int64), np.zeros(number, np.int64), np.zeros(number, np.int64)
    for index, name in enumerate(STREAMS):
        if name in tiles.columns:
            at, length = tiles.places(name)
            use = (lengths == 0) & (length > 0)
            choice, offsets, lengths = np.where(use, index, choice), np.where(use, at, offsets), np.where(use, length, lengths)
    if not lengths.all():
        raise FormatError(f"{int((lengths == 0).sum())} of its tiles have no bytes")
    heap = hdu.header.whole("THEAP", hdu.axes[0] * hdu.axes[1])
    if heap < 0 or int((offsets + lengths).max()) + heap > hdu.size:
        raise FormatError(f"a tile reaches to byte {int((offsets + lengths).max()) + heap} of a part that has {hdu.size}")
    if int(lengths.max()) > MAX_CHUNK:
        raise UnsupportedError(f"has tiles of {int(lengths.max())} bytes, longer than the {MAX_CHUNK} of a reference")
    return choice, (offsets + hdu.start + heap).astype(np.uint64), lengths.astype(np.uint64)
