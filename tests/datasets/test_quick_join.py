"""Alike files are joined without a dataset each: the result is that of xarray's join, and what is not alike goes through it."""

from __future__ import annotations

import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr
from support.random_series import draw_series
from support.series_families import write_family
from support.virtual_sameness import assert_same

import intake_virtualzarr as ivz
from intake_virtualzarr.catalog import cube
from intake_virtualzarr.datasets import open_mfdataset
from intake_virtualzarr.datasets.quick_join import quick_join
from intake_virtualzarr.formats.series import SeriesArrays

NESTED = {"combine": "nested", "concat_dim": "time", "data_vars": "minimal", "coords": "minimal", "compat": "override"}


def write_day(path: Path, day: int, **odd: Any) -> str:
    """Two days of a grid, with bounds, a two-dimensional coordinate and a scalar coordinate."""
    shape = (2, 2, 3)
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("time", None), ("lat", 2), ("lon", odd.get("lon", 3)), ("nv", 2)):
            file.createDimension(name, size)
        time = file.createVariable("time", odd.get("time", "i4"), ("time",))
        time.units, time.bounds = odd.get("units", "days since 2000-01-01"), "time_bnds"
        time[:] = day + np.arange(2)
        file.createVariable("time_bnds", "i4", ("time", "nv"))[:] = [[day, day + 1], [day + 1, day + 2]]
        file.createVariable("lat", "f8", ("lat",))[:] = np.arange(2) + odd.get("shift", 0)
        file.createVariable("lon", "f8", ("lon",))[:] = np.arange(odd.get("lon", 3))
        file.createVariable("height", "f4", ())[...] = odd.get("height", 2)
        sst = file.createVariable("sst", odd.get("dtype", "i2"), ("time", "lat", "lon"), zlib=True, fill_value=odd.get("fill", -9))
        sst.set_auto_maskandscale(False)
        sst.scale_factor, sst.units, sst.coordinates = odd.get("scale", 0.5), odd.get("unit", "K"), "height"
        sst.actual_range = np.array([day, day + 1], "f4")
        sst[:] = np.arange(2 * 2 * odd.get("lon", 3)).reshape(2, 2, -1)
        file.createVariable("count", "i4", ("time", "lat", "lon"), chunksizes=(1, *shape[1:]))[:1] = day
        if "extra" in odd:
            file.createVariable(odd["extra"], "i4", ("time",))[:] = day
        file.history = odd.get("history", f"day {day}")
    return str(path)


def days(folder: Path, *numbers: int, **odd: Any) -> list[str]:
    """Files of days; what is odd is so in the last one."""
    last = len(numbers) - 1
    return [write_day(folder / f"{at}.nc", day, **(odd if at == last else {})) for at, day in enumerate(numbers)]


@pytest.fixture
def taken(monkeypatch) -> list[bool]:
    """Whether quick joins came to a result, call by call."""
    seen: list[bool] = []

    def watched(*args: Any) -> Any:
        found = quick_join(*args)
        seen.append(found is not None)
        return found

    for module in (open_mfdataset, cube):
        monkeypatch.setattr(module, "quick_join", watched)
    return seen


def by_xarray(paths: Any, monkeypatch: pytest.MonkeyPatch, **how: Any) -> xr.Dataset:
    how = {"progress": False, **how}
    with monkeypatch.context() as patch:
        patch.setattr(open_mfdataset, "quick_join", lambda *args: None)
        return ivz.open_virtual_mfdataset(paths, **how)


PLAIN = {
    "plain call": {},
    "nested": NESTED,
    "a few things said": {"join": "exact", "compat": "override", "coords": "minimal"},
    "minimal": {"data_vars": "minimal"},
    "no labels": {"loadable_variables": [], "compat": "override", "coords": "minimal"},
    "times as numbers": {"decode_times": False},
    "without a variable": {"drop_variables": "count"},
    "latest version": {"duplicates": "last"},
}


