"""HDF5 filters that imagecodecs decodes: szip, zfp. Needs the extra ``filters``."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np

from intake_virtualzarr._typing import Attrs
from intake_virtualzarr.codecs.bounded import checked_size, most_bytes
from intake_virtualzarr.codecs.registry import Buffer, BytesDecoder, ChunkSpec, register_bytes
from intake_virtualzarr.errors import CodecError, MissingExtraError

__all__ = ["ZfpHeader", "imagecodecs_for", "zfp_header"]


def imagecodecs_for(filter_name: str) -> Any:
    """The library, or an error that names the extra."""
    try:
        import imagecodecs
    except ImportError as exc:
        raise MissingExtraError(f"HDF5 filter {filter_name} needs imagecodecs: pip install 'intake-virtualzarr[filters]'") from exc
    return imagecodecs


@register_bytes("hdf5.szip")
def _szip(configuration: Attrs) -> BytesDecoder:
    codecs = imagecodecs_for("szip")
    mask, per_block, per_pixel, per_line = (int(v) for v in configuration["parameters"][:4])

    def decode(data: Buffer, chunk: ChunkSpec) -> Buffer:
        checked_size(int.from_bytes(bytes(memoryview(data)[:4]), "little"), most_bytes(chunk), "szip")
        try:
            return codecs.szip_decode(  # type: ignore[no-any-return]
                bytes(data), mask, per_block, per_pixel, per_line, header=True
            )
        except Exception as exc:
            raise CodecError(f"szip chunk is damaged ({exc})") from exc

    return decode


@register_bytes("hdf5.zfp")
def _zfp(configuration: Attrs) -> BytesDecoder:
    codecs = imagecodecs_for("zfp")
    # the first value holds versions, the others are the header that zfp puts before a stream
    header = np.array(configuration["parameters"][1:], "<u4").tobytes()
    described = zfp_header(header)

    def decode(data: Buffer, chunk: ChunkSpec) -> Buffer:
        if prod(described.shape) * described.itemsize != chunk.nbytes:
            raise CodecError(f"zfp header says {described.shape} of {described.itemsize} bytes, expected {chunk.nbytes} bytes")
        if described.least > 8 * len(data) + SLACK_BITS:
            raise CodecError(f"zfp chunk has {len(data)} bytes, its header asks for {described.least // 8}: it is damaged")
        # zfp reads on behind a stream that is cut short: give it as many zeros as it would read there
        body = bytes(memoryview(data)[: described.largest]) + bytes(described.padding)
        stream = _join_bits(header, body, described.bits) if described.bits % 8 else header[: described.bits // 8] + body
        try:
            values = codecs.zfp_decode(stream)
        except Exception as exc:
            raise CodecError(f"zfp chunk is damaged ({exc})") from exc
        return np.ascontiguousarray(values).reshape(-1).view(np.uint8)

    return decode


class ZfpHeader(NamedTuple):
    """What the header of a zfp stream says."""

    bits: int
    """Length of the header [bits]."""
    itemsize: int
    """Size of a value [bytes]."""
    shape: tuple[int, ...]
    """Values along each axis, the fastest first."""
    least: int
    """No stream with this header is shorter [bits]: each block is filled up to a length that the header names."""
    largest: int
    """No stream with this header is longer [bytes]."""
    padding: int
    """Zeros behind a stream that is cut short which a decoder may read [bytes]: the block that is cut, and of those behind it a
    bit for each plane and the first value's exponent. At most three fifths of the chunk."""


MAGIC_BITS, META_BITS, SHORT, LONG = 32, 52, 12, 64
SLACK_BITS = 2 * 64
"""Streams are written in words of 64 bits."""
ZERO_BLOCK = 16
"""Bits that a block of zeros takes beside one for each plane."""


def zfp_header(header: bytes) -> ZfpHeader:
    """Read the header of a zfp stream.

    Raises
    ------
    CodecError
        If it is none.

    References
    ----------
    zfp 1.0 documentation, "zfp Header"; ``zfp_stream_maximum_size``.
    """
    if len(header) < 12 or header[:3] != b"zfp":
        raise CodecError(f"zfp header starts with {header[:4]!r}")
    number = int.from_bytes(header.ljust(24, b"\0"), "little")
    meta = number >> MAGIC_BITS & (1 << META_BITS) - 1
    itemsize, rank = (4, 8, 4, 8)[meta & 3], (meta >> 2 & 3) + 1
    width = 48 // rank
    shape = tuple((meta >> 4 + axis * width & (1 << width) - 1) + 1 for axis in range(rank))
    mode = number >> MAGIC_BITS + META_BITS & (1 << SHORT) - 1
    if mode == (1 << SHORT) - 1:  # the four parameters in full follow; the first is the least size of a block
        least = (number >> MAGIC_BITS + META_BITS + SHORT & 0x7FFF) + 1
        bits = MAGIC_BITS + META_BITS + LONG
    else:
        least = mode + 1 if mode < 2048 else 1
        bits = MAGIC_BITS + META_BITS + SHORT
    blocks = prod(-(-n // 4) for n in shape)
    block = max(least, 4**rank * (8 * itemsize + 1) + 64)
    padding = (block + blocks * (8 * itemsize + ZERO_BLOCK)) // 8 + 64
    return ZfpHeader(bits, itemsize, shape, blocks * least, blocks * block // 8 + 64, padding)


def _join_bits(head: bytes, body: bytes, bits: int) -> bytes:
    """Put a stream behind the first bits of another."""
    whole, shift = divmod(bits, 8)
    values = np.frombuffer(body, np.uint8)
    out = np.zeros(whole + len(body) + 1, np.uint8)
    out[: whole + 1] = np.frombuffer(head, np.uint8, whole + 1)
    out[whole] &= (1 << shift) - 1
    out[whole:-1] |= values << shift
    out[whole + 1 :] |= values >> (8 - shift)
    return out.tobytes()
