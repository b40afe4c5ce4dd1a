"""Virtual arrays as any xarray engine gives them: decoded and lazy."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from intake_virtualzarr._typing import Attrs
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.cf_decode import decoding_array
from intake_virtualzarr.arrays.segments import Window
from intake_virtualzarr.arrays.tree import VirtualGroup, VirtualTree
from intake_virtualzarr.arrays.vindex import read_points
from intake_virtualzarr.codecs.cf_packing import PACKING_ATTRIBUTES
from intake_virtualzarr.datasets.file_encoding import source_name
from intake_virtualzarr.datasets.loadable import decode_integer_scale_factor
from intake_virtualzarr.datasets.virtual_dataset import (
    backend_variables,
    check_dimensions,
    drop_bool_dtype_attr,
    with_consistent_attrs,
)

__all__ = ["VirtualBackendArray", "decode_virtual", "decoded_dataset"]


class VirtualBackendArray(BackendArray):
    """A virtual array behind xarray's lazy indexing."""

    def __init__(self, array: VirtualZarrArray, name: str) -> None:
        # not ``array``: xarray takes that for something to look into
        self.virtual = array
        self.name = name
        self.shape = array.shape
        self.dtype = array.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        if isinstance(key, indexing.VectorizedIndexer):  # xarray would read the outer product of all coordinates
            return read_points(self.virtual, key.tuple, self.name)
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
        values = self.virtual.read(requests, self.name)
        return values[tuple(0 if axis in dropped else slice(None) for axis in range(len(key)))]


def decoded_dataset(tree: VirtualTree, group: VirtualGroup, dropped: frozenset[str], decoders: Attrs) -> xr.Dataset:
    """A group as any xarray engine gives it: decoded and lazy."""
    raw = {name: variable for name, variable in backend_variables(tree, group).items() if name not in dropped}
    check_dimensions(raw, tree.url)
    variables = {_name(name): _lazy(name, variable) for name, variable in raw.items()}
    raw = {_name(name): variable for name, variable in raw.items()}
    found, attrs, coord_names = xr.conventions.decode_cf_variables(variables, dict(group.attrs), **decoders)
    decoded = dict(found)
    for name, variable in found.items():
        decoded[name] = _decoded_while_read(name, raw[name], variable, decoders["mask_and_scale"])
    # as xarray's own engines: coordinates last, and without indexes, which `open_dataset` makes (or does not)
    labels = {name for name, variable in decoded.items() if name in coord_names or variable.dims == (name,)}
    coords = xr.Coordinates({name: variable for name, variable in decoded.items() if name in labels}, indexes={})
    dataset = xr.Dataset({n: v for n, v in decoded.items() if n not in labels}, coords=coords, attrs=attrs)
    dataset.encoding["source"] = source_name(tree.url)
    dataset.encoding["unlimited_dims"] = set(group.unlimited)
    return dataset


def _name(stored: str) -> Any:
    """A variable without a name is stored under one, as xarray's engines do it."""
    return None if stored == "__values__" else stored


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
