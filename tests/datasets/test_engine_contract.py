"""What xarray expects of an engine: datasets that close, errors that others raise, an accessor that is there."""

from __future__ import annotations

import inspect
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.datasets.backend import VirtualZarrBackendEntrypoint
from intake_virtualzarr.errors import ArgumentError


@pytest.fixture
def paths(tmp_path):
    for k in range(2):
        ds = xr.Dataset({"v": (("time", "x"), np.full((1, 3), k, "f4"))}, {"time": [k]})
        ds.to_netcdf(tmp_path / f"{k}.nc", engine="h5netcdf")
        ds.to_netcdf(tmp_path / f"{k}.nc", engine="h5netcdf", group="g", mode="a")
    return sorted(tmp_path.glob("*.nc"))


def test_datasets_close(paths):
    with xr.open_mfdataset(paths, engine="virtualzarr") as joined:
        assert float(joined.v.sum()) == 3
    with xr.open_dataset(paths[0], engine="virtualzarr", chunks={}) as one:
        one.load()
    with xr.open_datatree(paths[0], engine="virtualzarr") as tree:
        tree.load()
    with ivz.open_virtual_dataset(paths[0]):
        pass


def test_a_missing_group_is_an_oserror_as_elsewhere(paths):
    with pytest.raises(OSError, match="no group '/h'; there are /, /g"):
        xr.open_dataset(paths[0], engine="virtualzarr", group="h")
    with pytest.raises(ivz.FormatError):
        ivz.open_virtual_dataset(paths[0], group="h")


@pytest.mark.parametrize("order", ["import intake_virtualzarr, xarray", "import xarray, intake_virtualzarr"])
def test_the_accessor_is_there_after_both_imports(order):
    code = f"{order}; xarray.Dataset().vzarr; xarray.DataTree().vzarr; print(type(xarray.__spec__.loader).__name__)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "SourceFileLoader\n"


@pytest.mark.parametrize("open_with", [xr.open_dataset, xr.open_datatree, xr.open_groups])
def test_an_unknown_argument_is_refused_with_the_nearest_known_one(paths, open_with):
    with pytest.raises(ArgumentError, match="engine 'virtualzarr' has no argument 'on_unsuported'; did you mean 'on_unsupported'"):
        open_with(paths[0], engine="virtualzarr", on_unsuported="raise")


def test_the_parameters_that_xarray_is_told_are_those_of_the_methods():
    named = set(VirtualZarrBackendEntrypoint.open_dataset_parameters)
    for method in (VirtualZarrBackendEntrypoint.open_dataset, VirtualZarrBackendEntrypoint.open_groups_as_dict):
        assert set(inspect.signature(method).parameters) == {*named, "self", "unknown"}
