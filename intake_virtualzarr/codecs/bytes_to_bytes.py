"""Bytes-to-bytes codecs that HDF5 files of every archive use: deflate, shuffle, fletcher32, and what numcodecs offers."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Sequence
from itertools import repeat
from math import prod
from typing import Any

import numcodecs
import numpy as np
import numpy.typing as npt
from numcodecs import blosc

from intake_virtualzarr._typing import AnyArray, Attrs, Shape
from intake_virtualzarr.codecs.bounded import bunzip2, gunzip, inflate, most_bytes, unlz4, unlzma, unzstd
from intake_virtualzarr.codecs.registry import Buffer, BytesDecoder, ChunkSpec, register_bytes
from intake_virtualzarr.errors import CodecError

__all__ = ["all_through", "inflates_by", "join", "unshuffle", "unshuffle_into", "unshuffle_together"]


def _libdeflate() -> Any:
    """The function of libdeflate; it inflates 1.7 to 4 times as fast as zlib. None where the package ``deflate`` is missing."""
    try:
        from deflate import zlib_decompress
    except ImportError:
        return None
    return zlib_decompress


_fast = _libdeflate()


def inflates_by() -> str:
    """What inflates chunks in this installation: ``"libdeflate"`` or, where that cannot be imported, ``"zlib"``."""
    return "zlib" if _fast is None else "libdeflate"


@register_bytes("numcodecs.zlib")
def _zlib(_configuration: Attrs) -> BytesDecoder:
    return _inflate


def _inflate(data: Buffer, chunk: ChunkSpec) -> Buffer:
    limit = most_bytes(chunk)
    if _fast is not None:
        try:
            # the size is an upper bound: a checksum or a second filter may stand before deflate in the pipeline
            return _fast(data, chunk.nbytes + 64)  # type: ignore[no-any-return]
        except Exception:  # zlib decides whether the stream is really bad
            pass
    return inflate(data, limit)


def all_through(step: BytesDecoder, blocks: Sequence[Buffer], chunk: ChunkSpec) -> list[Buffer]:
    """A step of a pipeline for many chunks; libdeflate is called without a line of Python between its calls."""
    if step is _inflate and _fast is not None:
        try:
            return list(map(_fast, blocks, repeat(min(chunk.nbytes + 64, most_bytes(chunk)))))
        except Exception:  # one of them is damaged or longer
            pass
    return [step(data, chunk) for data in blocks]


@register_bytes("gzip")
@register_bytes("numcodecs.gzip")
def _gzip(_configuration: Attrs) -> BytesDecoder:
    return lambda data, chunk: gunzip(data, most_bytes(chunk))


@register_bytes("hdf5.shuffle")
@register_bytes("numcodecs.shuffle")
def _shuffle(configuration: Attrs) -> BytesDecoder:
    size = int(configuration.get("elementsize", 4))
    if size < 1:
        raise CodecError(f"shuffle with elements of {size} bytes")

    def decode(data: Buffer, _chunk: ChunkSpec) -> Buffer:
        return data if size == 1 else unshuffle(data, size)

    return decode


def unshuffle(data: Buffer, elementsize: int) -> npt.NDArray[np.uint8]:
    """Undo HDF5's byte shuffle; bytes past the last whole element pass through, as HDF5 does it."""
    raw = np.frombuffer(data, dtype=np.uint8)
    count = raw.size // elementsize
    whole = count * elementsize
    out = np.empty(raw.size, dtype=np.uint8)
    weave(raw[:whole].reshape(elementsize, count), out[:whole].reshape(count, elementsize))
    out[whole:] = raw[whole:]
    return out


BLOCK = 256 * 1024
"""Elements woven at once: source and destination should stay in the core's cache."""


