"""A file that is replaced again and again while it is read: what was scanned, or an error; never the bytes of the other file."""

import os
import shutil
import threading

import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import SourceError

READS = 300
SHAPE = (8, 16)


@pytest.fixture
def places(tmp_path):
    """Two files of one layout and length that differ in their values and times of change, and the place that is read."""
    for value in (1, 2):
        path = tmp_path / f"{value}.nc"
        data = {"v": (("y", "x"), np.full(SHAPE, value, "i4"))}
        xr.Dataset(data).to_netcdf(path, engine="h5netcdf", encoding={"v": {"chunksizes": (1, 16)}})
        os.utime(path, (1_700_000_000 + value, 1_700_000_000 + value))
    shutil.copy2(tmp_path / "1.nc", tmp_path / "read.nc")
    return tmp_path


@pytest.fixture
def swapping(places):
    """Puts one file after the other at the place, by rename, until the test is over."""
    stop = threading.Event()

    def swap():
        turn = 0
        while not stop.is_set():
            turn += 1
            shutil.copy2(places / f"{turn % 2 + 1}.nc", places / "new.nc")
            os.replace(places / "new.nc", places / "read.nc")

    thread = threading.Thread(target=swap)
    thread.start()
    yield
    stop.set()
    thread.join()


def test_values_are_those_that_were_scanned_or_there_is_an_error(places, request):
    array = ivz.open_virtual_dataset(places / "read.nc").v.data
    request.getfixturevalue("swapping")
    seen = set()
    for _ in range(READS):
        try:
            seen |= set(np.unique(np.asarray(array)).tolist())
        except SourceError as exc:
            assert "chang" in str(exc)
    assert seen <= {1}


def test_a_scan_and_a_read_of_the_same_file_agree(places, request):
    request.getfixturevalue("swapping")
    for _ in range(READS // 3):
        try:
            array = ivz.open_virtual_dataset(places / "read.nc").v.data
            assert len(np.unique(np.asarray(array))) == 1
        except SourceError as exc:
            assert "chang" in str(exc)
