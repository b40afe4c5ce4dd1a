"""Evenly spaced numbers as two: the codec ``vzarr.linear`` of coordinates of rasters.

A chunk is the value of its first element and the step, 16 bytes. Element *k* is ``first + k * step``: in double precision for
floats, the product rounded before the sum, and the sum rounded to the data type; in 64 bits for integers.
"""

from __future__ import annotations

from math import prod

import numpy as np

from intake_virtualzarr._typing import AnyArray, Attrs, DType
from intake_virtualzarr.codecs.bounded import most_bytes
from intake_virtualzarr.codecs.registry import Buffer, ChunkSpec, LayoutDecoder, register_layout
from intake_virtualzarr.codecs.spec import CodecSpec
from intake_virtualzarr.errors import CodecError

__all__ = ["LINEAR", "as_linear", "linear_chunk", "linear_values"]

LINEAR = CodecSpec.of("vzarr.linear")
"""The codec."""


def _number(dtype: DType) -> DType:
    """The type of both numbers, little-endian."""
    return np.dtype("<f8") if dtype.kind == "f" else np.dtype("<u8" if dtype.kind == "u" else "<i8")


def linear_values(first: object, step: object, count: int, dtype: DType) -> AnyArray:
    """The numbers ``first + k * step``."""
    wide = _number(dtype).newbyteorder("=").type
    with np.errstate(all="ignore"):
        values: AnyArray = np.arange(count).astype(wide) * wide(step) + wide(first)
        return values.astype(dtype)


def linear_chunk(first: object, step: object, dtype: DType) -> bytes:
    """The bytes of a chunk."""
    return np.array([first, step], _number(dtype)).tobytes()


def as_linear(values: AnyArray) -> bytes | None:
    """The chunk that decodes to these values, bit by bit; None if none does."""
    dtype = values.dtype
    if values.ndim != 1 or values.size < 2 or dtype.kind not in "iuf" or dtype.itemsize > 8:
        return None
    native = values.astype(dtype.newbyteorder("="), copy=False)
    if native.dtype.kind != "f":
        steps: list[float] = [int(native[1]) - int(native[0])]
        if steps[0] < 0 and native.dtype.kind == "u":
            return None
    else:  # the step that a writer began with is one of these
        wide = native.astype(np.float64)
        if not np.isfinite(wide[[0, 1, -1]]).all():
            return None
        steps = list(dict.fromkeys([float(wide[-1] - wide[0]) / (wide.size - 1), float(wide[1] - wide[0])]))
        steps += [float(f"{steps[0]:.{digits}g}") for digits in (15, 12, 9, 6)]
    word = f"u{dtype.itemsize}"
    for step in steps:
        try:
            made = linear_values(native[0], step, native.size, native.dtype)
        except OverflowError:
            continue
        if np.array_equal(made.view(word), native.view(word)):
            return linear_chunk(native[0], step, native.dtype)
    return None


@register_layout("vzarr.linear")
def _linear(_configuration: Attrs) -> LayoutDecoder:
    def decode(data: Buffer, chunk: ChunkSpec) -> AnyArray:
        count = prod(chunk.shape)
        if chunk.dtype.kind not in "iuf" or not chunk.shape or max(chunk.shape) != count:
            raise CodecError(f"codec 'vzarr.linear' gives numbers along one axis, the chunk has {chunk.shape} {chunk.dtype}")
        if memoryview(data).nbytes != 16:
            raise CodecError(f"codec 'vzarr.linear': a chunk has 16 bytes, this one {memoryview(data).nbytes}")
        most_bytes(chunk)
        first, step = np.frombuffer(bytes(data), _number(chunk.dtype))
        return linear_values(first, step, count, chunk.dtype).reshape(chunk.shape)

    return decode
