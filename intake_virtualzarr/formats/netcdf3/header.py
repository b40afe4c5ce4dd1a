"""The header of a netCDF-3 file.

Source: "NetCDF Classic Format Specification" (NetCDF Users Guide, appendix B) and the CDF-5 specification of PnetCDF.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from intake_virtualzarr._typing import DType, JsonObject
from intake_virtualzarr.errors import FormatError

__all__ = ["Header", "TooShort", "Variable", "read_header"]

TYPES: dict[int, DType] = {
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
MAX_DIMS = 1024
LARGEST_COUNT = 2**63 - 1


class TooShort(Exception):  # noqa: N818 - asks for more, is not an error
    """The bytes end before the header does."""

    def __init__(self, end: int) -> None:
        super().__init__(f"the header goes on to byte {end} at least")
        self.end = end
        """The header has at least this length [bytes]."""


@dataclass(frozen=True, eq=False)
class Variable:
    """One variable, as the header describes it."""

    name: str
    dims: tuple[int, ...]
    """Numbers of its dimensions."""
    attrs: JsonObject
    dtype: DType
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
    attrs: JsonObject
    variables: tuple[Variable, ...]
    length: int
    """Length of the header [bytes]."""


class _Reader:
    def __init__(self, data: bytes, url: str) -> None:
        self.data = data
        self.url = url
        self.at = 0
        self.version = 0

    @property
    def width(self) -> int:
        """Size of a count [bytes]."""
        return 8 if self.version == 5 else 4

    def take(self, count: int) -> bytes:
        if self.at + count > len(self.data):
            raise TooShort(self.at + count)
        part = self.data[self.at : self.at + count]
        self.at += count
        return part

    def integer(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def count(self) -> int:
        """A number of things or an extent: 8 bytes in CDF-5."""
        place, number = self.at, int.from_bytes(self.take(self.width), "big")
        if number > LARGEST_COUNT:
            raise FormatError(f"{self.url}: the count {number} at byte {place} of the header is negative")
        return number

    def offset(self) -> int:
        return int.from_bytes(self.take(4 if self.version == 1 else 8), "big")

    def padded(self, count: int) -> bytes:
        data = self.take(count)
        # the last attribute of a header may lack its padding at the end of a file
        self.at += -count % 4
        return data

    def name(self) -> str:
        # some writers count the NUL of C strings, where netCDF's own library ends a name, too
        return self.padded(self.count()).partition(b"\0")[0].decode("utf-8", "replace")

    def listed(self, tag: int, what: str) -> int:
        """The number of entries of a list that begins with ``tag``, or 0 for an absent one."""
        place = self.at
        found, count = self.integer(), self.count()
        if found == 0 and count == 0:
            return 0
        if found != tag:
            raise FormatError(f"{self.url}: the list of {what} at byte {place} begins with {found}, expected {tag} or 0")
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
    streaming = r.take(r.width) == b"\xff" * r.width
    if not streaming:
        r.at -= r.width
    records = None if streaming else r.count()
    dims = tuple((r.name(), r.count()) for _ in range(r.listed(DIMENSIONS, "dimensions")))
    if len({name for name, _ in dims}) < len(dims):
        raise FormatError(f"{url}: two dimensions before byte {r.at} of the header have the same name")
    attrs = _attributes(r)
    variables = tuple(_variable(r, dims) for _ in range(r.listed(VARIABLES, "variables")))
    return Header(records, dims, attrs, variables, r.at)


def _attributes(r: _Reader) -> JsonObject:
    out: JsonObject = {}
    for _ in range(r.listed(ATTRIBUTES, "attributes")):
        name = r.name()
        dtype, count = _type(r), r.count()
        raw = r.padded(count * dtype.itemsize)
        if dtype.kind == "S":
            out[name] = raw.decode("utf-8", "replace").replace("\0", "")
            continue
        values = np.frombuffer(raw, dtype).astype(dtype.newbyteorder("="))
        out[name] = values[0] if values.size == 1 else values
    return out


def _type(r: _Reader) -> DType:
    place, number = r.at, r.integer()
    if number not in TYPES or (number > 6 and r.version != 5):
        raise FormatError(f"{r.url}: type {number} at byte {place} of the header is unknown")
    return TYPES[number]


def _variable(r: _Reader, dims: tuple[tuple[str, int], ...]) -> Variable:
    name = r.name()
    place, ndim = r.at, r.count()
    if ndim > MAX_DIMS:
        raise FormatError(f"{r.url}: {name}: has {ndim} dimensions at byte {place}, at most {MAX_DIMS} are allowed")
    numbers = tuple(r.count() for _ in range(ndim))
    if any(number >= len(dims) for number in numbers):
        raise FormatError(f"{r.url}: {name}: names dimension {max(numbers)} before byte {r.at}, there are {len(dims)}")
    lengths = tuple(dims[number][1] for number in numbers)
    if 0 in lengths[1:]:
        raise FormatError(f"{r.url}: {name}: the record dimension is not its first, before byte {r.at}")
    attrs = _attributes(r)
    dtype = _type(r)
    r.count()  # vsize: redundant, and wrong for large variables
    begin = r.offset()
    is_record = bool(lengths) and lengths[0] == 0
    return Variable(name, numbers, attrs, dtype, begin, is_record, lengths[1:] if is_record else lengths)
