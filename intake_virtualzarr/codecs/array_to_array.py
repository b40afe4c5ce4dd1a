"""Array-to-array codecs of numcodecs: values that other values stand for in the chunk."""

from __future__ import annotations

from typing import Any

import numcodecs
import numpy as np

from intake_virtualzarr._typing import AnyArray, Attrs, DType
from intake_virtualzarr.codecs.registry import ArrayDecoder, register_array
from intake_virtualzarr.errors import CodecError

__all__: list[str] = []


def _native(text: Any, otherwise: DType) -> DType:
    try:
        return np.dtype(text if text is not None else otherwise).newbyteorder("=")
    except TypeError as exc:
        raise CodecError(f"data type {text!r} of a codec is unknown") from exc


def _number(configuration: Attrs, name: str, codec: str) -> Any:
    value = configuration.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CodecError(f"codec {codec!r}: {name} is {value!r}, expected a number")
    return value


def _step(codec: Any, dtype: DType, decoded: DType, encoded: DType) -> ArrayDecoder:
    if decoded != dtype:
        raise CodecError(f"codec {codec.codec_id!r} decodes to {decoded}, the array has {dtype}")

    def undo(values: AnyArray) -> AnyArray:
        flat = np.ascontiguousarray(values).reshape(-1)
        return np.asarray(codec.decode(flat)).reshape(values.shape).astype(dtype, copy=False)

    return undo, encoded


@register_array("numcodecs.fixedscaleoffset")
def _fixed_scale_offset(configuration: Attrs, dtype: DType) -> ArrayDecoder:
    decoded = _native(configuration.get("dtype"), dtype)
    encoded = _native(configuration.get("astype"), decoded)
    offset, scale = (_number(configuration, name, "fixedscaleoffset") for name in ("offset", "scale"))
    codec = numcodecs.FixedScaleOffset(offset=offset, scale=scale, dtype=decoded, astype=encoded)
    return _step(codec, dtype, decoded, encoded)


@register_array("numcodecs.delta")
def _delta(configuration: Attrs, dtype: DType) -> ArrayDecoder:
    decoded = _native(configuration.get("dtype"), dtype)
    encoded = _native(configuration.get("astype"), decoded)
    return _step(numcodecs.Delta(dtype=decoded, astype=encoded), dtype, decoded, encoded)


@register_array("numcodecs.quantize")
def _quantize(configuration: Attrs, dtype: DType) -> ArrayDecoder:
    decoded = _native(configuration.get("dtype"), dtype)
    encoded = _native(configuration.get("astype"), decoded)
    codec = numcodecs.Quantize(digits=_number(configuration, "digits", "quantize"), dtype=decoded, astype=encoded)
    return _step(codec, dtype, decoded, encoded)


@register_array("numcodecs.bitround")
def _bitround(configuration: Attrs, dtype: DType) -> ArrayDecoder:
    return lambda values: values, dtype  # the rounded bits are gone; decoding does nothing


@register_array("numcodecs.astype")
def _astype(configuration: Attrs, dtype: DType) -> ArrayDecoder:
    decoded, encoded = _native(configuration.get("decode_dtype"), dtype), _native(configuration.get("encode_dtype"), dtype)
    return _step(numcodecs.AsType(encode_dtype=encoded, decode_dtype=decoded), dtype, decoded, encoded)