def weave(planes: npt.NDArray[np.uint8], out: npt.NDArray[np.uint8]) -> None:
    """Byte planes into elements: ``out[..., k] = planes[k]``.

    One plane after the other, block by block, is three times as fast as NumPy's copy of the transposed array.
    """
    rows = planes.shape[1]
    step = max(1, BLOCK * rows // max(1, planes[0].size))
    for start in range(0, rows, step):
        for k in range(planes.shape[0]):
            out[start : start + step, ..., k] = planes[k, start : start + step]


def unshuffle_into(data: Buffer, shape: Shape, inside: tuple[slice, ...] | None, target: AnyArray, *, big: bool) -> None:
    """Undo the byte shuffle of numbers straight into the place where they belong.

    Parameters
    ----------
    data : buffer
        Shuffled bytes of a whole chunk.
    shape : tuple of int
        Stored shape of the chunk [elements].
    inside : tuple of slice, optional
        Elements that are wanted; None for all.
    target : numpy.ndarray
        Where they go, in native byte order, of any strides.
    big : bool
        Whether the stored numbers are big-endian.

    Raises
    ------
    CodecError
        If the number of bytes is not that of the shape.
    """
    size = target.dtype.itemsize
    raw = np.frombuffer(data, dtype=np.uint8)
    if raw.size != prod(shape) * size:
        raise CodecError(f"chunk decodes to {raw.size} bytes, expected {prod(shape) * size} for {shape} {target.dtype}")
    if raw.size <= WOVEN_BY_BLOSC and big is not np.little_endian and raw.size:
        values = np.frombuffer(_through_blosc(raw, size), target.dtype).reshape(shape)
        target[...] = values if inside is None else values[inside]
        return
    planes = raw.reshape(size, *shape)
    if inside is not None:
        planes = planes[(slice(None), *inside)]
    if big is np.little_endian:
        planes = planes[::-1]
    while planes.ndim > 2 and planes.shape[1] == 1:  # blocks are cut along the first axis
        planes, target = planes[:, 0], target[0]
    if np.little_endian:
        _weave_words(planes, target[..., np.newaxis].view(np.uint16))
    else:
        weave(planes, target[..., np.newaxis].view(np.uint8))


def _weave_words(planes: npt.NDArray[np.uint8], words: npt.NDArray[np.uint16]) -> None:
    """As `weave`, two planes at a time: arithmetic on words is faster than two strided copies of bytes."""
    rows = planes.shape[1]
    step = max(1, BLOCK * rows // max(1, planes[0].size))
    scratch = np.empty((min(step, rows), *planes.shape[2:]), np.uint16)
    for start in range(0, rows, step):
        part, to = planes[:, start : start + step], words[start : start + step]
        high = scratch[: part.shape[1]]
        for k in range(to.shape[-1]):
            np.multiply(part[2 * k + 1], np.uint16(256), out=high)
            np.add(high, part[2 * k], out=to[..., k])


WOVEN_BY_BLOSC = 256 * 1024
"""Chunks up to this size go through blosc's shuffle: vector instructions, and one call that leaves the interpreter [bytes]."""


def _through_blosc(raw: npt.NDArray[np.uint8], size: int) -> bytes:
    """Shuffled bytes unshuffled by blosc, as a frame of one block that is shuffled and not compressed.

    The frame is that of Blosc 1 (README_CHUNK_FORMAT): version 2, flags "byte shuffle" and "not split", then the place of the
    block and its size, which is that of the values where it is not compressed.
    """
    n = raw.size
    head = _FRAME.pack(2, 1, 0x11, size, n, n, n + _FRAME.size, 20, n)
    return blosc.decompress(b"".join((head, raw)))  # type: ignore[no-any-return]


_FRAME = struct.Struct("<4B5i")
_HEAD = struct.Struct("<4B3i")


class _Scratch(threading.local):
    """Memory of one thread, kept: fresh pages cost as much as what is written to them."""

    def __init__(self) -> None:
        self._kept = np.empty(0, np.uint8)

    def take(self, size: int) -> npt.NDArray[np.uint8]:
        """So many bytes, until the next call in this thread."""
        if self._kept.size < size:
            self._kept = np.empty(size, np.uint8)
        return self._kept[:size]


_scratch = _Scratch()


def join(blocks: Sequence[Buffer], nbytes: int) -> npt.NDArray[np.uint8]:
    """Decoded chunks of so many bytes each, one behind the other.

    The result is memory that this thread uses again when it calls this again.

    Raises
    ------
    CodecError
        If one has another size.
    """
    _check_sizes(blocks, nbytes)
    out = _scratch.take(len(blocks) * nbytes)
    return np.concatenate([np.frombuffer(block, np.uint8) for block in blocks], out=out)


def unshuffle_together(blocks: Sequence[Buffer], nbytes: int, size: int) -> npt.NDArray[np.uint8]:
    """As `join`, with the byte shuffle of each chunk undone: one frame of blosc with a block for each.

    The result is memory that this thread uses again when it calls this again.
    """
    _check_sizes(blocks, nbytes)
    count = len(blocks)
    if threading.current_thread() is threading.main_thread():
        return _unshuffle_each(blocks, nbytes, size)
    places = 16 + 4 * count + (4 + nbytes) * np.arange(count + 1, dtype="<i4")
    parts: list[Buffer] = [_HEAD.pack(2, 1, 0x11, size, count * nbytes, nbytes, int(places[-1])), places[:-1].tobytes()]
    length = nbytes.to_bytes(4, "little")
    for block in blocks:
        parts += (length, block)
    out = _scratch.take(count * nbytes)
    blosc.decompress(b"".join(parts), out)
    return out


def _unshuffle_each(blocks: Sequence[Buffer], nbytes: int, size: int) -> npt.NDArray[np.uint8]:
    """The same block by block: in the main thread, numcodecs lets blosc start threads of its own for a frame of several blocks."""
    out = _scratch.take(len(blocks) * nbytes)
    for at, block in enumerate(blocks):
        out[at * nbytes : (at + 1) * nbytes] = np.frombuffer(_through_blosc(np.frombuffer(block, np.uint8), size), np.uint8)
    return out


def _check_sizes(blocks: Sequence[Buffer], nbytes: int) -> None:
    for block in blocks:
        if memoryview(block).nbytes != nbytes:
            raise CodecError(f"chunk decodes to {memoryview(block).nbytes} bytes, expected {nbytes}")


@register_bytes("numcodecs.fletcher32")
def _fletcher32(_configuration: Attrs) -> BytesDecoder:
    codec = numcodecs.Fletcher32()

    def decode(data: Buffer, _chunk: ChunkSpec) -> Buffer:
        try:
            return codec.decode(np.frombuffer(data, np.uint8))  # type: ignore[no-any-return]
        except (RuntimeError, ValueError, IndexError) as exc:  # IndexError: fewer bytes than the checksum has
            raise CodecError("fletcher32 checksum does not match: the chunk is damaged") from exc

    return decode


DAMAGE = (RuntimeError, ValueError, OSError, IndexError, SystemError, MemoryError, OverflowError)
"""What numcodecs raises for damaged chunks; the last four come from sizes in their headers that are not true."""


def _blosc(_configuration: Attrs) -> BytesDecoder:
    inner = _from_numcodecs(lambda _: numcodecs.Blosc())({})

    def decode(data: Buffer, chunk: ChunkSpec) -> Buffer:
        # blosc believes its header, which may claim any size and lead it out of the buffer
        head = bytes(memoryview(data)[:16])
        claimed, encoded = int.from_bytes(head[4:8], "little"), int.from_bytes(head[12:16], "little")
        if len(head) < 16 or encoded > memoryview(data).nbytes or claimed > most_bytes(chunk):
            raise CodecError(f"blosc chunk claims {claimed} bytes in {encoded}, expected {chunk.nbytes}")
        return inner(data, chunk)

    return decode


def _from_numcodecs(make: Callable[[Attrs], Any]) -> Callable[[Attrs], BytesDecoder]:
    def factory(configuration: Attrs) -> BytesDecoder:
        codec = make(configuration)
        # numcodecs' compressors keep state between calls in some releases; one lock a pipeline is cheap beside them
        lock = threading.Lock()

        def decode(data: Buffer, _chunk: ChunkSpec) -> Buffer:
            try:
                with lock:
                    return codec.decode(np.ascontiguousarray(np.frombuffer(data, np.uint8)))  # type: ignore[no-any-return]
            except DAMAGE as exc:
                raise CodecError(f"{codec.codec_id} chunk is damaged ({exc})") from exc

        return decode

    return factory


@register_bytes("zstd")
@register_bytes("numcodecs.zstd")
def _zstd(_configuration: Attrs) -> BytesDecoder:
    return lambda data, chunk: unzstd(data, most_bytes(chunk), chunk.nbytes)


@register_bytes("numcodecs.bz2")
def _bz2(_configuration: Attrs) -> BytesDecoder:
    return lambda data, chunk: bunzip2(data, most_bytes(chunk))


@register_bytes("numcodecs.lz4")
def _lz4(_configuration: Attrs) -> BytesDecoder:
    return lambda data, chunk: unlz4(data, most_bytes(chunk))


@register_bytes("numcodecs.lzma")
def _lzma(configuration: Attrs) -> BytesDecoder:
    numcodecs.LZMA(**configuration)  # refuses what it does not know
    return lambda data, chunk: unlzma(data, most_bytes(chunk), configuration)


register_bytes("blosc")(_blosc)
register_bytes("numcodecs.blosc")(_blosc)


def _checksum(name: str, codec: type[Any], **fixed: Any) -> None:
    """A checksum of numcodecs, stored before or after the bytes; compared and removed."""
    register_bytes(name)(_from_numcodecs(lambda c: codec(**{**fixed, **c})))


_checksum("numcodecs.crc32", numcodecs.CRC32)
_checksum("numcodecs.adler32", numcodecs.Adler32)
_checksum("numcodecs.crc32c", numcodecs.CRC32C)
_checksum("crc32c", numcodecs.CRC32C, location="end")
