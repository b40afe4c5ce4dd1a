"""Reading values: files that are no longer what was scanned, damaged chunks, several threads at once."""

from __future__ import annotations

import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
import zarr
from support import helpers

import intake_virtualzarr as ivz
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.chunk_cache import ChunkCache
from intake_virtualzarr.arrays.chunk_grid import AxisGrid
from intake_virtualzarr.arrays.segments import Window
from intake_virtualzarr.errors import CodecError, SourceChangedError, SourceError

SHAPE = (20, 30)


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(1).normal(size=SHAPE)


@pytest.fixture
def path(tmp_path: Path, values: np.ndarray) -> Path:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("v", data=values, chunks=(7, 11), compression="gzip", shuffle=True)
    return path


@pytest.fixture
def array(path: Path) -> VirtualZarrArray:
    return ivz.open_virtual_dataset(path)["v"].variable._data


def doors(path: Path, tmp_path: Path):
    """Ways to values that were opened before the file changes."""
    dataset = ivz.open_virtual_dataset(path)
    dataset.vzarr.to_zarr(tmp_path / "s.vzarr")
    engine = xr.open_dataset(path, engine="virtualzarr")
    written = ivz.open_virtual_dataset(tmp_path / "s.vzarr")
    store = zarr.open_group(ivz.VirtualZarrStore(tmp_path / "s.vzarr"), mode="r")
    file = zarr.open_group(ivz.open_virtual_store(path), mode="r")
    return {
        "virtual": lambda: np.asarray(dataset["v"].variable._data),
        "engine": lambda: engine["v"].values,
        "written": lambda: np.asarray(written["v"].variable._data),
        "store": lambda: store["v"][...],
        "file as store": lambda: file["v"][...],
    }


def longer(path: Path) -> None:
    with open(path, "ab") as file:
        file.write(b"more")


def touched(path: Path) -> None:
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))


