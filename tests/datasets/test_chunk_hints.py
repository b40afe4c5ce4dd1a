"""Chunks that xarray is told of are those of the file, and the same for all variables of a dimension."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz

TYPES = ("i1", "u2", "f4", "f8", "i8")


def write(path: Path, chunks: dict[str, tuple[int, ...] | None], day: int = 0, days: int = 4) -> Path:
    shape = (days, 40, 50)
    variables = {name: (("time", "y", "x"), np.arange(np.prod(shape)).reshape(shape).astype(name) % 100) for name in chunks}
    times = np.datetime64("2015-01-01", "ns") + np.arange(day, day + days) * np.timedelta64(86_400 * 10**9, "ns")
    coords = {"time": times, "y": np.arange(40.0), "x": np.arange(50.0)}
    encoding: dict[str, Any] = {n: {"chunksizes": c, "zlib": True} if c else {"contiguous": True} for n, c in chunks.items()}
    xr.Dataset(variables, coords).to_netcdf(path, engine="h5netcdf", encoding=encoding)
    return path


@pytest.mark.filterwarnings("error")
def test_chunks_of_the_file_are_consistent_whatever_the_types_and_never_warn(tmp_path):
    path = write(tmp_path / "a.nc", dict.fromkeys(TYPES, (1, 20, 25)))
    with xr.open_dataset(path, engine="virtualzarr", chunks={}) as opened:
        assert dict(opened.chunks) == {"time": (1,) * 4, "y": (20, 20), "x": (25, 25)}
        assert opened.unify_chunks().chunks == opened.chunks
        xr.testing.assert_equal(opened.map_blocks(lambda block: block + 1).load(), opened.load() + 1)
    for chunks in ({"time": 1, "y": 20, "x": 25}, {"time": 2}, {"y": 40}, -1):
        xr.open_dataset(path, engine="virtualzarr", chunks=chunks).close()


def test_contiguous_and_small_variables_follow_the_chunked_ones(tmp_path):
    path = write(tmp_path / "a.nc", {"f4": (2, 40, 50), "i1": None, "f8": (4, 10, 50)})
    with h5py.File(path, "r+") as file:
        made = file.create_dataset("note", data=np.arange(4.0), chunks=(3,))
        made.dims[0].attach_scale(file["time"])
    with xr.open_dataset(path, engine="virtualzarr", chunks={}) as opened:
        assert opened.chunks["time"] == (2, 2)
        xr.testing.assert_equal(opened.load(), xr.open_dataset(path, engine="h5netcdf").load())


def test_large_chunks_of_different_shape_get_a_common_multiple(tmp_path):
    dataset = xr.Dataset({name: (("row", "x"), np.zeros((24, 8192))) for name in "ab"})
    encoding = {name: {"chunksizes": (rows, 8192), "zlib": True} for name, rows in (("a", 4), ("b", 6))}
    dataset.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding=encoding)
    with xr.open_dataset(tmp_path / "a.nc", engine="virtualzarr", chunks={}) as opened:
        assert opened.chunks["row"] == (12, 12)


def test_a_collection_publishes_the_chunk_shape_that_is_stored(tmp_path):
    paths = [write(tmp_path / f"{n}.nc", {"f4": (1, 20, 50)}, day=n, days=1) for n in range(3)]
    ivz.ingest(paths, tmp_path / "cat", name="s")
    document = json.loads((tmp_path / "cat" / "collection.json").read_text())
    assert document["cube:variables"]["f4"]["chunks"] == [1, 20, 50]


def test_very_many_small_chunks_are_joined_alike_for_all_variables(tmp_path):
    shape = (3000, 2, 4)
    ds = xr.Dataset({name: (("t", "y", "x"), np.zeros(shape, kind)) for name, kind in (("a", "f4"), ("b", "i2"))})
    ds.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding={n: {"chunksizes": (1, 2, 2), "zlib": True} for n in "ab"})
    with xr.open_dataset(tmp_path / "a.nc", engine="virtualzarr", chunks={}) as found:
        assert found.a.chunks == found.b.chunks
        assert found.a.data.npartitions <= 2000
        assert set(found.chunks) == {"t", "y", "x"}
