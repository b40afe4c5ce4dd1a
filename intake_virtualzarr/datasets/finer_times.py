"""Times that are appended to times: one encoding in which both are exact, that of the store or a finer one."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import xarray as xr

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.codecs.cf_packing import PACKING_ATTRIBUTES, is_encoded_time, time_units
from intake_virtualzarr.datasets.cf_axes import is_time
from intake_virtualzarr.datasets.encode import LOADED_LIMIT, decodes_to, node_array
from intake_virtualzarr.datasets.loadable import decoded_labels
from intake_virtualzarr.hierarchy.writer import NodeArray

__all__ = ["counts_exactly", "encoded_by", "finer_encoding", "holds_times", "recoded", "with_times"]

STEPS = ("days", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds")
"""Units of time from coarse to fine, as xarray names them."""


def holds_times(variable: xr.Variable) -> bool:
    """Whether decoded values are dates or durations."""
    return variable.dtype.kind == "m" or is_time(variable)


def with_times(dataset: xr.Dataset, names: Iterable[str]) -> xr.Dataset:
    """The dataset with virtual times among ``names`` read and decoded: the store holds their values, not references."""
    decoded: dict[str, xr.Variable] = {}
    for name in names:
        variable = dataset.variables.get(name)
        virtual = variable is not None and isinstance(variable._data, VirtualZarrArray)
        if variable is not None and virtual and is_encoded_time(variable.attrs) and variable.nbytes <= LOADED_LIMIT:
            decoded[name] = decoded_labels(name, variable, decode_times=True)
    return dataset.assign(decoded) if decoded else dataset


def counts_exactly(name: str, variable: xr.Variable) -> bool:
    """Whether times come back from numbers of the type and the unit of their encoding."""
    dtype, units = variable.encoding.get("dtype"), variable.encoding.get("units")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            encoded = xr.conventions.encode_cf_variable(variable, name=name)
            numbers = np.asarray(encoded)
            if dtype is not None:
                numbers = numbers.astype(dtype)
            same_units = units is None or _starts_alike(str(encoded.attrs.get("units")), str(units))
            return same_units and decodes_to(name, xr.Variable(encoded.dims, numbers, encoded.attrs), variable)
        except (ValueError, TypeError, OverflowError, KeyError):
            return False


def _starts_alike(found: str, wanted: str) -> bool:
    """Whether units count the same: xarray takes a finer one by itself if integers do not suffice."""
    return found.split(" ")[0].rstrip("s") == wanted.split(" ")[0].rstrip("s") and ("since" in found) == ("since" in wanted)


def finer_encoding(name: str, there: xr.Variable, new: xr.Variable) -> JsonObject | None:
    """The coarsest encoding in which the times of the store and those that are appended are whole numbers.

    Parameters
    ----------
    name : str
        Name of the variable.
    there, new : xarray.Variable
        Decoded times: of the store with their encoding, and what is appended.

    Returns
    -------
    dict or None
        ``units``, ``calendar``, ``dtype`` and perhaps ``_FillValue``; None if there is no such encoding.
    """
    if there.dtype.kind != new.dtype.kind:
        return None
    for encoding in _candidates(there, new):
        if all(counts_exactly(name, encoded_by(one, encoding)) for one in (new, there)):
            return encoding
    return None


def _candidates(there: xr.Variable, new: xr.Variable) -> Iterator[JsonObject]:
    units = str(there.encoding.get("units", ""))
    step, since, date = units.partition(" since ")
    singular = [one.rstrip("s") for one in STEPS]
    if step.lower().rstrip("s") not in singular:  # months have no length
        return
    finer = STEPS[singular.index(step.lower().rstrip("s")) :]
    kept = {key: there.encoding[key] for key in ("calendar", "_FillValue") if key in there.encoding}
    if "_FillValue" in kept and not np.isfinite(kept["_FillValue"]):  # no integer
        del kept["_FillValue"]
    dtypes = (np.dtype(np.int64), np.dtype(np.float64))
    # nanoseconds since the year 1 do not fit into 64 bits
    for start in (date, _first_day(there, new)) if since else ("",):
        for dtype in dtypes:
            for one in finer:
                yield {**kept, "units": f"{one}{since}{start}", "dtype": dtype}


def _first_day(there: xr.Variable, new: xr.Variable) -> str:
    """The day of the first time that is one."""
    for variable in (there, new):
        for value in np.asarray(variable).flat:
            if isinstance(value, np.datetime64 | np.timedelta64) and np.isnat(value):
                continue
            return str(value)[:10]
    return "1970-01-01"


def encoded_by(variable: xr.Variable, encoding: Mapping[str, object]) -> xr.Variable:
    """The variable to be written in an encoding of times, without what was to be done to its numbers before."""
    out = variable.copy(deep=False)
    kept = {key: value for key, value in variable.encoding.items() if key not in (*PACKING_ATTRIBUTES, "dtype", "calendar")}
    out.encoding = {**kept, **encoding}
    return out


def recoded(there: xr.Dataset, new: xr.Dataset, names: Iterable[str]) -> dict[str, NodeArray]:
    """Times of the store in the encoding of what is appended, where that is a finer one.

    Parameters
    ----------
    there, new : xarray.Dataset
        Decoded times of the store, and what is appended, encoded alike or finer.
    names : iterable of str
        Variables whose values the store holds.
    """
    out: dict[str, NodeArray] = {}
    for name in names:
        old, later = there.variables.get(name), new.variables.get(name)
        if old is None or later is None or not (holds_times(old) and holds_times(later)):
            continue
        if _counted(old.encoding) != _counted(later.encoding):
            encoding = {key: later.encoding[key] for key in ("units", "calendar", "dtype", "_FillValue") if key in later.encoding}
            out[name] = node_array(name, encoded_by(old, encoding))
    return out


def _counted(encoding: Mapping[object, object]) -> tuple[str | None, np.dtype[np.generic] | None]:
    dtype = encoding.get("dtype")
    units = {str(key): value for key, value in encoding.items() if key in ("units", "calendar")}
    counted = time_units(units) or str(units.get("units"))
    return counted, None if dtype is None else np.dtype(dtype)  # type: ignore[call-overload]