@pytest.mark.parametrize("how", PLAIN.values(), ids=PLAIN)
def test_alike_files_are_joined_quickly_and_as_xarray_does(tmp_path, monkeypatch, taken, how):
    paths = days(tmp_path, 4, 0, 2, 8) if how is not NESTED else days(tmp_path, 0, 2, 4)
    found = ivz.open_virtual_mfdataset(paths, progress=False, **how)
    assert taken == [True]
    assert_same(found, by_xarray(paths, monkeypatch, **how))


def test_nested_files_keep_the_order_that_is_given(tmp_path, monkeypatch, taken):
    paths = days(tmp_path, 4, 0, 2)
    found = ivz.open_virtual_mfdataset(paths, progress=False, **NESTED)
    assert taken == [True]
    assert_same(found, by_xarray(paths, monkeypatch, **NESTED))
    assert not found.indexes["time"].is_monotonic_increasing


def test_values_and_stores_are_the_same(tmp_path, monkeypatch, taken):
    paths = days(tmp_path, 0, 2, 4)
    found, expected = ivz.open_virtual_mfdataset(paths, progress=False), by_xarray(paths, monkeypatch)
    xr.testing.assert_identical(found.vzarr.decode().load(), expected.vzarr.decode().load())
    for name, dataset in (("a", found), ("b", expected)):
        dataset.vzarr.to_zarr(tmp_path / name)
    with xr.open_dataset(tmp_path / "a", engine="virtualzarr") as a, xr.open_dataset(tmp_path / "b", engine="virtualzarr") as b:
        xr.testing.assert_identical(a.load(), b.load())


LONG: dict[str, dict[str, Any]] = {
    "preprocess": {"preprocess": lambda ds: ds},
    "attributes compared": {"combine_attrs": "drop_conflicts"},
    "join=override": {"join": "override"},
    "compat=identical": {"compat": "identical"},
    "all coordinates": {"coords": "all"},
    "listed variables": {"data_vars": ["sst"]},
    "a new dimension": {"combine": "nested", "concat_dim": "member", "coords": "minimal", "compat": "override"},
}


@pytest.mark.parametrize("how", LONG.values(), ids=LONG)
def test_options_that_are_not_plain_go_the_long_way(tmp_path, taken, how):
    paths = days(tmp_path, 0, 2, 4)
    if how.get("concat_dim") == "member":
        paths = days(tmp_path, 0, 0, 0)
    if how.get("compat") == "identical":
        paths = [write_day(tmp_path / f"{day}.nc", day, history="one") for day in (0, 2, 4)]
    ivz.open_virtual_mfdataset(paths, progress=False, **how)
    assert taken == [False]


