"""xarray's doors: the backend ``engine="virtualzarr"`` and the accessor ``.vzarr``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing

from intake_virtualzarr._typing import Attrs
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.cf_decode import decoding_array
from intake_virtualzarr.arrays.left_out import warn_left_out
from intake_virtualzarr.arrays.segments import Window
from intake_virtualzarr.arrays.tree import VirtualGroup, VirtualTree
from intake_virtualzarr.arrays.vindex import read_points
from intake_virtualzarr.codecs.cf_packing import PACKING_ATTRIBUTES
from intake_virtualzarr.datasets.loadable import decode_integer_scale_factor
from intake_virtualzarr.datasets.virtual_dataset import (
    backend_variables,
    drop_bool_dtype_attr,
    name_set,
    virtual_dataset,
    with_consistent_attrs,
)
from intake_virtualzarr.formats.open import open_tree

__all__ = ["VirtualZarrBackendEntrypoint"]


class VirtualBackendArray(BackendArray):
    """A virtual array behind xarray's lazy indexing."""

    def __init__(self, array: VirtualZarrArray, name: str) -> None:
        self.array = array
        self.name = name
        self.shape = array.shape
        self.dtype = array.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        if isinstance(key, indexing.VectorizedIndexer):  # xarray would read the outer product of all coordinates
            return read_points(self.array, key.tuple, self.name)
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> Any:
        requests: list[Any] = []
        dropped = []
        for axis, part in enumerate(key):
            extent = self.shape[axis]
            if isinstance(part, slice):
                start, stop, step = part.indices(extent)
                requests.append(Window(start, len(range(start, stop, step)), step))
            elif isinstance(part, int | np.integer):
                requests.append(Window(int(part) % extent, 1))
                dropped.append(axis)
            else:
                requests.append(np.asarray(part, dtype=np.int64) % extent)
        values = self.array.read(requests, self.name)
        return values[tuple(0 if axis in dropped else slice(None) for axis in range(len(key)))]


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
    ) -> xr.Dataset:
        """Open a group, decoded and lazy, or (``decode_cf=False``) as virtual arrays."""
        tree = open_tree(filename_or_obj, storage_options=storage_options, format=format, on_unsupported=on_unsupported)
        dropped = name_set(drop_variables)
        node = tree.group(group)
        warn_left_out(tree, node.path, dropped)
        if not mask_and_scale and not decode_times and not decode_coords:
            dataset = virtual_dataset(tree, node, loadable_variables=loadable_variables, drop_variables=dropped)
            return _uncached(dataset)
        decoders = {
            "mask_and_scale": mask_and_scale,
            "decode_times": decode_times,
            "concat_characters": concat_characters,
            "decode_coords": decode_coords,
            "use_cftime": use_cftime,
            "decode_timedelta": decode_timedelta,
        }
        return decoded_dataset(tree, node, dropped, decoders)

    def open_groups_as_dict(self, filename_or_obj: Any, **kwargs: Any) -> dict[str, xr.Dataset]:
        """Open all groups."""
        options = {k: kwargs.pop(k) for k in ("storage_options", "format", "on_unsupported") if k in kwargs}
        tree = open_tree(filename_or_obj, **options)
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
            datasets["/" + path[len(root) :].strip("/") if root != "/" else path] = opened
        return datasets

    def open_datatree(self, filename_or_obj: Any, **kwargs: Any) -> xr.DataTree:
        """Open all groups as a tree."""
        return xr.DataTree.from_dict(self.open_groups_as_dict(filename_or_obj, **kwargs))


def _uncached(dataset: xr.Dataset) -> xr.Dataset:
    """The same dataset with virtual arrays that survive ``xarray.open_dataset``."""
    for name, variable in dataset.variables.items():
        if isinstance(variable._data, VirtualZarrArray):
            dataset._variables[name] = _UncachedVariable(
                variable.dims, variable._data, variable.attrs, variable.encoding, fastpath=True
            )
    return dataset


