"""The header of a netCDF-3 file.

Source: "NetCDF Classic Format Specification" (NetCDF Users Guide, appendix B) and the CDF-5 specification of PnetCDF.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from intake_virtualzarr.errors import FormatError

__all__ = ["Header", "TooShort", "Variable", "read_header"]

TYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype(">i1"),
    2: np.dtype("S1"),
    3: np.dtype(">i2"),
    4: np.dtype(">i4"),
    5: np.dtype(">f4"),
    6: np.dtype(">f8"),
    7: np.dtype(">u1"),
    8: np.dtype(">u2"),
    9: np.dtype(">u4"),
    10: np.dtype(">i8"),
    11: np.dtype(">u8"),
}
"""External types by number; 7 to 11 only in CDF-5."""
DIMENSIONS, VARIABLES, ATTRIBUTES = 10, 11, 12
STREAMING = 2**32 - 1
MAX_DIMS = 1024


class TooShort(Exception):  # noqa: N818 - asks for more, is no error
    """The bytes end before the header does."""


@dataclass(frozen=True, eq=False)
class Variable:
    """One variable, as the header describes it."""

    name: str
    dims: tuple[int, ...]
    """Numbers of its dimensions."""
    attrs: dict[str, Any]
    dtype: np.dtype[Any]
    """Stored type, big-endian."""
    begin: int
    """Where its values begin [bytes]."""
    is_record: bool
    """Whether its first dimension is the record dimension."""
    shape: tuple[int, ...]
    """Shape without the record dimension [elements]."""

    @property
    def nbytes(self) -> int:
        """Size of the values, or of one record of them [bytes]."""
        return prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True, eq=False)
class Header:
    """What the header says."""

    records: int | None
    """Number of records; None if the file was being written (it follows from the size)."""
    dims: tuple[tuple[str, int], ...]
    """Names and lengths; 0 for the record dimension."""
    attrs: dict[str, Any]
    variables: tuple[Variable, ...]


class _Reader:
    def __init__(self, data: bytes, url: str) -> None:
        self.data = data
        self.url = url
        self.at = 0
        self.version = 0

    def take(self, count: int) -> bytes:
        if count < 0 or count > 2**40:
            raise FormatError(f"{self.url}: {count} bytes at position {self.at} of the header make no sense")
        if self.at + count > len(self.data):
            raise TooShort(f"{count} bytes are wanted at {self.at}")
        part = self.data[self.at : self.at + count]
        self.at += count
        return part

    def integer(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def count(self) -> int:
        """A number of things or an extent: 8 bytes in CDF-5."""
        return int.from_bytes(self.take(8 if self.version == 5 else 4), "big")

    def offset(self) -> int:
        return int.from_bytes(self.take(4 if self.version == 1 else 8), "big")

    def padded(self, count: int) -> bytes:
        data = self.take(count)
        # the last attribute of a header may lack its padding at the end of a file
        self.at += -count % 4
        return data

    def name(self) -> str:
        # some writers count the NUL of C strings
        return self.padded(self.count()).rstrip(b"\0").decode("utf-8", "replace")

    def listed(self, tag: int, what: str) -> int:
        """The number of entries of a list that begins with ``tag``, or 0 for an absent one."""
        place = self.at
        found, count = self.integer(), self.count()
        if found == 0 and count == 0:
            return 0
        if found != tag:
            raise FormatError(f"{self.url}: the list of {what} at {place} begins with {found}, expected {tag} or 0")
        return count


def read_header(data: bytes, url: str) -> Header:
    """Read a header.

    Raises
    ------
    TooShort
        If it goes on after ``data``.
    FormatError
        If it is damaged.
    """
    r = _Reader(data, url)
    magic = r.take(4)
    if magic[:3] != b"CDF" or magic[3] not in (1, 2, 5):
        raise FormatError(f"{url}: begins with {magic!r}, no netCDF-3 file does")
    r.version = magic[3]
    records = r.count()
    streaming = records == (STREAMING if r.version != 5 else 2**64 - 1)
    dims = tuple((r.name(), r.count()) for _ in range(r.listed(DIMENSIONS, "dimensions")))
    attrs = _attributes(r)
    variables = tuple(_variable(r, dims) for _ in range(r.listed(VARIABLES, "variables")))
    return Header(None if streaming else records, dims, attrs, variables)


def _attributes(r: _Reader) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for _ in range(r.listed(ATTRIBUTES, "attributes")):
        name = r.name()
        dtype, count = _type(r), r.count()
        raw = r.padded(count * dtype.itemsize)
        if dtype.kind == "S":
            out[name] = raw.rstrip(b"\0").decode("utf-8", "replace")
            continue
        values = np.frombuffer(raw, dtype).astype(dtype.newbyteorder("="))
        out[name] = values[0] if values.size == 1 else values
    return out


def _type(r: _Reader) -> np.dtype[Any]:
    place, number = r.at, r.integer()
    if number not in TYPES or (number > 6 and r.version != 5):
        raise FormatError(f"{r.url}: type {number} at {place} of the header is unknown")
    return TYPES[number]


def _variable(r: _Reader, dims: tuple[tuple[str, int], ...]) -> Variable:
    name = r.name()
    ndim = r.count()
    if ndim > MAX_DIMS:
        raise FormatError(f"{r.url}: {name}: has {ndim} dimensions, at most {MAX_DIMS} are allowed")
    numbers = tuple(r.count() for _ in range(ndim))
    if any(number >= len(dims) for number in numbers):
        raise FormatError(f"{r.url}: {name}: names dimension {max(numbers)}, there are {len(dims)}")
    lengths = tuple(dims[number][1] for number in numbers)
    if 0 in lengths[1:]:
        raise FormatError(f"{r.url}: {name}: the record dimension is not its first")
    attrs = _attributes(r)
    dtype = _type(r)
    r.count()  # vsize: redundant, and wrong for large variables
    begin = r.offset()
    is_record = bool(lengths) and lengths[0] == 0
    return Variable(name, numbers, attrs, dtype, begin, is_record, lengths[1:] if is_record else lengths)
