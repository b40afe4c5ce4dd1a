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
        if described.largest > MOST_PADDING * chunk.nbytes + 4096:
            raise CodecError(f"zfp header asks for up to {described.largest} bytes for a chunk of {chunk.nbytes}: it is damaged")
        # zfp reads on behind a stream that is cut short: give it as many zeros as it could ask for
        body = bytes(data).ljust(described.largest, b"\0")
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
    largest: int
    """No stream with this header is longer [bytes]."""


MAGIC_BITS, META_BITS, SHORT, LONG = 32, 52, 12, 64
MOST_PADDING = 16
"""Times the size of a chunk that its stream can be long, one value of 64 bits in a block of its own included."""


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
    largest = blocks * max(least, 4**rank * (8 * itemsize + 1) + 64) // 8 + 64
    return ZfpHeader(bits, itemsize, shape, largest)


def _join_bits(head: bytes, body: bytes, bits: int) -> bytes:
    """Put a stream behind the first bits of another."""
    first = int.from_bytes(head, "little") & ((1 << bits) - 1)
    whole = first | int.from_bytes(body, "little") << bits
    return whole.to_bytes(-(-bits // 8) + len(body) + 8, "little")
