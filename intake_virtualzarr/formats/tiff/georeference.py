"""Where an image lies on the Earth: tags of GeoTIFF as rioxarray's coordinates, and as Zarr's conventions ``proj:``, ``spatial:``.

Source: OGC GeoTIFF 1.1 (19-008r4), and GDAL's reading of it where writers differ; zarr-conventions/proj and /spatial, v0.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from intake_virtualzarr._typing import AnyArray, JsonObject
from intake_virtualzarr.formats.tiff.directories import Directory

__all__ = ["Affine", "GeoReference", "georeference_of"]

PIXEL_SCALE, TIE_POINTS, TRANSFORMATION = 33550, 33922, 34264
KEYS, DOUBLES, TEXTS = 34735, 34736, 34737
RASTER_TYPE, CITATION, GEODETIC_CRS, PROJECTED_CRS, VERTICAL_CRS = 1025, 1026, 2048, 3072, 4096
POINT = 2
USER_DEFINED = 32767

SPATIAL: JsonObject = {
    "uuid": "689b58e2-cf7b-45e0-9fff-9cfc0883d6b4",
    "schema_url": "https://raw.githubusercontent.com/zarr-conventions/spatial/refs/tags/v0.1/schema.json",
    "spec_url": "https://github.com/zarr-conventions/spatial/blob/v0.1/README.md",
    "name": "spatial",
    "description": "Spatial coordinate information",
}
PROJ: JsonObject = {
    "uuid": "f17cb550-5864-4468-aeb7-f3180cfb622f",
    "schema_url": "https://raw.githubusercontent.com/zarr-conventions/proj/refs/tags/v0.1/schema.json",
    "spec_url": "https://github.com/zarr-conventions/proj/blob/v0.1/README.md",
    "name": "proj",
    "description": "Coordinate reference system information for geospatial data",
}


@dataclass(frozen=True)
class Affine:
    """``x = a * column + b * row + c`` and ``y = d * column + e * row + f`` of the corners of cells."""

    a: float
    b: float
    c: float
    d: float
    e: float
    f: float

    def scaled(self, columns: float, rows: float) -> Affine:
        """For cells that are so many times as wide and high."""
        return Affine(self.a * columns, self.b * rows, self.c, self.d * columns, self.e * rows, self.f)

    @property
    def is_rectilinear(self) -> bool:
        """Whether columns are x and rows are y."""
        return self.b == 0 and self.d == 0 and self.a != 0 and self.e != 0

    @property
    def x(self) -> tuple[float, float]:
        """Centre of the first cell and step along columns."""
        return self.a * 0.5 + self.b * 0.5 + self.c, self.a

    @property
    def y(self) -> tuple[float, float]:
        """Centre of the first cell and step along rows."""
        return self.d * 0.5 + self.e * 0.5 + self.f, self.e

    @property
    def gdal(self) -> str:
        """GDAL's order, as rioxarray writes it."""
        return " ".join(repr(value) for value in (self.c, self.a, self.b, self.f, self.d, self.e))


