"""Which coordinate is longitude, latitude, height or time, by the CF conventions."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr

from intake_virtualzarr.arrays.array import VirtualZarrArray

__all__ = ["Axis", "axis_of", "find_axis", "is_geographic", "is_time"]

Axis = Literal["x", "y", "z", "t"]

LATITUDE_UNITS = frozenset({"degrees_north", "degree_north", "degree_n", "degrees_n", "degreen", "degreesn"})
LONGITUDE_UNITS = frozenset({"degrees_east", "degree_east", "degree_e", "degrees_e", "degreee", "degreese"})
PRESSURE_UNITS = frozenset({"pa", "hpa", "mbar", "millibar", "bar", "atm", "decibar", "dbar"})

STANDARD_NAMES: dict[str, Axis] = {
    "longitude": "x",
    "grid_longitude": "x",
    "projection_x_coordinate": "x",
    "latitude": "y",
    "grid_latitude": "y",
    "projection_y_coordinate": "y",
    "time": "t",
    "forecast_reference_time": "t",
    "height": "z",
    "altitude": "z",
    "depth": "z",
    "air_pressure": "z",
    "geopotential_height": "z",
}

AXIS_ATTRIBUTE: dict[str, Axis] = {"X": "x", "Y": "y", "Z": "z", "T": "t"}

# Last resort, for files that say nothing: names that are hardly ever anything else.
NAMES: dict[str, Axis] = {
    "lon": "x",
    "longitude": "x",
    "lat": "y",
    "latitude": "y",
    "time": "t",
    "depth": "z",
    "altitude": "z",
}


def axis_of(variable: xr.DataArray) -> Axis | None:
    """Tell the axis of a coordinate.

    Parameters
    ----------
    variable : xarray.DataArray
        Decoded: times are datetime64 or cftime objects.

    Returns
    -------
    {"x", "y", "z", "t"} or None

    References
    ----------
    CF conventions, chapter 4: units, ``standard_name``, ``axis`` and ``positive``, in this order; then the
    name.

    Examples
    --------
    >>> axis_of(xr.DataArray([1.0], dims="q", attrs={"units": "degrees_north"}))
    'y'
    """
    attrs = variable.attrs
    if is_time(variable):
        return "t"
    units = str(attrs.get("units", "")).strip().lower()
    if units in LATITUDE_UNITS:
        return "y"
    if units in LONGITUDE_UNITS:
        return "x"
    by_name = STANDARD_NAMES.get(str(attrs.get("standard_name", "")))
    if by_name is not None:
        return by_name
    if str(attrs.get("axis")) in AXIS_ATTRIBUTE:
        return AXIS_ATTRIBUTE[str(attrs["axis"])]
    if "positive" in attrs or units in PRESSURE_UNITS:
        return "z"
    return NAMES.get(str(variable.name).lower()) if variable.dtype.kind in "iuf" else None


def is_time(variable: xr.DataArray | xr.Variable) -> bool:
    """Tell whether the values are times: datetime64, or cftime objects of another calendar."""
    if variable.dtype.kind == "M":
        return True
    bare = variable.variable if isinstance(variable, xr.DataArray) else variable
    if bare.dtype != object or isinstance(bare._data, VirtualZarrArray):  # text in a file, which is not read for this
        return False
    return any(hasattr(value, "calendar") for value in np.asarray(bare).flat)


def is_geographic(variable: xr.DataArray) -> bool:
    """Tell whether an x or y coordinate is longitude or latitude, rather than metres or grid degrees."""
    units = str(variable.attrs.get("units", "")).strip().lower()
    name = str(variable.attrs.get("standard_name", ""))
    if units in LATITUDE_UNITS | LONGITUDE_UNITS or name in ("longitude", "latitude"):
        return not name.startswith("grid_")
    return not name and not units and str(variable.name).lower() in NAMES


def find_axis(dataset: xr.Dataset, axis: Axis, *, geographic: bool = False) -> xr.DataArray | None:
    """Find the coordinate of an axis: dimension coordinates first, then auxiliary ones.

    Parameters
    ----------
    dataset : xarray.Dataset
    axis : {"x", "y", "z", "t"}
    geographic : bool
        Longitude and latitude only.
    """
    indexed = [dataset[name] for name in dataset.dims if name in dataset.coords]
    others = [dataset.coords[name] for name in dataset.coords if name not in dataset.dims]
    # Latitude and longitude of a projected grid are often listed as data variables.
    others += [dataset[name] for name in dataset.data_vars if is_geographic(dataset[name])]
    for variable in [*indexed, *others]:
        if axis_of(variable) == axis and (not geographic or is_geographic(variable)):
            return variable
    return None
