"""VirtualZarrStore: plain Zarr over virtual arrays, in both modes, over files and http, without fsspec."""

from __future__ import annotations

import asyncio
import json
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr
import zarr
from support.helpers import serving
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import HierarchyError, UnsupportedError
from intake_virtualzarr.store.views import register_view, registered_views


def write_file(path: Path, rows: int = 6, first: int = 0) -> Path:
    """Variables that are shown in different ways."""
    with h5py.File(path, "w") as file:
        data = first + np.arange(rows * 8, dtype="i4").reshape(rows, 8)
        file.create_dataset("plain", data=data, chunks=(4, 3), compression="gzip", shuffle=True)
        made = file.create_dataset("holes", (rows, 8), "f4", chunks=(4, 3), fillvalue=-1.5)
        made[:4, :3] = 1
        skipped = file.create_dataset("skipped", data=data[0], chunks=(4,), compression="gzip")
        skipped.id.write_direct_chunk((4,), data[0, 4:].tobytes(), filter_mask=1)
        file.create_dataset("big", data=data.astype(">i2"), chunks=(2, 8))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_file(tmp_path / "a.h5")


def opened(target: object) -> zarr.Group:
    return zarr.open_group(ivz.VirtualZarrStore(target), mode="r")


@pytest.fixture(params=[True, False], ids=["rectilinear", "regular"])
def rectilinear(request):
    with zarr.config.set({"array.rectilinear_chunks": request.param}):
        yield request.param


# ---------------------------------------------------------------------- values and modes


@pytest.mark.parametrize("name", ["plain", "holes", "skipped", "big"])
@pytest.mark.parametrize("door", ["file", "store"])
def test_values_are_those_of_the_file(path, tmp_path, name, door, rectilinear):
    if door == "store":
        ivz.open_virtual_dataset(path).vzarr.to_zarr(tmp_path / "s.vzarr")
        group = opened(tmp_path / "s.vzarr")
    else:
        group = opened(path)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(group[name][...], file[name][...])
        np.testing.assert_array_equal(group[name][1:5:2], file[name][1:5:2])


def test_whole_chunks_of_one_pipeline_are_served_as_they_are(path):
    store = ivz.open_virtual_store(path)
    assert {name: store.mode(name) for name in ("plain", "holes", "skipped")} == {
        "plain": "passthrough",
        "holes": "passthrough",
        "skipped": "decoded",
    }
    with h5py.File(path) as file:
        _, stored = file["plain"].id.read_direct_chunk((4, 3))
    assert bytes(store.get_sync("plain/c/1/1").to_bytes()) == stored


def test_a_chunk_that_is_not_stored_is_absent(path):
    store = ivz.open_virtual_store(path)
    assert store.get_sync("holes/c/1/1") is None
    assert not asyncio.run(store.exists("holes/c/1/1"))
    assert asyncio.run(store.exists("holes/c/0/0"))
    group = zarr.open_group(store, mode="r")
    assert group["holes"].fill_value == np.float32(-1.5)


def test_joined_files_of_uneven_length_are_rectilinear_or_regular(tmp_path, rectilinear):
    datasets = [ivz.open_virtual_dataset(write_file(tmp_path / f"{n}.h5", n, 100 * n)) for n in (6, 5)]
    names = ["plain", "holes", "big"]
    dim = datasets[0]["plain"].dims[0]
    xr.concat([d[names] for d in datasets], dim).vzarr.to_zarr(tmp_path / "s.vzarr")
    group = opened(tmp_path / "s.vzarr")
    for name in names:
        with h5py.File(tmp_path / "6.h5") as a, h5py.File(tmp_path / "5.h5") as b:
            np.testing.assert_array_equal(group[name][...], np.concatenate([a[name], b[name]]))
    kind = json.loads(group.store.get_sync("plain/zarr.json").to_bytes())["chunk_grid"]["name"]
    assert kind == ("rectilinear" if rectilinear else "regular")


@pytest.mark.parametrize("fuse", [True, False])
def test_files_of_whole_chunks_pass_through_when_joined(tmp_path, fuse):
    datasets = [ivz.open_virtual_dataset(write_file(tmp_path / f"{n}.h5", 4, 100 * n))[["big"]] for n in (0, 1)]
    xr.concat(datasets, datasets[0]["big"].dims[0]).vzarr.to_zarr(tmp_path / "s.vzarr", fuse=fuse)
    store = ivz.VirtualZarrStore(tmp_path / "s.vzarr")
    assert store.mode("big") == "passthrough"
    found = zarr.open_group(store, mode="r")["big"][...]
    assert found[:, 0].tolist() == [0, 8, 16, 24, 100, 108, 116, 124]


# ---------------------------------------------------------------------- kinds of values


