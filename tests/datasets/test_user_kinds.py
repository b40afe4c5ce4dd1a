"""Small kinds that users brought: each once gave a wrong value, a lost attribute or an error that told nothing."""

from __future__ import annotations

from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr
from h5py import h5d, h5f, h5s, h5t
from support.redirects import serving_redirects

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


def one_day(path: Path, day: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = xr.Dataset({"v": (("t", "x"), np.full((1, 3), day))}, {"t": [day]})
    dataset.to_netcdf(path, engine="h5netcdf", encoding={"v": {"chunksizes": (1, 3), "zlib": True}})
    return path


def test_options_of_one_dataset_are_not_sent_for_the_files_of_another(tmp_path):
    for day in range(2):
        one_day(tmp_path / f"{day}.nc", day)
    with serving_redirects(tmp_path) as server:
        datasets = [
            ivz.open_virtual_dataset(f"{server.url}/{day}.nc", storage_options={server.url: {"headers": {"X-Key": str(day)}}})
            for day in range(2)
        ]
        server.asked.clear()
        with pytest.raises(VirtualZarrError, match="different storage_options"):
            xr.concat(datasets, "t").load()
        assert all(headers.get("x-key") == Path(path).stem for _, path, headers in server.asked)


def test_options_of_a_folder_are_not_sent_to_one_whose_name_begins_alike(tmp_path):
    one_day(tmp_path / "data-closed" / "0.nc", 0)
    with serving_redirects(tmp_path) as server:
        options = {f"{server.url}/data": {"headers": {"X-Key": "secret"}}}
        ivz.open_virtual_dataset(f"{server.url}/data-closed/0.nc", storage_options=options).load()
        assert server.asked
        assert not server.headers("x-key")


def test_fields_without_a_time_are_stacked_into_one_manifest_and_exported(tmp_path):
    objects = {}
    for count in (3, 12):
        paths = [tmp_path / f"{n:02}.nc" for n in range(count)]
        for n, path in enumerate(paths):
            field = xr.Dataset({"v": (("y", "x"), np.full((4, 6), n, "f4"))})
            field.to_netcdf(path, engine="h5netcdf", encoding={"v": {"chunksizes": (2, 6), "zlib": True}})
        stacked = ivz.open_virtual_mfdataset(paths, combine="nested", concat_dim="run")
        store = tmp_path / f"{count}.vzarr"
        stacked.vzarr.to_zarr(store)
        stacked.vzarr.to_kerchunk(tmp_path / f"{count}.json")
        for opened in (xr.open_dataset(store, engine="virtualzarr"), ivz.open_virtual_dataset(tmp_path / f"{count}.json")):
            assert opened.v[:, 1, 2].values.tolist() == list(range(count))
        objects[count] = sum(path.is_file() for path in store.rglob("*"))
    assert objects[12] <= objects[3]


@pytest.mark.parametrize("policy", ["drop", "drop_conflicts", "override"])
@pytest.mark.parametrize("join", ["outer", "inner"])
def test_no_policy_for_attributes_changes_what_values_are(tmp_path, policy, join):
    """An inner join of strangers has no values, and still a data type."""
    paths = [tmp_path / f"{n}.nc" for n in range(2)]
    for n, path in enumerate(paths):
        variables = {"flag": (("t", "x"), [[True, False]]), "t2m": (("t", "x"), [[0.5, 1.0]], {"note": str(n)})}
        dataset = xr.Dataset(variables, {"t": [n], "x": [2 * n, 2 * n + 1] if join == "inner" else [0, 1]})
        encoding = {"t2m": {"dtype": "i2", "scale_factor": 0.5, "_FillValue": np.int16(-1)}}
        dataset.to_netcdf(path, engine="h5netcdf", encoding=encoding)
    how = {"combine": "nested", "concat_dim": "t", "join": join, "combine_attrs": policy}
    with xr.open_mfdataset(paths, engine="h5netcdf", **how) as direct:
        expected = direct.load()
    joined = ivz.open_virtual_mfdataset(paths, **how)
    joined.vzarr.to_zarr(tmp_path / "s.vzarr")
    for found in (joined.vzarr.decode().load(), xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr").load()):
        xr.testing.assert_identical(found, expected)
        assert {name: found[name].dtype for name in expected} == {name: expected[name].dtype for name in expected}