ODD: dict[str, dict[str, Any]] = {
    "another grid": {"shift": 0.5},
    "a longer grid": {"lon": 4},
    "another packing": {"scale": 0.25},
    "another fill": {"fill": -1},
    "another type": {"dtype": "i4"},
    "times in other units": {"units": "days since 1999-12-31"},
    "times of another type": {"time": "f8"},
    "another unit": {"unit": "degC"},
    "one more variable": {"extra": "flag"},
    "another scalar": {"height": 3},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_files_that_are_not_alike_go_the_long_way(tmp_path, taken, odd):
    paths = days(tmp_path, 0, 2, 4, **odd)
    with warnings.catch_warnings(), suppress(ivz.JoinError):
        warnings.simplefilter("ignore", UserWarning)
        ivz.open_virtual_mfdataset(paths, progress=False)
    assert taken == [False]


@pytest.mark.parametrize("numbers", [(0, 2, 0), (0, 1, 5), (0, 0, 0)], ids=["twice", "overlapping", "all alike"])
def test_labels_that_do_not_follow_each_other_are_refused_as_ever(tmp_path, monkeypatch, taken, numbers):
    paths = days(tmp_path, *numbers)
    if numbers == (0, 1, 5):  # xarray looks at the first labels only
        ivz.open_virtual_mfdataset(paths, progress=False)
    else:
        with pytest.raises(ivz.JoinError) as quick:
            ivz.open_virtual_mfdataset(paths, progress=False)
        with pytest.raises(ivz.JoinError) as long:
            by_xarray(paths, monkeypatch)
        assert str(quick.value) == str(long.value)
    assert taken == [False]


def test_random_series_are_joined_as_xarray_does(tmp_path, monkeypatch, taken):
    family = write_family(tmp_path / "family", 3)
    for seed in range(12):
        series = draw_series(family, np.random.default_rng(seed))
        how = {**series.how, **series.own, "combine_attrs": "override"}
        outcomes = []
        for join in (ivz.open_virtual_mfdataset, lambda paths, **options: by_xarray(paths, monkeypatch, **options)):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    outcomes.append(join(series.paths, **{"progress": False, **how}))
            except ivz.VirtualZarrError as exc:
                outcomes.append(str(exc))
        if isinstance(outcomes[1], str):
            assert outcomes[0] == outcomes[1]
        else:
            assert_same(*outcomes)


@pytest.mark.parametrize("how", [{}, {"combine": "nested"}, {"combine": "by_coords", "data_vars": "all"}])
def test_a_cube_of_alike_files_is_made_quickly(tmp_path, monkeypatch, taken, how):
    paths = days(tmp_path, 0, 2, 4)
    found = ivz.virtualize(paths, progress=False, **how)
    assert taken == [True]
    with monkeypatch.context() as patch:
        patch.setattr(cube, "quick_join", lambda *args: None)
        assert_same(found, ivz.virtualize(paths, progress=False, **how))


@pytest.mark.parametrize("how", [ivz.virtualize, ivz.open_virtual_mfdataset])
def test_arrays_of_files_of_one_schema_are_not_made_one_by_one(tmp_path, monkeypatch, how):
    paths = []
    for day in range(30):
        one = xr.Dataset({"sst": (("time", "x"), np.full((1, 4), float(day)))}, {"time": [day], "x": np.arange(4)})
        paths.append(str(tmp_path / f"{day:02}.nc"))
        one.to_netcdf(paths[-1], engine="h5netcdf")
    made = set()
    make = SeriesArrays._all
    monkeypatch.setattr(SeriesArrays, "_all", lambda self: (made.add(self.source.url), make(self))[1])
    assert how(paths, progress=False).sizes["time"] == 30
    assert len(made) <= 5  # the first, and the pattern of a join


def test_a_cube_of_files_out_of_order_is_refused_as_ever(tmp_path, taken):
    paths = days(tmp_path, 4, 0, 2)
    with pytest.raises(ivz.IngestError, match="neither increasing nor decreasing"):
        ivz.virtualize(paths, combine="nested", progress=False)
    assert ivz.virtualize(paths, progress=False).indexes["time"].is_monotonic_increasing
    assert taken == [True, True]


def test_ingested_alike_files_are_those_that_the_long_way_gives(tmp_path, monkeypatch, taken):
    paths = days(tmp_path, 4, 0, 2)
    quick = ivz.ingest(paths, tmp_path / "a", name="s", progress=False)
    assert taken == [True]
    monkeypatch.setattr(cube, "quick_join", lambda *args: None)
    long = ivz.ingest(paths, tmp_path / "b", name="s", progress=False)
    assert (quick.fingerprint, quick.references, quick.sources) == (long.fingerprint, long.references, long.sources)
    with xr.open_dataset(quick.store, engine="virtualzarr") as a, xr.open_dataset(long.store, engine="virtualzarr") as b:
        xr.testing.assert_identical(a.load(), b.load())
    ivz.update([*paths, write_day(tmp_path / "more.nc", 8)], tmp_path / "a")
    with xr.open_dataset(quick.store, engine="virtualzarr") as grown:
        assert grown.sizes["time"] == 8