def kinds() -> dict[str, np.ndarray]:
    return {
        "flag": np.array([[True, False], [False, True]]),
        "complex": np.array([1 + 2j, 3, -1j]).astype("c8"),
        "text": np.array(["a", "bcä", ""], dtype=object),
        "bytes": np.array([b"ab", b"c", b""], "S4"),
        "big": np.arange(6, dtype=">f8"),
        "half": np.arange(4, dtype="f2"),
        "scalar": np.array(2.5),
        "empty": np.empty((0, 3), "i4"),
        "pairs": np.array([(1, 2.5), (3, 4.5)], dtype=[("a", "<i4"), ("b", "<f8")]),
        "large": np.array([2**63 + 1, 5], dtype="u8"),
    }


@pytest.mark.parametrize("name", kinds())
@pytest.mark.parametrize("door", ["file", "store"])
@pytest.mark.filterwarnings("ignore:The data type .* does not have a Zarr V3 specification")
@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")
def test_values_of_every_kind_are_shown(tmp_path, name, door, rectilinear):
    values = kinds()[name]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dtype = h5py.string_dtype() if values.dtype == object else values.dtype
        file.create_dataset(name, data=values, dtype=dtype, chunks=(2, *values.shape[1:]) if values.size > 2 else None)
    target = tmp_path / "a.h5"
    if door == "store":
        ivz.open_virtual_dataset(target, loadable_variables=[]).vzarr.to_zarr(tmp_path / "s.vzarr")
        target = tmp_path / "s.vzarr"
    found = np.asarray(opened(target)[name][...])
    assert found.shape == values.shape
    assert found.tolist() == values.tolist()
    again = ivz.open_virtual_dataset(target).load()[name].values
    assert again.tolist() == values.tolist()


def test_a_dataset_with_characters_and_their_fill_opens_in_xarray(tmp_path):
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        file.createDimension("x", 3)
        file.createDimension("n", 4)
        made = file.createVariable("v", "S1", ("x", "n"), fill_value=b"x")
        made[:] = netCDF4.stringtochar(np.array([b"ab", b"cdef", b""], "S4"))
        file.createVariable("w", "f4", "x", fill_value=-1.0)[:] = [1, -1, 3]
    with xr.open_zarr(ivz.open_virtual_store(tmp_path / "a.nc")) as found:
        assert np.isnan(found["w"].values).tolist() == [False, True, False]
        assert found["v"].shape[0] == 3


# ---------------------------------------------------------------------- the store's own manners


def test_a_store_survives_a_pickle(path):
    again = pickle.loads(pickle.dumps(ivz.VirtualZarrStore(path)))
    with h5py.File(path) as file:
        np.testing.assert_array_equal(zarr.open_group(again, mode="r")["plain"][...], file["plain"][...])
    assert again == ivz.VirtualZarrStore(path)
    assert again != ivz.VirtualZarrStore(path, storage_options={"s3://": {"anon": True}})


def test_threads_may_read_at_once(path):
    group = opened(path)
    with h5py.File(path) as file, ThreadPoolExecutor(8) as pool:
        expected = file["skipped"][...], file["plain"][...]
        found = list(pool.map(lambda i: group["skipped" if i % 2 == 0 else "plain"][...], range(60)))
    for i, values in enumerate(found):
        np.testing.assert_array_equal(values, expected[i % 2])


def test_a_store_is_read_only(path):
    store = ivz.VirtualZarrStore(path)
    with pytest.raises((ValueError, PermissionError), match=r"read.only"):
        zarr.open_group(store, mode="r")["plain"][...] = 0
    with pytest.raises(HierarchyError, match="read-only"):
        store.with_read_only(False)
    with pytest.raises(HierarchyError, match="read-only"):
        ivz.VirtualZarrStore(path, read_only=False)


def test_keys_that_are_not_there_are_absent(path):
    store = ivz.VirtualZarrStore(path)
    for key in ("nothing", "plain/c/9/9", "plain/c/0", "plain/c/0/0/0", "plain/c/-1/0", "c/0/0", "plain/c/00/a", "plain"):
        assert store.get_sync(key) is None
        assert not asyncio.run(store.exists(key))


