"""Writing xarray datasets by reference."""

from __future__ import annotations

import os
import warnings
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from xarray.core import indexing

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.tree import VirtualTree
from intake_virtualzarr.codecs.cf_packing import PACKING_ATTRIBUTES
from intake_virtualzarr.datasets.virtual_dataset import drop_bool_dtype_attr, virtual_dataset, with_consistent_attrs
from intake_virtualzarr.errors import HierarchyError, UnsupportedError
from intake_virtualzarr.hierarchy.append import add_variables, append_arrays, check_monotonic_append
from intake_virtualzarr.hierarchy.reader import tree_of
from intake_virtualzarr.hierarchy.region import replace_region
from intake_virtualzarr.hierarchy.transaction import HierarchyTransaction
from intake_virtualzarr.hierarchy.writer import NodeArray, NodeGroup, WriteReport, write_hierarchy
from intake_virtualzarr.storage.key_value import Keys, keys_of
from intake_virtualzarr.storage.readers import Access

__all__ = ["append_dataset", "write_dataset", "write_datatree"]

LOADED_LIMIT = 512 * 1024 * 1024
"""Variables that are not virtual are copied into the store up to this size [bytes]."""


def write_dataset(
    dataset: xr.Dataset,
    store: Any,
    *,
    mode: str | None = None,
    group: str | None = None,
    append_dim: Hashable | None = None,
    region: Mapping[str, slice] | None = None,
    fuse: bool = True,
    storage_options: Any = None,
) -> WriteReport:
    """Write a dataset as a hierarchy of manifests that copies no data.

    Parameters
    ----------
    dataset : xarray.Dataset
        Virtual variables are written by reference, others (coordinates) with their values.
    store : path, URL or zarr store
        Where to.
    mode : {"w-", "w", "a", "r+"}, optional
        ``"w-"`` (default): the place must be empty. ``"w"``: replace what is there. ``"a"``: add or replace variables.
    group : str, optional
        Path of the group in the hierarchy.
    append_dim : str, optional
        Append along this dimension to what is there.
    region : mapping of str to slice, optional
        Replace a part of what is there.
    fuse : bool
        Whether joined arrays become one manifest where they can; False records them as a virtual concatenation.
    storage_options : mapping or Access, optional
        Options for the store, by URL prefix.

    Returns
    -------
    WriteReport
        Number of objects, bytes, references and sources.

    Raises
    ------
    HierarchyError
        If the place is not empty, or what is there does not fit.
    UnsupportedError
        If a variable is neither virtual nor small.
    """
    keys = _target(store, storage_options)
    path = (group or "").strip("/")
    if append_dim is not None or region is not None or mode in ("a", "r+"):
        if mode not in (None, "a", "r+"):
            raise HierarchyError(f"mode={mode!r} and append_dim/region contradict each other; drop mode")
        if append_dim is not None and region is not None:
            raise HierarchyError("append_dim and region were both given; only one can be meant")
        if append_dim is not None:
            return append_dataset(keys, path, dataset, str(append_dim))
        if region is not None:
            return write_region(keys, path, dataset, region)
        return add_dataset(keys, path, dataset)
    if mode not in (None, "w", "w-"):
        raise HierarchyError(f"mode is {mode!r}, expected 'w-', 'w', 'a' or 'r+'")
    return write_hierarchy(keys, {group or "": node_group(dataset)}, overwrite=mode == "w", fuse=fuse)


def _target(store: Any, storage_options: Any) -> Keys:
    """Where a hierarchy is written to.

    Raises
    ------
    HierarchyError
        If it is a store that keeps nothing but what it knows: no source tables, no uneven chunk grids.
    """
    if type(store).__module__.partition(".")[0] == "icechunk":
        raise HierarchyError(
            "an Icechunk session takes no hierarchy of manifests (it refuses source tables and uneven chunk grids); "
            "write Icechunk's own references with ds.vzarr.to_icechunk(session.store)"
        )
    return keys_of(os.fspath(store) if isinstance(store, os.PathLike) else store, Access.of(storage_options))


def append_dataset(keys: Keys, group: str, dataset: xr.Dataset, dim: str) -> WriteReport:
    """Append a dataset along a dimension. Times are encoded in the store's unit.

    Raises
    ------
    HierarchyError
        If variables do not fit, or the coordinate does not go on where the store's ends.
    """
    return append_groups(keys, {group: dataset}, dim)


def append_groups(keys: Keys, groups: Mapping[str, xr.Dataset], dim: str) -> WriteReport:
    """Append datasets to groups along a dimension, all or none; groups without it must be what is there.

    Raises
    ------
    HierarchyError
        If no group has the dimension, variables do not fit, or a coordinate does not go on where the store's ends.
    """
    addition = HierarchyTransaction(keys)
    if len(groups) > 1 and not any(dim in dataset.dims for dataset in groups.values()):
        raise HierarchyError(f"append along {dim!r}: no group of the tree has that dimension")
    tree = tree_of(addition.hierarchy)
    for group, dataset in groups.items():
        there = _opened(tree, group)
        if len(groups) == 1 or dim in dataset.dims:
            _append_group(addition, group, dataset, there, dim)
        else:
            add_variables(addition, group, node_group(_encoded_alike(dataset, there)))
    return addition.finish()


def _append_group(addition: HierarchyTransaction, group: str, dataset: xr.Dataset, there: xr.Dataset, dim: str) -> None:
    if dim in there.variables and dim in dataset.variables:
        check_monotonic_append(there.variables[dim], dataset.variables[dim], dim)
    node = node_group(_encoded_alike(dataset, there))
    static = NodeGroup({}, {n: a for n, a in node.arrays.items() if dim not in a.dims})
    append_arrays(addition, group, node, dim)
    add_variables(addition, group, static)


