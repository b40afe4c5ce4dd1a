"""Bringing datasets to one meaning before they are joined: CF packing, time encodings, units."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.codecs.cf_packing import PACKING_ATTRIBUTES, Packing, calendar_name, is_encoded_time, time_units
from intake_virtualzarr.datasets.character_dims import equal_character_dims, pad_character_dimension
from intake_virtualzarr.datasets.virtual_dataset import source_label, without_packing
from intake_virtualzarr.errors import EncodingMismatchError, VirtualZarrError

__all__ = ["common_time_encoding", "harmonize", "keep_meaning"]


def harmonize(datasets: Sequence[xr.Dataset], encoding_mismatch: str = "decode") -> list[xr.Dataset]:
    """Datasets whose variables may be joined: those that are packed differently are decoded, in all of them.

    Parameters
    ----------
    datasets : sequence of xarray.Dataset
        Virtual datasets, one per file.
    encoding_mismatch : {"decode", "raise"}
        What to do about variables that are packed differently.

    Raises
    ------
    EncodingMismatchError
        With ``"raise"``: names the variable, both files and both values. Always for time coordinates of different calendars.
    """
    if encoding_mismatch not in ("decode", "raise"):
        raise VirtualZarrError(f"encoding_mismatch is {encoding_mismatch!r}, expected 'decode' or 'raise'")
    out = equal_character_dims([ds.copy(deep=False) for ds in datasets])
    for name in _names(datasets):
        holders = [i for i, ds in enumerate(out) if name in ds.variables]
        variables = drop_partial_bool_marker(pad_character_dimension([out[i].variables[name] for i in holders]))
        for i, variable in zip(holders, variables, strict=True):
            if variable is not out[i].variables[name]:
                out[i] = _with(out[i], name, variable)
        _check_units(name, [datasets[i] for i in holders], variables, encoding_mismatch)
        virtual = [v for v in variables if isinstance(v._data, VirtualZarrArray)]
        if len(virtual) != len(variables) or len(variables) < 2:
            continue
        clash = _clash(variables)
        if clash is None:
            continue
        if encoding_mismatch == "raise":
            a, b, attribute = clash
            raise EncodingMismatchError(
                f"{name}: {attribute} is {_shown(variables[a], attribute)} in {source_label(datasets[holders[a]])} "
                f"and {_shown(variables[b], attribute)} in {source_label(datasets[holders[b]])}; "
                "encoding_mismatch='decode' joins the decoded values"
            )
        if any(is_encoded_time(v.attrs) for v in variables):
            _load_times(name, out, holders)
            continue
        for i in holders:
            out[i] = _decoded(out[i], name)
    return out


def drop_partial_bool_marker(variables: list[xr.Variable]) -> list[xr.Variable]:
    """Numbers in one file and booleans in another are numbers."""
    marked = [v.attrs.get("dtype") == "bool" for v in variables]
    if all(marked) or not any(marked):
        return variables
    return [_unmarked(v) if mark else v for v, mark in zip(variables, marked, strict=True)]


def _unmarked(variable: xr.Variable) -> xr.Variable:
    attrs = {name: value for name, value in variable.attrs.items() if name != "dtype"}
    return xr.Variable(variable.dims, variable._data, attrs, variable.encoding, fastpath=True)


def _names(datasets: Iterable[xr.Dataset]) -> list[Any]:
    return list(dict.fromkeys(name for ds in datasets for name in ds.variables))


def _shown(variable: xr.Variable, attribute: str) -> str:
    if attribute == "data type":
        return str(variable.dtype)
    value = variable.attrs.get(attribute)
    if value is None:
        return "absent"
    return repr(value.tolist() if isinstance(value, np.generic | np.ndarray) else value)


def _clash(variables: Sequence[xr.Variable]) -> tuple[int, int, str] | None:
    """Two variables that are packed differently, and the attribute in which they differ."""
    first = variables[0]
    packed = any(name in v.attrs for v in variables for name in PACKING_ATTRIBUTES)
    for i, other in enumerate(variables[1:], 1):
        for attribute in PACKING_ATTRIBUTES:
            if not _same(first.attrs.get(attribute), other.attrs.get(attribute)):
                return 0, i, attribute
        if packed and first.dtype != other.dtype:
            return 0, i, "data type"
        if time_units(first.attrs) != time_units(other.attrs):
            same = first.attrs.get("units") == other.attrs.get("units")
            return 0, i, "calendar" if same else "units"
    return None


def _same(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is None and b is None
    x, y = np.asarray(a), np.asarray(b)
    if x.dtype != y.dtype or x.shape != y.shape:
        return False
    return bool(np.array_equal(x, y, equal_nan=x.dtype.kind in "fc"))


def _decoded(dataset: xr.Dataset, name: Any) -> xr.Dataset:
    variable = dataset.variables[name]
    data: VirtualZarrArray = variable._data  # type: ignore[assignment]
    check_packing(name, dataset, variable)
    fresh = xr.Variable(variable.dims, data.decode(), without_packing(variable.attrs), variable.encoding)
    return _with(dataset, name, fresh)


def check_packing(name: Any, dataset: xr.Dataset, variable: xr.Variable) -> None:
    """Raise if attributes say that stored numbers are packed, and not how.

    Raises
    ------
    EncodingMismatchError
        Names the variable and the file.
    """
    packing = Packing.from_attrs(variable.attrs, variable.dtype)
    if packing is not None and packing.odd is not None:
        raise EncodingMismatchError(
            f"{source_label(dataset)}: {name}: {packing.odd}; its stored numbers cannot be joined with those of other files: mend "
            "the attribute in preprocess=, or leave the variable out with drop_variables="
        )


def _with(dataset: xr.Dataset, name: Any, variable: xr.Variable) -> xr.Dataset:
    return dataset.assign({name: variable}) if name not in dataset.coords else dataset.assign_coords({name: variable})


TIME_LIMIT = 64 * 1024 * 1024


def _load_times(name: Any, datasets: list[xr.Dataset], holders: Sequence[int]) -> None:
    """Times in different units: small enough to be read, decoded and joined as dates."""
    for i in holders:
        variable = datasets[i].variables[name]
        if variable.nbytes > TIME_LIMIT:
            raise EncodingMismatchError(
                f"{name}: times or durations in different units, and {variable.nbytes} bytes are too many to be loaded; "
                "load or re-encode the variable in preprocess="
            )
        raw = xr.Variable(variable.dims, np.asarray(variable._data), variable.attrs, variable.encoding)
        fresh = xr.conventions.decode_cf_variable(name, raw)
        loaded = xr.Variable(variable.dims, np.asarray(fresh), fresh.attrs, fresh.encoding)
        datasets[i] = _with(datasets[i], name, loaded)


def _check_units(name: Any, datasets: Sequence[xr.Dataset], variables: Sequence[xr.Variable], encoding_mismatch: str) -> None:
    calendars = {calendar_name(v.encoding["calendar"]): i for i, v in enumerate(variables) if "calendar" in v.encoding}
    if len(calendars) > 1:
        (a, i), (b, j) = list(calendars.items())[:2]
        raise EncodingMismatchError(
            f"{name}: calendar is {a!r} in {source_label(datasets[i])} and {b!r} in {source_label(datasets[j])}; "
            "dates of different calendars cannot be joined, convert one of them in preprocess="
        )
    units = {v.attrs["units"]: i for i, v in enumerate(variables) if isinstance(v.attrs.get("units"), str)}
    if len(units) > 1 and not any(is_encoded_time(v.attrs) for v in variables):
        (a, i), (b, j) = list(units.items())[:2]
        message = f"{name}: units are {a!r} in {source_label(datasets[i])} and {b!r} in {source_label(datasets[j])}"
        if encoding_mismatch == "raise":
            raise EncodingMismatchError(f"{message}; convert one of them in preprocess=")
        warnings.warn(f"{message}; the values are joined as they are", UserWarning, stacklevel=3)


def common_time_encoding(joined: xr.Dataset, datasets: Sequence[xr.Dataset]) -> xr.Dataset:
    """Let joined times be encoded in one unit: that of the files if they agree, else one that fits all.

    ``xarray`` keeps the first file's encoding, in which later times may have no whole number.
    """
    for name, variable in joined.variables.items():
        encodings = {
            (ds.variables[name].encoding.get("units"), str(ds.variables[name].encoding.get("dtype")))
            for ds in datasets
            if name in ds.variables and "units" in ds.variables[name].encoding
        }
        if len(encodings) > 1 and variable.dtype.kind in "MO":
            for key in ("units", "dtype", "_FillValue", "missing_value", "scale_factor", "add_offset"):
                variable.encoding.pop(key, None)
    return joined


def keep_meaning(joined: xr.Dataset, datasets: Sequence[xr.Dataset]) -> xr.Dataset:
    """Let joined numbers say what those of the files mean, whatever ``combine_attrs`` made of the attributes.

    For xarray that is the data type: a policy for attributes drops no packing and no mark of booleans. Parts of a virtual array
    know their packing themselves, but an array without values (an inner join of strangers) has no parts.
    """
    for name, variable in joined.variables.items():
        data = variable._data
        if not isinstance(data, VirtualZarrArray):
            continue
        members = [ds.variables[name].attrs for ds in datasets if name in ds.variables]
        if data.dtype.kind in "iub" and all(attrs.get("dtype") == "bool" for attrs in members):
            variable.attrs["dtype"] = "bool"
        if not data.size and not data.decoded:
            for attribute in PACKING_ATTRIBUTES:
                if attribute in members[0]:
                    variable.attrs.setdefault(attribute, members[0][attribute])
    return joined
