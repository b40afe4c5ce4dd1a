"""Writing xarray datasets by reference."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from intake_virtualzarr.array import VirtualZarrArray, is_fill
from intake_virtualzarr.errors import HierarchyError, UnsupportedError
from intake_virtualzarr.hierarchy.keys import keys_of
from intake_virtualzarr.hierarchy.write import NodeArray, NodeGroup, Written, write_hierarchy
from intake_virtualzarr.readers import Access
from intake_virtualzarr.virtual_dataset import without_packing

__all__ = ["write_dataset", "write_datatree"]

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
) -> Written:
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
    Written
        Number of objects, bytes, references and sources.

    Raises
    ------
    HierarchyError
        If the place is not empty, or what is there does not fit.
    UnsupportedError
        If a variable is neither virtual nor small.
    """
    access = Access.of(storage_options)
    keys = keys_of(os.fspath(store) if isinstance(store, os.PathLike) else store, access)
    if append_dim is not None or region is not None or mode in ("a", "r+"):
        from intake_virtualzarr.hierarchy.append import append_group, merge_group

        if mode not in (None, "a", "r+"):
            raise HierarchyError(f"mode={mode!r} and append_dim/region contradict each other; leave mode away")
        node = node_group(dataset)
        if append_dim is not None:
            if region is not None:
                raise HierarchyError("append_dim and region were both given; only one can be meant")
            return append_group(keys, (group or "").strip("/"), dataset, str(append_dim), fuse=fuse)
        if region is not None:
            from intake_virtualzarr.hierarchy.append import write_region

            return write_region(keys, (group or "").strip("/"), dataset, dict(region), fuse=fuse)
        return merge_group(keys, (group or "").strip("/"), node, fuse=fuse)
    if mode not in (None, "w", "w-"):
        raise HierarchyError(f"mode is {mode!r}, expected 'w-', 'w', 'a' or 'r+'")
    return write_hierarchy(keys, {group or "": node_group(dataset)}, overwrite=mode == "w", fuse=fuse)


def write_datatree(
    tree: xr.DataTree, store: Any, *, mode: str | None = None, fuse: bool = True, storage_options: Any = None
) -> Written:
    """Write all groups of a tree as one hierarchy. Parameters as `write_dataset`."""
    if mode not in (None, "w", "w-"):
        raise HierarchyError(f"mode is {mode!r}, expected 'w-' or 'w'")
    keys = keys_of(os.fspath(store) if isinstance(store, os.PathLike) else store, Access.of(storage_options))
    groups = {node.path.strip("/"): node_group(node.to_dataset(inherit=False)) for node in tree.subtree}
    return write_hierarchy(keys, groups, overwrite=mode == "w", fuse=fuse)


def node_group(dataset: xr.Dataset) -> NodeGroup:
    """A dataset as arrays to write: virtual ones raw (or decoded, if segments differ), others CF-encoded."""
    variables, attrs = xr.conventions.encode_dataset_coordinates(_without_cached(dataset))
    arrays: dict[str, NodeArray] = {}
    for name, variable in variables.items():
        if not isinstance(name, str):
            raise HierarchyError(f"variable {name!r}: names in a Zarr hierarchy are strings")
        arrays[name] = node_array(name, variable)
    return NodeGroup(attrs, arrays)


def _without_cached(dataset: xr.Dataset) -> xr.Dataset:
    return dataset.copy(deep=False)


def node_array(name: str, variable: xr.Variable) -> NodeArray:
    """One variable as an array to write."""
    dims = tuple(str(d) for d in variable.dims)
    data = variable._data
    if isinstance(data, VirtualZarrArray):
        array, attrs = settled(data, variable.attrs)
        return NodeArray(dims, array, attrs)
    if variable.nbytes > LOADED_LIMIT or _is_lazy(data):
        raise UnsupportedError(
            f"{name}: is not virtual ({type(data).__name__}, {variable.nbytes} bytes), so writing it would copy it; "
            "open the files with open_virtual_dataset or open_virtual_mfdataset, or load the variable first"
        )
    encoded = xr.conventions.encode_cf_variable(variable, name=name)
    values = np.asarray(encoded)
    if values.dtype.kind in "UT":
        values = values.astype(object)
    return NodeArray(dims, values, encoded.attrs)


def _is_lazy(data: Any) -> bool:
    """Whether values are behind a file or a graph rather than in memory."""
    if hasattr(data, "__dask_graph__"):
        return True
    inner = data
    while hasattr(inner, "array") and not isinstance(inner, np.ndarray):
        inner = inner.array
    return type(inner).__name__ == "VirtualBackendArray" and inner.shape != () and len(inner.shape) > 1


def settled(array: VirtualZarrArray, attrs: Mapping[str, Any]) -> tuple[VirtualZarrArray, dict[str, Any]]:
    """An array as it is written: raw with its attributes if they hold for all of it, else decoded without them."""
    stored = [s for s in array.segments if not is_fill(s)]
    raw = not array.mixed and not array.decoded and all(s.stored.dtype == array.dtype for s in stored)
    if raw:
        return array, dict(attrs)
    decoded = array.decode()
    if any(s.packing is not None for s in stored):
        return decoded, without_packing(attrs)
    return decoded, dict(attrs)
