"""Opening one file or store as virtual arrays."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import xarray as xr

import intake_virtualzarr.datasets.accessor  # noqa: F401 - registers the accessor
from intake_virtualzarr._typing import Attrs, FormatLike
from intake_virtualzarr.arrays.tree import VirtualTree
from intake_virtualzarr.datasets.open_files import group_dataset
from intake_virtualzarr.datasets.open_options import OnUnsupported, OpenOptions, name_set, names_or_none
from intake_virtualzarr.formats.labels import LabelChoice
from intake_virtualzarr.formats.open import open_tree
from intake_virtualzarr.storage.policy import Allow
from intake_virtualzarr.storage.readers import Access

__all__ = ["open_virtual_dataset", "open_virtual_datatree"]


def open_virtual_dataset(
    path: str | os.PathLike[str] | Any,
    *,
    group: str | None = None,
    loadable_variables: str | Iterable[str] | None = None,
    drop_variables: str | Iterable[str] | None = None,
    decode_times: bool = True,
    storage_options: Access | Attrs | None = None,
    allow: Allow = None,
    keep_query: str | Iterable[str] = (),
    on_unsupported: OnUnsupported = "skip",
    format: FormatLike = None,
) -> xr.Dataset:
    """Open an archive file, a virtual store, kerchunk references or an Icechunk store as virtual arrays.

    The same as ``xarray.open_dataset(path, engine="virtualzarr", decode_cf=False)``.

    Parameters
    ----------
    path : path, URL or zarr store
        What to open.
    group : str, optional
        Path of the group.
    loadable_variables : str or iterable of str, optional
        Variables whose values are read now, and decoded; default: one-dimensional coordinates and scalars.
    drop_variables : str or iterable of str, optional
        Variables to drop.
    decode_times : bool
        Whether loaded time coordinates become dates (with their units in ``encoding``).
    storage_options : mapping or Access, optional
        Options for opening, by URL prefix.
    allow : str or list of str, optional
        URL prefixes and paths that documents from a network (stores, references, STAC items, files with links) may name, beside
        their own places.
    keep_query : str or iterable of str, optional
        Names of query parameters that are part of the name of a file. All others are kept in memory only, never stored.
    on_unsupported : {"skip", "raise"}
        What to do about variables that cannot be stored by reference.
    format : str or parser, optional
        Name of the format, or a parser of VirtualiZarr; default: detected automatically.

    Returns
    -------
    xarray.Dataset
        Virtual variables hold `VirtualZarrArray`, undecoded, with the file's attributes. They join (``xarray.concat``, ``merge``,
        ``combine_by_coords``), slice and are written (``.vzarr.to_zarr``) without being read; ``.load()`` reads them.

    Raises
    ------
    SourceError
        If it cannot be read.
    FormatError
        If it is of no known format, or damaged.
    UnsupportedError
        If a variable cannot be stored by reference and ``on_unsupported="raise"``.
    """
    opening = OpenOptions(
        group=group,
        loadable_variables=names_or_none(loadable_variables),
        drop_variables=name_set(drop_variables),
        decode_times=decode_times,
        format=format,
        on_unsupported=on_unsupported,
        access=Access.of(storage_options, allow=allow, keep_query=keep_query),
    )
    tree = _tree(path, opening, opening.labels())
    return group_dataset(tree, tree.group(opening.group), opening)


def open_virtual_datatree(
    path: str | os.PathLike[str] | Any,
    *,
    loadable_variables: str | Iterable[str] | None = None,
    drop_variables: str | Iterable[str] | None = None,
    decode_times: bool = True,
    storage_options: Access | Attrs | None = None,
    allow: Allow = None,
    keep_query: str | Iterable[str] = (),
    on_unsupported: OnUnsupported = "skip",
    format: FormatLike = None,
) -> xr.DataTree:
    """Open all groups of a file, virtual store, kerchunk references or Icechunk store as a tree of virtual datasets.

    Parameters
    ----------
    path : path, URL or zarr store
        What to open.
    loadable_variables : str or iterable of str, optional
        Variables whose values are read now, and decoded, by name, in every group; default: one-dimensional coordinates and
        scalars.
    drop_variables : str or iterable of str, optional
        Variables to drop, by name, in every group.
    decode_times : bool
        Whether loaded time coordinates become dates (with their units in ``encoding``).
    storage_options : mapping or Access, optional
        Options for opening, by URL prefix.
    allow : str or list of str, optional
        URL prefixes and paths that documents from a network (stores, references, STAC items, files with links) may name, beside
        their own places.
    keep_query : str or iterable of str, optional
        Names of query parameters that are part of the name of a file. All others are kept in memory only, never stored.
    on_unsupported : {"skip", "raise"}
        What to do about variables that cannot be stored by reference.
    format : str or parser, optional
        Name of the format, or a parser of VirtualiZarr; default: detected automatically.

    Returns
    -------
    xarray.DataTree
        A node for each group, as `open_virtual_dataset` gives it.

    Raises
    ------
    SourceError
        If it cannot be read.
    FormatError
        If it is of no known format, or damaged.
    UnsupportedError
        If a variable cannot be stored by reference and ``on_unsupported="raise"``.
    """
    opening = OpenOptions(
        loadable_variables=names_or_none(loadable_variables),
        drop_variables=name_set(drop_variables),
        decode_times=decode_times,
        format=format,
        on_unsupported=on_unsupported,
        access=Access.of(storage_options, allow=allow, keep_query=keep_query),
    )
    tree = _tree(path, opening, replace(opening.labels(), groups=None))
    return xr.DataTree.from_dict({node.path: group_dataset(tree, node, opening) for node in tree.groups.values()})


def _tree(path: Any, opening: OpenOptions, labels: LabelChoice) -> VirtualTree:
    return open_tree(
        path,
        storage_options=opening.access,
        format=opening.format,
        on_unsupported=opening.on_unsupported,
        labels=labels,
    )
