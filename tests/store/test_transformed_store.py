"""Storage transformers: any zarr store, its arrays' transformers applied, read by zarr-python and xarray."""

import asyncio
import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile
from zlib import crc32

import numpy as np
import pytest
import xarray as xr
import zarr
from support.helpers import serving
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import FsspecStore, LocalStore, MemoryStore, ObjectStore, ZipStore

import intake_virtualzarr as ivz
from intake_virtualzarr.store import storage_transformer as registry

EXAMPLE = Path(__file__).parents[2] / "examples" / "checksum_transformer.py"


class Checked(ivz.StorageTransformer):
    """Values end with their checksum."""

    async def get(self, key, prototype, byte_range=None):
        whole = await self.inner.get(key, prototype)
        if whole is None:
            return None
        raw = whole.to_bytes()
        assert crc32(raw[:-4]) == int.from_bytes(raw[-4:], "little")
        return self.answer(raw[:-4], prototype, byte_range)


class Prefixed(ivz.StorageTransformer):
    """Values lie below a prefix that the configuration names."""

    async def get(self, key, prototype, byte_range=None):
        return await self.inner.get(self.configuration["prefix"] + key, prototype, byte_range)

    async def list(self):
        async for key in self.inner.list():
            if key.startswith(self.configuration["prefix"]):
                yield key.removeprefix(self.configuration["prefix"])


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    for name, kind in (("checked", Checked), ("prefixed", Prefixed)):
        monkeypatch.setitem(registry._REGISTRY, name, kind)


@pytest.fixture
def archive(tmp_path):
    """Three files, joined, and their values."""
    paths = []
    for k in range(3):
        path = tmp_path / f"{k}.nc"
        v = np.arange(12.0).reshape(3, 4) + 100 * k
        one = xr.Dataset({"v": (("time", "x"), v)}, {"time": np.arange(3) + 3 * k, "x": np.arange(4)})
        one.to_netcdf(path, engine="h5netcdf", encoding={"v": {"chunksizes": (2, 2), "zlib": True}})
        paths.append(str(path))
    joined = ivz.open_virtual_mfdataset(paths)
    joined.vzarr.to_zarr(tmp_path / "s.vzarr")
    with xr.open_mfdataset(paths, engine="h5netcdf") as expected:
        return tmp_path / "s.vzarr", expected.load()


def in_store(kind, folder: Path):
    if kind == "local":
        return LocalStore(folder)
    if kind == "fsspec":
        return FsspecStore.from_url(folder.as_uri(), storage_options={"asynchronous": False})
    if kind == "object store":
        from obstore.store import LocalStore as Objects

        return ObjectStore(Objects(str(folder)))
    with ZipFile(folder.with_suffix(".zip"), "w") as archive:
        for path in folder.rglob("*"):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
    return ZipStore(folder.with_suffix(".zip"), mode="r")


@pytest.mark.parametrize("kind", ["local", "fsspec", "object store"])
def test_a_virtual_hierarchy_in_any_store_is_plain_zarr(archive, kind):
    path, expected = archive
    store = ivz.TransformedStore(in_store(kind, path))
    xr.testing.assert_equal(xr.open_zarr(store, decode_cf=False, consolidated=True).load(), expected)
    again = pickle.loads(pickle.dumps(store)) if kind == "local" else store
    group = zarr.open_group(again, mode="r", use_consolidated=False)
    np.testing.assert_array_equal(group["v"][...], expected.v)
    assert sorted(group.array_keys()) == ["time", "v", "x"]


def test_what_is_listed_exists_and_has_the_size_of_its_value(archive):
    store = ivz.TransformedStore(LocalStore(archive[0]))
    plain = ivz.VirtualZarrStore(archive[0])

    async def look():
        keys = sorted([key async for key in store.list()])
        for key in keys:
            value = await store.get(key)
            assert await store.exists(key)
            assert await store.getsize(key) == len(value)
            if not key.endswith("zarr.json"):
                assert value.to_bytes() == (await plain.get(key)).to_bytes()
        return keys, sorted([key async for key in plain.list()])

    keys, of_plain = asyncio.run(look())
    assert keys == of_plain


