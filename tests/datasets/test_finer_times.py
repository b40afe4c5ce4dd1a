"""Times appended to times that count more coarsely: the coordinate is written anew in a finer unit, every value exact."""

from __future__ import annotations

import tempfile
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import intake_virtualzarr as ivz
from intake_virtualzarr.cli.main import main
from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.formats import labels


def write(path: Path, times, units: str = "days since 2000-01-01", dtype: str = "i4", calendar: str | None = None) -> Path:
    """One value per time, in a unit and a type of the file's own."""
    dataset = xr.Dataset({"v": ("time", np.arange(len(times), dtype="f4"))}, {"time": times})
    encoding = {"units": units, "dtype": dtype, **({"calendar": calendar} if calendar else {})}
    dataset.to_netcdf(path, engine="h5netcdf", encoding={"time": encoding})
    return path


def dates(*texts: str):
    return np.array(texts, "M8[ns]")


def appended(folder: Path, *paths: Path) -> xr.Dataset:
    """The store of a first file, to which the others were appended one after another."""
    store = folder / "s.vzarr"
    ivz.open_virtual_dataset(paths[0]).vzarr.to_zarr(store)
    for path in paths[1:]:
        ivz.open_virtual_dataset(path).vzarr.to_zarr(store, append_dim="time")
    return xr.open_dataset(store, engine="virtualzarr").load()


@pytest.mark.parametrize(
    ("later", "units"),
    [
        ("2000-01-05T07:00", "hours since 2000-01-01"),
        ("2000-01-05T07:35", "minutes since 2000-01-01"),
        ("2000-01-05T07:35:01", "seconds since 2000-01-01"),
        ("2000-01-05T07:35:01.250", "milliseconds since 2000-01-01"),
        ("2000-01-05T07:35:01.000000001", "nanoseconds since 2000-01-01"),
    ],
)
def test_whole_days_become_as_fine_as_what_is_appended(tmp_path, later, units):
    first = write(tmp_path / "a.nc", dates("2000-01-01", "2000-01-02"))
    second = write(tmp_path / "b.nc", dates(later), units.replace("01-01", "01-03"), "i8")
    opened = appended(tmp_path, first, second)
    np.testing.assert_array_equal(opened.time, dates("2000-01-01", "2000-01-02", later))
    assert (opened.time.encoding["units"], opened.time.encoding["dtype"]) == (units, np.dtype("i8"))


def test_what_follows_the_finer_times_is_appended_as_ever(tmp_path):
    paths = [
        write(tmp_path / f"{n}.nc", dates(f"2000-01-0{n + 1}T{clock}"), "minutes since 2000-01-01", "i8")
        for n, clock in enumerate(("06:00", "06:30", "00:00"), 1)
    ]
    opened = appended(tmp_path, write(tmp_path / "0.nc", dates("2000-01-01")), *paths)
    np.testing.assert_array_equal(opened.time, dates("2000-01-01", "2000-01-02T06:00", "2000-01-03T06:30", "2000-01-04"))
    assert opened.time.encoding["units"] == "minutes since 2000-01-01"


def test_whoever_opened_the_store_before_reads_it_to_its_end(tmp_path):
    store = tmp_path / "s.vzarr"
    ivz.open_virtual_dataset(write(tmp_path / "a.nc", dates("2000-01-01"))).vzarr.to_zarr(store)
    before = xr.open_dataset(store, engine="virtualzarr")
    later = write(tmp_path / "b.nc", dates("2000-01-02T01:00"), "hours since 2000-01-01")
    ivz.open_virtual_dataset(later).vzarr.to_zarr(store, append_dim="time")
    assert before.time.values == dates("2000-01-01")
    assert before.v.values == [0]


def test_integers_that_are_too_short_become_longer(tmp_path):
    first = write(tmp_path / "a.nc", dates("2000-01-01"), "seconds since 1970-01-01", "i4")
    second = write(tmp_path / "b.nc", dates("2040-01-01"), "days since 1970-01-01", "i4")
    np.testing.assert_array_equal(appended(tmp_path, first, second).time, dates("2000-01-01", "2040-01-01"))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_floats_that_do_not_hold_the_times_become_whole_numbers(tmp_path, dtype):
    first = write(tmp_path / "a.nc", dates("2000-01-01", "2000-01-02"), dtype=dtype)
    second = write(tmp_path / "b.nc", dates("2000-01-03T07:35:00.1"), "milliseconds since 2000-01-01", "i8")
    opened = appended(tmp_path, first, second)
    np.testing.assert_array_equal(opened.time, dates("2000-01-01", "2000-01-02", "2000-01-03T07:35:00.1"))


def test_floats_that_hold_the_times_stay(tmp_path):
    first = write(tmp_path / "a.nc", dates("2000-01-01"), dtype="f8")
    second = write(tmp_path / "b.nc", dates("2000-01-02T06:00"), "hours since 2000-01-01")
    opened = appended(tmp_path, first, second)
    assert (opened.time.encoding["units"], opened.time.encoding["dtype"]) == ("days since 2000-01-01", np.dtype("f8"))


