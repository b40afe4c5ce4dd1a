"""The accessor ``.vzarr`` of datasets and trees."""

from __future__ import annotations

from typing import Any

import xarray as xr

from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.datasets.decode import decode_virtual
from intake_virtualzarr.errors import warn_renamed

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
                    total += getattr(manifest, "nbytes", 0)
        return total

    def decode(self) -> xr.Dataset:
        """The dataset as any xarray engine gives it: decoded and lazy, each segment by its own packing.

        Returns
        -------
        xarray.Dataset
            Values are read when they are asked for; ``.chunk()`` makes dask arrays of them.
        """
        return decode_virtual(self._dataset)

    def to_zarr(self, store: Any, **kwargs: Any) -> Any:
        """Write by reference. See `intake_virtualzarr.datasets.to_zarr.write_dataset`."""
        from intake_virtualzarr.datasets.to_zarr import write_dataset

        return write_dataset(self._dataset, store, **kwargs)

    def to_kerchunk(self, path: Any = None, *, format: str = "json") -> Any:
        """Write as kerchunk references. See `intake_virtualzarr.datasets.to_kerchunk.to_kerchunk`."""
        from intake_virtualzarr.datasets.to_kerchunk import to_kerchunk

        return to_kerchunk(self._dataset, path, format=format)

    def to_icechunk(self, store: Any) -> int:
        """Write virtual references into an Icechunk session. See `intake_virtualzarr.datasets.to_icechunk.to_icechunk`."""
        from intake_virtualzarr.datasets.to_icechunk import to_icechunk

        return to_icechunk(self._dataset, store)


@xr.register_datatree_accessor("vzarr")  # type: ignore[no-untyped-call]
class VirtualZarrTreeAccessor:
    """``tree.vzarr``: writing a tree by reference."""

    def __init__(self, tree: xr.DataTree) -> None:
        self._tree = tree

    def to_zarr(self, store: Any, **kwargs: Any) -> Any:
        """Write all groups by reference. See `intake_virtualzarr.datasets.to_zarr.write_datatree`."""
        from intake_virtualzarr.datasets.to_zarr import write_datatree

        return write_datatree(self._tree, store, **kwargs)

    def to_kerchunk(self, path: Any = None, *, format: str = "json") -> Any:
        """Write all groups as kerchunk references. See `intake_virtualzarr.datasets.to_kerchunk.to_kerchunk`."""
        from intake_virtualzarr.datasets.to_kerchunk import to_kerchunk

        return to_kerchunk(self._tree, path, format=format)

    def to_icechunk(self, store: Any) -> int:
        """Write all groups into an Icechunk session. See `intake_virtualzarr.datasets.to_icechunk.to_icechunk`."""
        from intake_virtualzarr.datasets.to_icechunk import to_icechunk

        return to_icechunk(self._tree, store)
