"""The time axis of a file: its own, or the time of its item."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import xarray as xr

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.codecs.cf_packing import is_time_units
from intake_virtualzarr.datasets.cf_axes import is_time
from intake_virtualzarr.stac.source_item import SourceItem

__all__ = ["has_time", "with_time"]


def with_time(dataset: xr.Dataset, source: SourceItem, dim: str) -> xr.Dataset:
    """A dataset with a time axis; one that has none gets it from its item. A coordinate in the file wins."""
    if source.time is None or has_time(dataset, dim):
        return _promoted(dataset, dim)
    moment = np.datetime64(source.time.astimezone(dt.UTC).replace(tzinfo=None), "ns")
    return _expanded(dataset.drop_vars(dim, errors="ignore"), dim, moment, {})


def has_time(dataset: xr.Dataset, dim: str) -> bool:
    return dim in dataset.dims or any(_tells_time(variable) for variable in dataset.variables.values())


def _promoted(dataset: xr.Dataset, dim: str) -> xr.Dataset:
    """A scalar time in the file becomes the axis."""
    scalar = dataset.variables.get(dim)
    if scalar is None or scalar.ndim != 0 or dim in dataset.dims or not _tells_time(scalar):
        return dataset
    encoding = {k: v for k, v in scalar.encoding.items() if k in ("units", "calendar", "dtype", "source")}
    return _expanded(dataset.drop_vars(dim), dim, np.asarray(scalar)[()], dict(scalar.attrs), encoding)


def _expanded(dataset: xr.Dataset, dim: str, moment: Any, attrs: JsonObject, encoding: JsonObject | None = None) -> xr.Dataset:
    static = {
        name
        for variable in dataset.variables.values()
        for key in ("bounds", "grid_mapping", "cell_measures", "ancillary_grid")
        for name in str(variable.attrs.get(key, "")).split()
    }
    names = [n for n, v in dataset.data_vars.items() if v.ndim and n not in static]
    if not names:
        names = [n for n in dataset.data_vars if n not in static]
    time = xr.Variable((dim,), np.array([moment]), attrs or {"standard_name": "time"}, encoding)
    out = dataset.copy(deep=False)
    for name in names:
        variable = out.variables[name]
        out[name] = variable.set_dims([dim, *variable.dims], (1, *variable.shape))  # type: ignore[no-untyped-call]
    out = out.assign_coords({dim: time})
    out.encoding = dict(dataset.encoding)
    return out


def _tells_time(variable: xr.Variable) -> bool:
    return is_time(variable) or is_time_units(variable.attrs.get("units"))
