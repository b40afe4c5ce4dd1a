"""What a user writes into ``encoding`` is applied to values, and refused where values are references."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import UnsupportedError, VirtualZarrError
from intake_virtualzarr.hierarchy.reader import Hierarchy
from intake_virtualzarr.storage.key_value import keys_of


@pytest.fixture
def virtual(tmp_path) -> xr.Dataset:
    dataset = xr.Dataset({"v": (("t", "x"), np.arange(6.0).reshape(2, 3))}, {"t": [0, 1], "x": [0.0, 0.5, 1.0]})
    dataset.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    return ivz.open_virtual_dataset(tmp_path / "a.nc")


def stored(store) -> Hierarchy:
    return Hierarchy(keys_of(str(store)))


def test_values_are_packed_as_their_encoding_says(virtual, tmp_path):
    values = np.array([0.126, np.nan, 1.5])
    encoding = {"scale_factor": 0.01, "add_offset": 1.0, "dtype": "int16", "_FillValue": np.int16(-99)}
    virtual["height"] = xr.Variable("x", values, {"units": "m"}, encoding)
    virtual.vzarr.to_zarr(tmp_path / "s.vzarr")
    assert stored(tmp_path / "s.vzarr").documents["height"]["data_type"] == "int16"
    opened = xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr")["height"]
    np.testing.assert_allclose(opened, [0.13, np.nan, 1.5])
    assert opened.encoding["scale_factor"] == 0.01
    assert opened.attrs == {"units": "m"}
    expected = xr.Dataset({"height": virtual["height"].variable})
    expected.to_netcdf(tmp_path / "direct.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "direct.nc", engine="h5netcdf") as direct:
        np.testing.assert_array_equal(opened, direct["height"])


@pytest.mark.parametrize(
    "encoding",
    [
        {"scale_factor": 0.001, "dtype": "int8"},
        {"dtype": "int16"},
        {"dtype": "int8", "_FillValue": np.int8(1), "scale_factor": 1.5},
    ],
)
def test_an_encoding_that_does_not_hold_the_values_is_refused(virtual, tmp_path, encoding):
    virtual["height"] = xr.Variable("x", np.array([np.nan, 1.5, 1000.25]), {}, encoding)
    with pytest.raises(UnsupportedError, match=r"height: .* its encoding"):
        virtual.vzarr.to_zarr(tmp_path / "s.vzarr")


def test_an_encoding_that_came_with_a_file_does_not_change_values_that_were_computed_since(tmp_path):
    path = tmp_path / "packed.nc"
    encoding = {"height": {"scale_factor": 0.5, "dtype": "int16", "_FillValue": np.int16(-1)}}
    direct = xr.Dataset({"v": ("x", [1.0, 2.0])}, {"x": [0, 1], "height": ("x", [0.5, 1.0])})
    direct.to_netcdf(path, engine="h5netcdf", encoding=encoding)
    virtual = ivz.open_virtual_dataset(path)
    virtual["height"].values[:] = [0.126, 1.0]
    virtual.vzarr.to_zarr(tmp_path / "s.vzarr")
    np.testing.assert_array_equal(xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr")["height"], [0.126, 1.0])


@pytest.mark.parametrize("key", ["scale_factor", "add_offset", "_FillValue"])
def test_references_are_not_packed_anew(virtual, tmp_path, key):
    virtual["v"].encoding[key] = 0.5
    with pytest.raises(UnsupportedError, match=rf"v: its encoding asks for {key}=0.5.*load the variable first"):
        virtual.vzarr.to_zarr(tmp_path / "s.vzarr")


def test_what_is_appended_is_not_cut_to_the_type_of_the_store(virtual, tmp_path):
    virtual.vzarr.to_zarr(tmp_path / "s.vzarr")
    later = virtual.assign_coords(t=[1.5, 2.0])
    with pytest.raises(VirtualZarrError, match="t: "):
        later.vzarr.to_zarr(tmp_path / "s.vzarr", append_dim="t")
