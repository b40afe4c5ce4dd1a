"""The codec pipeline: the values of h5py for every kind of selection, and other stores left alone."""

from __future__ import annotations

import pickle

import h5py
import numpy as np
import pytest
import xarray as xr
import zarr
from support.helpers import serving

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import SourceError
from intake_virtualzarr.storage.config import PIPELINE_VARIABLE
from intake_virtualzarr.store.codec_pipeline import SETTING, VirtualPipeline

SHAPE, CHUNKS = (13, 20, 9), (4, 7, 5)
KINDS = {"i2": "<i2", "big": ">i4", "f4": "<f4", "f8": "<f8", "u1": "u1"}


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(1).integers(0, 200, SHAPE)


@pytest.fixture(scope="module")
def path(values, tmp_path_factory):
    path = tmp_path_factory.mktemp("pipeline") / "a.h5"
    with h5py.File(path, "w") as file:
        for name, dtype in KINDS.items():
            made = file.create_dataset(
                name, SHAPE, dtype, chunks=CHUNKS, compression="gzip", shuffle=True, fletcher32=name == "f8", fillvalue=7
            )
            made[:9] = values[:9].astype(dtype)  # the last chunks are not stored
        file.create_dataset("strings", data=np.array(["a", "bcd", ""] * 4, dtype=h5py.string_dtype()), chunks=(5,))
    return path


@pytest.fixture
def group(path):
    return zarr.open_group(ivz.open_virtual_store(path), mode="r")


SELECTIONS = [
    ...,
    (slice(2, 11), slice(3, 15), slice(1, 8)),
    (slice(None), 5, slice(None)),
    (3, 5, 6),
    (slice(None, None, 3), slice(1, None, 6), slice(None, None, 2)),
    (slice(0, 0), slice(None), slice(None)),
    (12, slice(19, 20), slice(8, 9)),
    (slice(4, 8), slice(7, 14), slice(0, 5)),
]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("selection", SELECTIONS, ids=repr)
def test_a_selection_holds_what_h5py_reads(path, group, name, selection):
    with h5py.File(path) as file:
        expected = file[name][selection]
    got = group[name][selection]
    assert np.array_equal(got, expected)
    assert np.asarray(got).dtype == np.dtype(KINDS[name]).newbyteorder("=")


@pytest.mark.parametrize("name", ["i2", "f8"])
def test_listed_elements_hold_what_numpy_takes(path, group, name):
    with h5py.File(path) as file:
        whole = file[name][...]
    array = group[name]
    rows, columns = [12, 0, 5, 5], [3, 19, 0, 8]
    assert np.array_equal(array.oindex[rows, :, [1, 8]], whole[np.ix_(rows, range(20), [1, 8])])
    assert np.array_equal(array.oindex[rows, 4, 2:7], whole[np.ix_(rows, [4], range(2, 7))][:, 0])
    assert np.array_equal(array.vindex[rows, columns, [0, 1, 8, 2]], whole[rows, columns, [0, 1, 8, 2]])
    mask = np.random.default_rng(2).random(SHAPE) > 0.7
    assert np.array_equal(array.get_mask_selection(mask), whole[mask])
    assert np.array_equal(array.blocks[1, 1:3, 0], whole[4:8, 7:20, 0:5])


def test_strings_are_left_to_zarr(group):
    assert group["strings"][...].tolist() == ["a", "bcd", ""] * 4


def test_a_remote_request_is_few_requests(path, values):
    with serving(path.parent) as server:
        store = ivz.open_virtual_store(f"{server.url}/{path.name}")
        array = zarr.open_group(store, mode="r")["i2"]
        server.requests.clear()
        assert np.array_equal(array[:9], values[:9])
        assert sum(server.requests.values()) == 1


def test_a_source_that_changed_is_an_error(path, tmp_path):
    copy = tmp_path / "copy.h5"
    copy.write_bytes(path.read_bytes())
    array = zarr.open_group(ivz.open_virtual_store(copy), mode="r")["i2"]
    copy.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(SourceError, match="changed since it was scanned"):
        array[...]


def test_missing_chunks_are_errors_where_zarr_is_asked_to_raise(path):
    with zarr.config.set({"array.read_missing_chunks": False}):
        array = zarr.open_group(ivz.open_virtual_store(path), mode="r")["i2"]
        assert array[:4].shape == (4, 20, 9)
        with pytest.raises(zarr.errors.ChunkNotFoundError):
            array[...]


# ---------------------------------------------------------------------- whose pipeline


def test_arrays_of_other_stores_keep_the_pipeline_they_had(path):
    with ivz.config.set(fast_pipeline=False):
        before = type(zarr.create_array({}, shape=4, dtype="i4").async_array.codec_pipeline)
    ivz.open_virtual_store(path)
    other = zarr.create_array({}, shape=(8, 8), chunks=(4, 4), shards=(8, 8), dtype="i4")
    other[...] = 3
    assert type(other.async_array.codec_pipeline) is before
    assert (other[...] == 3).all()


def test_a_pipeline_that_the_user_chose_stays_for_other_stores(path):
    with zarr.config.set({SETTING: "zarr.core.codec_pipeline.FusedCodecPipeline"}):
        array = zarr.open_group(ivz.open_virtual_store(path), mode="r")["i2"]
        assert isinstance(array.async_array.codec_pipeline, VirtualPipeline)
        assert type(array.async_array.codec_pipeline.plain).__name__ == "FusedCodecPipeline"
        other = zarr.create_array({}, shape=4, dtype="i4")
        assert type(other.async_array.codec_pipeline).__name__ == "FusedCodecPipeline"


def test_the_environment_variable_leaves_zarr_alone(path, values, monkeypatch):
    monkeypatch.setenv(PIPELINE_VARIABLE, "0")
    array = zarr.open_group(ivz.open_virtual_store(path), mode="r")["i2"]
    assert not isinstance(array.async_array.codec_pipeline, VirtualPipeline)
    assert np.array_equal(array[:9], values[:9])


def test_the_config_leaves_zarr_alone(path, values):
    store = ivz.open_virtual_store(path)
    with ivz.config.set(fast_pipeline=False):
        array = zarr.open_group(store, mode="r")["i2"]
        assert not isinstance(array.async_array.codec_pipeline, VirtualPipeline)
        assert np.array_equal(array[:9], values[:9])
    assert isinstance(zarr.open_group(store, mode="r")["i2"].async_array.codec_pipeline, VirtualPipeline)


def test_an_array_survives_pickling(group, values):
    array = pickle.loads(pickle.dumps(group["f4"]))
    assert np.array_equal(array[:9], values[:9])


def test_dask_blocks_hold_the_values(path, values):
    ds = xr.open_zarr(ivz.open_virtual_store(path), chunks={}, consolidated=True)
    assert np.array_equal(ds["i2"].data.compute(scheduler="threads")[:9], values[:9])
