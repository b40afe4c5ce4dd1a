"""Pages of Parquet: decompressed, and their values decoded."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.codecs.bounded import checked_size, gunzip, unzstd
from intake_virtualzarr.errors import FormatError, UnsupportedError
from intake_virtualzarr.formats.parquet_thrift import varint

__all__ = ["decompressed", "hybrid", "plain"]

MAX_PAGE_BYTES = 2**28
"""No page of a column is larger [bytes]; writers make pages of a MiB."""
NUMBERS = {1: "<i4", 2: "<i8", 4: "<f4", 5: "<f8"}
BYTE_ARRAY = 6


def decompressed(raw: memoryview, codec: int, size: int) -> memoryview:
    """A page of a size that its header tells.

    Raises
    ------
    UnsupportedError
        If the compressor is one that is not at hand.
    FormatError
        If it has another size.
    """
    checked_size(size, MAX_PAGE_BYTES, "Parquet page")
    if not size:
        return memoryview(b"")
    if codec == 0:
        content: memoryview = raw
    elif codec == 2:
        content = memoryview(gunzip(raw, size)).cast("B")
    elif codec == 6:
        content = memoryview(unzstd(raw, size, size)).cast("B")
    else:
        raise UnsupportedError(f"pages are compressed by number {codec}, which is not zstd or gzip")
    if len(content) != size:
        raise FormatError(f"a page has {len(content)} bytes, expected {size}")
    return content


def plain(raw: memoryview, kind: int, count: int) -> AnyArray:
    """Values one after the other.

    Raises
    ------
    UnsupportedError
        If they are of a type that references do not have.
    FormatError
        If there are fewer.
    """
    if kind in NUMBERS:
        width = np.dtype(NUMBERS[kind]).itemsize
        if count * width > len(raw):
            raise FormatError(f"a page holds {len(raw)} bytes, expected {count} numbers")
        return np.frombuffer(raw, NUMBERS[kind], count)
    if kind != BYTE_ARRAY:
        raise UnsupportedError(f"values are of type {kind}")
    return _texts(bytes(raw), count)


def _texts(raw: bytes, count: int) -> AnyArray:
    """Texts, each behind its length."""
    out = np.empty(count, object)
    at, last = 0, len(raw) - 4
    length_at = struct.Struct("<I").unpack_from
    for number in range(count):
        if at > last:
            raise FormatError(f"a page holds {number} texts, expected {count}")
        start = at + 4
        at = start + length_at(raw, at)[0]
        out[number] = raw[start:at]
    if at > len(raw):
        raise FormatError("the last text of a page ends behind it")
    return out


def hybrid(raw: memoryview, width: int, count: int) -> npt.NDArray[np.int64]:
    """Small numbers in runs, repeated or bit by bit.

    Raises
    ------
    FormatError
        If there are fewer.

    References
    ----------
    Apache Parquet, "Run Length Encoding / Bit-Packing Hybrid".
    """
    if not 0 <= width <= 32:
        raise FormatError(f"numbers have {width} bits")
    out = np.zeros(count, np.int64)
    done, at = 0, 0
    while done < count:
        if width == 0 and at >= len(raw):
            break  # nothing but zeros
        head, at = varint(raw, at)
        if head & 1:
            packed = raw[at : at + (head >> 1) * width]
            at += len(packed)
            values: Sequence[int] | npt.NDArray[np.int64] = _unpacked(packed, width)[: count - done]
            if not len(values) and width:
                raise FormatError("packed numbers end early")
            out[done : done + len(values)] = values
            done += len(values) if width else (head >> 1) * 8
        else:
            size = (width + 7) // 8
            if at + size > len(raw):
                raise FormatError("a repeated number ends early")
            run = min(head >> 1, count - done)
            if not run:
                raise FormatError("a run of no length")
            out[done : done + run] = int.from_bytes(raw[at : at + size], "little")
            at, done = at + size, done + run
    return out


def _unpacked(packed: memoryview, width: int) -> npt.NDArray[np.int64]:
    if not width:
        return np.zeros(0, np.int64)
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little")
    whole = len(bits) // width * width
    return bits[:whole].reshape(-1, width) @ (1 << np.arange(width, dtype=np.int64))
