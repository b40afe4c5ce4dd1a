"""What must hold of data that are added to a store: the same encoding, exact values, coordinates that go on."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.codecs.cf_packing import PACKING_ATTRIBUTES
from intake_virtualzarr.datasets.encode import decodes_to
from intake_virtualzarr.errors import HierarchyError

__all__ = ["check_monotonic_append", "continues", "falls", "encoded_alike"]


ENCODINGS = ("units", "calendar", "dtype", "_FillValue", "missing_value", "scale_factor", "add_offset", "_Unsigned")
"""Encodings in which what is added must agree with what is there."""


def encoded_alike(dataset: xr.Dataset, there: xr.Dataset) -> xr.Dataset:
    """The dataset with the encodings of what is there, so that times count from the same date."""
    out = dataset.copy(deep=False)
    for name, variable in dataset.variables.items():
        if isinstance(variable._data, VirtualZarrArray) or name not in there.variables:
            continue
        known = there.variables[name].encoding
        if any(key in variable.attrs for key in PACKING_ATTRIBUTES):  # raw values that were loaded, with their packing beside them
            variable = xr.conventions.decode_cf_variable(name, variable)
        changed = variable.copy(deep=False)
        changed.encoding = {k: v for k, v in variable.encoding.items() if k not in ENCODINGS}
        changed.encoding |= {k: known[k] for k in ENCODINGS if k in known}
        _check_times(str(name), changed)
        if changed.dtype.kind in "iufc" and any(key in known for key in PACKING_ATTRIBUTES):
            changed = _packed_alike(str(name), changed)
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


def _check_times(name: str, variable: xr.Variable) -> None:
    """Raise if times have no whole number in the store's unit."""
    dtype = variable.encoding.get("dtype")
    units = variable.encoding.get("units")
    if variable.dtype.kind not in "MO" or units is None or dtype is None or np.dtype(dtype).kind not in "iu":
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoded = xr.conventions.encode_cf_variable(variable, name=name)
        whole = xr.Variable(encoded.dims, np.asarray(encoded).astype(dtype), encoded.attrs)
        back = xr.conventions.decode_cf_variable(name, whole)
    if not np.array_equal(np.asarray(back), np.asarray(variable)):
        raise HierarchyError(
            f"{name}: the store counts whole {units!r}, in which {np.asarray(variable).ravel()[0]} has no number; "
            "join all files anew and write with mode='w'"
        )


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
        raise HierarchyError(
            f"append along {dim!r}: the store holds times ({a.dtype}), what is appended is {b.dtype}; decode its times first "
            "(xarray.decode_cf)"
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