@pytest.mark.parametrize("calendar", ["noleap", "360_day", "julian"])
def test_dates_of_other_calendars_become_finer(tmp_path, calendar):
    def times(start, freq):
        return xr.date_range(start, periods=2, freq=freq, calendar=calendar, use_cftime=True)

    first = write(tmp_path / "a.nc", times("2000-02-27", "D"), calendar=calendar)
    second = write(tmp_path / "b.nc", times("2000-03-01T06:00", "6h"), "hours since 1999-01-01", calendar=calendar)
    opened = appended(tmp_path, first, second)
    assert list(opened.time.values) == [*times("2000-02-27", "D"), *times("2000-03-01T06:00", "6h")]
    assert opened.time.encoding["units"] == "hours since 2000-01-01"
    assert opened.time.encoding["calendar"] == calendar


def test_nanoseconds_since_the_year_one_count_from_a_later_day(tmp_path):
    first = write(tmp_path / "a.nc", dates("2000-01-01"), "days since 0001-01-01", calendar="proleptic_gregorian")
    second = write(tmp_path / "b.nc", dates("2000-01-02T00:00:00.000000001"), "nanoseconds since 2000-01-01", "i8")
    opened = appended(tmp_path, first, second)
    np.testing.assert_array_equal(opened.time, dates("2000-01-01", "2000-01-02T00:00:00.000000001"))
    assert opened.time.encoding["units"] == "nanoseconds since 2000-01-01"


def with_bounds(path: Path, start: float, units: str, dtype: str) -> Path:
    """Bounds that inherit their unit, as CF has it."""
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("time", None)
        file.createDimension("nv", 2)
        time = file.createVariable("time", dtype, "time")
        time.setncatts({"units": units, "bounds": "time_bnds", "calendar": "standard"})
        time[:] = [start]
        file.createVariable("time_bnds", dtype, ("time", "nv"))[:] = [[start, start + 1]]
        file.createVariable("v", "f4", "time")[:] = [start]
    return path


@pytest.mark.parametrize("limit", [0, labels.TIMES_LIMIT])
def test_bounds_follow(tmp_path, monkeypatch, limit):
    first = with_bounds(tmp_path / "a.nc", 0, "days since 2000-01-01", "i4")
    second = with_bounds(tmp_path / "b.nc", 49, "hours since 2000-01-01", "i4")
    store = tmp_path / "s.vzarr"
    ivz.open_virtual_dataset(first).vzarr.to_zarr(store)
    monkeypatch.setattr(labels, "TIMES_LIMIT", limit)  # bounds that have grown large are not read at once
    ivz.open_virtual_dataset(second).vzarr.to_zarr(store, append_dim="time")
    opened = xr.open_dataset(store, engine="virtualzarr").load()
    np.testing.assert_array_equal(opened.time, dates("2000-01-01", "2000-01-03T01:00"))
    expected = [dates("2000-01-01", "2000-01-02"), dates("2000-01-03T01:00", "2000-01-03T02:00")]
    np.testing.assert_array_equal(opened.time_bnds, expected)


def test_bounds_by_reference_keep_their_unit_and_say_so(tmp_path, monkeypatch):
    monkeypatch.setattr(labels, "TIMES_LIMIT", 0)
    first = with_bounds(tmp_path / "a.nc", 0, "days since 2000-01-01", "i4")
    second = with_bounds(tmp_path / "b.nc", 49, "hours since 2000-01-01", "i4")
    ivz.open_virtual_dataset(first).vzarr.to_zarr(tmp_path / "s.vzarr")
    monkeypatch.undo()
    with pytest.raises(VirtualZarrError, match=r"time_bnds: the store counts 'days since.*T01:00.*those of the files.*mode='w'"):
        ivz.open_virtual_dataset(second).vzarr.to_zarr(tmp_path / "s.vzarr", append_dim="time")


def test_durations_become_finer(tmp_path):
    paths = []
    for name, lead, units in (("a", [0, 24], "days"), ("b", [49], "hours")):
        leads = xr.Variable("step", np.array(lead, "m8[h]").astype("m8[ns]"), encoding={"units": units, "dtype": "i4"})
        dataset = xr.Dataset({"v": ("step", np.zeros(len(lead)))}, {"step": np.array(lead), "lead": leads})
        paths.append(tmp_path / f"{name}.nc")
        dataset.to_netcdf(paths[-1], engine="h5netcdf")
    store = tmp_path / "s.vzarr"
    ivz.open_virtual_dataset(paths[0]).vzarr.to_zarr(store)
    ivz.open_virtual_dataset(paths[1]).vzarr.to_zarr(store, append_dim="step")
    opened = xr.open_dataset(store, engine="virtualzarr").load()
    np.testing.assert_array_equal(opened.lead, np.array([0, 24, 49], "m8[h]").astype("m8[ns]"))


