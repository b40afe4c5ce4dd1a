"""HDF5 filters that imagecodecs decodes: szip, zfp. Needs the extra ``filters``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from intake_virtualzarr.codecs.registry import Buffer, BytesDecoder, ChunkSpec, register_bytes
from intake_virtualzarr.errors import CodecError, MissingExtraError

__all__ = ["imagecodecs_for"]


def imagecodecs_for(filter_name: str) -> Any:
    """The library, or an error that names the extra."""
    try:
        import imagecodecs
    except ImportError as exc:
        raise MissingExtraError(f"HDF5 filter {filter_name} needs imagecodecs: pip install 'intake-virtualzarr[filters]'") from exc
    return imagecodecs


@register_bytes("hdf5.szip")
def _szip(configuration: Mapping[str, Any]) -> BytesDecoder:
    codecs = imagecodecs_for("szip")
    mask, per_block, per_pixel, per_line = (int(v) for v in configuration["parameters"][:4])

    def decode(data: Buffer, chunk: ChunkSpec) -> Buffer:
        try:
            return codecs.szip_decode(  # type: ignore[no-any-return]
                bytes(data), mask, per_block, per_pixel, per_line, header=True
            )
        except Exception as exc:
            raise CodecError(f"szip chunk is damaged ({exc})") from exc

    return decode


@register_bytes("hdf5.zfp")
def _zfp(configuration: Mapping[str, Any]) -> BytesDecoder:
    codecs = imagecodecs_for("zfp")
    # the first value holds versions, the others are the header that zfp puts before a stream
    header = np.array(configuration["parameters"][1:], "<u4").tobytes()
    long_mode = _is_long(header)

    def decode(data: Buffer, chunk: ChunkSpec) -> Buffer:
        stream = _join_bits(header, bytes(data), 148) if long_mode else header[:12] + bytes(data)
        try:
            values = codecs.zfp_decode(stream)
        except Exception as exc:
            raise CodecError(f"zfp chunk is damaged ({exc})") from exc
        return np.ascontiguousarray(values).reshape(-1).view(np.uint8)

    return decode


def _is_long(header: bytes) -> bool:
    """Whether the compression mode takes 64 bits instead of 12: all its short bits are set."""
    if len(header) < 12 or header[:3] != b"zfp":
        raise CodecError(f"zfp header starts with {header[:4]!r}")
    # 32 bits of magic, 52 of metadata, then the mode
    return int.from_bytes(header[:12], "little") >> 84 == 0xFFF


def _join_bits(head: bytes, body: bytes, bits: int) -> bytes:
    """Put a stream behind the first bits of another."""
    first = int.from_bytes(head, "little") & ((1 << bits) - 1)
    whole = first | int.from_bytes(body, "little") << bits
    return whole.to_bytes(-(-bits // 8) + len(body) + 8, "little")
