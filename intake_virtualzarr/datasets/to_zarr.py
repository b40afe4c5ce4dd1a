"""Writing xarray datasets by reference."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from typing import Any

import xarray as xr

from intake_virtualzarr._typing import Attrs
from intake_virtualzarr.arrays.tree import VirtualTree
from intake_virtualzarr.datasets.append_checks import check_monotonic_append, encoded_alike
from intake_virtualzarr.datasets.encode import node_group
from intake_virtualzarr.datasets.finer_times import recoded, with_times
from intake_virtualzarr.datasets.virtual_dataset import virtual_dataset
from intake_virtualzarr.errors import HierarchyError, VirtualZarrError
from intake_virtualzarr.hierarchy.append import add_variables, append_arrays, held_along
from intake_virtualzarr.hierarchy.reader import tree_of
from intake_virtualzarr.hierarchy.region import replace_region
from intake_virtualzarr.hierarchy.transaction import HierarchyTransaction, changing
from intake_virtualzarr.hierarchy.writer import NodeGroup, WriteReport, holds_leftovers_only, write_hierarchy
from intake_virtualzarr.storage.key_value import Keys, Seen, keys_of
from intake_virtualzarr.storage.options import StorageOptions
from intake_virtualzarr.storage.readers import Access

__all__ = ["append_dataset", "write_dataset", "write_datatree", "write_to"]


def write_dataset(
    dataset: xr.Dataset,
    store: Any,
    *,
    mode: str | None = None,
    group: str | None = None,
    append_dim: Hashable | None = None,
    region: Mapping[str, slice] | None = None,
    fuse: bool = True,
    storage_options: Access | Attrs | None = None,
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
    return write_to(
        _target(store, storage_options), dataset, mode=mode, group=group, append_dim=append_dim, region=region, fuse=fuse
    )


def write_to(
    keys: Keys,
    dataset: xr.Dataset,
    *,
    mode: str | None = None,
    group: str | None = None,
    append_dim: Hashable | None = None,
    region: Mapping[str, slice] | None = None,
    fuse: bool = True,
    base: Seen | None = None,
    made_from: str | None = None,
) -> WriteReport:
    """As `write_dataset`; ``base`` and ``made_from`` as in `write_hierarchy`."""
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
    groups = {group or "": node_group(dataset)}
    return write_hierarchy(keys, groups, overwrite=mode == "w", fuse=fuse, base=base, made_from=made_from)


def _target(store: Any, storage_options: StorageOptions) -> Keys:
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
    with changing(keys) as addition:
        _append_groups(addition, groups, dim)
        return addition.finish()


def _append_groups(addition: HierarchyTransaction, groups: Mapping[str, xr.Dataset], dim: str) -> None:
    if len(groups) > 1 and not any(dim in dataset.dims for dataset in groups.values()):
        raise HierarchyError(f"append along {dim!r}: no group of the tree has that dimension")
    tree = tree_of(addition.hierarchy)
    for group, dataset in groups.items():
        there = _opened(tree, group)
        if len(groups) == 1 or dim in dataset.dims:
            _append_group(addition, group, dataset, there, dim)
        else:
            add_variables(addition, group, node_group(encoded_alike(dataset, there)))


def _append_group(addition: HierarchyTransaction, group: str, dataset: xr.Dataset, there: xr.Dataset, dim: str) -> None:
    if dim in there.variables and dim in dataset.variables:
        check_monotonic_append(there.variables[dim], dataset.variables[dim], dim)
    held = held_along(addition, group, dim)
    there, dataset = with_times(there, held), with_times(dataset, held)
    alike = encoded_alike(dataset, there, held)
    node = node_group(alike)
    static = NodeGroup({}, {n: a for n, a in node.arrays.items() if dim not in a.dims})
    append_arrays(addition, group, node, dim, recoded(there, alike, held))
    add_variables(addition, group, static)


def write_region(keys: Keys, group: str, dataset: xr.Dataset, region: Mapping[str, slice]) -> WriteReport:
    """Replace a part of a hierarchy.

    Raises
    ------
    HierarchyError
        If what is written does not fit into the region.
    """
    with changing(keys) as addition:
        _write_region(addition, group, dataset, region)
        return addition.finish()


def _write_region(addition: HierarchyTransaction, group: str, dataset: xr.Dataset, region: Mapping[str, slice]) -> None:
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
    replace_region(addition, group, node_group(encoded_alike(dataset, there)), spans)


def add_dataset(keys: Keys, group: str, dataset: xr.Dataset) -> WriteReport:
    """Add the variables of a dataset to a hierarchy."""
    if holds_leftovers_only(keys):
        return write_hierarchy(keys, {group: node_group(dataset)})
    with changing(keys) as addition:
        add_variables(addition, group, node_group(dataset))
        return addition.finish()


def _opened(tree: VirtualTree, group: str) -> xr.Dataset:
    """What is there: loaded coordinates decoded, the rest virtual; numbers if times cannot be decoded (months)."""
    try:
        return virtual_dataset(tree, tree.group(group))
    except ValueError as exc:
        if isinstance(exc, VirtualZarrError):
            raise
        return virtual_dataset(tree, tree.group(group), decode_times=False)


def write_datatree(
    tree: xr.DataTree,
    store: Any,
    *,
    mode: str | None = None,
    append_dim: Hashable | None = None,
    fuse: bool = True,
    storage_options: Access | Attrs | None = None,
    base: Seen | None = None,
) -> WriteReport:
    """Write all groups of a tree as one hierarchy, or append all groups to what is there.

    Parameters
    ----------
    tree : xarray.DataTree
        Virtual variables are written by reference, others (coordinates) with their values.
    store : path, URL or zarr store
        Where to.
    mode : {"w-", "w"}, optional
        ``"w-"`` (default): the place must be empty. ``"w"``: replace what is there.
    append_dim : str, optional
        Append along this dimension to what is there: all groups that have it, or none.
    fuse : bool
        Whether joined arrays become one manifest where they can; False records them as a virtual concatenation.
    storage_options : mapping or Access, optional
        Options for the store, by URL prefix.
    base : Seen, optional
        The root of the store for which the tree was made; by default the one that is there now.

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
    if append_dim is not None:
        if mode not in (None, "a", "r+"):
            raise HierarchyError(f"mode={mode!r} and append_dim contradict each other; drop mode")
        datasets = {node.path.strip("/"): node.to_dataset(inherit=False) for node in tree.subtree}
        return append_groups(keys, {path: ds for path, ds in datasets.items() if ds.variables}, str(append_dim))
    if mode not in (None, "w", "w-"):
        raise HierarchyError(f"mode is {mode!r}, expected 'w-' or 'w'")
    groups = {node.path.strip("/"): node_group(node.to_dataset(inherit=False)) for node in tree.subtree}
    return write_hierarchy(keys, groups, overwrite=mode == "w", fuse=fuse, base=base)
