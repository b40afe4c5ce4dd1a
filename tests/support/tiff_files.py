"""TIFF files of every kind that GDAL and tifffile write here, by name."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import tifffile
from rasterio.transform import from_origin

__all__ = ["TILES", "image", "kinds", "write_kind", "write_with_gdal"]

TILES = {"tiled": True, "blockxsize": 64, "blockysize": 64}
STRIPS = {"blockysize": 17}
INTEGERS = ("uint8", "int8", "int16", "uint16", "uint32", "int32", "int64", "uint64")
FLOATS = ("float16", "float32", "float64")
HEIGHT, WIDTH = 100, 131


def image(bands: int, dtype: str, height: int = HEIGHT, width: int = WIDTH, seed: int = 0) -> np.ndarray:
    """Smooth values with some noise."""
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(seed).normal(0, 2, (bands, height, width))
    values = np.stack([(np.sin(x / 9 + band) + np.cos(y / 7)) * 40 + 100 for band in range(bands)]) + noise
    if np.dtype(dtype).kind == "c":
        return (values + 1j * values[::-1]).astype(dtype)
    return (values - 100 if np.dtype(dtype).kind == "i" else values).astype(dtype)


def write_with_gdal(path: Path, values: np.ndarray, **options: Any) -> None:
    """Write by rasterio, at a place on the Earth."""
    bands, height, width = values.shape
    where = {"crs": "EPSG:32633", "transform": from_origin(5e5, 5e6, 10, 10)} | {
        key: options.pop(key) for key in ("crs", "transform") if key in options
    }
    profile = {"height": height, "width": width, "count": bands, "dtype": values.dtype.name}
    with rasterio.open(path, "w", driver="GTiff", **profile, **where, **options) as file:
        file.write(values)


def kinds() -> Iterator[tuple[str, np.ndarray, dict[str, Any]]]:
    """Names, values and options of GDAL."""
    yield from _compressions()
    yield from _predictors()
    yield from _orders()
    yield from _packed_bits()
    yield from _pictures()
    yield from _lerc()
    yield "minwhite", image(1, "uint8"), {"photometric": "MINISWHITE", "compress": "deflate"}
    yield "sparse", np.zeros((1, 200, 200), "int16"), {"compress": "deflate", "sparse_ok": True, "nodata": -9999, **TILES}
    yield "complex64", image(1, "complex64"), {"compress": "deflate", **TILES}
    yield "complex128_3", image(3, "complex128"), {"compress": "deflate", "interleave": "pixel", **TILES}


def _compressions() -> Iterator[tuple[str, np.ndarray, dict[str, Any]]]:
    for compress, dtype in product(("none", "deflate", "lzw", "zstd", "lzma", "packbits"), INTEGERS + FLOATS):
        yield f"{compress}_{dtype}_strips", image(1, dtype), {"compress": compress, **STRIPS}
    for dtype, (interleave, cut) in product(("uint16", "float32"), (("pixel", STRIPS), ("band", TILES), ("pixel", TILES))):
        for compress in ("none", "deflate"):
            name = f"{compress}_{dtype}_4{interleave}_{'tiles' if 'tiled' in cut else 'strips'}"
            yield name, image(4, dtype), {"compress": compress, "interleave": interleave, **cut}


def _predictors() -> Iterator[tuple[str, np.ndarray, dict[str, Any]]]:
    types = {2: ("uint8", "uint16", "int32", "float32", "float64", "uint64"), 3: FLOATS}
    cuts = ((1, "pixel", TILES), (3, "pixel", TILES), (3, "band", STRIPS), (2, "pixel", STRIPS))
    for compress, predictor in product(("deflate", "lzw", "zstd"), (2, 3)):
        for dtype, (bands, interleave, cut) in product(types[predictor], cuts):
            name = f"{compress}_p{predictor}_{dtype}_{bands}{interleave}"
            yield name, image(bands, dtype), {"compress": compress, "predictor": predictor, "interleave": interleave, **cut}


def _orders() -> Iterator[tuple[str, np.ndarray, dict[str, Any]]]:
    for dtype, compress, predictor in product(("uint16", "float32", "float64", "int64"), ("deflate", "lzw"), (1, 2, 3)):
        if predictor == 3 and not dtype.startswith("float"):
            continue
        options = {"compress": compress, "predictor": predictor, "endianness": "BIG", "interleave": "pixel", **TILES}
        yield f"big_endian_{compress}_p{predictor}_{dtype}", image(2, dtype), options
    yield "bigtiff", image(1, "uint16"), {"compress": "deflate", "bigtiff": "YES", **TILES}
    yield "bigtiff_big_endian", image(1, "uint16"), {"bigtiff": "YES", "endianness": "BIG", **TILES}


def _packed_bits() -> Iterator[tuple[str, np.ndarray, dict[str, Any]]]:
    for bits in (1, 2, 4):
        small = image(3, "uint8") % 2**bits
        yield f"bits{bits}_tiles", small[:1], {"nbits": bits, "compress": "deflate", **TILES}
        yield f"bits{bits}_strips", small[:1], {"nbits": bits, **STRIPS}
        yield f"bits{bits}_3pixel", small, {"nbits": bits, "compress": "deflate", "interleave": "pixel", **TILES}
    for bits in (9, 10, 12, 15):
        yield f"bits{bits}", image(1, "uint16") % 2**bits, {"nbits": bits, "compress": "deflate", **TILES}
    yield "fax", (image(1, "uint8") > 100).astype("u1"), {"nbits": 1, "compress": "ccittfax4", "blockysize": HEIGHT}


def _pictures() -> Iterator[tuple[str, np.ndarray, dict[str, Any]]]:
    pixel = {"compress": "jpeg", "interleave": "pixel"}
    yield "jpeg_gray", image(1, "uint8"), {**pixel, **TILES}
    yield "jpeg_rgb", image(3, "uint8"), {**pixel, **TILES}
    yield "jpeg_4", image(4, "uint8"), {**pixel, **TILES}
    yield "jpeg_ycbcr_tiles", image(3, "uint8"), {**pixel, "photometric": "YCBCR", **TILES}
    yield "jpeg_ycbcr_strips", image(3, "uint8"), {**pixel, "photometric": "YCBCR", "blockysize": 16}
    yield "jpeg_12_bits", image(1, "uint16"), {"compress": "jpeg", "nbits": 12, **TILES}
    yield "jpeg_bands", image(3, "uint8"), {"compress": "jpeg", "interleave": "band", **TILES}
    webp = {"compress": "webp", "webp_lossless": True, "interleave": "pixel", **TILES}
    yield "webp_rgb", image(3, "uint8"), webp
    yield "webp_rgba", image(4, "uint8"), {**webp, "alpha": "yes"}


def _lerc() -> Iterator[tuple[str, np.ndarray, dict[str, Any]]]:
    for compress in ("lerc", "lerc_deflate", "lerc_zstd"):
        for dtype in ("uint8", "int16", "float32", "float64", "int32"):
            yield f"{compress}_{dtype}", image(1, dtype), {"compress": compress, "max_z_error": 0, **TILES}
        for interleave in ("pixel", "band"):
            yield f"{compress}_3{interleave}", image(3, "float32"), {"compress": compress, "interleave": interleave, **TILES}
    holes = image(3, "float32")
    holes[:, 20:40, 30:50] = np.nan
    yield "lerc_holes", holes[:1], {"compress": "lerc", **TILES}
    yield "lerc_holes_3", holes, {"compress": "lerc", "interleave": "pixel", **TILES}


def write_kind(path: Path, values: np.ndarray, options: dict[str, Any]) -> bool:
    """Write a file; False if this GDAL has no such compression."""
    try:
        write_with_gdal(path, values, **options)
    except (rasterio.errors.RasterioError, rasterio._err.CPLE_BaseError, TypeError):
        return False
    return True


def write_pages(path: Path, **options: Any) -> np.ndarray:
    """Three pages by tifffile."""
    values = image(3, "uint16", 60, 70)
    tifffile.imwrite(path, values, photometric="minisblack", **options)
    return values
