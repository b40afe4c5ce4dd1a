"""Cubes of fields as stored arrays, with their coordinates."""

from __future__ import annotations

import numpy as np

from intake_virtualzarr._typing import AnyArray, Attrs, JsonObject
from intake_virtualzarr.arrays.chunk_grid import ChunkGrid
from intake_virtualzarr.arrays.inline import inline_stored
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.arrays.segments import Segment, StoredArray
from intake_virtualzarr.codecs.grib_gaussian import check_reduced
from intake_virtualzarr.codecs.grib_grid import COLUMNS_FIRST, GridShape, grid_shape1, grid_shape2
from intake_virtualzarr.codecs.linear import LINEAR, as_linear
from intake_virtualzarr.codecs.spec import CodecSpec
from intake_virtualzarr.errors import UnsupportedError
from intake_virtualzarr.formats.base import ScannedArray
from intake_virtualzarr.formats.grib.axes import axes1, axes2
from intake_virtualzarr.formats.grib.cubes import Cube
from intake_virtualzarr.formats.grib.messages import Field
from intake_virtualzarr.storage.source import Source, SourceTable

__all__ = ["coordinates_of", "data_variable", "grid_coordinates", "grid_dims", "shape_of"]

SINCE = {"units": "seconds since 1970-01-01T00:00:00", "calendar": "proleptic_gregorian"}
PRESSURE = {"positive": "down", "stored_direction": "decreasing", "standard_name": "air_pressure", "long_name": "pressure"}
DEPTH = {"units": "m", "positive": "down", "standard_name": "depth", "long_name": "soil depth"}
ATTRS: dict[str, JsonObject] = {
    "latitude": {"units": "degrees_north", "standard_name": "latitude", "long_name": "latitude"},
    "longitude": {"units": "degrees_east", "standard_name": "longitude", "long_name": "longitude"},
    "number": {"units": "1", "standard_name": "realization", "long_name": "ensemble member numerical id"},
    "time": {**SINCE, "standard_name": "forecast_reference_time", "long_name": "initial time of forecast"},
    "valid_time": {**SINCE, "standard_name": "time", "long_name": "time"},
    "step": {"standard_name": "forecast_period", "long_name": "time since forecast_reference_time", "dtype": "timedelta64[ns]"},
    "isobaricInhPa": {"units": "hPa", **PRESSURE},
    "isobaricInPa": {"units": "Pa", **PRESSURE},
    "depthBelowLand": DEPTH,
    "depthBelowLandLayer": DEPTH,
    "heightAboveGround": {"units": "m", "positive": "up", "standard_name": "height", "long_name": "height above the surface"},
    "hybrid": {
        "units": "1",
        "positive": "down",
        "standard_name": "atmosphere_hybrid_sigma_pressure_coordinate",
        "long_name": "hybrid level",
    },
    "percentile": {"units": "%", "long_name": "percentile"},
    "threshold": {"long_name": "limit of the event whose probability is given"},
    "wavelength": {"units": "m", "standard_name": "radiation_wavelength", "long_name": "wavelength"},
}
"""Attributes of coordinates, where cfgrib has some the same."""
UNITS = (("hours", 3600), ("minutes", 60), ("seconds", 1))
"""Units of steps, and how long they are."""


def shape_of(field: Field) -> GridShape:
    """The shape of the grid of a field.

    Raises
    ------
    UnsupportedError
        If it is of no kind that is known.
    """
    return grid_shape1(field.grid) if field.edition == 1 else grid_shape2(field.grid)


def is_regular(grid: GridShape) -> bool:
    """Whether one latitude holds for each row, and one longitude for each column."""
    return grid.kind in ("regular_ll", "regular_gg", "mercator_ll") and grid.rows is not None


def grid_dims(grid: GridShape) -> tuple[str, ...]:
    """Names of the axes of a grid."""
    if grid.rows is None:
        return ("values",)
    return ("latitude", "longitude") if is_regular(grid) else ("y", "x")


def data_variable(path: str, cube: Cube, grid: GridShape, source: Source, coordinates: str) -> ScannedArray:
    """The values of a variable: one chunk for each field."""
    long = cube.long_axes
    before = tuple(len(values) for _, values in long)
    shape = (*before, *grid.shape)
    chunks = ChunkGrid.regular(shape, (*(1 for _ in before), *grid.shape))
    offset, length = np.zeros(before, np.uint64), np.zeros(before, np.uint64)
    places = sorted({member.field.place for member in cube.members}, key=lambda place: (place is not None, place))
    if len(places) > 255:
        raise UnsupportedError("its fields stand at more than 255 different places of messages of several fields")
    codec = np.zeros(before, np.uint8)
    for member, at in zip(cube.members, cube.places.tolist(), strict=True):
        offset[tuple(at)], length[tuple(at)] = member.field.offset, member.field.length
        codec[tuple(at)] = places.index(member.field.place)
    pipelines = [(CodecSpec.of("grib", **({} if place is None else {"field": place})),) for place in places]
    at_all = chunks.grid_shape
    manifest = ChunkManifest.from_columns(at_all, offset.reshape(at_all), length.reshape(at_all), codec=codec.reshape(at_all))
    dtype, fill = np.dtype(np.float32), np.float32(np.nan)
    stored = StoredArray(dtype, fill, chunks, pipelines[0], manifest, SourceTable((source,)), tuple(pipelines[1:]))
    dims = (*(cube.level_name if name == "level" else name for name, _ in long), *grid_dims(grid))
    return ScannedArray(path, dims, dtype, shape, fill, (Segment.whole(stored),), _attrs(cube, grid, coordinates))


