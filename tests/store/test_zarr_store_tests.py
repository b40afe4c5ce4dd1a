"""zarr-python's own `StoreTests`, the parts that a read-only store can pass, over six kinds of stores that hold a hierarchy."""

from __future__ import annotations

import asyncio
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.core.buffer import cpu, default_buffer_prototype
from zarr.storage import LocalStore, MemoryStore, ObjectStore, ZipStore
from zarr.testing.store import StoreTests

import intake_virtualzarr as ivz

KINDS = ("file", "directory", "local", "memory", "zip", "object")
# what writes, or reads keys that the test itself has written
WRITES = frozenset(
    {
        "test_serializable_store",
        "test_store_read_only",
        "test_store_open_read_only",
        "test_with_read_only_store",
        "test_get",
        "test_get_not_open",
        "test_get_raises",
        "test_get_many",
        "test_getsize",
        "test_getsize_prefix",
        "test_set",
        "test_set_not_open",
        "test_set_many",
        "test_get_partial_values",
        "test_exists",
        "test_delete",
        "test_delete_dir",
        "test_delete_nonexistent_key_does_not_raise",
        "test_is_empty",
        "test_clear",
        "test_list",
        "test_list_prefix",
        "test_list_empty_path",
        "test_list_dir",
        "test_set_if_not_exists",
        "test_get_sync",
        "test_set_sync",
        "test_delete_sync",
        "test_delete_sync_missing",
        "test_sync_async_set_get_parity",
        "test_delete_sync_visible_to_async_get",
        "test_get_sync_byte_range_parity",
    }
)


def inner(kind: str, folder: Path) -> object:
    """A place that holds the same hierarchy."""
    if kind == "file":
        return folder / "a.nc"
    root = folder / "s.vzarr"
    if kind == "directory":
        return root
    if kind == "local":
        return LocalStore(root, read_only=True)
    if kind == "object":
        from obstore.store import LocalStore as Objects

        return ObjectStore(Objects(str(root)), read_only=True)
    if kind == "zip":
        with zipfile.ZipFile(folder / "s.zip", "w") as archive:
            for key, value in inner("memory", folder)._store_dict.items():
                archive.writestr(key, value.to_bytes())
        return ZipStore(folder / "s.zip", mode="r")
    store = MemoryStore()
    ivz.open_virtual_dataset(folder / "a.nc").vzarr.to_zarr(store)  # its sources have absolute URLs
    return store


@pytest.mark.filterwarnings("ignore")
class TestReadOnlyParts(StoreTests[ivz.VirtualZarrStore, cpu.Buffer]):
    store_cls = ivz.VirtualZarrStore
    buffer_cls = cpu.Buffer

    @pytest.fixture(autouse=True)
    def only_what_reads(self, request):
        if request.node.originalname in WRITES:
            pytest.skip("writes, or reads what it wrote itself")

    @pytest.fixture(params=KINDS)
    def store_kwargs(self, request, tmp_path):
        ds = xr.Dataset({"v": (("t", "x"), np.arange(12.0).reshape(3, 4))}, {"t": np.arange(3.0)})
        ds.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding={"v": {"chunksizes": (1, 4)}})
        ivz.open_virtual_dataset(tmp_path / "a.nc").vzarr.to_zarr(tmp_path / "s.vzarr")
        return {"target": inner(request.param, tmp_path)}

    @pytest.fixture
    def store(self, store_kwargs):
        return asyncio.run(self.store_cls.open(**store_kwargs))

    @pytest.fixture
    def store_not_open(self, store_kwargs):
        return self.store_cls(**store_kwargs)

    async def set(self, store, key, value):
        raise NotImplementedError

    async def get(self, store, key):
        return await store.get(key, default_buffer_prototype())

    def test_store_repr(self, store):
        assert repr(store).startswith("VirtualZarrStore(")

    def test_store_supports_writes(self, store):
        assert not store.supports_writes

    def test_store_supports_listing(self, store):
        assert store.supports_listing

    def test_store_context_manager(self, open_kwargs):
        asyncio.run(super().test_store_context_manager(open_kwargs))

    def test_read_only_store_raises(self, open_kwargs):
        asyncio.run(super().test_read_only_store_raises(open_kwargs))

    def test_getsize_raises(self, store):
        asyncio.run(super().test_getsize_raises(store))

    def test_values_are_those_of_the_file(self, store):
        assert zarr.open_group(store, mode="r")["v"][...].tolist() == np.arange(12.0).reshape(3, 4).tolist()

    def test_a_pickled_store_is_equal(self, store):
        assert pickle.loads(pickle.dumps(store)) == store
