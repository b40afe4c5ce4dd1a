"""FITS files of many kinds, written by astropy, and their values as astropy reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

__all__ = ["image", "images_of", "kinds", "some_cards"]

ROWS, COLUMNS = 41, 61


def image(dtype: str = "f4", rows: int = ROWS, columns: int = COLUMNS, seed: int = 0) -> np.ndarray:
    """A smooth image with noise."""
    values = np.cumsum(np.random.default_rng(seed).normal(0, 3, (rows, columns)), 1)
    return (np.abs(values) if np.dtype(dtype).kind == "u" else values).astype(dtype)


def images_of(path: Path) -> list[np.ndarray]:
    """The images of a file, as astropy reads them."""
    with fits.open(path) as parts:
        kinds = (fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU)
        return [np.array(part.data) for part in parts if isinstance(part, kinds) and part.data is not None]


def some_cards(part: Any) -> Any:
    """The part with cards of all forms: long texts, ESO's keywords, numbers and comments."""
    header = part.header
    header["LONG"] = "a text that is continued & more, " * 8
    header["QUOTED"] = "it's /not/ a comment"
    header["EMPTY"] = ""
    header["TINY"], header["BIG"], header["FLAG"] = 1.5e-30, 2**40, True
    header["HIERARCH ESO INS FILTER NAME"] = "g"
    header["HIERARCH ESO DET GAIN"] = 2.5
    header["NOTHING"] = None
    header.add_comment("first")
    header.add_comment("second")
    header.add_history("made by a test")
    return part


def kinds() -> Iterator[tuple[str, list[Any]]]:
    """Names and parts of files."""
    primary, plain = fits.PrimaryHDU, fits.ImageHDU
    for dtype in ("u1", "i1", "i2", "i4", "i8", "f4", "f8", "u2", "u4", "u8"):
        yield dtype, [primary(image(dtype))]
    rng = np.random.default_rng(0)
    yield "cube", [primary(rng.normal(size=(3, 20, 30)).astype("f4"))]
    yield "cube4", [primary(rng.integers(0, 99, (2, 3, 20, 30)).astype("i2"))]
    yield "row", [primary(np.arange(40, dtype="i4"))]
    yield "scaled", [_with(primary(image("i2")), BSCALE=0.5, BZERO=10.0, BLANK=-5)]
    yield "blank", [_with(primary(image("i2")), BLANK=-5)]
    yield "extensions", [primary(), *(plain(image("f4") * i, name="SCI", ver=i) for i in (1, 2, 3)), plain(image("i2"), name="DQ")]
    yield "many", [primary(), *(plain(image("f4", 20, 30, i), name=f"E{i}") for i in range(12))]
    yield "cards", [some_cards(primary(image("f4")))]
    yield "unequal", [primary(image("i2")), plain(image("i2", 20, 30), name="A"), plain(image("i2", 20, 30), name="x")]
    for compression in ("RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "PLIO_1"):
        shape = (21, COLUMNS) if compression == "HCOMPRESS_1" else None
        for dtype in ("u1", "i2", "i4") if compression == "PLIO_1" else ("u1", "i2", "u2", "i4"):
            how: dict[str, Any] = {"compression_type": compression, "tile_shape": shape}
            yield f"{compression}_{dtype}", [primary(), fits.CompImageHDU(np.abs(image("f8")).astype(dtype), **how)]
        for dtype in ("f4", "f8") if compression != "PLIO_1" else ():
            for method in (-1, 1, 2) if dtype == "f4" else (2,):
                values = image(dtype)
                values[5:9, 3:50], values[20, 5:30] = np.nan, 0
                how = {"compression_type": compression, "tile_shape": shape, "quantize_level": 16, "quantize_method": method}
                yield f"{compression}_{dtype}_{method}", [primary(), fits.CompImageHDU(values, **how)]
    for compression in ("GZIP_1", "GZIP_2"):
        how = {"compression_type": compression, "quantize_level": 0}
        yield f"{compression}_exact", [primary(), fits.CompImageHDU(image("f8"), **how)]
    how = {"compression_type": "HCOMPRESS_1", "tile_shape": (21, COLUMNS), "hcomp_scale": 2, "hcomp_smooth": 1}
    yield "HCOMPRESS_1_smooth", [primary(), fits.CompImageHDU(image("i4"), **how)]
    yield "RICE_1_blank", [primary(), _with(fits.CompImageHDU(image("i2"), compression_type="RICE_1"), BLANK=-5)]
    yield "tiles", [primary(), fits.CompImageHDU(image("i2"), compression_type="RICE_1", tile_shape=(16, 25))]
    how = {"compression_type": "RICE_1", "quantize_method": 1}
    yield "many_scales", [primary(), fits.CompImageHDU(image("f4", 300, 20), **how)]
    yield "large_tile", [primary(), fits.CompImageHDU(image("f4", 120, 400), tile_shape=(100, 400), **how)]
    yield "cube_tiles", [primary(), fits.CompImageHDU(rng.normal(size=(5, 40, 50)).astype("f4"), tile_shape=(2, 16, 20), **how)]


def _with(part: Any, **cards: object) -> Any:
    for name, value in cards.items():
        part.header[name] = value
    return part
