"""Labels held as characters are labels: every join aligns by them as plain xarray does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import JoinError

NESTED: dict[str, Any] = {"combine": "nested", "concat_dim": "time", "join": "outer"}
MINIMAL: dict[str, Any] = {**NESTED, "data_vars": "minimal", "coords": "minimal", "compat": "override"}


def write(path: Path, hour: int, sites: list[str], values: list[float], format: str = "NETCDF4") -> Path:
    """Hourly values at sites whose names are characters."""
    length = max(map(len, sites))
    with netCDF4.Dataset(path, "w", format=format) as nc:
        for name, size in (("time", None), ("site", len(sites)), ("letters", length)):
            nc.createDimension(name, size)
        nc.createVariable("time", "f8", "time").units = "hours since 1990-01-01"
        nc["time"][:] = [hour]
        nc.createVariable("site", "S1", ("site", "letters"))[:] = np.array([list(s.ljust(length, "\0")) for s in sites], "S1")
        nc.createVariable("owner", "S1", ("time", "letters"))[:] = np.array([list(sites[0].ljust(length, "\0"))], "S1")
        nc.createVariable("ozone", "f4", ("time", "site"))[:] = [values]
    return path


def pair(folder: Path, other: list[str], format: str = "NETCDF4") -> list[Path]:
    return [
        write(folder / "one.nc", 0, ["ka", "lo", "mi"], [1, 2, 3], format),
        write(folder / "two.nc", 1, other, [10, 20, 30], format),
    ]


@pytest.mark.parametrize("format", ["NETCDF4", "NETCDF3_CLASSIC"])
@pytest.mark.parametrize("how", [NESTED, MINIMAL], ids=["compared", "minimal"])
@pytest.mark.parametrize("other", [["mi", "ka", "lo"], ["lo", "mi", "nu"], ["ka", "lo", "mi"], ["ka", "lorraine", "mi"]])
def test_sites_are_aligned_by_their_names_as_xarray_aligns_them(tmp_path, other, how, format):
    paths = pair(tmp_path, other, format)
    with xr.open_mfdataset(paths, engine="netcdf4", **how) as direct:
        expected = direct.load()
    virtual = ivz.open_virtual_mfdataset(paths, **how)
    virtual.vzarr.to_zarr(tmp_path / "s.vzarr")
    for found in (virtual.vzarr.decode(), xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr")):
        xr.testing.assert_equal(found.load().transpose(*expected.dims), expected)


def test_plain_calls_align_by_names_too(tmp_path):
    paths = pair(tmp_path, ["mi", "ka", "lo"])
    direct = [xr.open_dataset(path, engine="netcdf4") for path in paths]
    virtual = [ivz.open_virtual_dataset(path, loadable_variables=[]) for path in paths]
    merged = [
        [ds[["ozone"]].isel(time=0, drop=True).rename(ozone=f"o{n}") for n, ds in enumerate(each)] for each in (direct, virtual)
    ]
    xr.testing.assert_equal(xr.merge(merged[1], join="outer").vzarr.decode().load(), xr.merge(merged[0], join="outer"))
    along: dict[str, Any] = {"dim": "time", "join": "outer", "data_vars": "minimal", "coords": "minimal", "compat": "override"}
    found = xr.concat([ds[["ozone"]] for ds in virtual], **along).vzarr.decode().load()
    xr.testing.assert_equal(found, xr.concat([ds[["ozone"]] for ds in direct], **along))
    with pytest.raises(JoinError, match="site"):
        ivz.open_virtual_mfdataset(paths, **{**NESTED, "join": "exact"})


def test_an_append_and_an_ingest_do_not_take_the_order_of_sites_for_granted(tmp_path):
    paths = pair(tmp_path, ["mi", "ka", "lo"])
    ivz.open_virtual_dataset(paths[0]).vzarr.to_zarr(tmp_path / "s.vzarr")
    with pytest.raises(ivz.errors.VirtualZarrError, match="site"):
        ivz.open_virtual_dataset(paths[1]).vzarr.to_zarr(tmp_path / "s.vzarr", append_dim="time")
    ivz.ingest(paths, tmp_path / "cat", name="s", combine="nested")
    found = xr.open_dataset(tmp_path / "cat" / "s.vzarr", engine="virtualzarr").load()
    assert found["ozone"].sel(site=b"mi").values.tolist() == [3, 10]


def test_words_of_other_length_share_a_dimension_of_characters(tmp_path):
    paths = pair(tmp_path, ["ka", "lorraine", "mi"])
    with xr.open_mfdataset(paths, engine="netcdf4", **NESTED) as direct:
        expected = direct["owner"].load()
    assert ivz.open_virtual_mfdataset(paths, **NESTED).vzarr.decode()["owner"].values.tolist() == expected.values.tolist()


def test_markers_of_missing_characters_are_applied(tmp_path):
    words = np.array([b"k", np.nan, b"m"], object)
    for engine, name in (("h5netcdf", "a.nc"), ("scipy", "b.nc")):
        dataset = xr.Dataset({"code": ("n", words, {}, {"_FillValue": b"?", "dtype": "S1"})})
        dataset.to_netcdf(tmp_path / name, engine=engine)
        ivz.open_virtual_dataset(tmp_path / name).vzarr.to_zarr(tmp_path / f"{name}.vzarr")
        for path in (tmp_path / name, tmp_path / f"{name}.vzarr"):
            found = xr.open_dataset(path, engine="virtualzarr")["code"].values
            assert [found[0], found[2]] == [b"k", b"m"]
            assert np.isnan(found[1])


@pytest.mark.parametrize("other", [["mi", "ka", "lo"], ["lo", "mi", "nu"], ["ka", "lo", "mi"]])
def test_sites_that_no_order_of_files_continues_are_refused_where_xarray_refuses_them(tmp_path, other):
    paths = pair(tmp_path, other)
    try:
        with xr.open_mfdataset(paths, engine="netcdf4", join="outer", data_vars="all") as direct:
            expected = direct.load()
    except ValueError:
        with pytest.raises(JoinError, match=r"one\.nc, .*two\.nc.*site"):
            ivz.open_virtual_mfdataset(paths)
    else:
        xr.testing.assert_equal(ivz.open_virtual_mfdataset(paths).vzarr.decode().load(), expected)
