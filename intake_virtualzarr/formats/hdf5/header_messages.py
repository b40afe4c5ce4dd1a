"""Messages of a dataset: dataspace, fill value, filters, layout, external files.

References
----------
HDF5 File Format Specification 3.0, IV.A.2 "Object Header Messages".
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from struct import error as StructError
from struct import unpack_from
from typing import NamedTuple

from intake_virtualzarr._typing import Shape
from intake_virtualzarr.errors import FormatError
from intake_virtualzarr.formats.hdf5.attribute_values import decode_text
from intake_virtualzarr.formats.hdf5.model import RawFilter
from intake_virtualzarr.formats.hdf5.state import State

__all__ = [
    "BTREE1",
    "BTREE2",
    "CHUNKED",
    "COMPACT",
    "CONTIGUOUS",
    "EXTENSIBLE",
    "FIXED",
    "IMPLICIT",
    "Layout",
    "SINGLE",
    "parse_dataspace",
    "parse_fill",
    "parse_filters",
    "parse_layout",
    "parse_old_fill",
]

MAX_RANK = 32
COMPACT, CONTIGUOUS, CHUNKED, VIRTUAL = 0, 1, 2, 3
BTREE1, SINGLE, IMPLICIT, FIXED, EXTENSIBLE, BTREE2 = 0, 1, 2, 3, 4, 5


@lru_cache(maxsize=1024)
def parse_dataspace(data: bytes, length_size: int) -> tuple[Shape | None, tuple[int | None, ...] | None]:
    """Read a dataspace message (bytes after it are ignored).

    Returns
    -------
    shape, maxshape : tuple or None
        None for a null dataspace; None as an entry of ``maxshape`` for an unlimited axis.

    Raises
    ------
    FormatError
        If it is cut short, of an unknown version, or has more than 32 axes.
    """
    version, rank, flags = data[0], data[1], data[2]
    if version == 1:
        pos = 8
    elif version == 2:
        pos = 4
        if data[3] == 2:
            return None, None
    else:
        raise FormatError(f"dataspace of version {version}, expected 1 or 2")
    if rank > MAX_RANK:
        raise FormatError(f"dataspace of {rank} axes, at most {MAX_RANK} are allowed")
    step = length_size
    if len(data) < pos + rank * step * (2 if flags & 1 else 1):
        raise FormatError(f"dataspace of {rank} axes is cut short at {len(data)} bytes")
    shape = tuple(int.from_bytes(data[i : i + step], "little") for i in range(pos, pos + rank * step, step))
    if prod(max(n, 1) for n in shape) >= 1 << 62:
        raise FormatError(f"dataspace of shape {shape} is absurd")
    if not flags & 1:
        return shape, shape
    pos += rank * step
    unlimited = (1 << 8 * step) - 1
    top = tuple(int.from_bytes(data[i : i + step], "little") for i in range(pos, pos + rank * step, step))
    return shape, tuple(None if n == unlimited else n for n in top)


def parse_fill(data: bytes) -> bytes | None:
    """Read a fill value message; None if there is no value (zeros)."""
    try:
        version = data[0]
        if version == 3:
            return _sized(data, 2) if data[1] & 0x20 else None
        if version in (1, 2):
            return _sized(data, 4) if data[3] or version == 1 else None
    except IndexError as exc:
        raise FormatError(f"fill value message of {len(data)} bytes is cut short") from exc
    raise FormatError(f"fill value message of version {version}, expected 1 to 3")


def parse_old_fill(data: bytes) -> bytes | None:
    """Read a fill value message of the old kind."""
    return _sized(data, 0)


def _sized(data: bytes, pos: int) -> bytes | None:
    if len(data) < pos + 4:
        return None
    size = int.from_bytes(data[pos : pos + 4], "little", signed=True)
    if size <= 0:
        return None
    if pos + 4 + size > len(data):
        raise FormatError(f"fill value of {size} bytes leaves its message of {len(data)}")
    return data[pos + 4 : pos + 4 + size]


@lru_cache(maxsize=1024)
def parse_filters(data: bytes) -> tuple[RawFilter, ...]:
    """Read a filter pipeline message.

    Raises
    ------
    FormatError
        If it is cut short or of an unknown version.
    """
    try:
        version, count = data[0], data[1]
        if version not in (1, 2):
            raise FormatError(f"filter pipeline of version {version}, expected 1 or 2")
        if count > MAX_RANK:
            raise FormatError(f"filter pipeline of {count} filters")
        pos = 8 if version == 1 else 2
        filters: list[RawFilter] = []
        for _ in range(count):
            (number,) = unpack_from("<H", data, pos)
            pos += 2
            name_size = 0
            if version == 1 or number >= 256:
                (name_size,) = unpack_from("<H", data, pos)
                pos += 2
            _, values = unpack_from("<HH", data, pos)
            pos += 4
            if version == 1:
                name_size = -(-name_size // 8) * 8
            name = decode_text(data[pos : pos + name_size].partition(b"\0")[0])
            pos += name_size
            numbers = unpack_from(f"<{values}I", data, pos)
            pos += 4 * values
            if version == 1 and values % 2:
                pos += 4
            filters.append(RawFilter(number, numbers, name))
    except (StructError, IndexError) as exc:
        raise FormatError(f"filter pipeline of {len(data)} bytes is cut short") from exc
    return tuple(filters)


class Layout(NamedTuple):
    """Where a dataset's values lie, as the layout message says."""

    kind: int
    """`COMPACT`, `CONTIGUOUS`, `CHUNKED` or `VIRTUAL`."""
    address: int = 0
    """Contiguous: of the data. Chunked: of the chunk index. Virtual: of the global heap collection."""
    size: int = 0
    """Contiguous: bytes. Virtual: index in the collection."""
    data: bytes = b""
    """Compact: the values."""
    chunk_shape: Shape = ()
    """Chunked: stored shape of a chunk, without the axis of bytes."""
    element_size: int = 0
    """Chunked: size of an element [bytes]."""
    index: int = BTREE1  # type: ignore[assignment]
    """Chunked: kind of chunk index."""
    raw_edges: bool = False
    """Chunked: chunks that reach past the array are not filtered."""
    single: tuple[int, int] | None = None
    """Single chunk with filters: encoded size and filter mask."""
    page_bits: int = 0
    """Fixed array: bits of the number of elements in a page."""
    wide_sizes: bool = False
    """Encoded chunk sizes take as many bytes as a length."""


