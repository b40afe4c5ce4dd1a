"""Small kinds that users brought: each once gave a wrong value, a lost attribute or an error that told nothing."""

from __future__ import annotations

from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr
from h5py import h5d, h5f, h5s, h5t

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import VirtualZarrError


@pytest.fixture
def packed(tmp_path) -> xr.Dataset:
    encoding = {"t": {"dtype": "i2", "scale_factor": 0.01, "add_offset": 273.15, "_FillValue": -1}}
    dataset = xr.Dataset({"t": (("y", "x"), np.full((4, 4), 290.0))}, {"y": np.arange(4.0), "x": np.arange(4.0)})
    dataset.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding=encoding)
    return ivz.open_virtual_dataset(tmp_path / "a.nc")


@pytest.mark.parametrize(
    "compute",
    [
        lambda v: v.t.mean(),
        lambda v: v.interp(x=0.5).t.values,
        lambda v: v.groupby("y").mean().t.values,
        lambda v: v.t + 1,
        lambda v: v.t.cumsum("x"),
        lambda v: v.coarsen(x=2).mean(),
        lambda v: v.t.rolling(x=2).mean(),
    ],
    ids=["mean", "interp", "groupby", "add", "cumsum", "coarsen", "rolling"],
)
def test_packed_numbers_are_not_computed_with(packed, compute):
    with pytest.raises(Exception, match=r"\.vzarr\.decode\(\)"):
        compute(packed)
    assert np.isfinite(float(packed.vzarr.decode().t.mean()))


POLICIES = {"drop": {}, "drop_conflicts": {"title": "x"}, "override": {"title": "x", "n": 0}}


@pytest.mark.parametrize(("policy", "expected"), POLICIES.items())
def test_attributes_are_joined_by_the_policy(tmp_path, policy, expected):
    paths = [tmp_path / f"{n}.nc" for n in range(2)]
    for n, path in enumerate(paths):
        xr.Dataset({"v": ("t", [1.0])}, {"t": [n]}, {"title": "x", "n": n}).to_netcdf(path, engine="h5netcdf")
    assert ivz.open_virtual_mfdataset(paths, combine_attrs=policy).attrs == expected


def test_a_coordinates_attribute_names_what_is_there_and_what_is_not(tmp_path):
    path = tmp_path / "a.nc"
    xr.Dataset({"v": ("t", np.arange(3.0)), "lat": ((), 5.0)}).to_netcdf(path, engine="h5netcdf")
    with h5py.File(path, "r+") as file:
        file["v"].attrs["coordinates"] = "lat absent"
    with xr.open_dataset(path, engine="h5netcdf") as direct:
        assert set(ivz.open_virtual_dataset(path).coords) == set(direct.coords) == {"lat"}
    assert set(xr.open_dataset(path, engine="virtualzarr").coords) == {"lat"}


def odd_float() -> h5t.TypeFloatID:
    """16 bits whose exponent has a bias of its own."""
    kind = h5t.IEEE_F16LE.copy()
    kind.set_fields(14, 9, 5, 0, 9)
    kind.set_size(2)
    kind.set_ebias(53)
    kind.lock()
    return kind


def test_floats_with_a_bias_of_their_own_are_exact_or_left_out(tmp_path):
    path = tmp_path / "a.h5"
    file = h5f.create(str(path).encode())
    values = np.array([-1.50066626e-09, 1.40062184e-09, 1.81216819e-10], "f4")
    h5d.create(file, b"v", odd_float(), h5s.create_simple((3,))).write(h5s.ALL, h5s.ALL, values)
    file.close()
    with h5py.File(path) as direct:
        expected = direct["v"][...]
    try:
        opened = xr.open_dataset(path, engine="virtualzarr")
    except UserWarning as exc:  # says what is left out
        assert "v" in str(exc)
        return
    np.testing.assert_array_equal(opened["v"], expected)


def words(path: Path, time: float, text: str) -> Path:
    """One word, as characters on an axis of its own."""
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("time", None), ("strlen", len(text))):
            file.createDimension(name, size)
        file.createVariable("time", "f8", "time")[:] = [time]
        file.createVariable("name", "S1", ("time", "strlen"))[:] = np.array([list(text)], "S1")
    return path


@pytest.mark.parametrize("later", ["abcdef", "abc", "abcdefghi"])
def test_words_that_are_appended_are_whole_or_refused(tmp_path, later):
    paths = [words(tmp_path / "a.nc", 0.0, "abcdef"), words(tmp_path / "b.nc", 1.0, later)]
    store = tmp_path / "s.vzarr"
    ivz.open_virtual_dataset(paths[0]).vzarr.to_zarr(store)
    try:
        ivz.open_virtual_dataset(paths[1]).vzarr.to_zarr(store, append_dim="time")
    except VirtualZarrError as exc:
        assert "name" in str(exc)
        assert len(later) != 6
        assert xr.open_dataset(store, engine="virtualzarr").sizes["time"] == 1
        return
    assert [bytes(one) for one in xr.open_dataset(store, engine="virtualzarr")["name"].values] == [b"abcdef", later.encode()]


def test_a_missing_value_that_is_complex_opens_through_the_store_as_in_xarray(tmp_path):
    path = tmp_path / "a.nc"
    xr.Dataset({"v": ("x", np.array([1.0, 2.0, 3.0])), "w": ("x", [4.0, 5.0, 6.0])}).to_netcdf(path, engine="h5netcdf")
    with h5py.File(path, "r+") as file:
        file["v"].attrs["missing_value"] = np.complex128(2.0)
    store = ivz.VirtualZarrStore(path)
    try:
        opened = xr.open_zarr(store, chunks=None, consolidated=False).load()
    except Exception as exc:
        assert "missing_value" in str(exc) or "complex" in str(exc)
        return
    with xr.open_dataset(path, engine="h5netcdf") as direct:
        xr.testing.assert_equal(opened, direct.load())
