"""Latitudes and longitudes of regular grids, from the few numbers that describe them."""

from __future__ import annotations

import numpy as np

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.codecs.grib_gaussian import MOST_PARALLELS, gaussian_latitudes
from intake_virtualzarr.codecs.grib_grid import I_NEGATIVE, J_POSITIVE, GridShape
from intake_virtualzarr.codecs.grib_message import signed
from intake_virtualzarr.codecs.linear import linear_values
from intake_virtualzarr.errors import UnsupportedError

__all__ = ["axes1", "axes2"]

MISSING = 0xFFFFFFFF
FLOAT = np.dtype(np.float64)


def axes2(section: bytes, grid: GridShape) -> tuple[AnyArray, AnyArray]:
    """Latitudes of rows and longitudes of columns of a regular grid, in their order [degrees].

    Raises
    ------
    UnsupportedError
        If what describes them contradicts itself.
    """
    basic, parts = int.from_bytes(section[38:42], "big"), int.from_bytes(section[42:46], "big")
    unit = basic / parts if basic not in (0, MISSING) and parts not in (0, MISSING) else 1e-6
    corners = [signed(section[at : at + 4]) * unit for at in (46, 50, 55, 59)]
    if unit == 1e-6:  # 250000 * 1e-6 is not 0.25
        corners = [signed(section[at : at + 4]) / 1e6 for at in (46, 50, 55, 59)]
    return _axes(grid, corners, int.from_bytes(section[67:71], "big"))


def axes1(section: bytes, grid: GridShape) -> tuple[AnyArray, AnyArray]:
    """The same of a grid of edition 1."""
    corners = [signed(section[at : at + 3]) / 1000 for at in (10, 13, 17, 20)]
    return _axes(grid, corners, int.from_bytes(section[25:27], "big"))


def _axes(grid: GridShape, corners: list[float], parallels: int) -> tuple[AnyArray, AnyArray]:
    north, west, south, east = corners
    assert grid.rows is not None
    assert grid.columns is not None
    upwards = bool(grid.scanning & J_POSITIVE)
    if grid.rows > 1 and (south < north) == upwards:
        raise UnsupportedError(f"its rows go from latitude {north} to {south}, against its scanning mode {grid.scanning}")
    if max(abs(north), abs(south)) > 90.001 or max(abs(west), abs(east)) > 720:
        raise UnsupportedError(f"its grid reaches from ({north}, {west}) to ({south}, {east}) degrees, outside of the globe")
    if grid.kind == "regular_gg":
        latitudes = _parallels(parallels, north, grid.rows, upwards)
    else:
        latitudes = _line(north, south, grid.rows)
    if grid.scanning & I_NEGATIVE:
        east = east - 360 if west < east else east
    elif west > east:
        west -= 360
    return latitudes, _line(west, east, grid.columns)


def _line(first: float, last: float, count: int) -> AnyArray:
    step = (last - first) / (count - 1) if count > 1 else 0.0
    # the step that a person would write, if it leads to the same end: 0.1 and not 0.09999999999999999
    written = float(f"{step:.9g}")
    return linear_values(first, written if abs((written - step) * count) < 1e-9 else step, count, FLOAT)


def _parallels(number: int, first: float, rows: int, upwards: bool) -> AnyArray:
    if not 0 < number <= MOST_PARALLELS:
        raise UnsupportedError(f"its Gaussian grid has {number} parallels between pole and equator")
    every = gaussian_latitudes(number)
    if upwards:
        every = every[::-1]
    start = int(np.argmin(np.abs(every - first)))
    if abs(every[start] - first) > 0.1 or start + rows > every.size:
        raise UnsupportedError(f"its Gaussian grid of {number} parallels begins at latitude {first} and has {rows} rows")
    return np.array(every[start : start + rows])
