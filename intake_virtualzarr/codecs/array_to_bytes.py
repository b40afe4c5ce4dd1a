"""Array-to-bytes codecs: how the values of a chunk lie in its bytes."""

from __future__ import annotations

from math import prod

import numpy as np

from intake_virtualzarr._typing import AnyArray, Attrs
from intake_virtualzarr.codecs.registry import Buffer, ChunkSpec, LayoutDecoder, register_layout
from intake_virtualzarr.errors import CodecError

__all__: list[str] = []


@register_layout("bytes")
def _bytes(configuration: Attrs) -> LayoutDecoder:
    big = configuration.get("endian") == "big"

    def decode(data: Buffer, chunk: ChunkSpec) -> AnyArray:
        dtype = chunk.dtype.newbyteorder(">") if big else chunk.dtype.newbyteorder("<")
        size = memoryview(data).nbytes
        if size != chunk.nbytes:
            raise CodecError(f"chunk decodes to {size} bytes, expected {chunk.nbytes} for {chunk.shape} {chunk.dtype}")
        values = np.frombuffer(data, dtype=dtype).reshape(chunk.shape)
        return values if dtype.isnative else values.astype(chunk.dtype)

    return decode


@register_layout("vlen-utf8")
def _vlen_utf8(configuration: Attrs) -> LayoutDecoder:
    from numcodecs import VLenUTF8

    codec = VLenUTF8()

    def decode(data: Buffer, chunk: ChunkSpec) -> AnyArray:
        raw = bytes(data)
        count = int.from_bytes(raw[:4], "little")
        # its decoder makes room for as many strings as the chunk claims to hold
        if len(raw) < 4 or count != prod(chunk.shape) or 4 * count > len(raw):
            raise CodecError(f"chunk of {len(raw)} bytes claims {count} strings, expected {chunk.shape}")
        try:
            values = np.asarray(codec.decode(raw), dtype=object)
        except (ValueError, RuntimeError, LookupError, OverflowError) as exc:
            raise CodecError(f"chunk of strings is damaged ({exc})") from exc
        if values.size != int(np.prod(chunk.shape, dtype=np.int64)):
            raise CodecError(f"chunk holds {values.size} strings, expected {chunk.shape}")
        return values.reshape(chunk.shape)

    return decode


@register_layout("numcodecs.json2")
def _json(configuration: Attrs) -> LayoutDecoder:
    from numcodecs import JSON

    codec = JSON(**configuration)

    def decode(data: Buffer, chunk: ChunkSpec) -> AnyArray:
        if chunk.dtype.kind != "O":
            raise CodecError(f"JSON holds text here, the array has {chunk.dtype}")
        try:
            values = np.asarray(codec.decode(bytes(data)), dtype=object)
        except (ValueError, LookupError, TypeError, RecursionError) as exc:
            raise CodecError(f"JSON chunk is damaged ({exc})") from exc
        if values.size != int(np.prod(chunk.shape, dtype=np.int64)) or not all(isinstance(v, str) for v in values.ravel()):
            raise CodecError(f"JSON chunk of shape {values.shape}, expected strings of shape {chunk.shape}")
        return values.reshape(chunk.shape)

    return decode
