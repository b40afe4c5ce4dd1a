"""Values at listed points, through xarray's pointwise indexing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import helpers, strategies

from intake_virtualzarr.arrays import vindex as points
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.chunk_grid import AxisGrid
from intake_virtualzarr.arrays.vindex import read_points


@given(data=st.data())
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_points_are_those_of_numpy(tmp_path_factory, data):
    factory = strategies.Factory(tmp_path_factory.mktemp("points"))
    shape = tuple(data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=3)))
    array, values = data.draw(strategies.virtual_arrays(factory, shape=shape))
    if data.draw(st.booleans()):
        array, values = np.concatenate([array, array[::-1]]), np.concatenate([values, values[::-1]])
    shape = values.shape
    listed = data.draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)).filter(any))
    spread = data.draw(st.sampled_from([(4,), (2, 3), (0,), ()]))
    key = []
    for extent, is_listed in zip(shape, listed, strict=True):
        if is_listed:
            some = st.integers(-extent, extent - 1)
            size = int(np.prod(spread, dtype=int))
            key.append(np.array(data.draw(st.lists(some, min_size=size, max_size=size)), np.int64).reshape(spread))
        else:
            key.append(data.draw(strategies.slices(extent)))
    axes = [axis for axis, is_listed in enumerate(listed) if is_listed]
    others = [axis for axis in range(len(shape)) if axis not in axes]
    moved = values.transpose(*axes, *others)
    expected = moved[(*(key[a] for a in axes), *(key[a] for a in others))]
    found = read_points(array, key)
    assert found.dtype == values.dtype
    assert np.array_equal(found, expected, equal_nan=values.dtype.kind == "f")


def test_a_point_outside_is_an_error_that_names_the_axis(tmp_path):
    axes = [AxisGrid.regular(2, 2), AxisGrid.regular(3, 2)]
    stored, _ = helpers.store_array(tmp_path / "a.bin", np.arange(6.0).reshape(2, 3), axes)
    with pytest.raises(IndexError, match="index 3 is out of bounds for axis 1 with size 3"):
        read_points(VirtualZarrArray.from_stored(stored), [np.array([0]), np.array([3])])


@pytest.fixture
def track(tmp_path: Path) -> Path:
    """A field of 40 by 50 chunks, and times."""
    path = tmp_path / "field.nc"
    values = xr.DataArray(
        np.arange(3 * 400 * 500, dtype="i4").reshape(3, 400, 500),
        dims=("time", "y", "x"),
        coords={"time": np.array(["2000-01-01", "2000-01-02", "2000-01-05"], "M8[ns]")},
        name="v",
    )
    values.to_netcdf(path, engine="h5netcdf", encoding={"v": {"chunksizes": (1, 10, 10), "zlib": True, "_FillValue": 7}})
    return path


@pytest.mark.parametrize("at_once", [1000, 10**8])
def test_a_track_reads_the_chunks_that_it_crosses(track, monkeypatch, at_once):
    monkeypatch.setattr(points, "AT_ONCE", at_once)
    rng = np.random.default_rng(1)
    where = {
        "time": xr.DataArray(rng.integers(0, 3, 60), dims="p"),
        "y": xr.DataArray(np.linspace(0, 399, 60).astype(int), dims="p"),
        "x": xr.DataArray(np.linspace(499, 0, 60).astype(int), dims="p"),
    }
    with xr.open_dataset(track, engine="h5netcdf") as plain:
        expected = plain.load()
    boxes = []
    read_many = VirtualZarrArray.read_many

    def noted(array, requests, *args):
        boxes.extend(requests)
        return read_many(array, requests, *args)

    monkeypatch.setattr(VirtualZarrArray, "read_many", noted)
    with helpers.serving(track.parent) as server, xr.open_dataset(f"{server.url}/field.nc", engine="virtualzarr") as ds:
        ds.time.load()
        xr.testing.assert_identical(ds.isel(where).load(), expected.isel(where))
        elements = sum(np.prod([window.count for window in box]) for box in boxes if len(box) == 3)
        assert 60 <= elements <= 600, "the boxes of the points in each chunk, not the outer product"
        for partly in ({"y": where["y"], "x": where["x"]}, {"time": where["time"], "x": where["x"]}):
            xr.testing.assert_identical(ds.isel(partly).load(), expected.isel(partly))
            xr.testing.assert_identical(ds.isel(partly).isel(p=3).load(), expected.isel(partly).isel(p=3))
