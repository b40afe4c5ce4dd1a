"""``cube:dimensions`` and ``cube:variables`` of a dataset (STAC datacube extension)."""

from __future__ import annotations

import math
from collections.abc import Hashable
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.datasets.cf_axes import axis_of, is_geographic, is_time
from intake_virtualzarr.stac.description import said
from intake_virtualzarr.stac.extent import iso_time

__all__ = ["cube_dimensions", "cube_variables"]

MAX_VALUES = 50
"""Values of a dimension are listed up to this number; extent and step say enough about longer ones."""

DATA_TYPES = frozenset(
    {
        *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64"),
    }
)
"""Names of the common metadata ``data_type``; everything else is ``other``."""


def cube_dimensions(dataset: xr.Dataset) -> dict[str, JsonObject]:
    """Describe every dimension, in the dataset's order."""
    return {str(name): _dimension(dataset, name) for name in dataset.sizes}


def cube_variables(dataset: xr.Dataset) -> dict[str, JsonObject]:
    """Describe data variables, and coordinates that are not dimensions (``auxiliary``)."""
    auxiliary = {name: dataset.coords[name] for name in dataset.coords if name not in dataset.dims}
    return {
        **{str(name): _variable(dataset[name], "data") for name in dataset.data_vars},
        **{str(name): _variable(variable, "auxiliary") for name, variable in auxiliary.items()},
    }


def _dimension(dataset: xr.Dataset, name: Hashable) -> JsonObject:
    if name not in dataset.coords:
        return {"type": "index", "extent": [0, dataset.sizes[name] - 1], "step": 1}
    variable = dataset.coords[name]
    axis = axis_of(variable)
    common = _common(variable)
    if axis == "t" and is_time(variable):
        return {"type": "temporal", **common, **_temporal(variable)}
    if variable.dtype.kind not in "iuf":
        return {"type": str(name), **common, "values": [str(value) for value in variable.values]}
    numbers = _numeric(variable)
    if axis in ("x", "y") and is_geographic(variable):
        return {"type": "spatial", "axis": axis, **common, **numbers, "reference_system": 4326}
    if axis == "z":
        return {"type": "spatial", "axis": "z", **common, **numbers}
    # A projected x or y without its reference system: "spatial" would claim that it is in degrees.
    return {
        "type": {"x": "projection_x", "y": "projection_y"}.get(axis or "", str(name)),
        **common,
        **numbers,
    }


def _common(variable: xr.DataArray) -> JsonObject:
    attrs = variable.attrs
    described = said(attrs.get("long_name")) or said(attrs.get("standard_name"))
    fields = {"description": described, "unit": said(attrs.get("units"))}
    return {key: str(value) for key, value in fields.items() if value}


def _numeric(variable: xr.DataArray) -> JsonObject:
    values = np.asarray(variable.values, dtype=np.float64)
    there = values[np.isfinite(values)]
    fields: JsonObject = {"extent": [_number(there.min()), _number(there.max())]} if there.size else {}
    if values.size > 1:
        steps = np.diff(values)
        regular = np.allclose(steps, steps[0], rtol=1e-3, atol=1e-9)
        fields["step"] = _number(float(np.median(steps))) if regular else None
    if values.size <= MAX_VALUES:
        fields["values"] = [_number(value) for value in values]
    return fields


def _number(value: float) -> float | int | None:
    """Write a number as short as float32 coordinates were meant: 0.1, not 0.10000000149."""
    if not math.isfinite(value):
        return None
    short = float(f"{value:.7g}") if abs(value) < 1e7 else float(value)
    return int(short) if short.is_integer() else short


def _temporal(variable: xr.DataArray) -> JsonObject:
    values = variable.values
    there = values[~np.isnat(values)] if values.dtype.kind == "M" else values
    if not there.size:
        return {"extent": [None, None]}
    fields: JsonObject = {"extent": [iso_time(there.min()), iso_time(there.max())]}
    if there.size < values.size:
        return fields
    if values.size > 1:
        fields["step"] = duration([iso_time(value) for value in values[:3000]], values)
    calendar = getattr(values[0], "calendar", None)
    if calendar not in (None, "standard", "gregorian", "proleptic_gregorian"):
        fields["description"] = f"{variable.attrs.get('long_name') or variable.name}, calendar {calendar}"
    return fields


def duration(times: list[str], values: Any) -> str | None:
    """Write the step of regular times as an ISO 8601 duration; ``None`` if they are not regular.

    Examples
    --------
    >>> days = np.array(["2024-01-01", "2024-01-02"], dtype="datetime64[ns]")
    >>> duration(["2024-01-01", "2024-01-02"], days)
    'P1D'
    >>> months = np.array(["2024-01-01", "2024-02-01", "2024-03-01"], dtype="datetime64[ns]")
    >>> duration(["2024-01-01", "2024-02-01", "2024-03-01"], months)
    'P1M'
    """
    steps = np.unique(np.diff(values))
    if steps.size == 1:
        step = steps[0]
        seconds = step / np.timedelta64(1, "s") if isinstance(step, np.timedelta64) else step.total_seconds()
        return _iso_duration(float(seconds))
    months = [int(time[:4]) * 12 + int(time[5:7]) for time in times]
    gaps = {later - earlier for earlier, later in pairwise(months)}
    if len(gaps) == 1 and len({time[8:] for time in times}) == 1:
        count = gaps.pop()
        return f"P{count // 12}Y" if count % 12 == 0 else f"P{count}M"
    return None


def _iso_duration(seconds: float) -> str | None:
    if seconds <= 0 or not float(seconds).is_integer():
        return f"PT{seconds:g}S" if seconds > 0 else None
    days, rest = divmod(int(seconds), 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    date = f"{days}D" if days else ""
    time = "".join(f"{count}{unit}" for count, unit in ((hours, "H"), (minutes, "M"), (rest, "S")) if count)
    return f"P{date}{'T' + time if time else ''}"


def _variable(variable: xr.DataArray, kind: str) -> JsonObject:
    name = variable.dtype.name
    chunks = variable.encoding.get("chunksizes")  # as stored; what is preferred for reading agrees with other variables
    fields: JsonObject = {
        "type": kind,
        "dimensions": [str(dim) for dim in variable.dims],
        **_common(variable),
        "data_type": name if name in DATA_TYPES else "other",
        "shape": list(variable.shape),
    }
    if chunks:
        fields["chunks"] = list(chunks)
    attrs = {key: str(variable.attrs[key]) for key in ("standard_name", "cell_methods") if key in variable.attrs}
    return {**fields, "attrs": attrs} if attrs else fields
