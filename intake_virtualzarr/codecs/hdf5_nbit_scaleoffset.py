"""HDF5's nbit and scaleoffset filters, in NumPy. Both pack numbers of few bits, most significant bit first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray, Attrs, DType
from intake_virtualzarr.codecs.registry import Buffer, BytesDecoder, ChunkSpec, register_bytes
from intake_virtualzarr.errors import CodecError

__all__: list[str] = []


MAX_FIELDS = 65536


class _Field(NamedTuple):
    """One number in an element, in the order of the packed bits."""

    at: int
    """First byte in the element [bytes]."""
    size: int
    """Bytes of the number [bytes]."""
    big: bool
    precision: int
    """Significant bits [bits]."""
    offset: int
    """First significant bit [bits]."""


ATOMIC, ARRAY, COMPOUND, NO_OPTION = 1, 2, 3, 4


def _fields(parms: Sequence[int], pos: int, at: int) -> Iterator[tuple[_Field | None, int]]:
    """Fields of one datatype; the last yield is None and the position behind the datatype."""
    kind, size = parms[pos], parms[pos + 1]
    if kind == ATOMIC:
        order, precision, offset = parms[pos + 2 : pos + 5]
        if not 0 < precision <= 8 * size or offset + precision > 8 * size:
            raise CodecError(f"nbit number of {size} bytes has {precision} bits from bit {offset}")
        yield _Field(at, size, order == 1, precision, offset), 0
        yield None, pos + 5
    elif kind == NO_OPTION:
        for byte in range(size):
            yield _Field(at + byte, 1, True, 8, 0), 0
        yield None, pos + 2
    elif kind == ARRAY:
        element = _element_size(parms, pos + 2)
        end = pos + 2
        for index in range(size // element):
            for field, end in _fields(parms, pos + 2, at + index * element):  # noqa: B007 - the last one counts
                if field is not None:
                    yield field, 0
        yield None, end
    elif kind == COMPOUND:
        count, pos = parms[pos + 2], pos + 3
        for _ in range(count):
            member = at + parms[pos]
            for field, end in _fields(parms, pos + 1, member):  # noqa: B007 - the last one counts
                if field is not None:
                    yield field, 0
            pos = end
        yield None, pos
    else:
        raise CodecError(f"nbit class {kind} is unknown")


def _element_size(parms: Sequence[int], pos: int) -> int:
    size = parms[pos + 1]
    if size < 1:
        raise CodecError("nbit array of elements of 0 bytes")
    return size


@register_bytes("hdf5.nbit")
def _nbit(configuration: Attrs) -> BytesDecoder:
    parms = [int(v) for v in configuration["parameters"]]
    if parms[1]:
        return lambda data, chunk: data
    size = parms[4]
    fields: list[_Field] = []
    try:
        for field, _ in _fields(parms, 3, 0):
            if field is not None:
                fields.append(field)
            if len(fields) > MAX_FIELDS:
                raise CodecError(f"nbit element of more than {MAX_FIELDS} numbers")
    except (IndexError, ValueError) as exc:
        raise CodecError(f"nbit parameters {parms[:16]} are cut short") from exc
    if any(f.at + f.size > size for f in fields):
        raise CodecError(f"nbit parameters {parms[:16]} leave the element")
    width = sum(f.precision for f in fields)

    def decode(data: Buffer, chunk: ChunkSpec) -> Buffer:
        count = chunk.nbytes // size
        packed = np.frombuffer(data, np.uint8)
        if packed.size * 8 < count * width:
            raise CodecError(f"nbit chunk of {packed.size} bytes holds fewer than {count} elements of {width} bits")
        bits = np.unpackbits(packed, count=count * width).reshape(count, width)
        out = np.zeros((count, size), np.uint8)
        start = 0
        for field in fields:
            wide = np.zeros((count, 8 * field.size), np.uint8)
            last = 8 * field.size - field.offset
            wide[:, last - field.precision : last] = bits[:, start : start + field.precision]
            number = np.packbits(wide, axis=1)
            out[:, field.at : field.at + field.size] = number if field.big else number[:, ::-1]
            start += field.precision
        return out.reshape(-1)

    return decode


# ---------------------------------------------------------------- scaleoffset

HEADER = 21
"""Bytes before the packed numbers: their width, the size of the minimum, the minimum."""
FLOAT_DECIMAL, FLOAT_BINARY, INTEGER = 0, 1, 2


@register_bytes("hdf5.scaleoffset")
def _scaleoffset(configuration: Attrs) -> BytesDecoder:
    parms = [int(v) for v in configuration["parameters"]]
    kind, factor, count, _, size, sign, order, has_fill = parms[:8]
    if size not in (1, 2, 4, 8) or kind not in (FLOAT_DECIMAL, INTEGER):
        raise CodecError(f"scaleoffset of kind {kind} for numbers of {size} bytes has no decoder here")
    letter = "f" if kind == FLOAT_DECIMAL else "i" if sign else "u"
    if letter == "f" and size < 4:
        raise CodecError(f"scaleoffset for floats of {size} bytes has no decoder here")
    dtype = np.dtype(f"<{letter}{size}")
    if factor >= 1 << 31:
        factor -= 1 << 32
    raw_fill = b"".join(v.to_bytes(4, "little") for v in parms[8:])[:size]
    fill = np.frombuffer(raw_fill.ljust(size, b"\0"), dtype)[0] if has_fill else None

    def decode(data: Buffer, chunk: ChunkSpec) -> Buffer:
        raw = np.frombuffer(data, np.uint8)
        number = min(count, chunk.nbytes // size)
        if raw.size < HEADER:
            raise CodecError(f"scaleoffset chunk of {raw.size} bytes has no header")
        bits = int(raw[:4].view("<u4")[0])
        low = raw[5:13].tobytes()
        if bits == 8 * size:
            body = raw[HEADER : HEADER + number * size]
            if body.size < number * size:
                raise CodecError("scaleoffset chunk is cut short")
            values = body.view(dtype)
        elif bits < 8 * size:
            values = _restore(_unpack(raw[HEADER:], number, bits, size), bits, low, dtype, factor, fill)
        else:
            raise CodecError(f"scaleoffset numbers of {bits} bits for {size} bytes")
        return np.ascontiguousarray(values.astype(dtype.newbyteorder(">")) if order == 1 else values).view(np.uint8)

    return decode


def _unpack(packed: npt.NDArray[np.uint8], count: int, bits: int, size: int) -> AnyArray:
    """Numbers of a few bits as unsigned integers."""
    if packed.size * 8 < count * bits:
        raise CodecError(f"scaleoffset chunk holds fewer than {count} numbers of {bits} bits")
    wide = np.zeros((count, 8 * size), np.uint8)
    if bits:
        wide[:, 8 * size - bits :] = np.unpackbits(packed, count=count * bits).reshape(count, bits)
    return np.packbits(wide, axis=1).view(f">u{size}")[:, 0].astype(f"<u{size}")


def _restore(numbers: AnyArray, bits: int, low: bytes, dtype: DType, factor: int, fill: Any) -> AnyArray:
    marked = None if fill is None else numbers == numbers.dtype.type((1 << bits) - 1)
    if dtype.kind == "f":
        minimum = np.frombuffer(low[: dtype.itemsize], dtype)[0]
        with np.errstate(all="ignore"):  # a power beyond the type is infinite or 0, as in C
            scale = np.power(np.float64(10), factor).astype(dtype)
            values = numbers.view(f"<i{dtype.itemsize}").astype(dtype) / scale + minimum
    else:
        # wraps around, as C's integers do
        offset = np.frombuffer(low[: dtype.itemsize], numbers.dtype)[0]
        values = (numbers + offset).view(dtype)
    if marked is not None:
        values[marked] = fill
    return np.asarray(values)
