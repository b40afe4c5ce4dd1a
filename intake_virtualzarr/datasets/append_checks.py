"""What must hold of data that are added to a store: the same encoding, exact values, coordinates that go on."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.codecs.cf_packing import PACKING_ATTRIBUTES, is_encoded_time
from intake_virtualzarr.datasets.encode import decodes_to
from intake_virtualzarr.datasets.finer_times import counts_exactly, encoded_by, finer_encoding, holds_times
from intake_virtualzarr.errors import HierarchyError

__all__ = ["check_monotonic_append", "continues", "falls", "encoded_alike"]


ENCODINGS = ("units", "calendar", "dtype", "_FillValue", "missing_value", "scale_factor", "add_offset", "_Unsigned")
"""Encodings in which what is added must agree with what is there."""


def encoded_alike(dataset: xr.Dataset, there: xr.Dataset, rewritten: Collection[str] = ()) -> xr.Dataset:
    """The dataset with the encodings of what is there, so that times count from the same date.

    Parameters
    ----------
    dataset, there : xarray.Dataset
        What is added, and what the store holds.
    rewritten : collection of str
        Variables that the store can write anew: times that its unit does not hold get a finer one.

    Raises
    ------
    HierarchyError
        If values have no number in an encoding of the store.
    """
    out = dataset.copy(deep=False)
    for name, variable in dataset.variables.items():
        if isinstance(variable._data, VirtualZarrArray) or name not in there.variables:
            continue
        known = _encoding_of(there.variables[name])
        if any(key in variable.attrs for key in PACKING_ATTRIBUTES):  # raw values that were loaded, with their packing beside them
            variable = xr.conventions.decode_cf_variable(name, variable)
        changed = variable.copy(deep=False)
        changed.encoding = {k: v for k, v in variable.encoding.items() if k not in ENCODINGS}
        changed.encoding |= {k: known[k] for k in ENCODINGS if k in known}
        if holds_times(changed) and "units" in known and not counts_exactly(str(name), changed):
            changed = encoded_by(changed, _finer(str(name), there.variables[name], changed, rewritten))
        if changed.dtype.kind in "iufc" and any(key in known for key in PACKING_ATTRIBUTES):
            changed = _packed_alike(str(name), changed)
        elif changed.dtype.kind in "iufc":  # as they are: whether they fit the type of the store is found out when they are joined
            changed.encoding = {k: v for k, v in changed.encoding.items() if k not in ENCODINGS}
        out = out.assign_coords({name: changed}) if name in out.coords else out.assign({name: changed})
    return out


def _packed_alike(name: str, variable: xr.Variable) -> xr.Variable:
    """Numbers as the store packs them.

    Raises
    ------
    HierarchyError
        If they do not come back.
    """
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            packed = xr.conventions.encode_cf_variable(variable, name=name)
            exact = decodes_to(name, packed, variable)
        except (ValueError, TypeError, OverflowError):
            exact = False
    if not exact:
        raise HierarchyError(
            f"{name}: is packed as {variable.encoding.get('dtype')} in the store, in which these values have no exact number; "
            "join all files anew and write with mode='w'"
        )
    return xr.Variable(packed.dims, np.asarray(packed), packed.attrs)


def _encoding_of(variable: xr.Variable) -> Mapping[Any, Any]:
    """The encoding of what is there; times by reference have it in their attributes."""
    if isinstance(variable._data, VirtualZarrArray) and is_encoded_time(variable.attrs):
        return {**variable.encoding, **{key: variable.attrs[key] for key in ENCODINGS if key in variable.attrs}}
    return variable.encoding


def _finer(name: str, there: xr.Variable, new: xr.Variable, rewritten: Collection[str]) -> JsonObject:
    """An encoding for times that have no number in that of the store.

    Raises
    ------
    HierarchyError
        If there is none, or the numbers of the store are those of the files.
    """
    finer = finer_encoding(name, there, new) if name in rewritten and holds_times(there) else None
    if finer is None:
        held = "" if name in rewritten else "; its numbers are those of the files, or do not grow, so they keep their unit"
        raise HierarchyError(
            f"{name}: the store counts {new.encoding.get('units')!r} as {new.encoding.get('dtype')}, in which "
            f"{_without_number(name, new)} has no exact number{held}; join all files anew and write with mode='w'"
        )
    return finer


def _without_number(name: str, times: xr.Variable) -> object:
    """The first of times that has no number in their encoding."""
    flat = xr.Variable("one", np.asarray(times).ravel(), times.attrs, times.encoding)
    return next((flat.values[n] for n in range(flat.size) if not counts_exactly(name, flat[n : n + 1])), flat.values[0])


def check_monotonic_append(old: xr.Variable, new: xr.Variable, dim: str) -> None:
    """Raise if a coordinate does not go on where the one in the store ends.

    Raises
    ------
    HierarchyError
        Names the last value that is there and the first that would follow.
    """
    a, b = np.asarray(old), np.asarray(new)
    if a.size == 0 or b.size == 0:
        return
    if "M" in (a.dtype.kind, b.dtype.kind) and a.dtype.kind != b.dtype.kind:
        units = old.attrs.get("units") or new.attrs.get("units")
        raise HierarchyError(
            f"append along {dim!r}: the store holds {a.dtype}, what is appended is {b.dtype}; only one of them is decoded times "
            f"(the other has the units {units!r}); decode it (xarray.decode_cf), or write units that can be decoded with mode='w'"
        )
    if continues(a, b):
        return
    if np.isin(b, a).any():
        twice = b[np.isin(b, a)][0]
        raise HierarchyError(f"append along {dim!r}: {twice} is there already; overlapping steps are not joined")
    raise HierarchyError(
        f"append along {dim!r}: the store ends at {a[-1]}, what is appended runs from {b[0]} to {b[-1]}; "
        "coordinates must go on in one direction"
    )


def continues(there: ArrayLike, new: ArrayLike) -> bool:
    """Whether a coordinate goes on where another ends: both together rise, or both together fall, and no value comes twice.

    The rule of all that appends: `write_dataset`, `update` and the commands.
    """
    values = np.concatenate([np.asarray(there), np.asarray(new)])
    later, before = values[1:], values[:-1]
    return bool((later < before).all() if falls(there, new) else (later > before).all())


def falls(there: ArrayLike, new: ArrayLike) -> bool:
    """Which way a coordinate runs: as the values that are there; if these are less than two, as those that would follow.

    A single date after a single date is meant to be later.
    """
    a, b = np.asarray(there), np.asarray(new)
    told = a if len(a) > 1 else b
    if len(told) > 1:
        return bool(told[-1] < told[0])
    return bool(len(a) and len(b) and a.dtype.kind in "iuf" and b[0] < a[0])
