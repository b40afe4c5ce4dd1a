"""A picture of one time step that covers the bounding box, so that map clients can lay it on the map."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from intake_virtualzarr.errors import StacError
from intake_virtualzarr.stac.axes import find_axis
from intake_virtualzarr.stac.png import encode_png

__all__ = ["make_thumbnail", "thumbnail_variable"]

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
    rows, columns = _places(lat, lon, size)
    first = {dim: 0 for dim in dataset[name].dims if dim not in (lat.name, lon.name)}
    step_rows, step_columns = _step(rows), _step(columns)
    field = (
        dataset[name]
        .isel(first)
        .isel({lat.name: slice(None, None, step_rows), lon.name: slice(None, None, step_columns)})
    )
    values = np.asarray(field.transpose(lat.name, lon.name).values, dtype=np.float64)
    return encode_png(_paint(values[np.ix_(rows // step_rows, columns // step_columns)]))


def _grid(dataset: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray] | None:
    lat = find_axis(dataset, "y", geographic=True)
    lon = find_axis(dataset, "x", geographic=True)
    if lat is None or lon is None or lat.dims != (lat.name,) or lon.dims != (lon.name,):
        return None
    return (lat, lon) if lat.size > 1 and lon.size > 1 else None


def _places(
    lat: xr.DataArray, lon: xr.DataArray, size: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Choose the nearest row and column for each pixel, top to bottom and west to east as the bbox runs."""
    lats = np.asarray(lat.values, dtype=np.float64)
    lons = np.asarray(lon.values, dtype=np.float64)
    turned = np.mod(lons, 360.0)
    gaps = np.diff(np.append(np.sort(turned), np.sort(turned)[0] + 360.0))
    widest = int(np.argmax(gaps))
    whole_circle = gaps[widest] <= 1.5 * float(np.median(gaps))
    start = -180.0 if whole_circle else float(np.sort(turned)[(widest + 1) % turned.size])
    columns = np.argsort(np.mod(lons - start, 360.0), kind="stable")
    rows = np.argsort(-lats, kind="stable")
    factor = max(1, -(-max(rows.size, columns.size) // size))
    return rows[::factor], columns[::factor]


def _step(places: npt.NDArray[np.intp]) -> int:
    """Largest common stride of the places, so that no more is read than drawn."""
    return max(1, int(np.gcd.reduce(places)))


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
