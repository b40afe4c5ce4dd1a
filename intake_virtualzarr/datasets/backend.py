"""The backend ``engine="virtualzarr"`` of xarray."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import xarray as xr
from xarray.backends import BackendEntrypoint
from xarray.core import indexing

import intake_virtualzarr.datasets.accessor  # noqa: F401 - registers ``.vzarr``
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.left_out import warn_left_out
from intake_virtualzarr.datasets.decode import decoded_dataset
from intake_virtualzarr.datasets.open_options import name_set
from intake_virtualzarr.datasets.virtual_dataset import virtual_dataset
from intake_virtualzarr.formats.open import open_tree
from intake_virtualzarr.storage.options import Access
from intake_virtualzarr.storage.policy import Allow

__all__ = ["VirtualZarrBackendEntrypoint"]


class _UncachedVariable(xr.Variable):
    """A variable whose virtual array is not wrapped into xarray's cache.

    ``xarray.open_dataset`` wraps the data of every variable; joins look below ``.data`` and would load what is wrapped.
    """

    __slots__ = ()

    @property
    def data(self) -> Any:
        """The array."""
        return xr.Variable.data.fget(self)  # type: ignore[attr-defined]

    @data.setter
    def data(self, data: Any) -> None:
        inner = data
        while isinstance(inner, indexing.MemoryCachedArray | indexing.CopyOnWriteArray | indexing.ArrayApiIndexingAdapter):
            inner = inner.array
        xr.Variable.data.fset(self, inner if isinstance(inner, VirtualZarrArray) else data)  # type: ignore[attr-defined]


class VirtualZarrBackendEntrypoint(BackendEntrypoint):
    """Opens archive files, virtual stores, kerchunk references and Icechunk repositories without copying their values."""

    description = "Read archives of netCDF4/HDF5 files, and virtual Zarr stores, without copying them"
    url = "https://github.com/intake/intake-virtualzarr"
    open_dataset_parameters = (
        "filename_or_obj",
        "mask_and_scale",
        "decode_times",
        "concat_characters",
        "decode_coords",
        "drop_variables",
        "use_cftime",
        "decode_timedelta",
        "group",
        "loadable_variables",
        "storage_options",
        "on_unsupported",
        "format",
        "allow",
        "keep_query",
    )
    supports_groups = True

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Only what is named as ours: other engines keep their files."""
        return isinstance(filename_or_obj, str | os.PathLike) and os.fspath(filename_or_obj).rstrip("/").endswith(".vzarr")

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        mask_and_scale: Any = True,
        decode_times: Any = True,
        concat_characters: Any = True,
        decode_coords: Any = True,
        drop_variables: str | Iterable[str] | None = None,
        use_cftime: Any = None,
        decode_timedelta: Any = None,
        group: str | None = None,
        loadable_variables: Iterable[str] | None = None,
        storage_options: Any = None,
        on_unsupported: str = "skip",
        format: str | None = None,
        allow: Allow = None,
        keep_query: Iterable[str] = (),
    ) -> xr.Dataset:
        """Open a group, decoded and lazy, or (``decode_cf=False``) as virtual arrays."""
        access = Access.of(storage_options, allow=allow, keep_query=keep_query)
        tree = open_tree(filename_or_obj, storage_options=access, format=format, on_unsupported=on_unsupported)
        dropped = name_set(drop_variables)
        node = tree.group(group)
        warn_left_out(tree, node.path, dropped)
        if not mask_and_scale and not decode_times and not decode_coords:
            dataset = virtual_dataset(tree, node, loadable_variables=loadable_variables, drop_variables=dropped)
            return _closable(_uncached(dataset))
        decoders = {
            "mask_and_scale": mask_and_scale,
            "decode_times": decode_times,
            "concat_characters": concat_characters,
            "decode_coords": decode_coords,
            "use_cftime": use_cftime,
            "decode_timedelta": decode_timedelta,
        }
        return _closable(decoded_dataset(tree, node, dropped, decoders))

    def open_groups_as_dict(self, filename_or_obj: Any, **kwargs: Any) -> dict[str, xr.Dataset]:
        """Open all groups."""
        given = {k: kwargs.pop(k) for k in ("allow", "keep_query") if k in kwargs}
        access = Access.of(kwargs.pop("storage_options", None), **given)
        options = {k: kwargs.pop(k) for k in ("format", "on_unsupported") if k in kwargs}
        tree = open_tree(filename_or_obj, storage_options=access, **options)
        dropped = name_set(kwargs.pop("drop_variables", None))
        loadable = kwargs.pop("loadable_variables", None)
        root = "/" + (kwargs.pop("group", None) or "").strip("/")
        paths = [p for p in tree.groups if root == "/" or p == root or p.startswith(root + "/")]
        if not paths:
            tree.group(root)
        on = ("mask_and_scale", "decode_times", "concat_characters", "decode_coords")
        decoders = {name: kwargs.get(name, True) for name in on}
        decoders |= {name: kwargs.get(name) for name in ("use_cftime", "decode_timedelta")}
        virtual = not any(decoders[name] for name in ("mask_and_scale", "decode_times", "decode_coords"))
        datasets: dict[str, xr.Dataset] = {}
        for path in paths:
            warn_left_out(tree, path, dropped)
            node = tree.groups[path]
            if virtual:
                opened = _uncached(virtual_dataset(tree, node, loadable_variables=loadable, drop_variables=dropped))
            else:
                opened = decoded_dataset(tree, node, dropped, decoders)
            datasets["/" + path[len(root) :].strip("/") if root != "/" else path] = _closable(opened)
        return datasets

    def open_datatree(self, filename_or_obj: Any, **kwargs: Any) -> xr.DataTree:
        """Open all groups as a tree."""
        return xr.DataTree.from_dict(self.open_groups_as_dict(filename_or_obj, **kwargs))


def _closable(dataset: xr.Dataset) -> xr.Dataset:
    """The same dataset, with something to call: ``xr.open_mfdataset`` closes what it opened, whether there is a need or not."""
    dataset.set_close(_nothing_to_close)
    return dataset


def _nothing_to_close() -> None:
    """Files are opened for each read, by a pool that all datasets share."""


def _uncached(dataset: xr.Dataset) -> xr.Dataset:
    """The same dataset with virtual arrays that survive ``xarray.open_dataset``."""
    for name, variable in dataset.variables.items():
        if isinstance(variable._data, VirtualZarrArray):
            dataset._variables[name] = _UncachedVariable(
                variable.dims, variable._data, variable.attrs, variable.encoding, fastpath=True
            )
    return dataset
