"""Simple and complex packing of GRIB, spatial differencing and bitmaps, in NumPy: what most files use needs no library.

The arithmetic is that of ecCodes, step by step, so that values agree to the last bit.

Source: WMO-No. 306, volume I.2: data templates 7.0, 7.2, 7.3 and 7.4 of edition 2, section 4 of edition 1; regulation 92.9.4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.codecs.grib_message import Sections, signed
from intake_virtualzarr.errors import CodecError

__all__ = ["OWN", "unpacked1", "unpacked2"]

OWN = frozenset({0, 2, 3, 4})
"""Data representation templates of edition 2 that are decoded here."""
WIDEST = 32
"""Bits of a packed number."""
NO_BITMAP = 255


@dataclass(frozen=True, slots=True)
class _Scale:
    """``(reference + number * binary) * decimal``."""

    reference: float
    binary: float
    decimal: float

    def values(self, numbers: AnyArray) -> AnyArray:
        found: AnyArray = (numbers.astype(np.float64) * self.binary + self.reference) * self.decimal
        return found


def _power(exponent: int, base: float) -> float:
    """A power as ecCodes makes it, by repeated multiplication or division."""
    found = 1.0
    for _ in range(min(abs(exponent), 1100)):
        found = found * base if exponent > 0 else found / base
    return found


def unpacked2(sections: Sections, points: int) -> AnyArray:
    """Values of all points of a field of edition 2, NaN where a bitmap has none.

    Raises
    ------
    CodecError
        If the sections contradict themselves or are cut short.
    """
    packing, data = sections[5], sections[7][5:]
    template = int.from_bytes(packing[9:11], "big")
    count = int.from_bytes(packing[5:9], "big")
    there = _bitmap(sections[6][6:], points) if sections[6][5] == 0 else None
    _check(there is not None or sections[6][5] == NO_BITMAP, "names a bitmap that is defined elsewhere")
    _check(
        count == (points if there is None else int(np.count_nonzero(there))), f"has {count} values, which is not what its grid has"
    )
    return _spread(_floats(packing, data, count) if template == 4 else _packed(packing, data, count, template), there)


def _packed(packing: bytes, data: bytes, count: int, template: int) -> AnyArray:
    _check(len(packing) >= (21, 47, 49)[max(template - 1, 0)], f"has a section 5 of {len(packing)} bytes")
    scale = _Scale(
        float(np.frombuffer(packing[11:15], ">f4")[0]),
        _power(signed(packing[15:17]), 2.0),
        _power(-signed(packing[17:19]), 10.0),
    )
    if template == 0:
        return _simple(data, count, packing[19], scale)
    if not int.from_bytes(packing[31:35], "big"):  # no groups: one value for all
        return np.full(count, scale.reference)
    numbers, missing = _complex(packing, data, count, packing[47] if template == 3 else 0)
    values = scale.values(numbers)
    values[missing] = np.nan
    return values


def _floats(packing: bytes, data: bytes, count: int) -> AnyArray:
    size = {1: 4, 2: 8}.get(packing[11] if len(packing) > 11 else 0)
    if size is None:
        raise CodecError(f"GRIB message: floats of precision {packing[11:12]!r} have no decoder here")
    _check(len(data) >= count * size, f"has {len(data)} bytes for {count} floats")
    return np.frombuffer(data, f">f{size}", count).astype(np.float64)


def unpacked1(sections: tuple[bytes, bytes, bytes], decimal: int, points: int) -> AnyArray | None:
    """Values of all points of a field of edition 1; None if its packing is none of those that are known here.

    Parameters
    ----------
    sections : tuple of bytes
        Bitmap (may be empty), values up to the end of the message, flags of the values.
    decimal : int
        Decimal scale factor.
    points : int
        Points of its grid.
    """
    bitmap, data, flags = sections
    if flags[0] & 0xF0 or len(data) < 11 or (bitmap and bitmap[4:6] != b"\0\0"):
        return None
    there = _bitmap(bitmap[6:], points) if bitmap else None
    count = points if there is None else int(np.count_nonzero(there))
    scale = _Scale(_ibm(data[6:10]), _power(signed(data[4:6]), 2.0), _power(-decimal, 10.0))
    return _spread(_simple(data[11:], count, data[10], scale), there)


def _ibm(raw: bytes) -> float:
    """A float of IBM's kind: sign, seven bits of a power of 16, 24 bits of a fraction."""
    size = int.from_bytes(raw[1:4], "big") * 16.0 ** ((raw[0] & 0x7F) - 70)
    return -size if raw[0] & 0x80 else size


# ---------------------------------------------------------------- numbers of some bits


def _check(fine: bool, what: str) -> None:
    if not fine:
        raise CodecError(f"GRIB message {what}: it is damaged")


def _bitmap(raw: bytes, points: int) -> AnyArray:
    _check(8 * len(raw) >= points, f"has a bitmap of {len(raw)} bytes for {points} points")
    found: AnyArray = np.unpackbits(np.frombuffer(raw, np.uint8), count=points).view(np.bool_)
    return found


