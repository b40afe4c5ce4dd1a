"""Decompressors that are told how much they may produce: a few bytes can claim, or become, gigabytes."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any

import numcodecs
import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import Attrs
from intake_virtualzarr.codecs.registry import Buffer, ChunkSpec
from intake_virtualzarr.errors import CodecError
from intake_virtualzarr.storage.limits import DECODED_SLACK, MAX_DECODED, MAX_TEXT_CHUNK

__all__ = ["bunzip2", "checked_size", "gunzip", "inflate", "most_bytes", "unlz4", "unlzma", "unzstd"]


def most_bytes(chunk: ChunkSpec) -> int:
    """Bytes that one step of the pipeline of a chunk may give.

    Raises
    ------
    CodecError
        If the chunk is larger than any can be.
    """
    if chunk.nbytes > MAX_DECODED:
        raise CodecError(f"chunk of shape {chunk.shape} has {chunk.nbytes} bytes; at most {MAX_DECODED} are decoded at once")
    if chunk.dtype.kind == "O":
        return MAX_TEXT_CHUNK
    return chunk.nbytes + chunk.nbytes // 8 + DECODED_SLACK


def checked_size(claimed: int, limit: int, name: str) -> int:
    """A size that a header claims.

    Raises
    ------
    CodecError
        If it is beyond the limit.
    """
    if claimed > limit:
        raise CodecError(f"{name} stream claims {claimed} bytes where at most {limit} are expected; it is damaged or a bomb")
    return claimed


PIECE = 256 * 1024
"""Chunks that may become larger than this are decompressed in pieces into one buffer: joining parts would need twice the
memory [bytes]."""


def _bounded(data: Buffer, limit: int, name: str, make: Callable[[], Any], *, several: bool) -> Buffer:
    """Decompress with objects like those of `zlib` and `bz2`, one for each stream that follows another."""
    out = _Output(limit, name)
    left: Any = memoryview(data)
    while True:
        stream = make()
        try:
            out.take(stream, left)
        except (zlib.error, OSError, EOFError, ValueError, lzma.LZMAError) as exc:
            if isinstance(exc, CodecError):
                raise
            if out.streams:  # padding behind the last stream
                break
            raise CodecError(f"{name} stream is damaged ({exc})") from exc
        out.streams += 1
        left = stream.unused_data
        if not several or not left.strip(b"\0"):
            break
    return out.content()


class _Output:
    """What streams became so far."""

    def __init__(self, limit: int, name: str) -> None:
        self._limit = limit
        self._name = name
        self._piece = limit + 1 if limit <= PIECE else max(PIECE, limit // 16)
        self._only = b""
        self._buffer: npt.NDArray[np.uint8] | None = None
        self._used = 0
        self.streams = 0

    def take(self, stream: Any, data: Any) -> None:
        """Decompress a stream to its end."""
        while True:
            part = stream.decompress(data, self._piece)
            self._add(part)
            if stream.eof:
                return
            data = getattr(stream, "unconsumed_tail", b"")
            if not part or (not data and getattr(stream, "needs_input", len(part) < self._piece)):
                raise CodecError(f"{self._name} stream is damaged (incomplete or truncated)")

    def _add(self, part: bytes) -> None:
        if self._used + len(part) > self._limit:
            raise CodecError(
                f"{self._name} stream holds more than the {self._limit} bytes that are expected; it is damaged or a bomb"
            )
        if self._buffer is None and not self._used:
            self._only, self._used = part, len(part)
            return
        if self._buffer is None:
            self._buffer = np.empty(self._limit, np.uint8)  # pages that stay empty cost nothing
            self._buffer[: self._used] = np.frombuffer(self._only, np.uint8)
            self._only = b""
        self._buffer[self._used : self._used + len(part)] = np.frombuffer(part, np.uint8)
        self._used += len(part)

    def content(self) -> Buffer:
        """All bytes."""
        return self._only if self._buffer is None else self._buffer[: self._used]


def inflate(data: Buffer, limit: int) -> Buffer:
    """A zlib stream."""
    return _bounded(data, limit, "deflate", zlib.decompressobj, several=False)


def gunzip(data: Buffer, limit: int) -> Buffer:
    """One or more gzip members."""
    return _bounded(data, limit, "gzip", lambda: zlib.decompressobj(wbits=31), several=True)


def bunzip2(data: Buffer, limit: int) -> Buffer:
    """One or more bzip2 streams."""
    return _bounded(data, limit, "bz2", bz2.BZ2Decompressor, several=True)


LZMA_DICTIONARY = 256 * 1024 * 1024
"""Memory of a decoder of lzma; the strongest preset takes 65 MiB [bytes]."""


def unlzma(data: Buffer, limit: int, configuration: Attrs) -> Buffer:
    """One or more lzma streams, in the forms of numcodecs' ``LZMA``."""
    form = configuration.get("format", lzma.FORMAT_XZ)
    filters = configuration.get("filters") if form == lzma.FORMAT_RAW else None
    memory = None if form == lzma.FORMAT_RAW else LZMA_DICTIONARY
    for one in filters or ():
        checked_size(int(one.get("dict_size", 0)), LZMA_DICTIONARY, "lzma dictionary")
    return _bounded(data, limit, "lzma", lambda: lzma.LZMADecompressor(form, memory, filters), several=form != lzma.FORMAT_RAW)


