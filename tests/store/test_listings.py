"""What a `VirtualZarrStore` lists is what it has: documents, and the chunks that are stored."""

from __future__ import annotations

import asyncio
import pickle

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.abc.store import RangeByteRequest

import intake_virtualzarr as ivz
from intake_virtualzarr.store.codec_pipeline import SETTING


@pytest.fixture
def sparse(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("v", (8,), "f4", chunks=(2,), compression="gzip")[2:4] = 1
        file.create_dataset("g/w", (6, 4), "i2", chunks=(3, 4), fillvalue=7)[:3] = 5
    return tmp_path / "a.h5"


async def everything(items):
    return sorted([item async for item in items])


def listed(items):
    return asyncio.run(everything(items))


def test_only_stored_chunks_are_listed(sparse):
    store = ivz.VirtualZarrStore(sparse)
    group = zarr.open_group(store, mode="r")
    assert group["v"].nchunks_initialized == 1
    assert group["g/w"].nchunks_initialized == 1
    group["v"].info_complete()
    assert listed(store.list_prefix("v")) == ["v/c/1", "v/zarr.json"]
    assert listed(store.list_dir("v")) == ["c", "zarr.json"]
    assert listed(store.list_dir("v/c")) == ["1"]
    assert listed(store.list_dir("g/w/c/0")) == ["0"]
    assert listed(store.list_dir("")) == ["g", "v", "zarr.json"]


def test_what_is_listed_exists_and_nothing_else(sparse):
    store = ivz.VirtualZarrStore(sparse)
    keys = listed(store.list())
    assert keys == ["g/w/c/0/0", "g/w/zarr.json", "g/zarr.json", "v/c/1", "v/zarr.json", "zarr.json"]
    for key in [*keys, "v/c/0", "v/c/4", "v/c/01", "v/c/١", "v/c", "g/w/c/1/0", "x"]:
        there = key in keys
        assert asyncio.run(store.exists(key)) is there, key
        value = asyncio.run(store.get(key))
        assert (value is not None) is there
        if there:
            assert asyncio.run(store.getsize(key)) == len(value)
        else:
            with pytest.raises(FileNotFoundError):
                asyncio.run(store.getsize(key))
    assert asyncio.run(store.getsize_prefix("v")) == sum(asyncio.run(store.getsize(k)) for k in ("v/c/1", "v/zarr.json"))


def test_chunks_that_are_decoded_are_listed_where_something_is_stored(sparse):
    virtual = ivz.open_virtual_dataset(sparse).isel({"phony_dim_0": slice(1, 8)})
    virtual.vzarr.to_zarr(sparse.parent / "s.vzarr")
    store = ivz.VirtualZarrStore(sparse.parent / "s.vzarr")
    assert store.mode("v") == "decoded"
    keys = [key for key in listed(store.list()) if key.startswith("v/c")]
    values = zarr.open_group(store, mode="r")["v"]
    assert np.array_equal(values[...], [0, 1, 1, 0, 0, 0, 0])
    assert values.nchunks_initialized == len(keys) < values.nchunks


def test_a_store_is_opened_in_an_event_loop_and_pickled(sparse):
    store = asyncio.run(ivz.VirtualZarrStore.open(sparse))
    again = pickle.loads(pickle.dumps(store))
    assert again == store
    assert again != ivz.VirtualZarrStore(sparse, storage_options={"file://": {}})
    with store:
        assert store._is_open
    assert not store._is_open


def test_odd_ranges_are_zarrs_error(sparse):
    store = ivz.VirtualZarrStore(sparse)
    with pytest.raises(ValueError, match="Unexpected byte_range"):
        asyncio.run(store.get("v/c/1", byte_range=(0, 2)))
    assert len(asyncio.run(store.get("v/zarr.json", byte_range=RangeByteRequest(0, 5)))) == 5


# ---------------------------------------------------------------------- the pipeline setting


FUSED = "zarr.core.codec_pipeline.FusedCodecPipeline"


def kind_elsewhere():
    return type(zarr.create_array(zarr.storage.MemoryStore(), shape=4, dtype="i4")._async_array.codec_pipeline).__name__


def test_the_setting_of_a_with_block_ends_with_it(sparse):
    ivz.VirtualZarrStore(sparse)
    with zarr.config.set({SETTING: FUSED}):
        store = ivz.VirtualZarrStore(sparse)
        assert kind_elsewhere() == "FusedCodecPipeline"
        assert zarr.open_group(store, mode="r")["v"][...].sum() == 2
    assert kind_elsewhere() == "BatchedCodecPipeline"
    array = zarr.open_group(store, mode="r")["v"]
    again = pickle.loads(pickle.dumps(array))
    assert type(again._async_array.codec_pipeline).__name__ == "VirtualPipeline"
    assert again[...].sum() == 2


def test_ordinary_arrays_without_their_first_chunk_open_under_any_pipeline(tmp_path):
    group = zarr.create_group(tmp_path / "s.zarr")
    group.create_array("v", shape=8, chunks=2, dtype="i4", fill_value=0)[4:6] = 3
    for path in ("zarr.core.codec_pipeline.BatchedCodecPipeline", FUSED):
        with zarr.config.set({SETTING: path}):
            read = zarr.open_group(ivz.VirtualZarrStore(tmp_path / "s.zarr"), mode="r")["v"]
            assert read[...].tolist() == [0, 0, 0, 0, 3, 3, 0, 0]


# ---------------------------------------------------------------------- xarray's Zarr engine


def test_text_that_is_missing_is_missing_for_the_zarr_engine(tmp_path):
    words = xr.Variable("t", np.array(["ab", "cd", "XXX"], object), {}, {"dtype": str, "_FillValue": "XXX"})
    xr.Dataset({"x": words, "y": ("t", [1.0, 2.0, 3.0])}).to_netcdf(tmp_path / "s.nc", engine="h5netcdf")
    opened = xr.open_zarr(ivz.VirtualZarrStore(tmp_path / "s.nc"), consolidated=False)
    assert opened.x.values[:2].tolist() == ["ab", "cd"]
    assert opened.x.isnull().values.tolist() == [False, False, True]


def test_unsigned_numbers_that_are_signed_open_in_the_zarr_engine(tmp_path):
    with netCDF4.Dataset(tmp_path / "u.nc", "w") as file:
        file.createDimension("t", 3)
        variable = file.createVariable("v", "u1", ("t",), fill_value=np.uint8(255))
        variable.set_auto_maskandscale(False)
        variable[:] = np.array([1, 255, 127], "u1")
        variable._Unsigned = "false"
        variable.scale_factor = 0.1
    with xr.open_dataset(tmp_path / "u.nc", engine="netcdf4") as want:
        opened = xr.open_zarr(ivz.VirtualZarrStore(tmp_path / "u.nc"), consolidated=False)
        np.testing.assert_array_equal(opened.v.values, want.v.values)