def parse_layout(state: State, data: bytes) -> Layout:
    """Read a layout message.

    Raises
    ------
    FormatError
        If it is cut short, or holds absurd values.
    """
    try:
        version = data[0]
        if version in (1, 2):
            return _layout_old(state, data)
        if version == 3:
            return _layout_3(state, data)
        if version in (4, 5):
            return _layout_4(state, data, version)
    except (StructError, IndexError) as exc:
        raise FormatError(f"layout message of {len(data)} bytes is cut short") from exc
    raise FormatError(f"layout message of version {version}, expected 1 to 5")


def _chunk_shape(dims: tuple[int, ...]) -> tuple[Shape, int]:
    if len(dims) < 2 or any(n < 1 for n in dims) or prod(dims) >= 1 << 62:
        raise FormatError(f"chunk shape {dims} is absurd")
    return dims[:-1], dims[-1]


def _layout_old(state: State, data: bytes) -> Layout:
    rank, kind, pos = data[1], data[2], 8
    address = state.undefined
    if kind != COMPACT:
        address, pos = state.address(data, pos), pos + state.offset_size
    dims = unpack_from(f"<{rank}I", data, pos)
    pos += 4 * rank
    if kind == COMPACT:
        (size,) = unpack_from("<I", data, pos)
        return Layout(COMPACT, data=_exact(data, pos + 4, size))
    if kind == CONTIGUOUS:
        return Layout(CONTIGUOUS, address, -1)
    if kind == CHUNKED:
        # the rank counts the axis of bytes, which versions 1 and 2 write behind the dimensions
        shape, element = _chunk_shape(dims)
        return Layout(CHUNKED, address, chunk_shape=shape, element_size=element)
    raise FormatError(f"layout of class {kind} in version {data[0]}")


def _exact(data: bytes, pos: int, size: int) -> bytes:
    if pos + size > len(data):
        raise FormatError(f"compact values of {size} bytes leave their message of {len(data)}")
    return data[pos : pos + size]


def _layout_3(state: State, data: bytes) -> Layout:
    kind = data[1]
    if kind == COMPACT:
        return Layout(COMPACT, data=_exact(data, 4, unpack_from("<H", data, 2)[0]))
    if kind == CONTIGUOUS:
        return Layout(CONTIGUOUS, state.address(data, 2), state.length(data, 2 + state.offset_size))
    if kind == CHUNKED:
        rank = data[2]
        dims = unpack_from(f"<{rank}I", data, 3 + state.offset_size)
        shape, element = _chunk_shape(dims)
        return Layout(CHUNKED, state.address(data, 3), chunk_shape=shape, element_size=element)
    raise FormatError(f"layout of class {kind} in version 3")


def _layout_4(state: State, data: bytes, version: int) -> Layout:
    kind = data[1]
    if kind in (COMPACT, CONTIGUOUS):
        return _layout_3(state, data)
    if kind == VIRTUAL:
        (index,) = unpack_from("<I", data, 2 + state.offset_size)
        return Layout(VIRTUAL, state.address(data, 2), index)
    if kind != CHUNKED:
        raise FormatError(f"layout of class {kind} in version {version}")
    flags, rank, width = data[2], data[3], data[4]
    if not 1 <= width <= 8:
        raise FormatError(f"chunk shape in numbers of {width} bytes")
    pos = 5 + rank * width
    dims = tuple(int.from_bytes(data[i : i + width], "little") for i in range(5, pos, width))
    shape, element = _chunk_shape(dims)
    index, pos = data[pos], pos + 1
    single, page_bits = None, 0
    if index == SINGLE and flags & 2:
        single = (state.length(data, pos), unpack_from("<I", data, pos + state.length_size)[0])
        pos += state.length_size + 4
    elif index == FIXED:
        page_bits, pos = data[pos], pos + 1
    elif index == EXTENSIBLE:
        pos += 5
    elif index == BTREE2:
        pos += 6
    elif index not in (SINGLE, IMPLICIT):
        raise FormatError(f"chunk index of kind {index} is unknown")
    if len(data) < pos + state.offset_size:
        raise IndexError
    address = state.address(data, pos)
    return Layout(CHUNKED, address, 0, b"", shape, element, index, bool(flags & 1), single, page_bits, version >= 5)
