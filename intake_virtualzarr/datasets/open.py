"""Opening one file or store as virtual arrays."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import xarray as xr

import intake_virtualzarr.datasets.accessor  # noqa: F401 - registers the accessor
from intake_virtualzarr.arrays.left_out import warn_left_out
from intake_virtualzarr.datasets.virtual_dataset import name_set, virtual_dataset
from intake_virtualzarr.formats.open import open_tree

__all__ = ["open_virtual_dataset", "open_virtual_datatree"]


def open_virtual_dataset(
    path: str | os.PathLike[str] | Any,
    *,
    group: str | None = None,
    loadable_variables: Iterable[str] | None = None,
    drop_variables: str | Iterable[str] | None = None,
    decode_times: bool = True,
    storage_options: Any = None,
    on_unsupported: str = "skip",
    format: str | None = None,
) -> xr.Dataset:
    """Open an archive file, a virtual store, kerchunk references or an Icechunk store as virtual arrays.

    The same as ``xarray.open_dataset(path, engine="virtualzarr", decode_cf=False)``.

    Parameters
    ----------
    path : path, URL or zarr store
        What to open.
    group : str, optional
        Path of the group.
    loadable_variables : iterable of str, optional
        Variables whose values are read now, and decoded; default: one-dimensional coordinates and scalars.
    drop_variables : str or iterable of str, optional
        Variables to drop.
    decode_times : bool
        Whether loaded time coordinates become dates (with their units in ``encoding``).
    storage_options : mapping or Access, optional
        Options for opening, by URL prefix.
    on_unsupported : {"skip", "raise"}
        What to do about variables that cannot be stored by reference.
    format : str, optional
        Name of the format; default: detected automatically.

    Returns
    -------
    xarray.Dataset
        Virtual variables hold `VirtualZarrArray`, undecoded, with the file's attributes. They join (``xarray.concat``, ``merge``,
        ``combine_by_coords``), slice and are written (``.vzarr.to_zarr``) without being read; ``.load()`` reads them.
    """
    tree = open_tree(path, storage_options=storage_options, format=format, on_unsupported=on_unsupported)
    node = tree.group(group)
    dropped = name_set(drop_variables)
    warn_left_out(tree, node.path, dropped)
    return virtual_dataset(tree, node, loadable_variables=loadable_variables, drop_variables=dropped, decode_times=decode_times)


def open_virtual_datatree(
    path: str | os.PathLike[str] | Any,
    *,
    loadable_variables: Iterable[str] | None = None,
    drop_variables: str | Iterable[str] | None = None,
    decode_times: bool = True,
    storage_options: Any = None,
    on_unsupported: str = "skip",
    format: str | None = None,
) -> xr.DataTree:
    """Open all groups as a tree of virtual datasets. Parameters as `open_virtual_dataset`."""
    tree = open_tree(path, storage_options=storage_options, format=format, on_unsupported=on_unsupported)
    dropped = name_set(drop_variables)
    datasets = {}
    for node in tree.groups.values():
        warn_left_out(tree, node.path, dropped)
        datasets[node.path] = virtual_dataset(
            tree, node, loadable_variables=loadable_variables, drop_variables=dropped, decode_times=decode_times
        )
    return xr.DataTree.from_dict(datasets)