@dataclass(frozen=True)
class GeoReference:
    """What the tags of an image say."""

    affine: Affine | None
    """Cells to coordinates; None if there is none (or only control points)."""
    code: str | None
    """``EPSG:…``; None if the reference system has no code."""
    citation: str | None
    """What the reference system is called."""
    is_point: bool
    """Whether values are of points, the centres of cells."""

    def scaled(self, columns: float, rows: float) -> GeoReference:
        """For an overview whose cells are so many times as wide and high."""
        affine = None if self.affine is None else self.affine.scaled(columns, rows)
        return GeoReference(affine, self.code, self.citation, self.is_point)

    @property
    def is_known(self) -> bool:
        """Whether anything is said."""
        return self.affine is not None or self.code is not None or self.citation is not None

    def spatial_ref(self) -> JsonObject:
        """Attributes of the variable ``spatial_ref``, as rioxarray reads them."""
        attrs: JsonObject = {}
        if self.code is not None:
            attrs |= {"crs_wkt": self.code, "spatial_ref": self.code}
        elif self.citation:
            attrs["long_name"] = self.citation
        if self.affine is not None:
            attrs["GeoTransform"] = self.affine.gdal
        return attrs

    def conventions(self, width: int, height: int) -> JsonObject:
        """Attributes of a group, after the conventions ``proj:`` and ``spatial:``."""
        declared: list[JsonObject] = []
        attrs: JsonObject = {}
        if self.affine is not None:
            t = self.affine
            corners = [(t.a * i + t.b * j + t.c, t.d * i + t.e * j + t.f) for i in (0, width) for j in (0, height)]
            xs, ys = [x for x, _ in corners], [y for _, y in corners]
            declared.append(SPATIAL)
            attrs |= {
                "spatial:dimensions": ["y", "x"],
                "spatial:transform_type": "affine",
                "spatial:transform": [t.a, t.b, t.c, t.d, t.e, t.f],
                "spatial:shape": [height, width],
                "spatial:bbox": [min(xs), min(ys), max(xs), max(ys)],
                "spatial:registration": "pixel",
            }
        if self.code is not None:
            declared.append(PROJ)
            attrs["proj:code"] = self.code
        return {"zarr_conventions": declared, **attrs} if declared else {}


def georeference_of(directory: Directory) -> GeoReference:
    """The georeference of an image."""
    keys = _geo_keys(directory)
    is_point = keys.get(RASTER_TYPE) == POINT
    codes = [k for k in (keys.get(PROJECTED_CRS), keys.get(GEODETIC_CRS)) if isinstance(k, int) and k not in (0, USER_DEFINED)]
    # a projection of its own upon a datum that has a code has none
    code = codes[0] if codes and keys.get(PROJECTED_CRS) != USER_DEFINED else None
    citations = [text for key in (3073, 2049, CITATION) if isinstance(text := keys.get(key), str) and text]
    citation = citations[0] if citations else None
    return GeoReference(_affine(directory, is_point), None if code is None else f"EPSG:{code}", citation, is_point)


def _affine(directory: Directory, is_point: bool) -> Affine | None:
    matrix = directory.numbers(TRANSFORMATION)
    scale, ties = directory.numbers(PIXEL_SCALE), directory.numbers(TIE_POINTS)
    if scale is not None and scale.size >= 2 and ties is not None and ties.size >= 6 and scale[0] != 0 and scale[1] != 0:
        a, e = float(scale[0]), -abs(float(scale[1]))
        i, j, _, x, y, _ = (float(v) for v in ties[:6])
        found = Affine(a, 0.0, x - i * a, 0.0, e, y - j * e)
    elif matrix is not None and matrix.size == 16:
        found = Affine(*(float(matrix[k]) for k in (0, 1, 3, 4, 5, 7)))
    else:
        return None
    if not np.isfinite([found.a, found.b, found.c, found.d, found.e, found.f]).all():
        return None
    if not is_point:
        return found
    c, f = found.c - (found.a * 0.5 + found.b * 0.5), found.f - (found.d * 0.5 + found.e * 0.5)
    return Affine(found.a, found.b, c, found.d, found.e, f)


def _geo_keys(directory: Directory) -> Mapping[int, int | float | str]:
    raw = directory.numbers(KEYS)
    if raw is None or raw.size < 4 or raw.dtype.kind != "u":
        return {}
    keys: dict[int, int | float | str] = {}
    for key, place, count, value in raw[4 : 4 + 4 * min(int(raw[3]), (raw.size - 4) // 4)].reshape(-1, 4).tolist():
        if place == 0:
            keys[key] = value
        elif place == TEXTS:
            keys[key] = (directory.text(TEXTS) or "")[value : value + count].rstrip("|").strip()
        elif place == DOUBLES:
            doubles: AnyArray | None = directory.numbers(DOUBLES)
            if doubles is not None and value < doubles.size:
                keys[key] = float(doubles[value])
    return keys