def unlz4(data: Buffer, limit: int) -> Buffer:
    """An LZ4 block behind its size, as numcodecs writes it."""
    head = bytes(memoryview(data)[:4])
    checked_size(int.from_bytes(head, "little"), limit, "lz4")
    try:
        return numcodecs.lz4.decompress(np.frombuffer(data, np.uint8))  # type: ignore[no-any-return]
    except (RuntimeError, ValueError, SystemError, MemoryError) as exc:
        raise CodecError(f"lz4 chunk is damaged ({exc})") from exc


# ---------------------------------------------------------------- zstd

ZSTD_MAGIC, SKIPPABLE = 0xFD2FB528, 0x184D2A5
BLOCK = 128 * 1024
"""No block of zstd holds more [bytes]."""


def unzstd(data: Buffer, limit: int, expected: int) -> Buffer:
    """One or more zstd frames.

    Parameters
    ----------
    data : buffer
        Frames.
    limit : int
        Largest size of the result [bytes].
    expected : int
        Likely size of the result, for frames that do not tell theirs [bytes].
    """
    raw = memoryview(data).cast("B")
    claimed, told = _zstd_bound(raw)
    if told:
        checked_size(claimed, limit, "zstd")
    target = None if claimed <= limit else np.empty(expected, np.uint8)
    try:
        return numcodecs.zstd.decompress(np.frombuffer(raw, np.uint8), target)  # type: ignore[no-any-return]
    except (RuntimeError, ValueError, SystemError, MemoryError) as exc:
        raise CodecError(f"zstd chunk is damaged ({exc})") from exc


def _zstd_bound(raw: memoryview) -> tuple[int, bool]:
    """Bytes that frames can become at most, and whether they say so themselves.

    References
    ----------
    RFC 8878, "Zstandard Compression and the 'application/zstd' Media Type", section 3.1.
    """
    at, total, all_told = 0, 0, True
    while at + 5 <= len(raw):
        magic = int.from_bytes(raw[at : at + 4], "little")
        if magic >> 4 == SKIPPABLE:
            at += 8 + int.from_bytes(raw[at + 4 : at + 8], "little")
            continue
        if magic != ZSTD_MAGIC:
            break
        descriptor = raw[at + 4]
        single, width = descriptor >> 5 & 1, (0, 2, 4, 8)[descriptor >> 6]
        if single and not width:
            width = 1
        start = at + 5 + (not single) + (0, 1, 2, 4)[descriptor & 3]
        size = int.from_bytes(raw[start : start + width], "little") + (256 if width == 2 else 0)
        at, most = _zstd_blocks(raw, start + width)
        at += 4 if descriptor & 4 else 0
        total += size if width else most
        all_told = all_told and bool(width)
    return total, all_told


def _zstd_blocks(raw: memoryview, at: int) -> tuple[int, int]:
    """Where the blocks of a frame end, and how many bytes they can become."""
    most = 0
    while at + 3 <= len(raw):
        head = int.from_bytes(raw[at : at + 3], "little")
        last, kind, size = head & 1, head >> 1 & 3, head >> 3
        at += 3 + (1 if kind == 1 else size)
        most += BLOCK if kind == 2 else size
        if last:
            break
    return at, most
