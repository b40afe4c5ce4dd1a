"""HDF5 datatype messages as values.

References
----------
HDF5 File Format Specification 3.0, IV.A.2.d "The Datatype Message".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from struct import error as StructError
from struct import unpack_from

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.errors import FormatError

__all__ = ["Datatype", "Member", "parse_datatype"]

MAX_DEPTH = 16
"""Nesting of datatypes; deeper is taken for damage."""
MAX_MEMBERS = 65535

KINDS = (
    "integer",
    "float",
    "time",
    "string",
    "bitfield",
    "opaque",
    "compound",
    "reference",
    "enum",
    "vlen",
    "array",
    "complex",
)
PADDINGS = ("nullterm", "nullpad", "spacepad")


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a compound, or a name of an enumeration."""

    name: str
    """Its name."""
    offset: int
    """First byte in the compound [bytes]; the value of an enumeration's name."""
    type: Datatype | None = None
    """Datatype of a compound's member."""


@dataclass(frozen=True, slots=True, eq=False)
class Datatype:
    """One HDF5 datatype. Fields that a kind does not have keep their defaults.

    Compared by identity, so that it is a cheap key: `parse_datatype` gives one value for one message.
    """

    kind: str
    """One of `KINDS`, or ``"vlen-string"``."""
    size: int
    """Size of one element as stored [bytes]."""
    big: bool = False
    """Whether the most significant byte comes first."""
    signed: bool = False
    """Integers: two's complement."""
    offset: int = 0
    """First significant bit [bits]."""
    precision: int = 0
    """Significant bits [bits]."""
    float_format: tuple[int, ...] = ()
    """Floats: sign position, exponent position and size, mantissa position and size, exponent bias, normalisation."""
    padding: str = ""
    """Strings: one of `PADDINGS`."""
    utf8: bool = False
    """Strings: the character set is UTF-8, else ASCII."""
    tag: str = ""
    """Opaque types: tag. References: ``"object"`` or another kind. Floats: ``"vax"`` for that byte order."""
    members: tuple[Member, ...] = ()
    """Compounds and enumerations: members in the order of the file."""
    base: Datatype | None = None
    """Enumerations, arrays, variable-length sequences, complex numbers: the type below."""
    dims: tuple[int, ...] = ()
    """Arrays: shape of one element."""
    encoded: bytes = b""
    """The datatype message without padding."""

    @property
    def is_plain_integer(self) -> bool:
        """Whether all bits count, so that NumPy reads the bytes as they lie."""
        return self.size in (1, 2, 4, 8) and self.offset == 0 and self.precision == 8 * self.size

    @property
    def has_references(self) -> bool:
        """Whether elements point elsewhere in the file: variable-length data or references."""
        if self.kind in ("vlen", "vlen-string", "reference"):
            return True
        below = [self.base, *(m.type for m in self.members)]
        return any(t.has_references for t in below if t is not None)


@lru_cache(maxsize=1024)
def parse_datatype(message: bytes) -> Datatype:
    """Read a datatype message (bytes after it are ignored).

    Raises
    ------
    FormatError
        If the message is cut short or holds absurd values.
    """
    try:
        return _parse(message, 0, 0)[0]
    except (StructError, IndexError) as exc:
        raise FormatError(f"datatype message of {len(message)} bytes is cut short") from exc


def _parse(buf: bytes, pos: int, depth: int) -> tuple[Datatype, int]:
    if depth > MAX_DEPTH:
        raise FormatError(f"datatypes nested deeper than {MAX_DEPTH}")
    head, b0, b1, b2, size = unpack_from("<BBBBI", buf, pos)
    version, number = head >> 4, head & 15
    if number >= len(KINDS) or not 1 <= version <= 5:
        raise FormatError(f"datatype of class {number}, version {version} is unknown")
    kind = KINDS[number]
    if size == 0 and kind != "opaque":
        raise FormatError(f"{kind} datatype of 0 bytes")
    fields, end = _READERS[kind](buf, pos + 8, (version, b0, b1, b2, size, depth))
    if end > len(buf):
        raise IndexError
    kind = fields.pop("kind", kind)
    return Datatype(kind, size, encoded=bytes(buf[pos:end]), **fields), end


type _Bits = tuple[int, int, int, int, int, int]
"""Version, three bytes of class bits, size, depth."""
type _Read = tuple[JsonObject, int]


def _check_bits(kind: str, offset: int, precision: int, size: int) -> None:
    if not 0 < precision <= 8 * size or offset + precision > 8 * size:
        raise FormatError(f"{kind} datatype of {size} bytes has {precision} bits from bit {offset}")


def _integer(buf: bytes, pos: int, bits: _Bits) -> _Read:
    offset, precision = unpack_from("<HH", buf, pos)
    _check_bits("integer", offset, precision, bits[4])
    return {"big": bool(bits[1] & 1), "signed": bool(bits[1] & 8), "offset": offset, "precision": precision}, pos + 4


def _bitfield(buf: bytes, pos: int, bits: _Bits) -> _Read:
    fields, end = _integer(buf, pos, bits)
    return {**fields, "signed": False}, end


def _float(buf: bytes, pos: int, bits: _Bits) -> _Read:
    offset, precision, exp_at, exp_size, man_at, man_size, bias = unpack_from("<HHBBBBI", buf, pos)
    _check_bits("float", offset, precision, bits[4])
    if exp_at + exp_size > 8 * bits[4] or man_at + man_size > 8 * bits[4] or bits[2] >= 8 * bits[4]:
        raise FormatError(f"float datatype of {bits[4]} bytes has fields outside its bytes")
    order = (bits[1] & 1) | ((bits[1] >> 5) & 2)
    layout = (bits[2], exp_at, exp_size, man_at, man_size, bias, (bits[1] >> 4) & 3)
    fields = {"big": order == 1, "offset": offset, "precision": precision, "float_format": layout}
    return {**fields, "tag": "vax" if order > 1 else ""}, pos + 12


