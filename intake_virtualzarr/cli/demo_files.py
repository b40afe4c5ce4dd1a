"""Thirty daily files of a synthetic sea surface temperature, packed as satellite products are."""

from __future__ import annotations

import datetime as dt
import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from intake_virtualzarr._typing import AnyArray, JsonObject
from intake_virtualzarr.errors import MissingExtraError

__all__ = ["DAYS", "FIRST_DAY", "ODD_CHUNKS_DAY", "ODD_SCALE_DAY", "day_dataset", "day_name", "write_files"]

DAYS = 30
FIRST_DAY = dt.date(2024, 1, 1)
SHAPE = (180, 360)
CHUNK_SHAPE = (1, 90, 180)

ODD_CHUNKS_DAY, ODD_CHUNK_SHAPE = 11, (1, 60, 120)
"""The file whose chunks have another shape, counted from 0."""
ODD_SCALE_DAY, SCALE, ODD_SCALE = 19, 0.01, 0.02
"""The file that is packed with another scale factor, counted from 0."""

VALID_RANGE = (-2.0, 35.0)
"""Values are clipped to it before they are packed [degree Celsius]."""
FILL = np.int16(-32767)


def day_name(day: int) -> str:
    """Return the name of a day's file."""
    return f"sst_{FIRST_DAY + dt.timedelta(day):%Y%m%d}.nc"


def day_dataset(day: int) -> xr.Dataset:
    """Make the field of one day: warm at the equator, with waves that move on, noise, and land without values."""
    lat = np.arange(SHAPE[0]) - 89.5
    lon = np.arange(SHAPE[1]) + 0.5
    values = _temperature(day, lat[:, None], lon[None, :]).clip(*VALID_RANGE)
    values[_land(lat[:, None], lon[None, :])] = np.nan
    time = np.datetime64(FIRST_DAY, "ns") + np.timedelta64(day * 24 + 12, "h")
    return xr.Dataset(
        {"sst": (("time", "lat", "lon"), values[None].astype(np.float32), _SST)},
        coords={"time": ("time", [time], _TIME), "lat": ("lat", lat, _LAT), "lon": ("lon", lon, _LON)},
        attrs={"title": "Synthetic daily sea surface temperature", "license": "CC0-1.0", "Conventions": "CF-1.11"},
    )


_SST = {"long_name": "sea surface temperature", "standard_name": "sea_surface_temperature", "units": "degree_Celsius"}
_TIME = {"standard_name": "time", "axis": "T"}
_LAT = {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"}
_LON = {"standard_name": "longitude", "units": "degrees_east", "axis": "X"}


def _temperature(day: int, lat: AnyArray, lon: AnyArray) -> npt.NDArray[np.float64]:
    random = np.random.default_rng(20240101 + day)
    wave = 2.0 * np.sin(np.radians(3 * lon - 12 * day)) * np.cos(np.radians(2 * lat))
    front = 1.5 * np.tanh((lat + 20 * np.sin(np.radians(2 * lon + 5 * day))) / 8)
    return 29.0 * np.cos(np.radians(lat)) ** 2 - 1.0 + wave + front + random.normal(0.0, 0.8, SHAPE)  # type: ignore[no-any-return]


def _land(lat: AnyArray, lon: AnyArray) -> npt.NDArray[np.bool_]:
    """Three round continents and an ice cap."""
    land = np.broadcast_to(lat < -75, SHAPE).copy()
    for centre, middle, radius in ((15, 20, 28), (45, 100, 30), (0, 290, 24)):
        land |= np.hypot(lat - centre, (lon - middle) * np.cos(np.radians(centre))) < radius
    return land


def write_files(directory: Path, step: Callable[[int], None] = lambda _: None) -> list[Path]:
    """Write the files.

    Parameters
    ----------
    directory : Path
        Made if it does not exist.
    step : callable
        Called with 1 after each file.

    Raises
    ------
    MissingExtraError
        If h5netcdf is not installed: it writes the files, and reads them again to compare.
    """
    if importlib.util.find_spec("h5netcdf") is None:
        raise MissingExtraError(
            "the demo writes its files with h5netcdf, which is not installed; pip install 'intake-virtualzarr[demo]'"
        )
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for day in range(DAYS):
        path = directory / day_name(day)
        day_dataset(day).to_netcdf(path, engine="h5netcdf", unlimited_dims=["time"], encoding=_encoding(day))
        paths.append(path)
        step(1)
    return paths


def _encoding(day: int) -> dict[str, JsonObject]:
    packing = {"dtype": "int16", "_FillValue": FILL, "add_offset": np.float32(15.0)}
    scale = np.float32(ODD_SCALE if day == ODD_SCALE_DAY else SCALE)
    storage = {
        "chunksizes": ODD_CHUNK_SHAPE if day == ODD_CHUNKS_DAY else CHUNK_SHAPE,
        "zlib": True,
        "complevel": 4,
        "shuffle": True,
    }
    time = {"units": "days since 1970-01-01", "dtype": "float64", "chunksizes": (1,)}
    return {"sst": {**packing, "scale_factor": scale, **storage}, "time": time}
