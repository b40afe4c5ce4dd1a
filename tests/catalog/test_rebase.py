"""Files that were copied, moved or touched: a store goes on with them if they are those that were scanned."""

import json
import os
import re
import shutil

import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.catalog.rebase import rebase
from intake_virtualzarr.cli.main import main


def write(path, day, value=None):
    data = np.full((1, 3, 4), day if value is None else value, "f4")
    coords = {"time": np.datetime64("2024-01-01", "ns") + np.array([day], "m8[D]"), "lat": np.arange(3.0), "lon": np.arange(4.0)}
    xr.Dataset({"v": (("time", "lat", "lon"), data)}, coords).to_netcdf(
        path, engine="h5netcdf", encoding={"v": {"chunksizes": (1, 3, 4), "zlib": True}}
    )


@pytest.fixture
def archive(tmp_path):
    folder = tmp_path / "archive"
    folder.mkdir()
    for day in range(3):
        write(folder / f"{day}.nc", day)
    ivz.open_virtual_mfdataset(sorted(folder.glob("*.nc"))).vzarr.to_zarr(folder / "s.vzarr")
    return folder


def touch(path):
    before = path.stat()
    os.utime(path, (before.st_atime + 100, before.st_mtime + 100))


def values(store):
    return xr.open_dataset(store, engine="virtualzarr").v.values[:, 0, 0].tolist()


def test_a_copy_with_new_times_of_change_is_accepted(archive, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(archive, copy)
    shutil.rmtree(archive)
    for path in copy.glob("*.nc"):
        touch(path)
    with pytest.raises(ivz.SourceChangedError):
        values(copy / "s.vzarr")
    report = rebase(copy / "s.vzarr")
    assert (report.sources, len(report.accepted), report.refused) == (3, 3, ())
    assert values(copy / "s.vzarr") == [0, 1, 2]
    assert rebase(copy / "s.vzarr").accepted == ()


def test_a_store_apart_from_its_files_follows_them_to_another_place(archive, tmp_path):
    store = tmp_path / "s.vzarr"
    ivz.open_virtual_mfdataset(sorted(archive.glob("*.nc"))).vzarr.to_zarr(store)
    elsewhere = tmp_path / "elsewhere"
    archive.rename(elsewhere)
    assert {one.state for one in rebase(store).refused} == {"unreadable"}
    report = rebase(store, move={str(archive): str(elsewhere)})
    assert report.accepted == tuple((elsewhere / f"{day}.nc").as_uri() for day in range(3))
    assert values(store) == [0, 1, 2]


def test_readers_that_have_the_store_open_keep_what_they_opened(archive):
    opened = xr.open_dataset(archive / "s.vzarr", engine="virtualzarr")
    touch(archive / "1.nc")
    rebase(archive / "s.vzarr")
    assert opened.v.isel(time=0).values[0, 0] == 0
    with pytest.raises(ivz.SourceChangedError, match="check --rebase"):
        opened.v.isel(time=1).load()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda path: write(path, 1, np.arange(12.0).reshape(1, 3, 4)), "bytes, and had|chunks lie elsewhere"),
        (lambda path: path.write_bytes(path.read_bytes() + b" "), "bytes, and had"),
        (lambda path: write(path, 7, 1), "the store holds other values of 'time'"),
        (lambda path: path.write_bytes(b"\0" * path.stat().st_size), "is not a file of any format known here"),
    ],
    ids=["other values", "longer", "other labels", "zeros"],
)
def test_another_file_is_refused_by_name_and_nothing_is_written(archive, change, reason):
    before = (archive / "s.vzarr" / "zarr.json").read_bytes()
    change(archive / "1.nc")
    for path in archive.glob("*.nc"):
        touch(path)
    (refused,) = rebase(archive / "s.vzarr").refused
    assert refused.url == (archive / "1.nc").as_uri()
    assert re.search(reason, refused.reason), refused.reason
    assert (archive / "s.vzarr" / "zarr.json").read_bytes() == before


def test_the_command_accepts_or_names_what_it_does_not(archive, capsys):
    touch(archive / "1.nc")
    assert main(["check", str(archive / "s.vzarr")]) == 1
    assert main(["check", str(archive / "s.vzarr"), "--rebase"]) == 0
    assert "1 of 3 sources are recorded anew" in capsys.readouterr().out
    assert main(["check", str(archive / "s.vzarr")]) == 0
    (archive / "2.nc").write_bytes(b"\0" * 10)
    assert main(["check", str(archive / "s.vzarr"), "--rebase"]) == 1
    assert "2.nc: is not the file that was scanned: it has 10 bytes" in capsys.readouterr().out


def test_the_command_follows_files_that_were_moved(archive, tmp_path, capsys):
    ivz.open_virtual_mfdataset(sorted(archive.glob("*.nc"))).vzarr.to_zarr(tmp_path / "s.vzarr")
    archive.rename(tmp_path / "elsewhere")
    assert main(["check", str(tmp_path / "s.vzarr"), "--move", str(archive), str(tmp_path / "elsewhere"), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)[0]["rebased"]) == 3
    assert values(tmp_path / "s.vzarr") == [0, 1, 2]
