"""HDF5's blosc2 filter: a chunk is a frame that holds one Blosc2 chunk, in blocks if it has several axes.

References
----------
C-Blosc2 documentation, "Blosc2 Contiguous Frame Format" and "B2ND Metalayer".
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import Attrs
from intake_virtualzarr.codecs.bounded import checked_size, most_bytes
from intake_virtualzarr.codecs.hdf5_szip_zfp import imagecodecs_for
from intake_virtualzarr.codecs.registry import Buffer, BytesDecoder, ChunkSpec, register_bytes
from intake_virtualzarr.errors import CodecError

__all__: list[str] = []


MAGIC = b"b2frame\0"
HEADER_SIZE, NBYTES, CBYTES = slice(11, 15), slice(30, 38), slice(39, 47)
"""Places in the frame's header; numbers are big-endian behind a type byte of MessagePack."""
B2ND = b"\xa4b2nd\xd2"
SPECIAL = 1 << 63
ZEROS, NANS = 1, 2
PADDED = 7
"""Times its size that blocks at the edges may add to a chunk: twice along each of three axes."""


@register_bytes("hdf5.blosc2")
def _blosc2(configuration: Attrs) -> BytesDecoder:
    codecs = imagecodecs_for("blosc2")

    def decode(data: Buffer, chunk: ChunkSpec) -> Buffer:
        frame = bytes(data)
        if frame[2:10] != MAGIC:
            return _inflate(codecs, frame, chunk.nbytes)
        header, nbytes, cbytes = (int.from_bytes(frame[s], "big") for s in (HEADER_SIZE, NBYTES, CBYTES))
        if nbytes > most_bytes(chunk) + PADDED * chunk.nbytes or header + cbytes > len(frame):
            raise CodecError(f"blosc2 frame of {len(frame)} bytes claims {nbytes} bytes, expected {chunk.nbytes}")
        if cbytes == 0:
            return _special(codecs, frame[header:], nbytes, chunk)
        raw = _inflate(codecs, frame[header : header + cbytes], nbytes)
        shapes = _block_shapes(frame[:header])
        return raw if shapes is None else _from_blocks(raw, *shapes)

    return decode


def _inflate(codecs: Any, block: bytes, nbytes: int) -> bytes:
    checked_size(int.from_bytes(block[4:8], "little"), nbytes, "blosc2")
    try:
        raw = bytes(codecs.blosc2_decode(block))
    except Exception as exc:
        raise CodecError(f"blosc2 chunk is damaged ({exc})") from exc
    if len(raw) != nbytes:
        raise CodecError(f"blosc2 chunk decodes to {len(raw)} bytes, expected {nbytes}")
    return raw


def _special(codecs: Any, index: bytes, nbytes: int, chunk: ChunkSpec) -> Buffer:
    """A chunk that is not stored because all its values are zero or NaN: the index of the frame says which."""
    size = int.from_bytes(index[12:16], "little")
    offset = int.from_bytes(_inflate(codecs, index[:size], 8), "little")
    kind = offset >> 56 & 0x7F
    visible = min(nbytes, chunk.nbytes)  # without what blocks at the edges add
    if offset & SPECIAL and kind == ZEROS:
        return bytes(visible)
    if offset & SPECIAL and kind == NANS and chunk.dtype.kind == "f":
        return np.full(visible // chunk.dtype.itemsize, np.nan, chunk.dtype).tobytes()
    raise CodecError(f"blosc2 frame with a special chunk of kind {kind}")


def _block_shapes(header: bytes) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Shape of the chunk and of its blocks, from the metalayer of frames with several axes."""
    at = header.find(B2ND)
    if at < 0:
        return None
    start = int.from_bytes(header[at + 6 : at + 10], "big")
    content = header[start + 5 :]
    rank = content[2]
    if not 1 <= rank <= 15 or len(content) < 3 + rank * 19 + 3:
        raise CodecError(f"blosc2 frame of {rank} axes")
    # a byte for the array, then a type byte and a number for each axis: shape, chunk shape, block shape
    pos = 3 + 1 + rank * 9 + 1
    chunk_shape = tuple(int.from_bytes(content[pos + 5 * i + 1 : pos + 5 * i + 5], "big") for i in range(rank))
    pos += rank * 5 + 1
    block_shape = tuple(int.from_bytes(content[pos + 5 * i + 1 : pos + 5 * i + 5], "big") for i in range(rank))
    if any(n < 1 for n in (*chunk_shape, *block_shape)):
        raise CodecError(f"blosc2 frame of blocks {block_shape} in chunks {chunk_shape}")
    return chunk_shape, block_shape


def _from_blocks(raw: bytes, chunk_shape: tuple[int, ...], block_shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Put blocks side by side; those at the edges are stored whole."""
    counts = tuple(-(-n // b) for n, b in zip(chunk_shape, block_shape, strict=True))
    elements = prod(counts) * prod(block_shape)
    if len(raw) % elements:
        raise CodecError(f"blosc2 chunk of {len(raw)} bytes holds no {elements} elements")
    rank, size = len(counts), len(raw) // elements
    values = np.frombuffer(raw, np.uint8).reshape(*counts, *block_shape, size)
    order = [axis for pair in zip(range(rank), range(rank, 2 * rank), strict=True) for axis in pair]
    whole = values.transpose(*order, 2 * rank).reshape(*(c * b for c, b in zip(counts, block_shape, strict=True)), size)
    return np.ascontiguousarray(whole[tuple(slice(0, n) for n in chunk_shape)]).reshape(-1)
