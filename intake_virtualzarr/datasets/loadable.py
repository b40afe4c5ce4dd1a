"""Labels: small variables whose values are read while a dataset is opened, and decoded as xarray decodes them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.segments import Window
from intake_virtualzarr.codecs.cf_packing import PACKING_ATTRIBUTES, Packing

__all__ = ["decoded_labels", "read_labels", "decode_integer_scale_factor"]

DECODED = frozenset((*PACKING_ATTRIBUTES, "dtype"))
"""Attributes that xarray decodes besides ``units``; ``dtype`` marks booleans and durations."""
DURATIONS = frozenset(("days", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds"))
"""Units that xarray takes for those of a duration."""

NANOSECONDS = {"days": 86_400 * 10**9, "hours": 3600 * 10**9, "minutes": 60 * 10**9, "seconds": 10**9}
PLAIN_UNITS = re.compile(r"(days|hours|minutes|seconds) since ((?:1[789]|20)\d\d-\d\d-\d\d)(?:[ T](\d\d:\d\d:\d\d))?", re.ASCII)
"""Units of time as nearly all files give them, from a date between 1700 and 2099."""
FARTHEST = 92 * 10**17
"""Dates nearer to 1970 than this fit into 64 bits [ns]."""
TIME_UNIT = xr.coders.CFDatetimeCoder().time_unit


def read_labels(name: str, variable: xr.Variable, known: AnyArray | None = None) -> xr.Variable:
    """The variable with its values in memory; ``known`` are those that the scan of the file has read."""
    data = variable._data
    if not isinstance(data, VirtualZarrArray):
        return variable
    values = known if known is not None else data.read([Window(0, extent) for extent in data.shape], name)
    return xr.Variable(variable.dims, values, variable.attrs, variable.encoding, fastpath=True)


def decoded_labels(
    name: str, variable: xr.Variable, *, decode_times: bool, characters: bool = False, known: AnyArray | None = None
) -> xr.Variable:
    """The variable with its values in memory, decoded; with ``characters`` the last dimension becomes words."""
    raw = read_labels(name, variable, known)
    quick = _decoded_at_once(raw, decode_times=decode_times)
    if quick is not None:
        return quick
    raw = decode_integer_scale_factor(raw.copy(deep=False))  # xarray takes the fill value out of the attributes it is given
    decoded = xr.conventions.decode_cf_variable(name, raw, decode_times=decode_times, concat_characters=characters)
    return xr.Variable(decoded.dims, np.asarray(decoded), decoded.attrs, decoded.encoding, fastpath=True)


def decode_integer_scale_factor(raw: xr.Variable) -> xr.Variable:
    """Numbers with a scale factor that is an integer, in float64: xarray would decode them into the type of the factor."""
    factor = raw.attrs.get("scale_factor")
    packing = Packing.from_attrs(raw.attrs, raw.dtype) if np.asarray(factor).dtype.kind in "iu" else None
    if packing is None or packing.scale_factor is None:
        return raw
    attrs, encoding = dict(raw.attrs), dict(raw.encoding)
    encoding |= {"dtype": raw.dtype, **{name: attrs.pop(name) for name in PACKING_ATTRIBUTES if name in attrs}}
    return xr.Variable(raw.dims, packing.decode(np.asarray(raw._data)), attrs, encoding, fastpath=True)


def _decoded_at_once(raw: xr.Variable, *, decode_times: bool) -> xr.Variable | None:
    """Plain numbers, and plain times; None for all that needs more of xarray's steps.

    xarray decodes times lazily, and the first and the last one already to learn the type; for a few times that takes ten
    times as long, a tenth of opening a small file.
    """
    values, attrs, encoding = raw._data, dict(raw.attrs), dict(raw.encoding)
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf" or not DECODED.isdisjoint(attrs):
        return None
    encoding.setdefault("dtype", values.dtype)
    units = attrs.get("units")
    if decode_times and isinstance(units, str) and ("since" in units or units in DURATIONS):
        if "since" not in units or not values.size or "units" in encoding or "calendar" in encoding:
            return None
        times = _times(values, units, attrs.get("calendar"))
        if times is None:
            return None
        values = np.asarray(times)
        for attribute in ("units", "calendar"):
            if attribute in attrs:
                encoding[attribute] = attrs.pop(attribute)
    return xr.Variable(raw.dims, values, attrs, encoding, fastpath=True)


def _times(values: AnyArray, units: str, calendar: Any) -> AnyArray | None:
    """Dates of the calendar of today that nanoseconds can hold, by the arithmetic of ``xarray.coding.times``."""
    if TIME_UNIT != "ns" or calendar not in (None, "standard", "gregorian", "proleptic_gregorian"):
        return None
    reference = _reference(units)
    if reference is None:
        return None
    start, step = reference
    for extreme in (float(values.min()) * step, float(values.max()) * step):
        if not (abs(extreme) < FARTHEST and abs(start + extreme) < FARTHEST):  # also if any value is NaN
            return None
    numbers = values.astype(np.float64 if values.dtype.kind == "f" else np.int64) * np.int64(step)
    return (numbers.astype(np.int64) + np.int64(start)).view("datetime64[ns]")


@lru_cache(maxsize=256)
def _reference(units: str) -> tuple[int, int] | None:
    """The date that times count from [ns since 1970], and the length of their unit [ns]; None for any but the plain form."""
    match = PLAIN_UNITS.fullmatch(units)
    if match is None:
        return None
    unit, date, clock = match.groups()
    try:
        return int(np.datetime64(f"{date}T{clock or '00:00:00'}", "ns").astype(np.int64)), NANOSECONDS[unit]
    except ValueError:
        return None