def _time(buf: bytes, pos: int, bits: _Bits) -> _Read:
    (precision,) = unpack_from("<H", buf, pos)
    return {"big": bool(bits[1] & 1), "precision": precision}, pos + 2


def _string(buf: bytes, pos: int, bits: _Bits) -> _Read:
    return _text(bits[1]), pos


def _text(flags: int) -> JsonObject:
    padding = flags & 15
    if padding >= len(PADDINGS):
        raise FormatError(f"string padding {padding} is unknown")
    return {"padding": PADDINGS[padding], "utf8": flags >> 4 == 1}


def _opaque(buf: bytes, pos: int, bits: _Bits) -> _Read:
    raw = bytes(buf[pos : pos + bits[1]])
    # the length in the file is already rounded up to a multiple of 8
    return {"tag": raw.split(b"\0")[0].decode("ascii", "replace")}, pos + -(-bits[1] // 8) * 8


def _reference(buf: bytes, pos: int, bits: _Bits) -> _Read:
    kinds = ("object", "region", "object2", "region2", "attribute2")
    number = bits[1] & 15
    return {"tag": kinds[number] if number < len(kinds) else f"kind {number}"}, pos


def _name(buf: bytes, pos: int, *, padded: bool) -> tuple[str, int]:
    end = buf.index(b"\0", pos) if b"\0" in buf[pos:] else len(buf)
    text = bytes(buf[pos:end])
    size = end + 1 - pos
    if padded:
        size = -(-size // 8) * 8
    try:
        return text.decode("utf-8"), pos + size
    except UnicodeDecodeError:
        return text.decode("latin-1"), pos + size


def _compound(buf: bytes, pos: int, bits: _Bits) -> _Read:
    version, b0, b1, _, size, depth = bits
    width = 4 if version < 3 else max(1, (size.bit_length() + 7) // 8)
    members = []
    for _ in range(b0 | b1 << 8):
        name, pos = _name(buf, pos, padded=version < 3)
        raw = buf[pos : pos + width]
        if len(raw) < width:
            raise IndexError
        offset = int.from_bytes(raw, "little")
        pos += width
        dims: tuple[int, ...] = ()
        if version == 1:
            rank = buf[pos]
            dims = unpack_from("<4I", buf, pos + 12)[: min(rank, 4)]
            pos += 28
        member, pos = _parse(buf, pos, depth + 1)
        if dims:
            count = _count(dims)
            member = Datatype("array", member.size * count, base=member, dims=dims)
        if offset + member.size > size:
            raise FormatError(f"member {name!r} ends at byte {offset + member.size} of a compound of {size} bytes")
        members.append(Member(name, offset, member))
    return {"members": tuple(members)}, pos


def _enum(buf: bytes, pos: int, bits: _Bits) -> _Read:
    version, b0, b1, _, size, depth = bits
    base, pos = _parse(buf, pos, depth + 1)
    if base.kind != "integer" or base.size != size:
        raise FormatError(f"enumeration of {size} bytes over a {base.kind} of {base.size} bytes")
    names = []
    for _ in range(b0 | b1 << 8):
        name, pos = _name(buf, pos, padded=version < 3)
        names.append(name)
    members = []
    for name in names:
        raw = buf[pos : pos + size]
        if len(raw) < size:
            raise IndexError
        members.append(Member(name, int.from_bytes(raw, "big" if base.big else "little", signed=base.signed)))
        pos += size
    return {"members": tuple(members), "base": base}, pos


def _vlen(buf: bytes, pos: int, bits: _Bits) -> _Read:
    base, end = _parse(buf, pos, bits[5] + 1)
    if bits[1] & 15 == 1:
        return {"kind": "vlen-string", "base": base, "utf8": bits[2] & 15 == 1}, end
    return {"base": base}, end


def _count(dims: tuple[int, ...]) -> int:
    count = 1
    for n in dims:
        count *= n
    return count


def _array(buf: bytes, pos: int, bits: _Bits) -> _Read:
    version, depth = bits[0], bits[5]
    rank = buf[pos]
    if not 0 < rank <= 32:
        raise FormatError(f"array datatype of {rank} dimensions")
    pos += 1 if version >= 3 else 4
    dims = unpack_from(f"<{rank}I", buf, pos)
    pos += 4 * rank * (1 if version >= 3 else 2)
    base, pos = _parse(buf, pos, depth + 1)
    if _count(dims) * base.size != bits[4]:
        raise FormatError(f"array datatype of {bits[4]} bytes holds {dims} elements of {base.size} bytes")
    return {"dims": dims, "base": base}, pos


def _complex(buf: bytes, pos: int, bits: _Bits) -> _Read:
    base, pos = _parse(buf, pos, bits[5] + 1)
    if base.kind != "float" or 2 * base.size != bits[4]:
        raise FormatError(f"complex datatype of {bits[4]} bytes over a {base.kind} of {base.size} bytes")
    return {"base": base}, pos


_READERS = {
    "integer": _integer,
    "float": _float,
    "time": _time,
    "string": _string,
    "bitfield": _bitfield,
    "opaque": _opaque,
    "compound": _compound,
    "reference": _reference,
    "enum": _enum,
    "vlen": _vlen,
    "array": _array,
    "complex": _complex,
}