def write_region(keys: Keys, group: str, dataset: xr.Dataset, region: Mapping[str, slice]) -> WriteReport:
    """Replace a part of a hierarchy.

    Raises
    ------
    HierarchyError
        If what is written does not fit into the region.
    """
    addition = HierarchyTransaction(keys)
    there = _opened(tree_of(addition.hierarchy), group)
    spans: dict[str, tuple[int, int]] = {}
    for dim, part in region.items():
        if dim not in there.dims:
            known = ", ".join(map(str, there.dims))
            raise HierarchyError(f"region: there is no dimension {dim!r} in the store; there are {known}")
        start, stop, step = part.indices(there.sizes[dim])
        if step != 1:
            raise HierarchyError(f"region: {dim!r} has step {step}; only whole runs can be replaced")
        spans[dim] = (start, stop)
    replace_region(addition, group, node_group(_encoded_alike(dataset, there)), spans)
    return addition.finish()


def add_dataset(keys: Keys, group: str, dataset: xr.Dataset) -> WriteReport:
    """Add the variables of a dataset to a hierarchy."""
    if keys.is_empty():
        return write_hierarchy(keys, {group: node_group(dataset)})
    addition = HierarchyTransaction(keys)
    add_variables(addition, group, node_group(dataset))
    return addition.finish()


def _opened(tree: VirtualTree, group: str) -> xr.Dataset:
    """What is there: loaded coordinates decoded, the rest virtual."""
    return virtual_dataset(tree, tree.group(group))


ENCODINGS = ("units", "calendar", "dtype", "_FillValue", "missing_value", "scale_factor", "add_offset", "_Unsigned")
"""Encodings in which what is added must agree with what is there."""


def _encoded_alike(dataset: xr.Dataset, there: xr.Dataset) -> xr.Dataset:
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
            exact = _decodes_to(name, packed, variable)
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


def write_datatree(
    tree: xr.DataTree,
    store: Any,
    *,
    mode: str | None = None,
    append_dim: Hashable | None = None,
    fuse: bool = True,
    storage_options: Any = None,
) -> WriteReport:
    """Write all groups of a tree as one hierarchy, or append all groups to what is there. Parameters as `write_dataset`."""
    keys = _target(store, storage_options)
    if append_dim is not None:
        if mode not in (None, "a", "r+"):
            raise HierarchyError(f"mode={mode!r} and append_dim contradict each other; drop mode")
        datasets = {node.path.strip("/"): node.to_dataset(inherit=False) for node in tree.subtree}
        return append_groups(keys, {path: ds for path, ds in datasets.items() if ds.variables}, str(append_dim))
    if mode not in (None, "w", "w-"):
        raise HierarchyError(f"mode is {mode!r}, expected 'w-' or 'w'")
    groups = {node.path.strip("/"): node_group(node.to_dataset(inherit=False)) for node in tree.subtree}
    return write_hierarchy(keys, groups, overwrite=mode == "w", fuse=fuse)


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
    encoded = encoded_exactly(name, variable)
    values = np.asarray(encoded)
    if values.dtype.kind in "UT":
        values = values.astype(object)
    _refuse_objects(name, values)
    return NodeArray(dims, values, encoded.attrs)


def encoded_exactly(name: str, variable: xr.Variable) -> xr.Variable:
    """Values in memory as numbers and attributes that decode to these values again.

    The encoding that came with a file is one for its values: numbers that were shifted, masked or computed since may not fit
    it (a gap has no integer). Numbers are therefore written as they are; dates in their unit, as floats where they have gaps.

    Raises
    ------
    UnsupportedError
        If dates do not come back.
    """
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
            except (ValueError, TypeError, OverflowError):  # TypeError: a scale factor that is an integer
                continue
            if _decodes_to(name, encoded, variable):
                return encoded
    raise UnsupportedError(f"{name}: its {variable.dtype} values have no CF encoding that gives them back; drop the variable")


def _without_encoding(variable: xr.Variable, dropped: Iterable[str]) -> xr.Variable:
    names = set(dropped)
    out = variable.copy(deep=False)
    out.encoding = {key: value for key, value in variable.encoding.items() if key not in names}
    return out


def _holds_dates(variable: xr.Variable) -> bool:
    if variable.dtype.kind != "O":
        return variable.dtype.kind in "mM"
    return any(hasattr(value, "calendar") for value in np.asarray(variable).flat)


def _decodes_to(name: str, encoded: xr.Variable, variable: xr.Variable) -> bool:
    back = np.asarray(xr.conventions.decode_cf_variable(name, encoded))
    values = np.asarray(variable)
    if back.dtype.kind != values.dtype.kind:
        return False
    same = back == values
    return bool(np.all(same | (pd.isnull(back) & pd.isnull(values))))


def _is_one_chunk(array: VirtualZarrArray) -> bool:
    """Whether a scalar is a scalar in its file, too, and is shown as it is stored."""
    return all(s.is_whole and s.stored.dtype == array.dtype and not array.decoded for s in array.segments)


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


def _is_lazy(data: Any) -> bool:
    """Whether values are behind a file or a graph rather than in memory."""
    if hasattr(data, "__dask_graph__"):
        return True
    inner = data
    while hasattr(inner, "array") and not isinstance(inner, np.ndarray | indexing.PandasIndexingAdapter):
        inner = inner.array
    return type(inner).__name__ == "VirtualBackendArray" and inner.shape != () and len(inner.shape) > 1
