"""A picture of one time step that covers the bounding box, so that map clients can lay it on the map."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from intake_virtualzarr.datasets.cf_axes import find_axis
from intake_virtualzarr.errors import StacError
from intake_virtualzarr.stac.extent import longitude_interval
from intake_virtualzarr.stac.png import encode_png

__all__ = ["make_thumbnail", "thumbnail_variable"]

MAX_CELLS = 100_000_000
"""Cells of a slice that are read for a picture at most: every chunk of the slice must be fetched whole."""

# Ten points of a perceptually even scale from dark blue over green to yellow; what lies between is
# interpolated.
COLOURS = np.array(
    [
        *((68, 1, 84), (72, 40, 120), (62, 74, 137), (49, 104, 142), (38, 130, 142)),
        *((31, 158, 137), (53, 183, 121), (109, 205, 89), (180, 222, 44), (253, 231, 37)),
    ],
    dtype=np.float64,
)


def thumbnail_variable(dataset: xr.Dataset) -> str | None:
    """Choose the variable to draw: the first numeric one on a grid of latitudes and longitudes.

    Returns
    -------
    str or None
        ``None`` if there is none, e.g. on a projected grid, whose picture would not fit the bounding box.
    """
    grid = _grid(dataset)
    if grid is None:
        return None
    lat, lon = grid
    for name in dataset.data_vars:
        variable = dataset[name]
        if {lat.name, lon.name} <= set(variable.dims) and variable.dtype.kind in "iuf":
            return str(name)
    return None


def make_thumbnail(dataset: xr.Dataset, *, variable: str | None = None, size: int = 512) -> bytes | None:
    """Draw the first step of a variable.

    Parameters
    ----------
    dataset : xarray.Dataset
        Decoded. One two-dimensional slice is read.
    variable : str, optional
        Default: `thumbnail_variable`.
    size : int
        Longer side of the picture, at most [pixels].

    Returns
    -------
    bytes or None
        PNG in plate carrée: north is up, west is left, pixels without data are transparent; colours span
        the 2nd to the 98th percentile. ``None`` if no variable fits.

    Raises
    ------
    StacError
        If a variable was asked for that is not on a grid of latitudes and longitudes.
    """
    grid = _grid(dataset)
    name = variable or thumbnail_variable(dataset)
    if grid is None or name is None:
        if variable is not None:
            raise StacError(f"{variable}: no thumbnail, the dataset has no grid of latitudes and longitudes")
        return None
    lat, lon = grid
    if name not in dataset or not {lat.name, lon.name} <= set(dataset[name].dims):
        raise StacError(f"{name}: no thumbnail, it does not lie along {lat.name!r} and {lon.name!r}")
    if lat.size * lon.size > MAX_CELLS:
        return None
    step = max(1, -(-max(lat.size, lon.size) // size))
    every = slice(None, None, step)
    others = {dim: 0 for dim in dataset[name].dims if dim not in (lat.name, lon.name)}
    field = dataset[name].isel(others).isel({lat.name: every, lon.name: every})
    values = np.asarray(field.transpose(lat.name, lon.name).values, dtype=np.float64)
    rows = np.argsort(-np.asarray(lat.values[every], dtype=np.float64), kind="stable")
    columns = _west_to_east(np.asarray(lon.values, dtype=np.float64), every)
    return encode_png(_paint(values[np.ix_(rows, columns)]))


def _grid(dataset: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray] | None:
    lat = find_axis(dataset, "y", geographic=True)
    lon = find_axis(dataset, "x", geographic=True)
    if lat is None or lon is None or lat.dims != (lat.name,) or lon.dims != (lon.name,):
        return None
    return (lat, lon) if lat.size > 1 and lon.size > 1 else None


def _west_to_east(lons: npt.NDArray[np.float64], every: slice) -> npt.NDArray[np.intp]:
    """Order columns as the bounding box runs: from its western edge, across the antimeridian if it does."""
    west, east = longitude_interval(lons, float(np.median(np.abs(np.diff(lons)))) / 2)
    start = -180.0 if (west, east) == (-180.0, 180.0) else west
    return np.argsort(np.mod(lons[every] - start, 360.0), kind="stable")


def _paint(values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    known = np.isfinite(values)
    pixels = np.zeros((*values.shape, 4), np.uint8)
    if not known.any():
        return pixels
    low, high = np.percentile(values[known], [2, 98])
    scaled = np.clip((values - low) / (high - low), 0, 1) if high > low else np.full(values.shape, 0.5)
    places = np.linspace(0, 1, len(COLOURS))
    for band in range(3):
        pixels[..., band] = np.where(known, np.interp(np.nan_to_num(scaled), places, COLOURS[:, band]), 0)
    pixels[..., 3] = np.where(known, 255, 0)
    return pixels
