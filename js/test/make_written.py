"""Write stores with the Python package, in every form that its writer has, and what plain xarray makes of the same files.

Needs the Python package. Usage: make_written.py DIR
"""

import json
import sys
from pathlib import Path

import numpy as np
import xarray as xr

import intake_virtualzarr as ivz

sys.path.insert(0, str(Path(__file__).parents[2] / "conformance"))
from make_vectors import jsonable

LENGTHS = (31, 28, 31)
RNG = np.random.default_rng(5)


def write_files(folder):
    """Three months of uneven length; the last is packed with another scale in ``temp``, alike in ``salt``."""
    folder.mkdir()
    paths, start = [], 0
    for month, days in enumerate(LENGTHS):
        values = np.round(RNG.normal(15, 4, (days, 6, 8)), 2)
        values[:, 1, 2] = np.nan
        dataset = xr.Dataset(
            {
                "temp": (("time", "lat", "lon"), values, {"units": "degC"}),
                "salt": (("time", "lat", "lon"), np.round(values / 2, 1)),
                "wind": (("time", "lat", "lon"), values.astype("f4")),
                "flag": (("time", "lat"), RNG.integers(-100, 100, (days, 6)).astype("i8") * 2**50),
            },
            {"time": np.arange(start, start + days), "lat": np.linspace(-50, 50, 6), "lon": np.linspace(0, 315, 8)},
        )
        storage = {"zlib": True, "shuffle": True, "fletcher32": True, "chunksizes": (10, 3, 8)}
        packed = {"dtype": "int16", "_FillValue": np.int16(-32767), "add_offset": np.float32(3.0)}
        encoding = {
            "temp": packed | {"scale_factor": np.float32(0.02 if month == 2 else 0.01)} | storage,
            "salt": packed | {"scale_factor": np.float32(0.05)} | storage,
            "wind": {"_FillValue": np.float32(np.nan), **storage, "chunksizes": (12 if month == 1 else 10, 3, 8)},
            "flag": {"zlib": True, "chunksizes": (1, 2)},
        }
        path = folder / f"{month}.nc"
        dataset.to_netcdf(path, engine="h5netcdf", unlimited_dims=["time"], encoding=encoding)
        paths.append(path)
        start += days
    return paths


def main(root):
    paths = write_files(root / "data")
    virtual = ivz.open_virtual_mfdataset(paths, combine="nested", concat_dim="time")
    raw = xr.open_mfdataset(paths, engine="h5netcdf", combine="nested", concat_dim="time", mask_and_scale=False).load()
    with xr.open_mfdataset(paths, engine="h5netcdf", combine="nested", concat_dim="time") as dataset:
        decoded = dataset.load()
    # packed alike, values stay packed; packed differently, the members are decoded
    plain = raw.assign(temp=decoded["temp"])
    part = {"time": slice(3, 80, 7), "lat": slice(None, None, -1), "lon": slice(1, 6, 2)}
    halves = xr.concat([virtual.isel(lon=slice(3, 8)), virtual.isel(lon=slice(0, 3))], "lon", data_vars="minimal")
    cases = {
        "fused": (virtual, plain, {}),
        "members": (virtual, plain, {"fuse": False}),
        "part": (virtual.isel(part), plain.isel(part), {}),
        "turned": (virtual.transpose("lon", "time", "lat"), plain.transpose("lon", "time", "lat"), {}),
        "new_axis": (virtual.isel(time=0).expand_dims(run=[1]), plain.isel(time=0).expand_dims(run=[1]), {}),
        "two_axes": (halves, plain.isel(lon=[3, 4, 5, 6, 7, 0, 1, 2]), {"fuse": False}),
    }
    expected = {}
    for name, (written, want, options) in cases.items():
        written.vzarr.to_zarr(root / f"{name}.vzarr", **options)
        expected[name] = expectation(want)
    for month, path in enumerate(paths):
        opened = ivz.open_virtual_dataset(path)[["salt", "wind", "flag"]]
        opened.vzarr.to_zarr(root / "appended.vzarr", **({"append_dim": "time"} if month else {}))
    expected["appended"] = expectation(plain[["salt", "wind", "flag"]])
    (root / "expected.json").write_text(json.dumps(expected))


def expectation(dataset):
    return {
        name: {"shape": list(variable.shape), "dtype": variable.dtype.name, "values": jsonable(variable.values)}
        for name, variable in dataset.data_vars.items()
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