def test_listings_hold_groups_arrays_and_chunks(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("g/h/v", data=np.arange(4), chunks=(2,))
    store = ivz.VirtualZarrStore(tmp_path / "a.h5")

    async def names(prefix: str) -> list[str]:
        return [name async for name in store.list_dir(prefix)]

    async def every() -> list[str]:
        return [key async for key in store.list()]

    assert asyncio.run(names("")) == ["zarr.json", "g"] or set(asyncio.run(names(""))) == {"zarr.json", "g"}
    assert set(asyncio.run(names("g/h/v"))) == {"zarr.json", "c"}
    keys = asyncio.run(every())
    assert {"zarr.json", "g/zarr.json", "g/h/zarr.json", "g/h/v/zarr.json", "g/h/v/c/0", "g/h/v/c/1"} == set(keys)
    assert all(asyncio.run(store.exists(key)) for key in keys)
    assert list(zarr.open_group(store, mode="r", path="g/h").array_keys()) == ["v"]


@pytest.mark.parametrize("name", ["plain", "skipped"])
@pytest.mark.parametrize(
    "part", [None, RangeByteRequest(3, 9), OffsetByteRequest(5), SuffixByteRequest(4), RangeByteRequest(0, 10**6)]
)
def test_parts_of_values_are_parts_of_their_bytes(path, name, part):
    store = ivz.VirtualZarrStore(path)
    key = f"{name}/c/0" if name == "skipped" else f"{name}/c/0/0"
    whole = bytes(store.get_sync(key).to_bytes())
    cut = {
        None: whole,
        RangeByteRequest(3, 9): whole[3:9],
        OffsetByteRequest(5): whole[5:],
        SuffixByteRequest(4): whole[-4:],
        RangeByteRequest(0, 10**6): whole,
    }[part]
    assert bytes(store.get_sync(key, byte_range=part).to_bytes()) == cut
    assert bytes(asyncio.run(store.get(key, default_buffer_prototype(), part)).to_bytes()) == cut


def test_other_views_can_be_registered(path):
    seen = []
    register_view("none-of-ours", lambda array, settings: seen.append(array.shape))
    try:
        ivz.VirtualZarrStore(path)
        assert "none-of-ours" in registered_views()
        assert (8,) in seen
    finally:
        from intake_virtualzarr.store import views as module

        del module._REGISTRY["none-of-ours"]


# ---------------------------------------------------------------------- http

READ = """
import sys
from importlib.abc import MetaPathFinder

class Nowhere(MetaPathFinder):  # zarr itself imports fsspec where it is installed, so here it is not
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("fsspec", "upath"):
            raise ModuleNotFoundError(name)

from importlib import util
find = util.find_spec
util.find_spec = lambda name, package=None: None if name in ("fsspec", "upath") else find(name, package)
sys.meta_path.insert(0, Nowhere())
import zarr, numpy as np
from intake_virtualzarr import VirtualZarrStore
group = zarr.open_group(VirtualZarrStore(sys.argv[1]), mode="r")
print(int(np.asarray(group["plain"][...]).sum()), int(group["skipped"][...].sum()))
assert "fsspec" not in sys.modules
"""


def test_a_store_opens_over_http_where_there_is_no_fsspec(path, tmp_path):
    ivz.open_virtual_dataset(path).vzarr.to_zarr(tmp_path / "s.vzarr")
    with h5py.File(path) as file:
        expected = f"{file['plain'][...].sum()} {file['skipped'][...].sum()}"
    with serving(tmp_path) as server:
        command = [sys.executable, "-c", READ, f"{server.url}/s.vzarr"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == expected
        assert server.requests["GET", "s.vzarr/zarr.json"] >= 1
        assert server.requests["GET", "a.h5"] >= 1


def test_chunks_over_http_are_asked_for_together(path, tmp_path):
    ivz.open_virtual_dataset(path).vzarr.to_zarr(tmp_path / "s.vzarr")
    with serving(tmp_path) as server:
        group = opened(f"{server.url}/s.vzarr")
        server.requests.clear()
        group["plain"][...]
        assert server.requests == {("GET", "a.h5"): 1}


def test_a_store_whose_sources_moved_with_it_reads_over_http(path, tmp_path):
    ivz.open_virtual_dataset(path).vzarr.to_zarr(tmp_path / "s.vzarr")
    with serving(tmp_path) as server:
        found = xr.open_dataset(f"{server.url}/s.vzarr", engine="virtualzarr")
        with h5py.File(path) as file:
            np.testing.assert_array_equal(found["plain"], file["plain"])


def test_a_variable_whose_type_zarr_lacks_is_left_out_of_the_store_with_its_reason(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["vectors"] = np.zeros(4, [("a", "<f4", (3,)), ("b", "<i2")])
        file["plain"] = np.arange(3)
    with pytest.warns(UserWarning, match="/vectors: values of .* which Zarr v3 has no data type for"):
        store = ivz.open_virtual_store(path)
    np.testing.assert_array_equal(zarr.open_group(store, mode="r")["plain"][:], [0, 1, 2])
    assert set(store.tree.left_out) == {"/vectors"}
    with pytest.raises(UnsupportedError, match="/vectors: values of"):
        ivz.open_virtual_store(path, on_unsupported="raise")
    with pytest.raises(UnsupportedError, match=r"vectors: values of .*; drop it to write the others"):
        ivz.open_virtual_dataset(path).vzarr.to_zarr(tmp_path / "a.vzarr")
