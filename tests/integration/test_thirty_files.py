"""Months of uneven length in chunks of ten days: cut chunks lie in the middle of the joined array."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr

import intake_virtualzarr as ivz


@pytest.fixture(scope="module")
def months(tmp_path_factory):
    """Thirty files of 31, 28, 31 … days; each ends with a chunk that is seen in part."""
    directory = tmp_path_factory.mktemp("months")
    random = np.random.default_rng(1)
    paths = []
    for start in pd.date_range("2001-01-01", periods=30, freq="MS"):
        time = pd.date_range(start, periods=start.days_in_month)
        values = random.normal(15, 5, (time.size, 6, 8)).astype("f4")
        values[:, 0, 0] = np.nan
        coords = {"time": time, "lat": np.arange(6.0), "lon": np.arange(8.0)}
        ds = xr.Dataset({"sst": (("time", "lat", "lon"), values)}, coords=coords)
        path = directory / f"{start:%Y-%m}.nc"
        encoding = {"sst": {"chunksizes": (10, 3, 8), "zlib": True, "shuffle": True, "dtype": "i2", "scale_factor": 0.01}}
        encoding["sst"]["_FillValue"] = -32768
        encoding["time"] = {"units": f"hours since {start:%Y-%m-%d}"}
        ds.to_netcdf(path, engine="h5netcdf", encoding=encoding)
        paths.append(path)
    with xr.open_mfdataset(paths, engine="h5netcdf") as expected:
        return paths, expected.load()


@pytest.mark.parametrize("fuse", [True, False], ids=["one manifest", "concatenation"])
@pytest.mark.parametrize("rectilinear", [True, False])
def test_thirty_months_equal_plain_xarray(months, tmp_path, fuse, rectilinear):
    paths, expected = months
    store = tmp_path / "sst.vzarr"
    ivz.open_virtual_mfdataset(paths).vzarr.to_zarr(store, fuse=fuse)
    with xr.open_dataset(store, engine="virtualzarr", chunks={}) as opened:
        xr.testing.assert_equal(opened.load(), expected)
    with zarr.config.set({"array.rectilinear_chunks": rectilinear}):
        opened = xr.open_zarr(ivz.VirtualZarrStore(store), chunks=None).load()
    xr.testing.assert_equal(opened, expected)


def test_days_across_a_cut_chunk_are_those_of_the_files(months):
    paths, expected = months
    joined = ivz.open_virtual_mfdataset(paths).sel(time=slice("2001-01-29", "2001-03-02"))
    xr.testing.assert_equal(joined.vzarr.decode().load(), expected.sel(time=slice("2001-01-29", "2001-03-02")))


def test_months_appended_one_by_one_equal_the_join(months, tmp_path):
    paths, expected = months
    store = tmp_path / "sst.vzarr"
    first, *rest = [ivz.open_virtual_dataset(path) for path in paths[:4]]
    first.vzarr.to_zarr(store)
    for month in rest:
        month.vzarr.to_zarr(store, append_dim="time")
    with xr.open_dataset(store, engine="virtualzarr") as opened:
        xr.testing.assert_equal(opened.load(), expected.isel(time=slice(0, opened.sizes["time"])))