def _attrs(cube: Cube, grid: GridShape, coordinates: str) -> JsonObject:
    n = cube.naming
    attrs: JsonObject = {"long_name": n.long_name, "units": n.units}
    if n.standard_name not in ("unknown", "undef"):
        attrs["standard_name"] = n.standard_name
    attrs |= {"GRIB_shortName": n.short_name, "GRIB_typeOfLevel": n.level_type, "GRIB_stepType": n.step_type}
    attrs |= {"GRIB_gridType": grid.kind, "GRIB_paramId": np.int64(n.param_id)}
    if len({member.naming.data_type for member in cube.members}) == 1 and n.data_type:
        attrs["GRIB_dataType"] = n.data_type
    return {**attrs, "coordinates": coordinates}


def coordinates_of(cube: Cube) -> dict[str, ScannedArray]:
    """Coordinates of a variable by name, but for those of its grid; their paths are filled in by who places them."""
    found: dict[str, ScannedArray] = {}
    for name, values in cube.axes:
        called = cube.level_name if name == "level" else name
        dims = (called,) if len(values) > 1 else ()
        array, attrs = _coordinate(name, called, values)
        found[called] = _inline(array if dims else array[0], dims, attrs)
    if "step" in found and "time" in found:
        found["valid_time"] = _valid_time(dict(cube.axes))
    return found


def _coordinate(name: str, called: str, values: tuple[float, ...]) -> tuple[AnyArray, JsonObject]:
    attrs = dict(ATTRS.get(called, {"long_name": called, "units": "1"}))
    if name == "step":
        unit, seconds = next(one for one in UNITS if not any(value % one[1] for value in values))
        return np.array([int(v) // seconds for v in values], np.int64), {"units": unit, **attrs}
    if name in ("number", "time", "percentile"):
        return np.array(values, np.int64), attrs
    return np.array(values, np.float64), attrs


def _valid_time(axes: dict[str, tuple[float, ...]]) -> ScannedArray:
    time, step = (np.array(axes[name], np.int64) for name in ("time", "step"))
    dims = tuple(name for name, values in (("time", time), ("step", step)) if values.size > 1)
    moments = (time[:, None] + step).reshape([values.size for values in (time, step) if values.size > 1])
    return _inline(moments, dims, ATTRS["valid_time"])


def _inline(values: AnyArray, dims: tuple[str, ...], attrs: Attrs) -> ScannedArray:
    stored = inline_stored(np.asarray(values))
    return ScannedArray("", dims, stored.dtype, stored.shape, stored.fill_value, (Segment.whole(stored),), attrs)


def grid_coordinates(field: Field, grid: GridShape, source: Source) -> dict[str, ScannedArray]:
    """Latitudes and longitudes, as far as they are known.

    Raises
    ------
    UnsupportedError
        If what describes them contradicts itself.
    """
    if is_regular(grid):
        axes = (axes1 if field.edition == 1 else axes2)(field.grid, grid)
        names = ("latitude", "longitude")
        return {name: _axis(values, name) for name, values in zip(names, axes, strict=True)}
    if grid.kind == "unstructured_grid" or grid.scanning & COLUMNS_FIRST:  # ecCodes does not compute them
        return {}
    if grid.lines:
        check_reduced(grid)
    return {name: _lazy(name, field, grid, source) for name in ("latitude", "longitude")}


def _axis(values: AnyArray, name: str) -> ScannedArray:
    attrs = dict(ATTRS[name])
    if name == "latitude" and values[0] > values[-1]:
        attrs["stored_direction"] = "decreasing"
    linear = as_linear(values)
    if linear is None:
        return _inline(values, (name,), attrs)
    inner = inline_stored(np.frombuffer(linear, np.uint8))
    grid = ChunkGrid.regular(values.shape, values.shape)
    manifest = ChunkManifest.from_columns(grid.grid_shape, 0, len(linear))
    stored = StoredArray(values.dtype, values.dtype.type(0), grid, (LINEAR,), manifest, inner.sources)
    return ScannedArray("", (name,), stored.dtype, stored.shape, stored.fill_value, (Segment.whole(stored),), attrs)


def _lazy(name: str, field: Field, grid: GridShape, source: Source) -> ScannedArray:
    """Coordinates of every point, computed from the description of the grid when they are read."""
    if field.edition == 1:  # ecCodes needs the section before it, too
        offset, length = field.offset, field.grid_offset - field.offset + len(field.grid)
    else:
        offset, length = field.grid_offset, len(field.grid)
    chunks = ChunkGrid.regular(grid.shape, grid.shape)
    manifest = ChunkManifest.from_columns(chunks.grid_shape, offset, length)
    dtype = np.dtype(np.float64)
    codecs = (CodecSpec.of(f"grib.{name}"),)
    stored = StoredArray(dtype, np.float64(np.nan), chunks, codecs, manifest, SourceTable((source,)))
    return ScannedArray("", grid_dims(grid), dtype, grid.shape, stored.fill_value, (Segment.whole(stored),), ATTRS[name])