def decoded_dataset(tree: VirtualTree, group: VirtualGroup, dropped: frozenset[str], decoders: Attrs) -> xr.Dataset:
    """A group as any xarray engine gives it: decoded and lazy."""
    raw = {name: variable for name, variable in backend_variables(tree, group).items() if name not in dropped}
    variables = {name: _lazy(name, variable) for name, variable in raw.items()}
    found, attrs, coord_names = xr.conventions.decode_cf_variables(variables, dict(group.attrs), **decoders)
    decoded = dict(found)
    for name, variable in found.items():
        decoded[name] = _decoded_while_read(name, raw[name], variable, decoders["mask_and_scale"])
    # as xarray's own engines: coordinates last, and without indexes, which `open_dataset` makes (or does not)
    labels = {name for name, variable in decoded.items() if name in coord_names or variable.dims == (name,)}
    coords = xr.Coordinates({name: variable for name, variable in decoded.items() if name in labels}, indexes={})
    dataset = xr.Dataset({n: v for n, v in decoded.items() if n not in labels}, coords=coords, attrs=attrs)
    dataset.encoding["source"] = tree.url
    if group.unlimited:
        dataset.encoding["unlimited_dims"] = set(group.unlimited)
    return dataset


def _decoded_while_read(name: Any, raw: xr.Variable, decoded: xr.Variable, mask_and_scale: Any) -> xr.Variable:
    """Packed numbers decoded on the threads that read them, into the very values that xarray's own steps give."""
    if not isinstance(raw._data, VirtualZarrArray):
        return decoded
    array = decoding_array(raw._data, raw.attrs, decoded.dtype, mask_and_scale)
    if array is None:
        return decoded
    lazy: Any = indexing.LazilyIndexedArray(VirtualBackendArray(array, str(name)))
    return xr.Variable(decoded.dims, lazy, decoded.attrs, decoded.encoding, fastpath=True)


def _lazy(name: str, variable: xr.Variable) -> xr.Variable:
    data: Any = variable._data
    if isinstance(data, VirtualZarrArray):
        data = indexing.LazilyIndexedArray(VirtualBackendArray(data, name))
    return xr.Variable(variable.dims, data, variable.attrs, variable.encoding, fastpath=True)


def decode_virtual(dataset: xr.Dataset) -> xr.Dataset:
    """A virtual dataset as any xarray engine gives it: decoded, lazy, each segment by its own packing."""
    variables: dict[Any, xr.Variable] = {}
    raw: dict[Any, xr.Variable] = {}
    for name, variable in dataset.variables.items():
        data: Any = variable._data
        # what is not virtual was decoded when it was opened, or (loaded on the way, to be compared, say) has its attributes
        attrs, encoding = dict(variable.attrs), dict(variable.encoding)
        if isinstance(data, VirtualZarrArray):
            data, attrs = with_consistent_attrs(data, attrs)
            if encoding.get("dtype") not in (None, str, data.dtype):  # of one file; nobody should pack the others by it
                encoding = {key: value for key, value in encoding.items() if key not in ("dtype", *PACKING_ATTRIBUTES)}
            raw[name] = xr.Variable(variable.dims, data, attrs, encoding, fastpath=True)
            data = indexing.LazilyIndexedArray(VirtualBackendArray(data, str(name)))
        made = xr.Variable(variable.dims, data, drop_bool_dtype_attr(attrs, data.dtype), encoding)
        variables[name] = decode_integer_scale_factor(made) if isinstance(data, np.ndarray) else made
    decoded, kept, names = xr.conventions.decode_cf_variables(variables, dict(dataset.attrs))
    decoded = {name: _decoded_while_read(name, raw.get(name, variable), variable, True) for name, variable in decoded.items()}
    out = xr.Dataset(decoded, attrs=kept).set_coords([*dataset.coords, *names.intersection(decoded)])
    out.encoding = dict(dataset.encoding)
    return out


@xr.register_dataset_accessor("vzarr")  # type: ignore[no-untyped-call]
class VirtualZarrAccessor:
    """``ds.vzarr``: what virtual datasets can do beyond xarray."""

    def __init__(self, dataset: xr.Dataset) -> None:
        self._dataset = dataset

    @property
    def references(self) -> int:
        """Number of stored chunks of all virtual variables."""
        return sum(v._data.references for v in self._dataset.variables.values() if isinstance(v._data, VirtualZarrArray))

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
