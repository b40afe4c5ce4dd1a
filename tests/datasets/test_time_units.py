"""Times are values: what they count is part of what they mean, in every join."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import EncodingMismatchError, UnsupportedError
from intake_virtualzarr.formats import labels


def swath(path: Path, line: int, units: str) -> Path:
    """Times of single pixels."""
    stamps = np.datetime64("2005-03-01", "ns") + np.arange(line, line + 4).reshape(2, 2) * np.timedelta64(3600 * 10**9, "ns")
    dataset = xr.Dataset({"stamp": (("line", "pixel"), stamps)}, {"line": [line, line + 1]})
    dataset.to_netcdf(path, engine="h5netcdf", encoding={"stamp": {"units": units, "dtype": "f8"}})
    return path


@pytest.fixture
def virtual_times(monkeypatch) -> None:
    """Times of any size stay virtual, as large ones do."""
    monkeypatch.setattr(labels, "TIMES_LIMIT", 0)


def test_times_that_stay_virtual_and_count_from_other_dates_are_not_joined_as_numbers(tmp_path, virtual_times):
    paths = [swath(tmp_path / f"{n}.nc", 4 * n, f"hours since 2005-0{n + 1}-01") for n in range(2)]
    datasets = [ivz.open_virtual_dataset(path) for path in paths]
    with pytest.raises(UnsupportedError, match=r"'hours since 2005-01-01 00:00:00, standard calendar'.*open_virtual_mfdataset"):
        xr.concat(datasets, "line")
    with xr.open_mfdataset(paths, engine="h5netcdf", combine="nested", concat_dim="line") as direct:
        expected = direct.load()
    xr.testing.assert_equal(ivz.open_virtual_mfdataset(paths, combine="nested", concat_dim="line").load(), expected)
    xr.testing.assert_equal(xr.concat([ds.vzarr.decode() for ds in datasets], "line").load(), expected)


def test_times_that_count_the_same_in_another_spelling_are_joined(tmp_path, virtual_times):
    spellings = ("hours since 2005-01-01", "hours since 2005-01-01T00:00:00")
    paths = [swath(tmp_path / f"{n}.nc", 4 * n, units) for n, units in enumerate(spellings)]
    with xr.open_mfdataset(paths, engine="h5netcdf", combine="nested", concat_dim="line") as direct:
        expected = direct.load()
    joined = xr.concat([ivz.open_virtual_dataset(path) for path in paths], "line", combine_attrs="drop")
    xr.testing.assert_equal(joined.vzarr.decode().load(), expected)
    joined.vzarr.to_zarr(tmp_path / "s.vzarr")
    xr.testing.assert_equal(xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr").load(), expected)


@pytest.mark.parametrize("names", [[], ["x"]])
def test_labels_of_dimensions_are_decoded_whatever_is_to_be_loaded(tmp_path, names):
    paths = []
    for number, day in enumerate(("2011-01-01", "2011-02-01")):
        times = xr.date_range(day, periods=2)
        dataset = xr.Dataset({"v": (("time", "x"), np.full((2, 2), number))}, {"time": times, "x": [0.5, 1.5]})
        paths.append(tmp_path / f"{number}.nc")
        encoding = {"time": {"units": f"days since {day}", "dtype": "i4"}}
        dataset.to_netcdf(paths[-1], engine="h5netcdf", encoding=encoding)
    datasets = [ivz.open_virtual_dataset(path, loadable_variables=names) for path in paths]
    joined = xr.concat(datasets, "time", coords="minimal", compat="override", join="override")
    assert joined["time"].values.astype("M8[D]").astype(str).tolist() == ["2011-01-01", "2011-01-02", "2011-02-01", "2011-02-02"]


def calendar_file(path: Path, time: float, calendar: str, units: str = "days since 1999-12-01") -> Path:
    with netCDF4.Dataset(path, "w") as nc:
        nc.createDimension("time", None)
        nc.createVariable("time", "f8", "time").setncatts({"units": units, "calendar": calendar})
        nc["time"][:] = [time]
        nc.createVariable("v", "f4", "time")[:] = [time]
    return path


@pytest.mark.parametrize("names", [("noleap", "365_day"), ("all_leap", "366_day"), ("GREGORIAN", "standard")])
def test_two_names_of_a_calendar_join(tmp_path, names):
    paths = [calendar_file(tmp_path / f"{n}.nc", n, name) for n, name in enumerate(names)]
    with xr.open_mfdataset(paths, engine="netcdf4") as direct:
        xr.testing.assert_equal(ivz.open_virtual_mfdataset(paths).load(), direct.load())


def test_two_calendars_do_not(tmp_path):
    paths = [calendar_file(tmp_path / f"{n}.nc", n, name) for n, name in enumerate(("noleap", "360_day"))]
    with pytest.raises(EncodingMismatchError, match="calendar is 'noleap'"):
        ivz.open_virtual_mfdataset(paths)


def test_months_of_thirty_days_are_counted(tmp_path):
    paths = [calendar_file(tmp_path / f"{n}.nc", n, "360_day", "months since 1960-01-01") for n in range(3)]
    joined = ivz.open_virtual_mfdataset(paths)
    joined.vzarr.to_zarr(tmp_path / "s.vzarr")
    ivz.open_virtual_dataset(calendar_file(tmp_path / "3.nc", 3, "360_day", "months since 1960-01-01")).vzarr.to_zarr(
        tmp_path / "s.vzarr", append_dim="time"
    )
    with xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr") as found:
        assert [f"{t:%Y-%m-%d}" for t in found["time"].values] == ["1960-01-01", "1960-02-01", "1960-03-01", "1960-04-01"]