def test_transformers_are_asked_in_the_order_of_the_metadata(tmp_path):
    values = np.arange(12.0).reshape(3, 4)
    zarr.create_array(tmp_path / "g.zarr", name="v", data=values, chunks=(1, 4), compressors=None, fill_value=-1)
    array = tmp_path / "g.zarr" / "v"
    for path in [path for path in (array / "c").rglob("*") if path.is_file()]:
        below = array / "kept" / path.relative_to(array)
        below.parent.mkdir(parents=True, exist_ok=True)
        below.write_bytes(path.read_bytes() + crc32(path.read_bytes()).to_bytes(4, "little"))
        path.unlink()
    (array / "kept/c/1/0").unlink()
    values[1] = -1
    document = json.loads((array / "zarr.json").read_text())
    document["storage_transformers"] = [{"name": "checked"}, {"name": "prefixed", "configuration": {"prefix": "kept/"}}]
    (array / "zarr.json").write_text(json.dumps(document))

    store = ivz.TransformedStore(LocalStore(tmp_path / "g.zarr"))
    opened = zarr.open_array(store, path="v", mode="r")
    np.testing.assert_array_equal(opened[...], values)
    assert opened.nchunks_initialized == 2

    async def parts():
        prototype = default_buffer_prototype()
        whole = (await store.get("v/c/0/0")).to_bytes()
        for part, expected in (
            (RangeByteRequest(3, 9), whole[3:9]),
            (OffsetByteRequest(5), whole[5:]),
            (SuffixByteRequest(6), whole[-6:]),
        ):
            assert (await store.get("v/c/0/0", prototype, part)).to_bytes() == expected
        assert await store.get("v/c/1/0") is None
        assert not await store.exists("v/c/1/0")
        return whole

    assert np.frombuffer(asyncio.run(parts()), "<f8").tolist() == values[0].tolist()


def test_an_unknown_transformer_is_named_and_the_other_arrays_open(archive):
    path, expected = archive
    root = json.loads((path / "zarr.json").read_text())
    for document in (root["consolidated_metadata"]["metadata"]["v"],):
        document["storage_transformers"][0]["name"] = "chunk-lottery"
    (path / "zarr.json").write_text(json.dumps(root))
    own = {**root["consolidated_metadata"]["metadata"]["v"]}
    (path / "v" / "zarr.json").write_text(json.dumps(own))
    store = ivz.TransformedStore(LocalStore(path))
    group = zarr.open_group(store, mode="r")
    np.testing.assert_array_equal(group["x"][...], expected.x)
    with pytest.raises(ivz.HierarchyError, match=r"v: storage transformer 'chunk-lottery' is unknown; install"):
        zarr.open_array(store, path="v", mode="r")


def test_ordinary_stores_pass_unchanged(tmp_path):
    inner = MemoryStore()
    zarr.create_group(inner).create_array("a", data=np.arange(6), chunks=(4,))
    store = ivz.TransformedStore(inner)
    np.testing.assert_array_equal(zarr.open_group(store, mode="r")["a"][...], np.arange(6))
    with pytest.raises(ValueError, match="read-only"):
        zarr.open_group(store, mode="r")["a"][...] = 0

    async def listed(of):
        return sorted([key async for key in of.list()])

    assert asyncio.run(listed(store)) == asyncio.run(listed(inner))


def test_a_store_from_a_network_may_name_no_local_file(archive):
    path, _ = archive
    for file in path.rglob("*.json"):
        file.write_text(re.sub(r'"base": ?"[^"]*"', f'"base":"{path.parent.as_uri()}/"', file.read_text()))
    with serving(path) as server:
        store = ivz.TransformedStore(FsspecStore.from_url(server.url, read_only=True))
        with pytest.raises(ivz.NotAllowedError, match=r"allow="):
            zarr.open_array(store, path="v", mode="r")[...]
        allowed = ivz.TransformedStore(FsspecStore.from_url(server.url, read_only=True), allow=path.parent.as_uri())
        assert zarr.open_array(allowed, path="v", mode="r").shape == (9, 4)


def test_stores_are_equal_where_the_inner_ones_are():
    inner = MemoryStore()
    zarr.create_group(inner)
    assert ivz.TransformedStore(inner) == ivz.TransformedStore(inner)
    assert ivz.TransformedStore(inner) != ivz.TransformedStore(MemoryStore())


PLUG_IN = """
import sys, zarr
import intake_virtualzarr as ivz
array = zarr.open_array(ivz.TransformedStore(zarr.storage.LocalStore(sys.argv[1])), mode="r")
print(array[...].sum())
"""


def test_a_transformer_of_another_package_is_found_by_its_entry_point(tmp_path):
    package = tmp_path / "package"
    information = package / "checksum_transformer-1.0.dist-info"
    information.mkdir(parents=True)
    (package / "checksum_transformer.py").write_text(EXAMPLE.read_text())
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: checksum-transformer\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[{registry.GROUP}]\nchecksum = checksum_transformer:Checksum\n")
    write = (
        "import sys, numpy as np, pathlib, checksum_transformer as c; "
        "c.write_with_checksums(pathlib.Path(sys.argv[1]), np.ones((3, 4)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(package), *filter(None, [os.environ.get("PYTHONPATH")])])}
    for code in (write, PLUG_IN):
        command = [sys.executable, "-c", code, str(tmp_path / "rows.zarr")]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "12.0"
