"""What a message of GRIB edition 2 says of its packed values, checked before a decoder makes room for them."""

from __future__ import annotations

from intake_virtualzarr.codecs.grib_message import Sections
from intake_virtualzarr.errors import CodecError

__all__ = ["check_message"]

COMPLEX = frozenset({2, 3})
CCSDS, JPEG, PNG = 42, frozenset({40, 40000}), frozenset({41, 40010})
MOST_BITS = 64


def check_message(sections: Sections, points: int) -> None:
    """Check that a decoder is asked for no more values than the grid has points.

    Raises
    ------
    CodecError
        If a section claims more, or is too short for what it claims.
    """
    packing, values = sections[5], sections[7][5:]
    if len(packing) < 11:
        raise CodecError(f"GRIB message: section 5 has {len(packing)} bytes: it is damaged")
    count, template = int.from_bytes(packing[5:9], "big"), int.from_bytes(packing[9:11], "big")
    bitmap = sections[6]
    if count > points:
        raise CodecError(f"GRIB message claims {count} packed values on {points} points: it is damaged")
    if bitmap[5] == 0 and len(bitmap) < 6 + -(-points // 8):
        raise CodecError(f"GRIB message: a bitmap of {len(bitmap) - 6} bytes for {points} points: it is damaged")
    if bitmap[5] == 255 and count != points:
        raise CodecError(f"GRIB message has {count} values without a bitmap, its grid {points} points: it is damaged")
    bits = packing[19] if len(packing) > 19 else 0
    if template != 4 and bits > MOST_BITS:
        raise CodecError(f"GRIB message claims {bits} bits a value: it is damaged")
    if template == 0 and len(values) * 8 < count * bits:
        raise CodecError(f"GRIB message has {len(values)} bytes for {count} values of {bits} bits: it is damaged")
    if template in COMPLEX:
        _check_groups(packing, values, count)
    elif template in JPEG and bits:
        _check_size(_jpeg_size(values), count, "JPEG 2000")
    elif template in PNG and bits:
        _check_size(_png_size(values), count, "PNG")


def _check_groups(packing: bytes, values: bytes, count: int) -> None:
    if len(packing) < 47:
        raise CodecError(f"GRIB message: section 5 of complex packing has {len(packing)} bytes: it is damaged")
    groups, least = int.from_bytes(packing[31:35], "big"), int.from_bytes(packing[37:41], "big")
    last, length_bits = int.from_bytes(packing[42:46], "big"), packing[46]
    needed = groups * packing[19] + groups * packing[36] + groups * length_bits
    if groups > count or last > count or packing[36] > 32 or length_bits > 32 or needed > 8 * len(values) + 64:
        raise CodecError(f"GRIB message claims {groups} groups of at least {least} values of {count}: it is damaged")
    if groups and (groups - 1) * least > count:
        raise CodecError(f"GRIB message claims {groups} groups of at least {least} values of {count}: it is damaged")


def _check_size(size: int | None, count: int, what: str) -> None:
    if size is None or size > count:
        raise CodecError(f"GRIB message holds a {what} image of {size} points for {count} values: it is damaged")


def _jpeg_size(stream: bytes) -> int | None:
    """Samples of a JPEG 2000 codestream, by its SIZ marker."""
    if stream[:4] != b"\xff\x4f\xff\x51" or len(stream) < 44:
        return None
    right, lower, left, upper = (int.from_bytes(stream[at : at + 4], "big") for at in (8, 12, 16, 20))
    components = int.from_bytes(stream[40:42], "big")
    return max(right - left, 0) * max(lower - upper, 0) * max(components, 1)


def _png_size(stream: bytes) -> int | None:
    if stream[:8] != b"\x89PNG\r\n\x1a\n" or stream[12:16] != b"IHDR":
        return None
    return int.from_bytes(stream[16:20], "big") * int.from_bytes(stream[20:24], "big")