def test_gaps_stay_gaps(tmp_path):
    def one(name, times, units):
        stamp = xr.Variable("x", dates(*times), encoding={"units": units, "dtype": "i4", "_FillValue": -1})
        dataset = xr.Dataset({"stamp": stamp, "v": ("x", np.zeros(len(times)))}, {"x": np.arange(len(times)) + 10 * (name == "b")})
        dataset.to_netcdf(tmp_path / f"{name}.nc", engine="h5netcdf")
        return tmp_path / f"{name}.nc"

    store = tmp_path / "s.vzarr"
    first = one("a", ["2000-01-02", "NaT"], "days since 2000-01-01")
    second = one("b", ["2000-01-02T05:00"], "hours since 2000-01-01")
    ivz.open_virtual_dataset(first).vzarr.to_zarr(store)
    ivz.open_virtual_dataset(second).vzarr.to_zarr(store, append_dim="x")
    np.testing.assert_array_equal(
        xr.open_dataset(store, engine="virtualzarr").stamp, dates("2000-01-02", "NaT", "2000-01-02T05:00")
    )


def test_months_have_no_length_and_are_refused(tmp_path):
    for name, units, values in (("a", "months since 2000-01-01", [0, 1]), ("b", "hours since 2000-03-01", [5])):
        with netCDF4.Dataset(tmp_path / f"{name}.nc", "w") as file:
            file.createDimension("time", None)
            time = file.createVariable("time", "i4", "time")
            time.setncatts({"units": units, "calendar": "standard"})
            time[:] = values
            file.createVariable("v", "f4", "time")[:] = values
    paths = [tmp_path / "a.nc", tmp_path / "b.nc"]
    ivz.open_virtual_dataset(paths[0], decode_times=False).vzarr.to_zarr(tmp_path / "s.vzarr")
    with pytest.raises(VirtualZarrError, match=r"store holds int32.*'months since 2000-01-01'"):
        ivz.open_virtual_dataset(paths[1]).vzarr.to_zarr(tmp_path / "s.vzarr", append_dim="time")


@pytest.mark.parametrize("dry_run", [True, False])
def test_the_commands_append_finer_times(tmp_path, dry_run):
    first = write(tmp_path / "a.nc", dates("2000-01-01", "2000-01-02"))
    second = write(tmp_path / "b.nc", dates("2000-01-03T00:30"), "minutes since 1990-01-01")
    ivz.open_virtual_dataset(first).vzarr.to_zarr(tmp_path / "s.vzarr")
    assert main(["append", str(tmp_path / "s.vzarr"), str(second), *(["--dry-run"] if dry_run else [])]) == 0
    opened = xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr")
    np.testing.assert_array_equal(opened.time, dates("2000-01-01", "2000-01-02", "2000-01-03T00:30")[: 2 if dry_run else 3])


def test_an_update_brings_finer_times(tmp_path):
    first = write(tmp_path / "a.nc", dates("2000-01-01", "2000-01-02"))
    second = write(tmp_path / "b.nc", dates("2000-01-03T00:30"), "minutes since 1990-01-01")
    ivz.ingest([first], tmp_path / "cat", name="s")
    ivz.update([first, second], tmp_path / "cat", name="s", append_dim="time")
    opened = xr.open_dataset(tmp_path / "cat" / "s.vzarr", engine="virtualzarr")
    np.testing.assert_array_equal(opened.time, dates("2000-01-01", "2000-01-02", "2000-01-03T00:30"))


UNITS = {"days": 86400 * 10**9, "hours": 3600 * 10**9, "minutes": 60 * 10**9, "seconds": 10**9}


@st.composite
def series(draw):
    """Steps of several files, each counting in a unit of its own: [ns since 2000], ascending."""
    steps, last = [], -1
    for _ in range(draw(st.integers(2, 4))):
        unit = draw(st.sampled_from(sorted(UNITS)))
        start = last // UNITS[unit] + 1 + draw(st.integers(0, 5))
        count = draw(st.integers(1, 3))
        values = [(start + n) * UNITS[unit] for n in range(count)]
        last = values[-1]
        steps.append((unit, draw(st.sampled_from(["i4", "i8", "f8"])), values))
    return steps


@settings(max_examples=12, deadline=None)
@given(series())
def test_files_appended_one_by_one_hold_the_times_of_all(steps):
    with tempfile.TemporaryDirectory() as folder:
        paths = [
            write(Path(folder) / f"{n}.nc", dates("2000-01-01") + np.array(values, "m8[ns]"), f"{unit} since 2000-01-01", dtype)
            for n, (unit, dtype, values) in enumerate(steps)
        ]
        opened = appended(Path(folder), *paths)
        with xr.open_mfdataset(paths, engine="h5netcdf", combine="nested", concat_dim="time") as direct:
            xr.testing.assert_equal(opened, direct.load())
