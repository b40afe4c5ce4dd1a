"""Each public function that gives a dataset gives one with the accessor, also where nothing else was imported before."""

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

CALLS = [
    "ivz.open_virtual_dataset('0.nc')",
    "ivz.open_virtual_datatree('0.nc')",
    "ivz.open_virtual_mfdataset(['0.nc', '1.nc'])",
    "ivz.virtualize(['0.nc', '1.nc'])",
    "xr.open_dataset('0.nc', engine='virtualzarr')",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for i in range(2):
        values = xr.DataArray(np.arange(4.0), {"time": np.arange(4) + 4 * i}, ("time",), "v")
        values.to_netcdf(folder / f"{i}.nc", engine="h5netcdf")
    return folder


@pytest.mark.parametrize("call", CALLS)
def test_the_accessor_is_there_at_once(call, folder):
    program = f"import intake_virtualzarr as ivz, xarray as xr; print({call}.vzarr)"
    run = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr


def test_waiting_for_xarray_costs_no_import_of_its_own():
    heavy = {"importlib.abc", "importlib.resources", "numpy", "xarray"}
    program = f"import sys; before = set(sys.modules); import intake_virtualzarr; print((set(sys.modules) - before) & {heavy})"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert run.stdout.strip() == "set()", run.stderr