def replaced(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(bytes(path.stat().st_size))
    touched(other)
    os.replace(other, path)


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def removed(path: Path) -> None:
    path.unlink()


def made_a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("change", [longer, touched, replaced, truncated])
def test_a_file_that_changed_after_the_scan_is_not_read(path, tmp_path, change):
    opened = doors(path, tmp_path)
    change(path)
    for read in opened.values():
        with pytest.raises(SourceChangedError, match=r"a\.h5: changed since it was scanned: (size|modification time) was"):
            read()


@pytest.mark.parametrize("change", [longer, touched, replaced, truncated])
def test_a_file_that_changed_between_two_reads_is_not_read_again(path, tmp_path, change):
    opened = doors(path, tmp_path)
    for read in opened.values():
        read()
    change(path)
    for name in ("virtual", "written", "file as store"):  # the others keep what they have read
        with pytest.raises(SourceChangedError):
            opened[name]()


@pytest.mark.parametrize(("change", "message"), [(removed, "no such file"), (made_a_directory, "is not a file")])
def test_a_file_that_is_gone_is_an_error_with_its_name(path, tmp_path, change, message):
    opened = doors(path, tmp_path)
    change(path)
    for read in opened.values():
        with pytest.raises(SourceError, match=rf"a\.h5: {message}"):
            read()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_an_error_with_its_name(path, tmp_path):
    opened = doors(path, tmp_path)
    path.chmod(0)
    for read in opened.values():
        with pytest.raises(SourceError, match=r"a\.h5: not allowed to read it"):
            read()


def test_a_damaged_chunk_is_an_error_that_names_array_chunk_and_file(path, tmp_path):
    with h5py.File(path) as file:
        info = file["v"].id.get_chunk_info_by_coord((7, 11))
    with open(path, "r+b") as file:
        file.seek(info.byte_offset)
        file.write(bytes(info.size))
    opened = doors(path, tmp_path)
    for name, read in opened.items():
        with pytest.raises((CodecError, Exception), match=r"deflate|decompress|zlib|damaged") as caught:
            read()
        if name in ("virtual", "engine", "written"):
            assert isinstance(caught.value, CodecError)
            assert "chunk (1, 1)" in str(caught.value)
            assert "a.h5" in str(caught.value)


def test_only_chunks_that_are_asked_for_must_be_whole(path, values):
    with h5py.File(path) as file:
        info = file["v"].id.get_chunk_info_by_coord((7, 11))
    with open(path, "r+b") as file:
        file.seek(info.byte_offset)
        file.write(bytes(info.size))
    opened = xr.open_dataset(path, engine="virtualzarr")["v"]
    np.testing.assert_array_equal(opened[:7], values[:7])


def test_a_chunk_that_decodes_to_another_size_is_an_error(tmp_path):
    stored, _ = helpers.store_array(tmp_path / "a.bin", np.arange(8), [AxisGrid.regular(8, 4)])
    stored.manifest.length.flags.writeable = True
    stored.manifest.length[1] -= 8
    with pytest.raises(CodecError, match=r"chunk \(1\): 24 bytes at \d+ of file:.*a\.bin: chunk decodes to 24 bytes, expected 32"):
        np.asarray(helpers.virtual(stored))


def test_a_chunk_beyond_the_end_of_the_file_is_an_error(tmp_path):
    stored, _ = helpers.store_array(tmp_path / "a.bin", np.arange(8), [AxisGrid.regular(8, 4)])
    os.truncate(tmp_path / "a.bin", 50)  # its size was not recorded
    with pytest.raises(SourceError, match=r"array: chunk \(\d\): .*a\.bin: bytes .* were asked for, the file has 50: truncated\?"):
        np.asarray(helpers.virtual(stored))


# ---------------------------------------------------------------------- threads, processes, caches


def test_threads_may_read_one_array_at_once(array, values):
    boxes = [(slice(i % 13, i % 13 + 7), slice(i % 19, i % 19 + 11)) for i in range(200)]
    with ThreadPoolExecutor(8) as pool:
        for box, found in zip(boxes, pool.map(lambda b: np.asarray(array[b]), boxes), strict=True):
            np.testing.assert_array_equal(found, values[box])


def test_threads_may_read_one_store_at_once(path, tmp_path, values):
    ivz.open_virtual_dataset(path).vzarr.to_zarr(tmp_path / "s.vzarr")
    opened = xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr")
    with ThreadPoolExecutor(8) as pool:
        for row, found in enumerate(pool.map(lambda i: opened["v"][i].values, range(20))):
            np.testing.assert_array_equal(found, values[row])


def test_dask_reads_the_same(path, values):
    chunked = ivz.open_virtual_dataset(path).chunk()
    for scheduler in ("threads", "synchronous"):
        np.testing.assert_array_equal(chunked["v"].data.compute(scheduler=scheduler), values)


def test_an_array_survives_a_pickle(array, values):
    again = pickle.loads(pickle.dumps(array))
    assert again.shape == array.shape
    np.testing.assert_array_equal(np.asarray(again), values)
    np.testing.assert_array_equal(np.asarray(pickle.loads(pickle.dumps(array[::-2, 3:]))), values[::-2, 3:])


@pytest.mark.parametrize("fuse", [True, False])
def test_an_array_of_a_written_store_survives_a_pickle(path, tmp_path, values, fuse):
    dataset = ivz.open_virtual_dataset(path)
    xr.concat([dataset, dataset], dataset["v"].dims[0]).vzarr.to_zarr(tmp_path / "s.vzarr", fuse=fuse)
    opened = ivz.open_virtual_dataset(tmp_path / "s.vzarr")
    again = pickle.loads(pickle.dumps(opened["v"].variable._data))
    np.testing.assert_array_equal(np.asarray(again), np.concatenate([values, values]))
    lazy = xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr", chunks={})
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(lazy))["v"], np.concatenate([values, values]))


def test_a_cache_saves_the_second_read(array, path, values):
    cache = ChunkCache()
    whole = tuple(Window(0, n) for n in SHAPE)
    np.testing.assert_array_equal(array.read(whole, cache=cache), values)
    path.unlink()
    np.testing.assert_array_equal(array.read((Window(3, 9), Window(29, 30, -1)), cache=cache), values[3:12, ::-1])


def test_a_cache_keeps_no_more_than_its_limit(array):
    cache = ChunkCache(limit=2 * 7 * 11 * 8)
    array.read(tuple(Window(0, n) for n in SHAPE), cache=cache)
    assert cache.nbytes == cache.limit


def test_a_cached_chunk_cannot_be_changed_by_who_reads_it(array, values):
    cache = ChunkCache()
    first = array.read((Window(0, 7), Window(0, 11)), cache=cache)
    first[:] = 0
    np.testing.assert_array_equal(array.read((Window(0, 7), Window(0, 11)), cache=cache), values[:7, :11])
