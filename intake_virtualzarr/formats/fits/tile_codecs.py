"""How tiles are compressed, as codec pipelines; what has no decoder is refused by name.

Source: FITS standard 4.0 (2018), sections 10.2 to 10.4.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.codecs.spec import CodecSpec, Pipeline, bytes_codec
from intake_virtualzarr.errors import FormatError, UnsupportedError
from intake_virtualzarr.formats.fits.hdus import Hdu
from intake_virtualzarr.formats.fits.scaling import Numbers, numbers_of
from intake_virtualzarr.formats.fits.tile_table import STREAMS, Tiles

__all__ = ["numbers_of_compressed", "pipelines_of"]

DITHERS = {"NO_DITHER": 0, "NONE": 0, "SUBTRACTIVE_DITHER_1": 1, "SUBTRACTIVE_DITHER_2": 2}
MOST_QUANTIZED = 2**13
"""Tiles of floats that have a scale each: as many codec pipelines, some 170 bytes of a store each."""


def numbers_of_compressed(hdu: Hdu) -> Numbers:
    """What the numbers of a compressed image mean."""
    blank = "ZBLANK" if "ZBLANK" in hdu.header.values else "BLANK"
    return numbers_of(hdu.header, hdu.header.whole("ZBITPIX"), blank)


def pipelines_of(tiles: Tiles, numbers: Numbers, choice: AnyArray) -> tuple[list[Pipeline], AnyArray]:
    """The codec pipelines, and for each tile which of them is its own."""
    header = tiles.hdu.header
    is_quantized = numbers.stored.kind == "f" and (tiles.has("ZSCALE") or not _is_gzip(_compression(tiles.hdu)))
    if not is_quantized:
        if "ZBLANK" in tiles.columns:
            raise UnsupportedError("each of its tiles has a value of its own for what is missing (column ZBLANK)")
        used, which = np.unique(choice, return_inverse=True)
        return [(*numbers.codecs, *_stream_codecs(tiles.hdu, numbers, int(one), False)) for one in used], which.reshape(-1)
    method = DITHERS.get(header.text("ZQUANTIZ", "NO_DITHER").upper())
    if method is None:
        raise UnsupportedError(f"its floats are quantized by {header.text('ZQUANTIZ')!r}, which is unknown")
    rows = _quantization(tiles, choice, method)
    distinct, which = np.unique(rows, axis=0, return_inverse=True)
    if len(distinct) > MOST_QUANTIZED:
        raise UnsupportedError(f"has {len(distinct)} tiles of floats with a scale each; at most {MOST_QUANTIZED} are referenced")
    return [_quantized_pipeline(tiles, numbers, method, row) for row in distinct.tolist()], which.reshape(-1)


def _quantization(tiles: Tiles, choice: AnyArray, method: int) -> npt.NDArray[np.float64]:
    """Column, scale, zero point, missing value and place in the random sequence of each tile."""
    number = len(tiles.rows)
    columns: list[AnyArray] = [choice.astype(np.float64)]
    for name, usual in (("ZSCALE", 1.0), ("ZZERO", 0.0)):
        columns.append(tiles.numbers(name).astype(np.float64) if tiles.has(name) else np.full(number, usual))
    columns.append(tiles.numbers("ZBLANK").astype(np.float64) if tiles.has("ZBLANK") else np.zeros(number))
    seed = tiles.hdu.header.whole("ZDITHER0", 0)
    # tiles and seeds are counted from 1
    columns.append((np.arange(number) + seed - 1.0) % 10_000 if method else np.zeros(number))
    rows = np.stack(columns, axis=1)
    rows[choice != 0, 1:] = 0  # kept as floats
    if not np.isfinite(rows).all():
        raise FormatError("a tile has a scale or zero point that is no number")
    return rows


def _quantized_pipeline(tiles: Tiles, numbers: Numbers, method: int, row: list[float]) -> Pipeline:
    choice, scale, zero, blank, place = row
    codecs = _stream_codecs(tiles.hdu, numbers, int(choice), choice == 0)
    if choice:
        return codecs
    configuration: dict[str, Any] = {"scale": scale, "zero": zero}
    if tiles.has("ZBLANK"):
        configuration["blank"] = int(blank)
    if method:
        configuration["tile"] = int(place)
    if method == 2:
        configuration["zeros"] = True
    return (CodecSpec.of("fits.quantized", **configuration), *codecs)


def _stream_codecs(hdu: Hdu, numbers: Numbers, choice: int, is_quantized: bool) -> Pipeline:
    """Codecs of a stream of one column."""
    dtype = np.dtype(">i4") if is_quantized else numbers.stored.newbyteorder(">")
    plain, unzip = bytes_codec(dtype), CodecSpec.of("gzip", level=5)
    if choice:
        return (plain,) if STREAMS[choice] == "UNCOMPRESSED_DATA" else (plain, unzip)
    name = _compression(hdu)
    if name == "GZIP_1":
        return plain, unzip
    if name == "GZIP_2":
        return plain, CodecSpec.of("numcodecs.shuffle", elementsize=dtype.itemsize), unzip
    if name == "NOCOMPRESS":
        return (plain,)
    settings = _settings(hdu)
    if name in ("RICE_1", "RICE_ONE"):
        return (CodecSpec.of("fits.rice", bytes=int(settings.get("BYTEPIX", 4)), block=int(settings.get("BLOCKSIZE", 32))),)
    if name == "HCOMPRESS_1":
        return (CodecSpec.of("fits.hcompress", smooth=int(settings.get("SMOOTH", 0))),)
    if name == "PLIO_1":
        return (CodecSpec.of("fits.plio"),)
    raise UnsupportedError(f"its tiles are compressed by {name!r}, which no codec here undoes")


def _compression(hdu: Hdu) -> str:
    return hdu.header.text("ZCMPTYPE").upper()


def _is_gzip(name: str) -> bool:
    return name.startswith("GZIP") or name == "NOCOMPRESS"


def _settings(hdu: Hdu) -> dict[str, float]:
    """Parameters of the compression by name."""
    settings: dict[str, float] = {}
    index = 1
    while f"ZNAME{index}" in hdu.header.values and index < 1000:
        value = hdu.header.values.get(f"ZVAL{index}")
        if isinstance(value, int | float):
            settings.setdefault(hdu.header.text(f"ZNAME{index}").upper(), value)
        index += 1
    return settings
