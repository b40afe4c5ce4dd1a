"""Datasets as arrays that can be written: virtual ones by reference, values in CF encodings that give them back."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from xarray.core import indexing

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.codecs.cf_packing import PACKING_ATTRIBUTES
from intake_virtualzarr.datasets.cf_axes import is_time
from intake_virtualzarr.datasets.joined_text import with_marked_gaps
from intake_virtualzarr.datasets.own_encoding import encoded_as_asked, has_own_encoding
from intake_virtualzarr.datasets.virtual_dataset import drop_bool_dtype_attr, with_consistent_attrs
from intake_virtualzarr.errors import HierarchyError, UnsupportedError
from intake_virtualzarr.hierarchy.writer import NodeArray, NodeGroup

__all__ = ["LOADED_LIMIT", "decodes_to", "encoded_exactly", "node_array", "node_group"]


LOADED_LIMIT = 512 * 1024 * 1024
"""Variables that are not virtual are copied into the store up to this size [bytes]."""


def node_group(dataset: xr.Dataset) -> NodeGroup:
    """A dataset as arrays to write: virtual ones raw (or decoded, if segments differ), others CF-encoded."""
    for name, index in dataset.xindexes.items():
        if isinstance(index, xr.indexes.PandasMultiIndex):
            raise UnsupportedError(
                f"{name}: belongs to a MultiIndex, which Zarr lacks; reset_index({index.dim!r}) makes variables of its levels"
            )
    variables, attrs = xr.conventions.encode_dataset_coordinates(dataset.copy(deep=False))
    arrays: dict[str, NodeArray] = {}
    for name, variable in variables.items():
        if not isinstance(name, str):
            raise HierarchyError(f"variable {name!r}: names in a Zarr hierarchy are strings")
        arrays[name] = node_array(name, variable)
    return NodeGroup(attrs, arrays)


def node_array(name: str, variable: xr.Variable) -> NodeArray:
    """One variable as an array to write."""
    dims = tuple(str(d) for d in variable.dims)
    data = variable._data
    if isinstance(data, VirtualZarrArray):
        _refuse_repacking(name, variable)
        array, attrs = with_consistent_attrs(data, variable.attrs)
        if array.ndim == 0 and not _is_one_chunk(array):  # one value, cheaper to keep than to point to
            return NodeArray(dims, np.asarray(array), attrs)
        return NodeArray(dims, array, attrs)
    if variable.nbytes > LOADED_LIMIT or _is_lazy(data):
        raise UnsupportedError(
            f"{name}: is not virtual ({type(data).__name__}, {variable.nbytes} bytes), so writing it would copy it; "
            "open the files with open_virtual_dataset or open_virtual_mfdataset, or load the variable first"
        )
    _refuse_gaps(name, data)
    encoded = encoded_exactly(name, with_marked_gaps(variable))
    values = np.asarray(encoded)
    if values.dtype.kind in "UT":
        values = values.astype(object)
    _refuse_objects(name, values)
    return NodeArray(dims, values, encoded.attrs)


def _refuse_repacking(name: str, variable: xr.Variable) -> None:
    """References show numbers as files store them; packing of virtual variables stands in their attributes."""
    asked = [key for key in PACKING_ATTRIBUTES if key in variable.encoding]
    if asked:
        raise UnsupportedError(
            f"{name}: its encoding asks for {', '.join(f'{key}={variable.encoding[key]!r}' for key in asked)}, and its values are "
            "references to files, whose numbers stay as they are; load the variable first, or drop these from its encoding"
        )


def _is_one_chunk(array: VirtualZarrArray) -> bool:
    """Whether a scalar is a scalar in its file, too, and is shown as it is stored."""
    return all(s.is_whole and s.stored.dtype == array.dtype and not array.decoded for s in array.segments)


def _is_lazy(data: Any) -> bool:
    """Whether values are behind a file or a graph rather than in memory."""
    if hasattr(data, "__dask_graph__"):
        return True
    inner = data
    while hasattr(inner, "array") and not isinstance(inner, np.ndarray | indexing.PandasIndexingAdapter):
        inner = inner.array
    return type(inner).__name__ == "VirtualBackendArray" and inner.shape != () and len(inner.shape) > 1


def _refuse_gaps(name: str, data: Any) -> None:
    """Dates of other calendars have no "none": xarray encodes no gap among them, and decodes a NaN as year 0."""
    if data.dtype.kind != "O" or data.size == 0:
        return
    kinds = {type(value) for value in np.asarray(data).flat}
    if float in kinds and any(hasattr(kind, "calendar") for kind in kinds):
        raise UnsupportedError(
            f"{name}: has gaps between dates of a calendar that has no number for a gap (the files cover different times); "
            f"drop_vars({name!r}), or join with join='inner' or join='exact'"
        )


def _refuse_objects(name: str, values: AnyArray) -> None:
    """Text has no "none" either, and xarray has other objects than text only where it could not tell their type."""
    other = {type(value).__name__ for value in values.flat if not isinstance(value, str)} if values.dtype.kind == "O" else set()
    if other:
        raise UnsupportedError(
            f"{name}: holds objects of type {', '.join(sorted(other))}, expected text only; fill gaps in text (fillna('')), "
            f"give other values a type (astype), or drop_vars({name!r})"
        )


def encoded_exactly(name: str, variable: xr.Variable) -> xr.Variable:
    """Values in memory as numbers and attributes that decode to these values again.

    The encoding that came with a file is one for its values: numbers that were shifted, masked or computed since may not fit
    it (a gap has no integer). Numbers are therefore written as they are; dates in their unit, as floats where they have gaps.
    An encoding that names no source is the user's own, and is applied to numbers.

    Raises
    ------
    UnsupportedError
        If dates do not come back.
    """
    if has_own_encoding(variable):
        return encoded_as_asked(name, variable)
    if variable.dtype.kind in "iufc":
        plain = xr.Variable(variable.dims, variable._data, drop_bool_dtype_attr(variable.attrs, variable.dtype))
        return xr.conventions.encode_cf_variable(plain, name=name)
    if variable.dtype.kind == "b":
        return xr.conventions.encode_cf_variable(_without_encoding(variable, PACKING_ATTRIBUTES), name=name)
    if not _holds_dates(variable):  # xarray cuts text to the length that it had in one file
        return xr.conventions.encode_cf_variable(_without_encoding(variable, ("dtype",)), name=name)
    for dropped in ((), ("dtype", *PACKING_ATTRIBUTES), ("dtype", "units", *PACKING_ATTRIBUTES)):
        tried = _without_encoding(variable, dropped)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", xr.SerializationWarning)
            try:
                encoded = xr.conventions.encode_cf_variable(tried, name=name)
            except (ValueError, TypeError, OverflowError, KeyError):  # a scale factor that is an integer; months are decoded only
                continue
            if decodes_to(name, encoded, variable):
                return encoded
    raise UnsupportedError(f"{name}: its {variable.dtype} values have no CF encoding that gives them back; drop the variable")


def _without_encoding(variable: xr.Variable, dropped: Iterable[str]) -> xr.Variable:
    names = set(dropped)
    out = variable.copy(deep=False)
    out.encoding = {key: value for key, value in variable.encoding.items() if key not in names}
    return out


def _holds_dates(variable: xr.Variable) -> bool:
    return variable.dtype.kind == "m" or is_time(variable)


def decodes_to(name: str, encoded: xr.Variable, variable: xr.Variable) -> bool:
    """Whether an encoded variable gives the values of another, gaps included."""
    back = np.asarray(xr.conventions.decode_cf_variable(name, encoded))
    values = np.asarray(variable)
    if back.dtype.kind != values.dtype.kind:
        return False
    same = back == values
    return bool(np.all(same | (pd.isnull(back) & pd.isnull(values))))
