"""Predictors and packed bits of TIFF, in NumPy. Named as imagecodecs-zarr names them, where they mean the same.

Source: TIFF 6.0, section 14; Adobe's TIFF technical note 3 (floating point predictor).
"""

from __future__ import annotations

from math import prod

import numpy as np

import intake_virtualzarr.codecs.tiff_images  # noqa: F401 - registers its decoders
from intake_virtualzarr._typing import AnyArray, Attrs, DType
from intake_virtualzarr.codecs.bounded import most_bytes
from intake_virtualzarr.codecs.registry import (
    ArrayDecoder,
    Buffer,
    BytesDecoder,
    ChunkSpec,
    LayoutDecoder,
    register_array,
    register_bytes,
    register_layout,
)
from intake_virtualzarr.errors import CodecError

__all__: list[str] = []


def _differences(configuration: Attrs, dtype: DType) -> ArrayDecoder:
    axis = int(configuration.get("axis", -1))
    if dtype.kind not in "iuf" or int(configuration.get("dist", 1)) != 1:
        raise CodecError(f"differences of {dtype} with configuration {dict(configuration)!r} have no decoder here")
    word = np.dtype(f"u{dtype.itemsize}")

    def undo(values: AnyArray) -> AnyArray:
        if not -values.ndim <= axis < values.ndim:
            raise CodecError(f"differences along axis {axis} of a chunk of shape {values.shape}")
        whole = np.ascontiguousarray(values).view(word)
        return np.cumsum(whole, axis=axis, dtype=word).view(dtype)

    return undo, dtype


register_array("imagecodecs_delta")(_differences)
register_array("tiff.delta")(_differences)  # of floats: imagecodecs takes other differences of these


@register_layout("imagecodecs_floatpred")
def _float_predictor(configuration: Attrs) -> LayoutDecoder:
    axis = int(configuration.get("axis", -1))
    if int(configuration.get("dist", 1)) != 1:
        raise CodecError(f"floating point predictor with configuration {dict(configuration)!r} has no decoder here")

    def decode(data: Buffer, chunk: ChunkSpec) -> AnyArray:
        at = axis + len(chunk.shape) if axis < 0 else axis
        if chunk.dtype.kind != "f" or not 0 <= at < len(chunk.shape):
            raise CodecError(f"floating point predictor along axis {axis} of a chunk of {chunk.shape} {chunk.dtype}")
        raw = np.frombuffer(data, np.uint8)
        if raw.size != chunk.nbytes:
            raise CodecError(f"chunk decodes to {raw.size} bytes, expected {chunk.nbytes} for {chunk.shape} {chunk.dtype}")
        rows, samples = prod(chunk.shape[:at]), prod(chunk.shape[at + 1 :])
        # each row holds the most significant bytes of its values, then the next ones …; all of it as differences
        summed = np.cumsum(raw.reshape(rows, -1, samples), axis=1, dtype=np.uint8)
        planes = summed.reshape(rows, chunk.dtype.itemsize, -1)
        values = np.ascontiguousarray(planes.transpose(0, 2, 1)).view(chunk.dtype.newbyteorder(">"))
        return values.reshape(chunk.shape).astype(chunk.dtype)

    return decode


@register_layout("imagecodecs_packints")
def _packed_integers(configuration: Attrs) -> LayoutDecoder:
    bits, run = int(configuration["bitspersample"]), int(configuration.get("runlen", 0))
    if not 0 < bits < 32 or configuration.get("bitorder") not in (None, ">"):
        raise CodecError(f"packed integers with configuration {dict(configuration)!r} have no decoder here")

    def decode(data: Buffer, chunk: ChunkSpec) -> AnyArray:
        number = prod(chunk.shape)
        length = run or number
        if chunk.dtype.kind != "u" or length < 1 or number % length:
            raise CodecError(f"runs of {length} packed integers do not fill a chunk of {chunk.shape} {chunk.dtype}")
        most_bytes(chunk)
        row = -(-length * bits // 8)
        expected = number // length * row
        raw = np.frombuffer(data, np.uint8)
        if raw.size != expected:
            raise CodecError(f"chunk decodes to {raw.size} bytes, expected {expected} for {chunk.shape} of {bits} bits")
        parts = [_unpacked(part, length, bits, chunk.dtype) for part in _pieces(raw.reshape(-1, row))]
        return np.concatenate(parts).reshape(chunk.shape)

    return decode


PIECE = 256 * 1024
"""Bytes unpacked at once: each bit takes a byte or more on the way [bytes]."""


def _pieces(rows: AnyArray) -> list[AnyArray]:
    step = max(1, PIECE // rows.shape[1])
    return [rows[start : start + step] for start in range(0, max(rows.shape[0], 1), step)]


def _unpacked(rows: AnyArray, length: int, bits: int, dtype: DType) -> AnyArray:
    single = np.unpackbits(rows, axis=1)[:, : length * bits].reshape(-1, length, bits)
    values = np.zeros(single.shape[:2], dtype)
    for bit in range(bits):
        values = (values << dtype.type(1)) | single[:, :, bit]
    return values


@register_bytes("tiff.bitorder")
def _bit_order(_configuration: Attrs) -> BytesDecoder:
    reverse = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
    return lambda data, chunk: bytes(data).translate(reverse)
