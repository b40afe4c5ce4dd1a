"""Join monthly files of 31, 29 and 31 days in chunks of 10, slice the result by reference, and read it back."""

import tempfile
from pathlib import Path

import numpy as np
import xarray as xr

import intake_virtualzarr as ivz


def write_month(path: Path, month: str, days: int) -> None:
    values = np.random.default_rng(days).normal(288, 5, (days, 18, 36)).astype("float32")
    dataset = xr.Dataset(
        {"t2m": (("time", "lat", "lon"), values, {"units": "K"})},
        coords={"time": xr.date_range(month, periods=days), "lat": np.arange(-85.0, 90, 10), "lon": np.arange(5.0, 360, 10)},
    )
    dataset.to_netcdf(path, engine="h5netcdf", encoding={"t2m": {"zlib": True, "chunksizes": (10, 18, 36)}})


with tempfile.TemporaryDirectory() as folder:
    root = Path(folder)
    months = {"2024-01": 31, "2024-02": 29, "2024-03": 31}
    paths = [root / f"t2m_{month}.nc" for month in months]
    for path, (month, days) in zip(paths, months.items(), strict=True):
        write_month(path, month, days)

    cube = ivz.open_virtual_mfdataset(paths)
    print(cube.t2m.data)  # cut chunks in the middle: 10 10 10 1 10 10 9 …

    # Every second day north of the equator: windows on chunks, still no values.
    north = cube.isel(time=slice(None, None, 2)).sel(lat=slice(0, 90))
    written = north.vzarr.to_zarr(root / "north.vzarr")
    print(f"{written.nbytes} bytes for {written.references} references to {len(paths)} files")

    stored = xr.open_dataset(root / "north.vzarr", engine="virtualzarr", chunks={})
    with xr.open_mfdataset(paths, engine="h5netcdf") as direct:
        expected = direct.isel(time=slice(None, None, 2)).sel(lat=slice(0, 90))
        xr.testing.assert_equal(stored.load(), expected.load())
    print("equal to xr.open_mfdataset")
