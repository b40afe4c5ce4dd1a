"""HDF5 filters without a Zarr name that need no further library: lzf, lz4, bitshuffle."""

from __future__ import annotations

from typing import Any

import numcodecs
import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import Attrs
from intake_virtualzarr.codecs.bounded import unzstd
from intake_virtualzarr.codecs.registry import Buffer, BytesDecoder, ChunkSpec, register_bytes
from intake_virtualzarr.errors import CodecError

try:  # 100 times as fast as the loop below
    from imagecodecs import lzf_decode as fast_lzf
except ImportError:  # pragma: no cover - the extra "filters" is optional
    fast_lzf = None  # type: ignore[assignment]

__all__ = ["expand_lzf"]


# ---------------------------------------------------------------- lzf


@register_bytes("hdf5.lzf")
def _lzf(configuration: Attrs) -> BytesDecoder:
    def decode(data: Buffer, chunk: ChunkSpec) -> Buffer:
        if fast_lzf is not None and chunk.nbytes:
            try:
                return fast_lzf(bytes(data), out=chunk.nbytes + 64)
            except Exception:
                pass
        return expand_lzf(bytes(data), chunk.nbytes + 64)

    return decode


def expand_lzf(data: bytes, limit: int) -> bytearray:
    """Decompress an LZF stream.

    Parameters
    ----------
    data : bytes
        Literal runs (a byte below 32 gives their length less 1) and references back into the output.
    limit : int
        Largest size of the result [bytes].

    Raises
    ------
    CodecError
        If the stream is damaged.
    """
    out = bytearray()
    pos, end = 0, len(data)
    try:
        while pos < end:
            control = data[pos]
            pos += 1
            if control < 32:
                stop = pos + control + 1
                if stop > end:
                    raise IndexError
                out += data[pos:stop]
                pos = stop
                continue
            length = control >> 5
            if length == 7:
                length += data[pos]
                pos += 1
            start = len(out) - ((control & 31) << 8) - data[pos] - 1
            pos += 1
            length += 2
            if start < 0:
                raise IndexError
            piece = out[start : start + length]
            while len(piece) < length:  # the reference overlaps what it produces
                piece += piece[: length - len(piece)]
            out += piece
            if len(out) > limit:
                raise IndexError
    except IndexError:
        raise CodecError("lzf stream is damaged") from None
    return out


# ---------------------------------------------------------------- lz4


def _lz4_block(block: bytes, size: int) -> bytes:
    try:
        return bytes(numcodecs.lz4.decompress(size.to_bytes(4, "little") + block))
    except (RuntimeError, ValueError) as exc:
        raise CodecError(f"lz4 block is damaged ({exc})") from exc


def _zstd_block(block: bytes, size: int) -> bytes:
    return bytes(unzstd(block, size, size))


@register_bytes("hdf5.lz4")
def _lz4(configuration: Attrs) -> BytesDecoder:
    def decode(data: Buffer, chunk: ChunkSpec) -> Buffer:
        raw = bytes(data)
        total, block = int.from_bytes(raw[:8], "big"), int.from_bytes(raw[8:12], "big")
        if total > max(chunk.nbytes + 64, 1) or block < 1:
            raise CodecError(f"lz4 chunk claims {total} bytes in blocks of {block}, expected {chunk.nbytes}")
        out = bytearray()
        pos = 12
        while len(out) < total:
            size = int.from_bytes(raw[pos : pos + 4], "big")
            piece = raw[pos + 4 : pos + 4 + size]
            expected = min(block, total - len(out))
            if not size or len(piece) < size:
                raise CodecError("lz4 chunk is cut short")
            out += piece if size == expected else _lz4_block(piece, expected)
            pos += 4 + size
        return out

    return decode


# ---------------------------------------------------------------- bitshuffle

TARGET = 8192
"""Bytes that a block of bitshuffle aims at."""
MULTIPLE = 8
MINIMUM = 128


def default_block(elementsize: int) -> int:
    """Elements of a block where the file names none."""
    return max(TARGET // elementsize // MULTIPLE * MULTIPLE, MINIMUM)


def bit_unshuffle(block: Buffer, elementsize: int) -> npt.NDArray[np.uint8]:
    """Undo the transposition of bits: bit k of all elements lies together, 8 elements to a byte."""
    raw = np.frombuffer(block, np.uint8)
    count = raw.size // elementsize
    bits = np.unpackbits(raw.reshape(8 * elementsize, count // 8), axis=1, bitorder="little")
    return np.packbits(bits.T, axis=1, bitorder="little").reshape(-1)


_DECOMPRESSORS = {"lz4": _lz4_block, "zstd": _zstd_block}


@register_bytes("hdf5.bitshuffle")
def _bitshuffle(configuration: Attrs) -> BytesDecoder:
    size = int(configuration["elementsize"])
    given = int(configuration.get("blocksize") or 0)
    compressor = configuration.get("compressor")
    if size < 1 or given < 0 or (compressor is not None and compressor not in _DECOMPRESSORS):
        raise CodecError(f"bitshuffle of {size}-byte elements in blocks of {given} with {compressor!r}")

    def decode(data: Buffer, chunk: ChunkSpec) -> Buffer:
        raw = bytes(data)
        if compressor is None:
            return _unshuffle_blocks(raw, len(raw), size, given or default_block(size))
        total, block_bytes = int.from_bytes(raw[:8], "big"), int.from_bytes(raw[8:12], "big")
        if total > max(chunk.nbytes + 64, 1):
            raise CodecError(f"bitshuffle chunk claims {total} bytes, expected {chunk.nbytes}")
        block = block_bytes // size or given or default_block(size)
        return _expand_blocks(raw, 12, total, size, block, _DECOMPRESSORS[compressor])

    return decode


def _blocks(total: int, size: int, block: int) -> list[int]:
    """Bytes of each block: whole ones, then one of a multiple of 8 elements."""
    if block < MULTIPLE or block % MULTIPLE:
        raise CodecError(f"bitshuffle in blocks of {block} elements, expected a multiple of 8")
    elements = total // size
    whole, rest = divmod(elements, block)
    last = rest // MULTIPLE * MULTIPLE
    return [block * size] * whole + ([last * size] if last else [])


def _unshuffle_blocks(raw: bytes, total: int, size: int, block: int) -> Buffer:
    out, pos = bytearray(), 0
    for length in _blocks(total, size, block):
        out += bit_unshuffle(raw[pos : pos + length], size).tobytes()
        pos += length
    return out + raw[pos:]


def _expand_blocks(raw: bytes, pos: int, total: int, size: int, block: int, decompress: Any) -> Buffer:
    out = bytearray()
    for length in _blocks(total, size, block):
        encoded = int.from_bytes(raw[pos : pos + 4], "big")
        piece = raw[pos + 4 : pos + 4 + encoded]
        if not encoded or len(piece) < encoded:
            raise CodecError("bitshuffle chunk is cut short")
        values = decompress(piece, length)
        if len(values) != length:
            raise CodecError(f"bitshuffle block decodes to {len(values)} bytes, expected {length}")
        out += bit_unshuffle(values, size).tobytes()
        pos += 4 + encoded
    # elements past the last multiple of 8 are copied
    return out + raw[pos : pos + total - len(out)]
