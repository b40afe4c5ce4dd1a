"""Comparing what Intake gives with what h5netcdf reads from each file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """How many values were compared, and which differ."""

    values: int
    """Values compared, those without data included."""
    missing: int
    """Values without data, in both."""
    different: tuple[tuple[str, int], ...]
    """Files in which values differ, and how many."""

    @property
    def equal(self) -> bool:
        """Whether all values agree."""
        return not self.different


def compare(
    dataset: xr.Dataset, paths: Sequence[Path], variable: str = "sst", step: Callable[[int], None] = lambda _: None
) -> Comparison:
    """Compare a variable, file by file, at the times that each file holds.

    Parameters
    ----------
    dataset : xarray.Dataset
        The joined dataset, decoded.
    paths : sequence of Path
        The files; h5netcdf reads each, and xarray decodes it.
    variable : str
        Name of the variable.
    step : callable
        Called with 1 after each file.
    """
    values = missing = 0
    different: list[tuple[str, int]] = []
    for path in paths:
        with xr.open_dataset(path, engine="h5netcdf") as direct:
            expected = direct[variable].load()
        found = dataset[variable].sel(time=expected["time"]).values
        unequal = _unequal(found, expected.values)
        values += expected.size
        missing += int(np.isnan(expected.values).sum())
        if unequal:
            different.append((path.name, unequal))
        step(1)
    return Comparison(values, missing, tuple(different))


def _unequal(found: Any, expected: Any) -> int:
    if found.shape != expected.shape:
        return int(max(found.size, expected.size))
    return int(np.count_nonzero(~((found == expected) | (np.isnan(found) & np.isnan(expected)))))
