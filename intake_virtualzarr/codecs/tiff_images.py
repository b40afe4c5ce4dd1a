"""Compressions of TIFF that imagecodecs decodes. Needs the extra ``tiff``.

Each decoder is given the array to fill, so that a header that claims another size is refused before memory is taken for it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np

from intake_virtualzarr._typing import AnyArray, Attrs
from intake_virtualzarr.codecs.bounded import inflate, most_bytes, unzstd
from intake_virtualzarr.codecs.registry import Buffer, BytesDecoder, ChunkSpec, LayoutDecoder, register_bytes, register_layout
from intake_virtualzarr.errors import CodecError, MissingExtraError, VirtualZarrError

__all__: list[str] = []


def _imagecodecs(name: str) -> Any:
    try:
        import imagecodecs
    except ImportError as exc:
        raise MissingExtraError(f"{name} needs imagecodecs: pip install 'intake-virtualzarr[tiff]'") from exc
    return imagecodecs


def _bytes(name: str, function: str, title: str) -> None:
    """Register a codec of bytes."""

    def factory(_configuration: Attrs) -> BytesDecoder:
        decoder = getattr(_imagecodecs(title), function)

        def decode(data: Buffer, chunk: ChunkSpec) -> Buffer:
            most_bytes(chunk)
            try:
                return decoder(bytes(data), out=max(chunk.nbytes, 1))  # type: ignore[no-any-return]
            except Exception as exc:
                raise CodecError(f"{title} stream is damaged ({exc})") from exc

        return decode

    register_bytes(name)(factory)


_bytes("imagecodecs_lzw", "lzw_decode", "LZW")
_bytes("imagecodecs_packbits", "packbits_decode", "PackBits")

type Call = Callable[[Any, bytes, AnyArray, Attrs], AnyArray | None]
"""Decodes into an array with imagecodecs; gives the values if they are others."""


def _image(name: str, title: str, call: Call) -> None:
    """Register a codec whose stream is a picture."""

    def factory(configuration: Attrs) -> LayoutDecoder:
        codecs = _imagecodecs(title)

        def decode(data: Buffer, chunk: ChunkSpec) -> AnyArray:
            most_bytes(chunk)
            reason: Exception | None = None
            for shape in _pictures(chunk.shape):
                values = np.empty(shape, chunk.dtype)
                try:
                    other = call(codecs, bytes(data), values, configuration)
                except VirtualZarrError:
                    raise
                except Exception as exc:
                    reason = exc
                    continue
                found = values if other is None else other
                if found.size == values.size and found.dtype == values.dtype:
                    return found.reshape(chunk.shape)
                reason = ValueError(f"it gives {found.shape} {found.dtype}")
            raise CodecError(f"{title} stream does not decode to {chunk.shape} {chunk.dtype} ({reason})") from reason

        return decode

    register_layout(name)(factory)


def _pictures(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """What the axes of a chunk may be: rows and columns, or rows, columns and bands; those before have length one."""
    for count in (2, 3):
        if len(shape) >= count and prod(shape[:-count]) == 1:
            yield shape[-count:]


def _jpeg(codecs: Any, data: bytes, out: AnyArray, configuration: Attrs) -> AnyArray | None:
    tables = configuration.get("tables")
    codecs.jpeg8_decode(
        data,
        tables=None if tables is None else base64.b64decode(tables),
        colorspace=configuration.get("colorspace_jpeg"),
        outcolorspace=configuration.get("colorspace_data"),
        out=out,
    )
    return None


def _webp(codecs: Any, data: bytes, out: AnyArray, configuration: Attrs) -> AnyArray | None:
    codecs.webp_decode(data, hasalpha=configuration.get("hasalpha"), out=out)
    return None


def _jpegxl(codecs: Any, data: bytes, out: AnyArray, configuration: Attrs) -> AnyArray | None:
    codecs.jpegxl_decode(data, out=out)
    return None


def _jpeg2k(codecs: Any, data: bytes, out: AnyArray, configuration: Attrs) -> AnyArray | None:
    codecs.jpeg2k_decode(data, out=out)
    return None


def _lerc(codecs: Any, data: bytes, out: AnyArray, configuration: Attrs) -> AnyArray | None:
    inner, limit = configuration.get("compression"), 2 * out.nbytes + 65536
    if inner == "deflate":
        data = bytes(inflate(data, limit))
    elif inner == "zstd":
        data = bytes(unzstd(data, limit, limit))
    elif inner is not None:
        raise CodecError(f"LERC inside {inner!r} has no decoder here")
    values, masks = codecs.lerc_decode(data, masks=True, out=out)
    values = np.asarray(values)
    valid = None if masks is None else np.asarray(masks, bool)
    if valid is None or valid.size == 0 or valid.all():
        return values
    if values.dtype.kind != "f":
        raise CodecError("LERC stream marks missing integers, which have no value")
    if values.ndim > valid.ndim:
        valid = valid[..., np.newaxis]
    masked: AnyArray = np.where(valid, values, values.dtype.type(np.nan))
    return masked


def _fax(codecs: Any, data: bytes, out: AnyArray, configuration: Attrs) -> AnyArray | None:
    height, width = out.shape
    decoder = getattr(codecs, f"{configuration['kind']}_decode")
    if configuration["kind"] == "ccittfax3":
        decoded = decoder(data, height, width, t4options=int(configuration.get("options", 0)))
    else:
        decoded = decoder(data, height, width)
    np.not_equal(np.asarray(decoded).reshape(out.shape), 0, out=out, casting="unsafe")
    return None


_image("tiff.jpeg", "JPEG", _jpeg)
_image("imagecodecs_webp", "WebP", _webp)
_image("imagecodecs_jpegxl", "JPEG XL", _jpegxl)
_image("imagecodecs_jpeg2k", "JPEG 2000", _jpeg2k)
_image("tiff.lerc", "LERC", _lerc)
_image("tiff.fax", "CCITT fax", _fax)
