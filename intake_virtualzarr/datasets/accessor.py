"""The accessor ``.vzarr`` of datasets and trees."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import xarray as xr

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.tree_html import ShownVariable, arrays_html
from intake_virtualzarr.datasets.decode import decode_virtual
from intake_virtualzarr.errors import warn_renamed
from intake_virtualzarr.storage.readers import Access

if TYPE_CHECKING:
    from intake_virtualzarr.hierarchy.writer import WriteReport

__all__ = ["VirtualZarrAccessor", "VirtualZarrTreeAccessor"]


@xr.register_dataset_accessor("vzarr")  # type: ignore[no-untyped-call]
class VirtualZarrAccessor:
    """``ds.vzarr``: what virtual datasets can do beyond xarray."""

    def __init__(self, dataset: xr.Dataset) -> None:
        self._dataset = dataset

    @property
    def references(self) -> int:
        """Deprecated: use `n_references`."""
        warn_renamed(".vzarr.references", ".vzarr.n_references")
        return self.n_references

    @property
    def n_references(self) -> int:
        """Number of stored chunks of all virtual variables."""
        return sum(v._data.n_references for v in self._dataset.variables.values() if isinstance(v._data, VirtualZarrArray))

    @property
    def nbytes(self) -> int:
        """Memory of the manifests and loaded variables [bytes], not of the values that they stand for."""
        total = 0
        seen: set[int] = set()
        for variable in self._dataset.variables.values():
            data = variable._data
            if not isinstance(data, VirtualZarrArray):
                total += variable.nbytes
                continue
            for segment in data.segments:
                manifest = segment.stored.manifest
                if id(manifest) not in seen:
                    seen.add(id(manifest))
                    total += manifest.nbytes
        return total

    def __repr__(self) -> str:
        virtual = sum(isinstance(v._data, VirtualZarrArray) for v in self._dataset.variables.values())
        return f"<.vzarr of {virtual} virtual and {len(self._dataset.variables) - virtual} loaded variables>"

    def _repr_html_(self) -> str:
        shown = (ShownVariable(str(name), v.dims, v._data) for name, v in self._dataset.variables.items())
        return arrays_html("Virtual dataset", shown)

    def decode(self) -> xr.Dataset:
        """The dataset as any xarray engine gives it: decoded and lazy, each segment by its own packing.

        Returns
        -------
        xarray.Dataset
            Values are read when they are asked for; ``.chunk()`` makes dask arrays of them.
        """
        return decode_virtual(self._dataset)

    def to_zarr(
        self,
        store: Any,
        *,
        mode: str | None = None,
        group: str | None = None,
        append_dim: Hashable | None = None,
        region: Mapping[str, slice] | None = None,
        fuse: bool = True,
        storage_options: Access | Attrs | None = None,
    ) -> WriteReport:
        """Write by reference: a hierarchy of manifests that copies no data.

        Parameters
        ----------
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
        from intake_virtualzarr.datasets.to_zarr import write_dataset

        return write_dataset(
            self._dataset,
            store,
            mode=mode,
            group=group,
            append_dim=append_dim,
            region=region,
            fuse=fuse,
            storage_options=storage_options,
        )

    def to_kerchunk(
        self, path: str | os.PathLike[str] | None = None, *, format: str = "json", zarr_format: int = 2
    ) -> JsonObject | None:
        """Write as kerchunk references.

        Parameters
        ----------
        path : path, optional
            File to write (a directory for Parquet); without it the references are returned.
        format : {"json", "parquet"}
            Form of the references. Parquet needs ``path`` and the extra ``kerchunk``.
        zarr_format : {2, 3}
            Version of the Zarr metadata. ``engine="kerchunk"`` and Parquet know version 2 only.

        Returns
        -------
        dict or None
            ``{"version": 1, "refs": {…}}`` if no path was given.

        Raises
        ------
        UnsupportedError
            If a variable has no form as plain references (the message says why), or for another ``format``.
        """
        from intake_virtualzarr.datasets.to_kerchunk import to_kerchunk

        return to_kerchunk(self._dataset, path, format=format, zarr_format=zarr_format)

    def to_icechunk(self, store: Any) -> int:
        """Write virtual references into an Icechunk session; the caller commits.

        Parameters
        ----------
        store : icechunk.IcechunkStore
            ``session.store`` of a writable session, whose repository knows the places of the files as virtual chunk containers.

        Returns
        -------
        int
            Number of virtual references written.

        Raises
        ------
        UnsupportedError
            If a variable has no form as plain references.
        HierarchyError
            If Icechunk refuses: the session is read-only, or no container of the repository holds a source file.
        MissingExtraError
            If Icechunk is not installed.
        """
        from intake_virtualzarr.datasets.to_icechunk import to_icechunk

        return to_icechunk(self._dataset, store)


@xr.register_datatree_accessor("vzarr")  # type: ignore[no-untyped-call]
class VirtualZarrTreeAccessor:
    """``tree.vzarr``: writing a tree by reference."""

    def __init__(self, tree: xr.DataTree) -> None:
        self._tree = tree

    def to_zarr(
        self,
        store: Any,
        *,
        mode: str | None = None,
        append_dim: Hashable | None = None,
        fuse: bool = True,
        storage_options: Access | Attrs | None = None,
    ) -> WriteReport:
        """Write all groups by reference: one hierarchy of manifests that copies no data.

        Parameters
        ----------
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
        from intake_virtualzarr.datasets.to_zarr import write_datatree

        return write_datatree(self._tree, store, mode=mode, append_dim=append_dim, fuse=fuse, storage_options=storage_options)

    def to_kerchunk(
        self, path: str | os.PathLike[str] | None = None, *, format: str = "json", zarr_format: int = 2
    ) -> JsonObject | None:
        """Write all groups as kerchunk references.

        Parameters
        ----------
        path : path, optional
            File to write (a directory for Parquet); without it the references are returned.
        format : {"json", "parquet"}
            Form of the references. Parquet needs ``path`` and the extra ``kerchunk``.
        zarr_format : {2, 3}
            Version of the Zarr metadata. ``engine="kerchunk"`` and Parquet know version 2 only.

        Returns
        -------
        dict or None
            ``{"version": 1, "refs": {…}}`` if no path was given.

        Raises
        ------
        UnsupportedError
            If a variable has no form as plain references (the message says why), or for another ``format``.
        """
        from intake_virtualzarr.datasets.to_kerchunk import to_kerchunk

        return to_kerchunk(self._tree, path, format=format, zarr_format=zarr_format)

    def to_icechunk(self, store: Any) -> int:
        """Write all groups into an Icechunk session; the caller commits.

        Parameters
        ----------
        store : icechunk.IcechunkStore
            ``session.store`` of a writable session, whose repository knows the places of the files as virtual chunk containers.

        Returns
        -------
        int
            Number of virtual references written.

        Raises
        ------
        UnsupportedError
            If a variable has no form as plain references.
        HierarchyError
            If Icechunk refuses: the session is read-only, or no container of the repository holds a source file.
        MissingExtraError
            If Icechunk is not installed.
        """
        from intake_virtualzarr.datasets.to_icechunk import to_icechunk

        return to_icechunk(self._tree, store)
