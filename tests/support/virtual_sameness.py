"""Whether two virtual datasets are the same to the last reference, attribute and encoding."""

from __future__ import annotations

from typing import Any

import xarray as xr

from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.joined_files import file_by_file


def described(data: Any) -> Any:
    """A virtual array, to be compared: the segments of all files, and where their chunks lie."""
    assert isinstance(data, VirtualZarrArray)
    segments = []
    for one in (part for segment in data.segments for part in file_by_file(segment)):
        manifest = one.stored.manifest.load()
        columns = [manifest.source, manifest.offset, manifest.length] + ([] if manifest.codec is None else [manifest.codec])
        chunks = [column.tolist() for column in columns]
        stored = one.stored
        segments.append((one.windows, one.axes, one.offset, one.shape, one.packing, stored.codecs, list(stored.sources), chunks))
    return data.shape, data.dtype, repr(data.fill_value), data.decoded, data.mixed, data.time_units, segments


def assert_same(one: xr.Dataset, other: xr.Dataset) -> None:
    assert list(one.variables) == list(other.variables)
    assert list(one.coords) == list(other.coords)
    assert list(one.indexes) == list(other.indexes)
    assert one.sizes == other.sizes
    assert list(one.attrs.items()) == list(other.attrs.items())
    assert one.encoding == other.encoding
    for name in one.variables:
        a, b = one.variables[name], other.variables[name]
        assert a.dims == b.dims, name
        assert a.encoding == b.encoding, name
        if isinstance(b._data, VirtualZarrArray):
            assert described(a._data) == described(b._data), name
            assert list(map(repr, a.attrs.items())) == list(map(repr, b.attrs.items())), name
        else:
            xr.testing.assert_identical(xr.Dataset({"v": a.to_base_variable()}), xr.Dataset({"v": b.to_base_variable()}))
            assert a.dtype == b.dtype, name
    for name in one.indexes:
        assert one.indexes[name].identical(other.indexes[name]), name
        assert one.xindexes[name].coord_dtype == other.xindexes[name].coord_dtype, name
