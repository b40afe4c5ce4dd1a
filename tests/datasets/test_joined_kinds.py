"""Joins of variables that are not plain numbers: booleans, durations, text as objects and as characters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz

JOIN: dict[str, Any] = {"combine": "nested", "concat_dim": "time", "join": "outer", "data_vars": "all"}


def write(folder: Path, variables: list[xr.Variable], times: int = 2, **changes: Any) -> list[Path]:
    """A file for each variable, which differ in their labels along x, too."""
    paths = []
    for number, variable in enumerate(variables):
        coords = {"time": np.arange(times) + number * times, "x": np.arange(3) + number}
        dataset = xr.Dataset({"v": variable}, {name: coords[name] for name in variable.dims if name in coords})
        paths.append(folder / f"{number}.nc")
        dataset.to_netcdf(paths[-1], engine="h5netcdf", **changes)
    return paths


def assert_joined_as_by_xarray(paths: list[Path], store: Path, fuse: bool) -> xr.Dataset:
    with xr.open_mfdataset(paths, engine="h5netcdf", **JOIN) as direct:
        expected = direct.load()
    virtual = ivz.open_virtual_mfdataset(paths, **JOIN)
    virtual.vzarr.to_zarr(store, fuse=fuse)
    for door in (
        virtual.vzarr.decode(),
        xr.open_dataset(store, engine="virtualzarr"),
        xr.open_zarr(ivz.VirtualZarrStore(store), chunks=None),
    ):
        xr.testing.assert_equal(door.load(), expected)
    return expected


fusing = pytest.mark.parametrize("fuse", [True, False])


@fusing
def test_gaps_between_booleans_are_not_true(tmp_path, fuse):
    values = np.array([[True, False, True], [False, False, True]])
    paths = write(tmp_path, [xr.Variable(("time", "x"), values, encoding={"chunksizes": (1, 2)})] * 2)
    expected = assert_joined_as_by_xarray(paths, tmp_path / "s.vzarr", fuse)
    assert np.isnan(expected["v"]).any()


@fusing
@pytest.mark.parametrize("order", [1, -1])
def test_booleans_joined_with_numbers_are_numbers(tmp_path, order, fuse):
    values = np.array([[0, 1, 0], [1, 0, 1]])
    paths = write(tmp_path, [xr.Variable(("time", "x"), v) for v in (values > 0, (values * 5).astype("i2"))][::order])
    expected = assert_joined_as_by_xarray(paths, tmp_path / "s.vzarr", fuse)
    assert expected["v"].max() == 5


def test_booleans_that_a_call_moved_away_are_gaps(tmp_path):
    [path] = write(tmp_path, [xr.Variable(("time", "x"), np.ones((2, 3), bool))])
    moved = ivz.open_virtual_dataset(path).shift(time=2)
    moved.vzarr.to_zarr(tmp_path / "s.vzarr")
    for found in (moved.vzarr.decode(), xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr")):
        assert np.isnan(found["v"].astype(float)).all()


@fusing
def test_durations_in_different_units_keep_their_length(tmp_path, fuse):
    values = np.arange(6).reshape(2, 3) * np.timedelta64(3600 * 10**9, "ns")
    variables = [xr.Variable(("time", "x"), values, encoding={"units": u, "dtype": "i8"}) for u in ("hours", "seconds")]
    expected = assert_joined_as_by_xarray(write(tmp_path, variables), tmp_path / "s.vzarr", fuse)
    found = expected["v"].values
    assert found[~np.isnat(found)].max() == np.timedelta64(5, "h")


@fusing
def test_text_in_memory_is_not_cut_to_the_length_it_has_in_the_first_file(tmp_path, fuse):
    paths = write(tmp_path, [xr.Variable("time", np.array(words, object)) for words in (["s8", "s9"], ["s10", "s11"])])
    labelled = {"preprocess": lambda dataset: dataset.set_coords("v"), **JOIN}
    virtual = ivz.open_virtual_mfdataset(paths, loadable_variables=["time", "v"], **labelled)
    virtual.vzarr.to_zarr(tmp_path / "s.vzarr", fuse=fuse)
    for found in (virtual, xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr")):
        assert found["v"].values.tolist() == ["s8", "s9", "s10", "s11"]


@fusing
@pytest.mark.parametrize("lengths", [(3, 5), (5, 3), (3, 3)])
def test_characters_of_different_length_are_joined_into_words(tmp_path, lengths, fuse):
    variables = [xr.Variable("time", np.array([b"a", b"b" * n], f"S{n}"), encoding={"dtype": "S1"}) for n in lengths]
    expected = assert_joined_as_by_xarray(write(tmp_path, variables), tmp_path / "s.vzarr", fuse)
    assert expected["v"].values.tolist() == [b"a", b"b" * lengths[0], b"a", b"b" * lengths[1]]
