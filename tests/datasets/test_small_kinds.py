"""Small things that files and users bring: absent names and groups, attribute policies, patterns and lists of paths."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import intake
import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import FormatError, IngestError


def write(path: Path, step: int, group: str | None = None, **attrs: str) -> Path:
    dataset = xr.Dataset({"flow": (("step", "x"), np.full((1, 3), step, "f4"))}, {"step": [step], "x": [1.0, 2.0, 3.0]}, attrs)
    dataset.to_netcdf(path, engine="h5netcdf", group=group, encoding={"flow": {"chunksizes": (1, 3)}})
    return path


def test_names_in_coordinates_that_are_there_are_coordinates(tmp_path):
    path = tmp_path / "a.nc"
    xr.Dataset({"v": (("t",), np.arange(3.0)), "height": ((), 2.0)}).to_netcdf(path, engine="h5netcdf")
    with h5py.File(path, "r+") as file:
        file["v"].attrs["coordinates"] = "height gone"
    with xr.open_dataset(path, engine="h5netcdf") as direct:
        assert set(ivz.open_virtual_dataset(path).coords) == set(direct.coords) == {"height"}


@pytest.mark.parametrize("policy", ["drop", "override", "drop_conflicts"])
def test_attributes_are_joined_by_the_policy_that_is_given(tmp_path, policy):
    paths = [write(tmp_path / f"{n}.nc", n, history=str(n), title="flows") for n in range(2)]
    with xr.open_mfdataset(paths, engine="h5netcdf", combine_attrs=policy) as direct:
        assert ivz.open_virtual_mfdataset(paths, combine_attrs=policy).attrs == direct.attrs


def test_a_file_without_the_group_is_skipped_by_name_or_refused(tmp_path):
    paths = [write(tmp_path / f"{n}.nc", n, group="data" if n != 1 else "other") for n in range(3)]
    with pytest.warns(UserWarning, match=r"1 of 3 files skipped"):
        joined = ivz.open_virtual_mfdataset(paths, group="data", on_error="skip")
    assert joined["step"].values.tolist() == [0, 2]
    assert [name.rsplit("/", 1)[-1] for name in joined.encoding["skipped"]] == ["1.nc"]
    with pytest.warns(UserWarning, match=r"1 of 3 files skipped"):
        report = ivz.ingest(paths, tmp_path / "cat", name="s", group="data", on_error="skip")
    assert report.sources == 2
    with pytest.raises(FormatError, match="no group '/data'"):
        ivz.open_virtual_mfdataset(paths, group="data")
    with pytest.raises(IngestError, match="2 of 2 files cannot be scanned"):
        ivz.open_virtual_mfdataset(paths[::2], group="absent", on_error="skip")


def test_a_pattern_is_expanded_wherever_files_are_named(tmp_path):
    for n in range(3):
        write(tmp_path / f"{n}.nc", n)
    pattern = str(tmp_path / "*.nc")
    assert ivz.virtualize(pattern).sizes["step"] == 3
    assert ivz.ingest(str(tmp_path / "[01].nc"), tmp_path / "cat", name="s").sources == 2
    assert ivz.update(pattern, tmp_path / "cat").after == 3
    with pytest.raises(ivz.errors.NothingFoundError, match="no file matches"):
        ivz.virtualize(str(tmp_path / "*.grib"))


@pytest.mark.parametrize("as_list", [True, False])
def test_an_intake_entry_of_several_files_is_joined(tmp_path, as_list):
    paths = [str(write(tmp_path / f"{n}.nc", n)) for n in range(3)]
    url = paths if as_list else str(tmp_path / "*.nc")
    catalog = tmp_path / "c.yaml"
    catalog.write_text(f"sources:\n  s:\n    driver: virtualzarr\n    args:\n      urlpath: {json.dumps(url)}\n")
    opened = intake.open_catalog(str(catalog)).s.to_dask()
    assert opened["flow"].chunks == ((1, 1, 1), (3,))
    with xr.open_mfdataset(paths, engine="h5netcdf") as direct:
        xr.testing.assert_equal(opened.load(), direct.load())