def _spread(values: AnyArray, there: AnyArray | None) -> AnyArray:
    if there is None:
        return values
    found: AnyArray = np.full(there.shape, np.nan)
    found[there] = values
    return found


def _simple(data: bytes, count: int, bits: int, scale: _Scale) -> AnyArray:
    if not bits:  # as ecCodes has it, without the decimal scale
        return np.full(count, scale.reference)
    _check(bits <= WIDEST, f"has numbers of {bits} bits")
    _check(8 * len(data) >= count * bits, f"has {len(data)} bytes for {count} values of {bits} bits")
    if bits in (8, 16, 32):
        return scale.values(np.frombuffer(data, f">u{bits // 8}", count))
    return scale.values(_numbers(data, 0, count, bits))


def _numbers(data: bytes, start: int, count: int, bits: int) -> AnyArray:
    """Numbers of one width, one after the other from a byte on."""
    _check(8 * (len(data) - start) >= count * bits, "ends within its packed numbers")
    return _gathered(data, 8 * start + bits * np.arange(count, dtype=np.int64), np.int64(bits))


def _gathered(data: bytes, places: AnyArray, widths: AnyArray | np.int64) -> AnyArray:
    """Numbers at any bits, of up to 32 bits each: of five bytes from where each begins."""
    raw = np.frombuffer(data + bytes(5), np.uint8)
    first, inside = places >> 3, places & 7
    word = np.zeros(places.shape, np.int64)
    for k in range(5):
        word = word << 8 | raw[first + k]
    found: AnyArray = word >> (40 - inside - widths) & ((np.int64(1) << widths) - 1)
    return found


# ---------------------------------------------------------------- complex packing


@dataclass(frozen=True, slots=True)
class _Groups:
    """Groups of numbers of complex packing."""

    references: AnyArray
    widths: AnyArray
    lengths: AnyArray
    start: int
    """First byte of the numbers."""


def _groups(packing: bytes, data: bytes, at: int, count: int) -> _Groups:
    number, bits = int.from_bytes(packing[31:35], "big"), packing[19]
    length_bits, width_bits = packing[46], packing[36]
    _check(max(bits, length_bits, width_bits) <= WIDEST and number <= count, f"claims {number} groups for {count} values")
    columns = []
    for width in (bits, width_bits, length_bits):
        columns.append(_numbers(data, at, number, width))
        at += -(-number * width // 8)
    widths = columns[1] + packing[35]
    lengths = int.from_bytes(packing[37:41], "big") + columns[2] * packing[41]
    lengths[-1] = int.from_bytes(packing[42:46], "big")
    _check(int(widths.max()) <= WIDEST, f"has groups of {int(widths.max())} bits")
    _check(
        int(lengths.max()) <= count and int(lengths.sum()) == count,
        f"has groups of {int(lengths.sum())} numbers for {count} values",
    )
    return _Groups(columns[0], widths, lengths, at)


def _complex(packing: bytes, data: bytes, count: int, order: int) -> tuple[AnyArray, AnyArray]:
    """The packed numbers, and which are missing."""
    _check(order <= 2, f"has differences of order {order}")
    size = packing[48] if order else 0
    _check(not order or 0 < size <= 8, f"has first values of {size} bytes")
    head = [signed(data[k * size : (k + 1) * size]) for k in range(order + 1)] if order else []
    _check(len(data) >= size * len(head), "ends before its first values")
    groups = _groups(packing, data, size * len(head), count)
    widths = np.repeat(groups.widths, groups.lengths)
    places = np.cumsum(widths) - widths
    _check(8 * (len(data) - groups.start) >= int((groups.widths * groups.lengths).sum()), "ends within its packed numbers")
    packed = _gathered(data, places + 8 * groups.start, widths)
    numbers = packed + np.repeat(groups.references, groups.lengths)
    missing = _missing(packing, packed, widths, np.repeat(groups.references, groups.lengths))
    if order:
        numbers[~missing] = _summed(numbers[~missing], head)
    return numbers, missing


def _missing(packing: bytes, packed: AnyArray, widths: AnyArray, references: AnyArray) -> AnyArray:
    """Which numbers stand for missing values: all bits set, or (of the second kind) all but the last."""
    kinds = packing[22]
    none: AnyArray = np.zeros(packed.shape, bool)
    if not kinds:
        return none
    _check(kinds <= 2, f"has missing values of kind {kinds}")
    all_set = (np.int64(1) << np.where(widths > 0, widths, packing[19])) - 1
    shown = np.where(widths > 0, packed, references)
    for kind in range(kinds):
        none |= shown == all_set - kind
    return none


def _summed(numbers: AnyArray, head: list[int]) -> AnyArray:
    """Undo differences: the first values are given, and the least difference, which was taken off all."""
    *first, least = head
    order = len(first)
    _check(max(map(abs, head)) < 2**62, "has first values that are too large")
    found: AnyArray = numbers + least
    for k, value in enumerate(first[: found.size]):
        found[k] = value
    if order == 1:
        return np.cumsum(found)
    if found.size > 1:
        found[1] -= found[0]
        found[1:] = np.cumsum(found[1:])
    return np.cumsum(found)
