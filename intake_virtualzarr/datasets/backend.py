"""The backend ``engine="virtualzarr"`` of xarray."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import xarray as xr
from xarray.backends import BackendEntrypoint
from xarray.core import indexing

import intake_virtualzarr.datasets.accessor  # noqa: F401 - registers ``.vzarr``
from intake_virtualzarr._typing import Attrs, FormatLike, JsonObject
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.left_out import warn_left_out
from intake_virtualzarr.arrays.tree import VirtualGroup, VirtualTree
from intake_virtualzarr.datasets.decode import decoded_dataset
from intake_virtualzarr.datasets.open_options import name_set, names_or_none
from intake_virtualzarr.datasets.unknown_arguments import refuse_unknown
from intake_virtualzarr.datasets.virtual_dataset import virtual_dataset
from intake_virtualzarr.formats.open import open_tree
from intake_virtualzarr.storage.options import Access, StorageOptions
from intake_virtualzarr.storage.policy import Allow

__all__ = ["VirtualZarrBackendEntrypoint"]


type Decode = bool | Mapping[str, bool] | None
"""Whether to decode: all variables alike, or by name."""

DECODERS = ("mask_and_scale", "decode_times", "concat_characters", "decode_coords", "use_cftime", "decode_timedelta")
"""Arguments that xarray decodes by."""
ENGINE = "engine 'virtualzarr'"


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
        mask_and_scale: Decode = True,
        decode_times: Decode = True,
        concat_characters: Decode = True,
        decode_coords: Decode | Literal["coordinates", "all"] = True,
        drop_variables: str | Iterable[str] | None = None,
        use_cftime: Decode = None,
        decode_timedelta: Decode = None,
        group: str | None = None,
        loadable_variables: str | Iterable[str] | None = None,
        storage_options: StorageOptions = None,
        on_unsupported: str = "skip",
        format: FormatLike = None,
        allow: Allow = None,
        keep_query: str | Iterable[str] = (),
        **unknown: Any,
    ) -> xr.Dataset:
        """Open a group, decoded and lazy, or (``decode_cf=False``) as virtual arrays.

        Parameters
        ----------
        filename_or_obj : path, URL or zarr store
            What to open.
        mask_and_scale, decode_times, concat_characters, decode_coords, use_cftime, decode_timedelta : optional
            As for `xarray.open_dataset`.
        drop_variables : str or iterable of str, optional
            Variables to drop unread.
        group : str, optional
            Path of the group; default: the root.
        loadable_variables : str or iterable of str, optional
            Of a virtual dataset (``decode_cf=False``), variables whose values are read now; default: one-dimensional coordinates
            and scalars.
        storage_options : mapping or Access, optional
            Options for opening, by URL prefix; without prefixes, for the place that is opened.
        on_unsupported : {"skip", "raise"}
            What to do about variables that cannot be stored by reference.
        format : str or parser, optional
            Name of the format, or a parser of VirtualiZarr; default: detected automatically.
        allow : str or list of str, optional
            URL prefixes and paths that documents from a network may name, beside their own places.
        keep_query : str or iterable of str, optional
            Names of query parameters that are part of the name of a file.

        Raises
        ------
        ArgumentError
            For an argument that is not known, with the nearest known one.
        """
        opened = _Opened.of(locals())
        node = opened.tree.group(group)
        warn_left_out(opened.tree, node.path, opened.dropped)
        return opened.dataset(node)

    def open_groups_as_dict(
        self,
        filename_or_obj: Any,
        *,
        mask_and_scale: Decode = True,
        decode_times: Decode = True,
        concat_characters: Decode = True,
        decode_coords: Decode | Literal["coordinates", "all"] = True,
        drop_variables: str | Iterable[str] | None = None,
        use_cftime: Decode = None,
        decode_timedelta: Decode = None,
        group: str | None = None,
        loadable_variables: str | Iterable[str] | None = None,
        storage_options: StorageOptions = None,
        on_unsupported: str = "skip",
        format: FormatLike = None,
        allow: Allow = None,
        keep_query: str | Iterable[str] = (),
        **unknown: Any,
    ) -> dict[str, xr.Dataset]:
        """Open all groups, or all below one, by path. Arguments are those of `open_dataset`."""
        opened = _Opened.of(locals())
        groups = opened.tree.groups
        root = "/" + (group or "").strip("/")
        paths = [p for p in groups if root == "/" or p == root or p.startswith(root + "/")]
        if not paths:
            opened.tree.group(root)
        for path in paths:
            warn_left_out(opened.tree, path, opened.dropped)
        return {"/" + path[len(root) :].strip("/") if root != "/" else path: opened.dataset(groups[path]) for path in paths}

    def open_datatree(self, filename_or_obj: Any, **arguments: Any) -> xr.DataTree:
        """Open all groups as a tree. Arguments are those of `open_dataset`."""
        tree = xr.DataTree.from_dict(self.open_groups_as_dict(filename_or_obj, **arguments))
        tree.set_close(_nothing_to_close)
        return tree


@dataclass(frozen=True)
class _Opened:
    """What is opened, and how its groups are read: the arguments of `open_dataset`, of which all groups have the same."""

    tree: VirtualTree
    dropped: frozenset[str]
    loadable: frozenset[str] | None
    decoders: JsonObject
    """Which decoders of CF work, by xarray's names."""

    @classmethod
    def of(cls, given: Attrs) -> _Opened:
        """Open what the arguments of a method name."""
        refuse_unknown(given["unknown"], VirtualZarrBackendEntrypoint.open_dataset_parameters, ENGINE)
        access = Access.of(given["storage_options"], allow=given["allow"], keep_query=given["keep_query"])
        tree = open_tree(
            given["filename_or_obj"], storage_options=access, format=given["format"], on_unsupported=given["on_unsupported"]
        )
        dropped, loadable = name_set(given["drop_variables"]), names_or_none(given["loadable_variables"])
        return cls(tree, dropped, loadable, {name: given[name] for name in DECODERS})

    def dataset(self, node: VirtualGroup) -> xr.Dataset:
        """One group, decoded and lazy, or as virtual arrays where nothing is to be decoded."""
        if not any(self.decoders[name] for name in ("mask_and_scale", "decode_times", "decode_coords")):
            return _closable(
                _uncached(virtual_dataset(self.tree, node, loadable_variables=self.loadable, drop_variables=self.dropped))
            )
        return _closable(decoded_dataset(self.tree, node, self.dropped, self.decoders))


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
