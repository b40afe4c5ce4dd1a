"""Bounding box and time interval of a dataset, from its coordinates."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from intake_virtualzarr.datasets.cf_axes import find_axis, is_time
from intake_virtualzarr.stac.source_item import BBox

__all__ = ["dataset_bbox", "dataset_interval", "iso_time", "longitude_interval"]

type Interval = tuple[dt.datetime, dt.datetime]

GLOBAL_GAP = 1.5
"""A gap of up to this many cells between the last and the first longitude closes the circle."""


def dataset_bbox(dataset: xr.Dataset) -> BBox | None:
    """Compute the bounding box of the grid cells.

    Parameters
    ----------
    dataset : xarray.Dataset
        Decoded. Coordinates are read, data variables are not.

    Returns
    -------
    tuple of float or None
        West, south, east, north [degrees]; longitudes from -180 to 180, west > east across the antimeridian.
        ``None`` without geographic coordinates.

    Examples
    --------
    >>> lat = ("lat", [-45.0, 45.0], {"units": "degrees_north"})
    >>> lon = ("lon", [45.0, 135.0, 225.0, 315.0], {"units": "degrees_east"})
    >>> dataset_bbox(xr.Dataset(coords={"lat": lat, "lon": lon}))
    (-180.0, -90.0, 180.0, 90.0)
    """
    lon = find_axis(dataset, "x", geographic=True)
    lat = find_axis(dataset, "y", geographic=True)
    if lon is None or lat is None:
        return None
    lons, lats = _finite(lon), _finite(lat)
    if not lons.size or not lats.size:
        return None
    half = _half_cell(lats, lat.ndim)
    south, north = max(lats.min() - half, -90.0), min(lats.max() + half, 90.0)
    west, east = longitude_interval(lons, _half_cell(lons, lon.ndim))
    return round(west, 6), round(float(south), 6), round(east, 6), round(float(north), 6)


def longitude_interval(values: npt.NDArray[np.float64], half: float = 0.0) -> tuple[float, float]:
    """Find the shortest arc that holds longitudes given in any turn (0 to 360, -180 to 180, beyond).

    Parameters
    ----------
    values : array of float
        Longitudes of cell centres [degrees].
    half : float
        Half the width of a cell [degrees].

    Returns
    -------
    west, east : float
        From -180 to 180; ``(-180, 180)`` for the whole circle; west > east across the antimeridian.

    Examples
    --------
    >>> longitude_interval(np.array([170.0, 175.0, 185.0]))
    (170.0, -175.0)
    """
    angles = np.unique(np.mod(values, 360.0))
    gaps = np.diff(np.append(angles, angles[0] + 360.0))
    widest = int(np.argmax(gaps))
    typical = float(np.median(gaps)) if angles.size > 1 else 360.0
    if angles.size > 2 and gaps[widest] <= max(GLOBAL_GAP * typical, 2 * half * GLOBAL_GAP):
        return -180.0, 180.0
    west = float(angles[(widest + 1) % angles.size]) - half
    east = float(angles[widest]) + half
    return _turn(west), _turn(east, upper=True)


def _turn(angle: float, *, upper: bool = False) -> float:
    turned = (angle + 180.0) % 360.0 - 180.0
    return 180.0 if upper and turned == -180.0 else turned


def _finite(variable: xr.DataArray) -> npt.NDArray[np.float64]:
    values = np.asarray(variable.values, dtype=np.float64).ravel()
    return values[np.isfinite(values)]


def _half_cell(values: npt.NDArray[np.float64], ndim: int) -> float:
    """Half the spacing of a regular one-dimensional coordinate; 0 for anything else: no cell is invented."""
    if ndim != 1 or values.size < 2:
        return 0.0
    steps = np.abs(np.diff(values))
    step = float(np.median(steps))
    return step / 2 if np.allclose(steps, step, rtol=0.05, atol=1e-6) else 0.0


def dataset_interval(dataset: xr.Dataset) -> Interval | None:
    """Find the first and the last time; ``None`` without a time coordinate.

    The dimension coordinate wins over auxiliary ones such as a forecast reference time.
    """
    time = find_axis(dataset, "t")
    if time is None:  # swaths list the times of their lines as a data variable
        lines = (v for v in dataset.data_vars.values() if v.attrs.get("standard_name") == "time" and is_time(v))
        time = next(lines, None)
    if time is None or not time.size or not is_time(time):
        return None
    values = time.values.ravel()
    if values.dtype.kind == "M":
        values = values[~np.isnat(values)]
        if not values.size:
            return None
    return _datetime(values.min()), _datetime(values.max())


def iso_time(value: Any) -> str:
    """Write a time as RFC 3339 in UTC.

    Examples
    --------
    >>> iso_time(np.datetime64("2024-01-01T12:00:00"))
    '2024-01-01T12:00:00Z'
    """
    time = value if isinstance(value, dt.datetime) else _datetime(value)
    text = time.astimezone(dt.UTC).isoformat(timespec="microseconds" if time.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def _datetime(value: Any) -> dt.datetime:
    """Turn a datetime64 or cftime value into a datetime; 30 February becomes the 28th or 29th."""
    if isinstance(value, np.datetime64):
        return value.astype("datetime64[us]").item().replace(tzinfo=dt.UTC)  # type: ignore[no-any-return]
    clock = dt.time(value.hour, value.minute, value.second, value.microsecond, tzinfo=dt.UTC)
    for day in range(value.day, value.day - 4, -1):
        try:
            return dt.datetime.combine(dt.date(value.year, value.month, day), clock)
        except ValueError:
            continue
    raise ValueError(f"{value} has no counterpart in the ISO calendar")
