"""Compressions of tiles of FITS images, unsigned integers, and floats kept as whole numbers. Tiles need the extra ``fits``.

Source: FITS standard 4.0 (2018), section 10 and appendix I (tiled image compression).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray, Attrs, DType
from intake_virtualzarr.codecs.bounded import most_bytes
from intake_virtualzarr.codecs.registry import ArrayDecoder, Buffer, ChunkSpec, LayoutDecoder, register_array, register_layout
from intake_virtualzarr.errors import CodecError, MissingExtraError

__all__: list[str] = []

RANDOM_NUMBERS, MULTIPLIER, MODULUS = 10_000, 16807, 2**31 - 1
EXACT_ZERO = -2147483646
"""Stands for 0.0 where the second method of dithering was used."""


def _imagecodecs(title: str, function: str) -> Any:
    try:
        import imagecodecs

        getattr(imagecodecs, function)
    except (ImportError, AttributeError) as exc:  # older versions lack some
        raise MissingExtraError(f"{title} of FITS needs imagecodecs: pip install 'intake-virtualzarr[fits]'") from exc
    return imagecodecs


# ---------------------------------------------------------------------- numbers


@register_array("fits.unsigned")
def _unsigned(_configuration: Attrs, dtype: DType) -> ArrayDecoder:
    """Integers of a kind that FITS lacks: kept shifted by half of their range, which flips their highest bit."""
    if dtype.kind not in "iu" or (dtype.kind == "i" and dtype.itemsize != 1):
        raise CodecError(f"codec 'fits.unsigned' gives unsigned integers or int8, not {dtype}")
    stored = np.dtype(f"{'u' if dtype.kind == 'i' else 'i'}{dtype.itemsize}")
    word = np.dtype(f"u{dtype.itemsize}")
    highest = word.type(1 << (8 * dtype.itemsize - 1))

    def undo(values: AnyArray) -> AnyArray:
        whole: AnyArray = np.ascontiguousarray(values).view(word) ^ highest
        return whole.view(dtype)

    return undo, stored


@register_array("fits.quantized")
def _quantized(configuration: Attrs, dtype: DType) -> ArrayDecoder:
    """Floats kept as whole numbers, with a scale and a zero point of each tile, and random numbers subtracted."""
    if dtype.kind != "f":
        raise CodecError(f"codec 'fits.quantized' gives floats, not {dtype}")
    scale, zero = np.float64(configuration["scale"]), np.float64(configuration["zero"])
    blank, tile, has_zeros = configuration.get("blank"), configuration.get("tile"), bool(configuration.get("zeros"))

    def undo(values: AnyArray) -> AnyArray:
        numbers = values.astype(np.float64)
        if tile is not None:
            numbers = numbers - _subtracted(int(tile), values.size).reshape(values.shape) + 0.5
        with np.errstate(all="ignore"):
            floats: AnyArray = (numbers * scale + zero).astype(dtype)
        if has_zeros:
            floats[values == EXACT_ZERO] = 0
        if blank is not None:
            floats[values == blank] = np.nan
        return floats

    return undo, np.dtype(np.int32)


@cache
def _random_numbers() -> npt.NDArray[np.float32]:
    """The sequence of appendix I: that of Park and Miller, as floats."""
    seeds = np.empty(RANDOM_NUMBERS)
    seed = 1
    for index in range(RANDOM_NUMBERS):
        seed = MULTIPLIER * seed % MODULUS
        seeds[index] = seed
    return (seeds / MODULUS).astype(np.float32)


def _subtracted(tile: int, count: int) -> npt.NDArray[np.float64]:
    """The random numbers that were subtracted from the values of a tile: runs of the sequence, each from a place it tells."""
    numbers = _random_numbers()
    start = tile % RANDOM_NUMBERS
    parts: list[npt.NDArray[np.float32]] = []
    while count > 0:
        part = numbers[int(numbers[start] * np.float32(500)) :][:count]
        parts.append(part)
        count -= part.size
        start = (start + 1) % RANDOM_NUMBERS
    return np.concatenate([np.empty(0, np.float32), *parts]).astype(np.float64)


# ---------------------------------------------------------------------- tiles

type Call = Callable[[Any, bytes, ChunkSpec, Attrs], AnyArray]
"""Decodes a tile with imagecodecs."""


def _tile(name: str, title: str, function: str, call: Call) -> None:
    """Register a codec of tiles."""

    def factory(configuration: Attrs) -> LayoutDecoder:
        codecs = _imagecodecs(title, function)

        def decode(data: Buffer, chunk: ChunkSpec) -> AnyArray:
            most_bytes(chunk)
            try:
                values = call(codecs, bytes(data), chunk, configuration)
            except CodecError:
                raise
            except Exception as exc:
                raise CodecError(f"{title} tile is damaged ({exc})") from exc
            if values.size != prod(chunk.shape):
                raise CodecError(f"{title} tile holds {values.size} values, expected {chunk.shape}")
            return values.reshape(chunk.shape).astype(chunk.dtype, copy=False)

        return decode

    register_layout(name)(factory)


def _rice(codecs: Any, data: bytes, chunk: ChunkSpec, configuration: Attrs) -> AnyArray:
    kind = {1: "u1", 2: "i2", 4: "i4"}.get(int(configuration.get("bytes", 4)))
    if kind is None:
        raise CodecError(f"Rice tile of integers of {configuration['bytes']} bytes")
    block = int(configuration.get("block", 32))
    return np.asarray(codecs.rcomp_decode(data, shape=(prod(chunk.shape),), dtype=kind, nblock=block))


def _hcompress(codecs: Any, data: bytes, chunk: ChunkSpec, configuration: Attrs) -> AnyArray:
    sides = int.from_bytes(data[2:6], "big"), int.from_bytes(data[6:10], "big")
    if prod(sides) != prod(chunk.shape):  # before memory is taken for what the tile claims
        raise CodecError(f"HCOMPRESS tile says that it has {sides} values, expected {chunk.shape}")
    return np.asarray(codecs.hcomp_decode(data, smooth=int(configuration.get("smooth", 0))))


def _plio(codecs: Any, data: bytes, chunk: ChunkSpec, configuration: Attrs) -> AnyArray:
    words = np.frombuffer(data, ">i2").astype(np.int16).tobytes()  # the library wants them in the order of the machine
    return np.asarray(codecs.plio_decode(words, prod(chunk.shape)))


_tile("fits.rice", "Rice", "rcomp_decode", _rice)
_tile("fits.hcompress", "HCOMPRESS", "hcomp_decode", _hcompress)
_tile("fits.plio", "PLIO", "plio_decode", _plio)
