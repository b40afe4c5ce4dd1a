"""Gaussian grids: the latitudes of their parallels, and the points of those that have fewer points towards the poles."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.codecs.grib_grid import GridShape
from intake_virtualzarr.errors import UnsupportedError

__all__ = ["MOST_PARALLELS", "check_reduced", "gaussian_latitudes", "reduced_points"]

MOST_PARALLELS = 16384
"""Parallels between a pole and the equator; the finest grid in use has 2560."""


@lru_cache(maxsize=32)
def gaussian_latitudes(number: int) -> AnyArray:
    """Latitudes of the ``2 * number`` parallels of a Gaussian grid, from north to south [degrees].

    The sines are the roots of the Legendre polynomial of that degree, by Newton's method.
    """
    degree = 2 * number
    root = np.cos(np.pi * (np.arange(1, number + 1) - 0.25) / (degree + 0.5))
    for _ in range(12):
        before, now = np.ones_like(root), root.copy()
        for k in range(2, degree + 1):
            before, now = now, ((2 * k - 1) * root * now - (k - 1) * before) / k
        step = now * (root * root - 1) / (degree * (root * now - before))
        root = root - step
        if np.abs(step).max() < 1e-15:
            break
    north: AnyArray = np.degrees(np.arcsin(root))
    return np.concatenate([north, -north[::-1]])


def check_reduced(grid: GridShape) -> None:
    """Check that the points of a reduced grid can be computed: those of the whole globe.

    Raises
    ------
    UnsupportedError
        If it is none of these. ecCodes is not asked: what it makes of a damaged description may end the process, or never end.
    """
    if grid.kind != "reduced_gg":
        raise UnsupportedError(f"the latitudes and longitudes of a {grid.kind} grid are not computed here")
    if not 0 < grid.parallels <= MOST_PARALLELS or len(grid.lines) != 2 * grid.parallels or sum(grid.lines) != grid.points:
        raise UnsupportedError(
            f"its reduced Gaussian grid has {len(grid.lines)} rows of {sum(grid.lines)} points, {grid.parallels} parallels between "
            f"pole and equator and {grid.points} values: only grids of the whole globe have latitudes and longitudes here"
        )


def reduced_points(grid: GridShape) -> tuple[AnyArray, AnyArray]:
    """Latitudes and longitudes of all points, from north to south and from 0 degrees on. Errors as those of `check_reduced`."""
    check_reduced(grid)
    lines = np.array(grid.lines)
    within = np.arange(grid.points) - np.repeat(np.cumsum(lines) - lines, lines)
    return np.repeat(gaussian_latitudes(grid.parallels), lines), within * (360.0 / np.repeat(lines, lines))
