"""Reading a store over http leaves fsspec (and zarr-python, which imports it) alone.

Not through ``xarray.open_dataset``: that imports the engines of all installed packages, and some of these import zarr.
"""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import xarray as xr
from support.helpers import serving

import intake_virtualzarr as ivz

READ = """
import sys
import intake_virtualzarr as ivz
ds = ivz.open_virtual_dataset({url!r}).vzarr.decode()
print(float(ds["v"].values.sum()), sorted(m for m in ("fsspec", "zarr") if m in sys.modules))
"""


def test_a_store_is_read_over_http_and_fsspec_is_not_imported(tmp_path):
    values = np.arange(60.0).reshape(5, 12)
    ds = xr.Dataset({"v": (("t", "x"), values)}, coords={"t": np.arange(5)})
    ds.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding={"v": {"chunksizes": (2, 12), "zlib": True, "_FillValue": np.nan}})
    ivz.open_virtual_dataset(tmp_path / "a.nc").vzarr.to_zarr(tmp_path / "s.vzarr")
    with serving(tmp_path) as server:
        code = READ.format(url=f"{server.url}/s.vzarr")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split(maxsplit=1) == [str(values.sum()), "[]\n"]
