"""Archives that change over the years: runs of alike files are joined quickly, and the whole is what the long way gives."""

from __future__ import annotations

import warnings

import netCDF4
import numpy as np
import pytest
import xarray as xr
from support.virtual_sameness import assert_same

import intake_virtualzarr as ivz
from intake_virtualzarr.catalog import cube
from intake_virtualzarr.datasets import quick_runs as module

NESTED = {"combine": "nested", "compat": "override"}


def write_day(path, day, *, scale=0.5, dtype="i2", chunk=2, extra=(), units="days since 2000-01-01", lon=3, missing=()):
    """A day of a grid in an archive that changed."""
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("time", None), ("lat", 4), ("lon", lon)):
            file.createDimension(name, size)
        file.createVariable("time", "i4", ("time",))[:] = [day]
        file["time"].units = units
        file.createVariable("lat", "f8", ("lat",))[:] = np.arange(4)
        file.createVariable("lon", "f8", ("lon",))[:] = np.arange(lon)
        for name in ("sst", "ice", *extra):
            if name in missing:
                continue
            v = file.createVariable(name, dtype, ("time", "lat", "lon"), zlib=True, chunksizes=(1, chunk, lon), fill_value=-9)
            v.set_auto_maskandscale(False)
            v.scale_factor, v.units = scale if name == "ice" else 0.5, "K"
            v[:] = day + np.arange(4 * lon).reshape(1, 4, lon)
        file.history = f"day {day}"
    return str(path)


KINDS = {
    "packing": [{}, {"scale": 0.25}],
    "data type": [{}, {"dtype": "i4"}],
    "chunks": [{}, {"chunk": 4}],
    "one variable more": [{}, {"extra": ("anomaly",)}],
    "one variable less": [{"extra": ("anomaly",)}, {}],
    "all of these": [{}, {"scale": 0.25}, {"scale": 0.25, "extra": ("anomaly",)}, {"chunk": 4, "extra": ("anomaly",)}],
    "back again": [{}, {"scale": 0.25}, {}],
    "units of time": [{}, {"units": "days since 2000-01-02"}],
}


def archive(folder, kinds, each=4):
    return [write_day(folder / f"{n:03}.nc", n, **kinds[n // each]) for n in range(each * len(kinds))]


def outcome(paths, monkeypatch=None, **how):
    """The cube, or its error; with ``monkeypatch`` the long way."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if monkeypatch is None:
                return ivz.virtualize(paths, progress=False, **how)
            with monkeypatch.context() as patch:
                for name in ("quick_join", "quick_runs"):
                    patch.setattr(cube, name, lambda *args: None)
                return ivz.virtualize(paths, progress=False, **how)
    except ivz.VirtualZarrError as exc:
        return str(exc)


def assert_alike(one, other):
    if isinstance(other, str):
        assert one == other
    else:
        assert_same(one, other)


@pytest.fixture
def taken(monkeypatch):
    """How many datasets runs came to, call by call; None for the long way."""
    seen = []

    def watched(*args):
        found = module.quick_runs(*args)
        seen.append(None if found is None else len(found))
        return found

    monkeypatch.setattr(cube, "quick_runs", watched)
    return seen


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_that_changed_is_joined_run_by_run(tmp_path, monkeypatch, taken, kind):
    paths = archive(tmp_path, KINDS[kind])
    found = outcome(paths, **NESTED)
    assert taken in ([len(KINDS[kind])], [])  # chunks that differ do not part alike files
    assert_alike(found, outcome(paths, monkeypatch, **NESTED))


HOW = {
    "by coordinates": {},
    "exact": {"combine": "nested", "join": "exact"},
    "all variables repeated": {"combine": "nested", "data_vars": "all"},
    "decoded times": {"combine": "by_coords", "compat": "override"},
    "no labels": {"combine": "nested", "compat": "override", "loadable_variables": []},
    "nothing decoded": {"combine": "nested", "compat": "override", "encoding_mismatch": "raise"},
    "without": {"combine": "nested", "compat": "override", "drop_variables": "ice"},
    "latest": {"duplicates": "latest"},
    "attributes compared": {"combine": "nested", "combine_attrs": "drop_conflicts"},
}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("kind", ["packing", "one variable more"])
def test_every_way_to_join_gives_what_the_long_way_gives(tmp_path, monkeypatch, how, kind):
    paths = archive(tmp_path, KINDS[kind], each=3)
    assert_alike(outcome(paths, **HOW[how]), outcome(paths, monkeypatch, **HOW[how]))


def test_files_that_change_all_the_time_or_lie_in_no_order_go_the_long_way(tmp_path, monkeypatch, taken):
    kinds = [{}, {"scale": 0.25}] * 4
    changing = archive(tmp_path, kinds, each=1)
    assert_alike(outcome(changing, **NESTED), outcome(changing, monkeypatch, **NESTED))
    mixed = [*archive(tmp_path, [{}, {"scale": 0.25}])[::-1]]
    assert_alike(outcome(mixed, combine="by_coords"), outcome(mixed, monkeypatch, combine="by_coords"))
    assert taken == [None, None]


@pytest.mark.parametrize("seed", range(3))
def test_runs_of_random_series_are_what_the_long_way_gives(tmp_path, monkeypatch, seed):
    """Files of several kinds one after the other, each a few times."""
    rng = np.random.default_rng(seed)
    options = [{"scale": 0.25}, {"dtype": "i4"}, {"chunk": 4}, {"extra": ("anomaly",)}, {"lon": 4}, {"missing": ("ice",)}]
    kinds = [{key: value for one in options if rng.random() < 0.25 for key, value in one.items()} for _ in range(4)]
    paths = [write_day(tmp_path / f"{n:03}.nc", n, **kinds[n // 5]) for n in range(20)]
    for how in (NESTED, {"combine": "nested", "join": "outer", "compat": "no_conflicts"}):
        assert_alike(outcome(paths, **how), outcome(paths, monkeypatch, **how))


def test_a_store_of_runs_holds_what_the_files_hold_in_few_parts(tmp_path):
    paths = archive(tmp_path, KINDS["all of these"], each=5)
    report = ivz.ingest(paths, tmp_path / "catalog", name="s", progress=False, **NESTED)
    with xr.open_dataset(report.store, engine="virtualzarr") as ds:
        for number, path in enumerate(paths):
            with xr.open_dataset(path, engine="h5netcdf") as own:
                for name in own.data_vars:
                    assert np.array_equal(ds[name][number], own[name][0]), (path, name)
        assert np.isnan(ds.anomaly[:10]).all()
    parts = list((tmp_path / "catalog/s.vzarr").rglob("parts/*/zarr.json"))
    assert len(parts) == 2 + 3 + 2, "sst in two kinds of chunks, ice packed in three ways, anomaly in two kinds of chunks"
    ivz.update([write_day(tmp_path / "more.nc", 20, scale=0.25, extra=("anomaly",))], tmp_path / "catalog")
    with xr.open_dataset(report.store, engine="virtualzarr") as ds:
        assert ds.sizes["time"] == 21
        assert float(ds.anomaly[20, 0, 0]) == 10
