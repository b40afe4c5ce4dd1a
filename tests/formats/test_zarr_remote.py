"""Plain Zarr stores on web servers and in buckets: what is asked for, how often, and what becomes of what is not there."""

from __future__ import annotations

import numpy as np
import obstore
import pytest
import xarray as xr
import zarr
from support.helpers import serving
from support.servers.s3 import PRIVATE, PUBLIC, s3_server
from zarr.storage import FsspecStore, ZipStore

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import SourceChangedError, SourceError

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*Zarr V3 specification"),
    pytest.mark.filterwarnings("ignore:.*Consolidated metadata"),
    pytest.mark.filterwarnings("ignore:Duplicate name"),
]


def values():
    data = np.random.default_rng(0).random((40, 200)).astype("f4")
    data[20:30] = np.nan  # two chunks that are not written
    return xr.Dataset({"v": (("time", "x"), data)}, {"time": np.arange(40.0)})


def store(path, *, version=3, consolidated=True, shards=None, zipped=False):
    encoding = {"v": {"chunks": (10, 100), "_FillValue": np.nan, **({"shards": shards} if shards else {})}}
    if version == 3:
        encoding["v"]["fill_value"] = np.nan
    target = ZipStore(path, mode="w") if zipped else path
    values().to_zarr(target, zarr_format=version, consolidated=consolidated, encoding=encoding, write_empty_chunks=False)
    if zipped:
        target.close()
    return path


def asked(server):
    """Number of requests by method."""
    found = {}
    for (method, _), count in server.requests.items():
        found[method] = found.get(method, 0) + count
    server.requests.clear()
    return found


@pytest.mark.parametrize("version", [2, 3])
def test_requests_for_a_store_on_a_web_server(tmp_path, version):
    """Opening takes the metadata, and two requests a label; a chunk is asked for its state once, and then read."""
    store(tmp_path / "a.zarr", version=version)
    with serving(tmp_path) as server:
        opened = ivz.open_virtual_dataset(f"{server.url}/a.zarr")
        assert asked(server) == {"GET": 2 if version == 3 else 3, "HEAD": 1}, "zarr.json or .zmetadata, and one chunk of labels"
        np.testing.assert_array_equal(opened.v.values, values().v)
        assert asked(server) == {"GET": 6, "HEAD": 8}, "eight chunks are asked for, and the six that are there are read"
        again = ivz.open_virtual_dataset(f"{server.url}/a.zarr")
        asked(server)
        again.vzarr.to_zarr(tmp_path / "s.vzarr")
        assert asked(server) == {"HEAD": 8}, "writing reads no chunk"
        found = xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr")
        xr.testing.assert_equal(found.load(), values())
        assert asked(server) == {"GET": 6}


def test_requests_for_shards_on_a_web_server(tmp_path):
    store(tmp_path / "a.zarr", shards=(20, 200))
    with serving(tmp_path) as server:
        opened = ivz.open_virtual_dataset(f"{server.url}/a.zarr")
        asked(server)
        np.testing.assert_array_equal(opened.v[:10].values, values().v[:10])
        assert asked(server) == {"HEAD": 1, "GET": 2}, "of one shard its state, its index, and two chunks that are neighbours"
        opened.vzarr.to_zarr(tmp_path / "s.vzarr")
        assert asked(server) == {"HEAD": 1, "GET": 1}
        xr.testing.assert_equal(xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr").load(), values())


@pytest.mark.parametrize("shards", [None, (20, 200)], ids=["chunks", "shards"])
def test_a_zip_file_on_a_web_server_takes_few_requests(tmp_path, shards):
    store(tmp_path / "a.zarr.zip", zipped=True, shards=shards, consolidated=False)
    with serving(tmp_path) as server:
        opened = ivz.open_virtual_dataset(f"{server.url}/a.zarr.zip")
        assert asked(server) == {"GET": 1}, "the head of the file, which is all of it, labels included"
        np.testing.assert_array_equal(opened.v.values, values().v)
        opened.vzarr.to_zarr(tmp_path / "s.vzarr")
        xr.testing.assert_equal(xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr").load(), values())


def test_metadata_that_cannot_be_found_are_asked_to_be_consolidated(tmp_path):
    for version in (2, 3):
        store(tmp_path / f"{version}.zarr", version=version, consolidated=False)
        with serving(tmp_path) as server, pytest.raises(SourceError, match=r"not consolidated.*zarr\.consolidate_metadata"):
            ivz.open_virtual_dataset(f"{server.url}/{version}.zarr")


def test_a_server_that_refuses_chunks_does_not_make_them_fill(tmp_path):
    store(tmp_path / "a.zarr")
    with serving(tmp_path) as server:
        opened = ivz.open_virtual_dataset(f"{server.url}/a.zarr")
        server.refuse["a.zarr/v/c/0/0"] = 403
        with pytest.raises(SourceError, match="access denied"):
            opened.v.load()


def test_a_chunk_that_was_replaced_on_the_server_is_noticed(tmp_path):
    store(tmp_path / "a.zarr")
    with serving(tmp_path) as server:
        ivz.open_virtual_dataset(f"{server.url}/a.zarr").vzarr.to_zarr(tmp_path / "s.vzarr")
        zarr.open_array(tmp_path / "a.zarr/v", mode="r+")[:10, :100] = 0.0
        read = ivz.open_virtual_dataset(tmp_path / "s.vzarr")
        np.testing.assert_array_equal(read.v[10:20].values, values().v[10:20])
        with pytest.raises(SourceChangedError, match="v/c/0/0: changed"):
            read.v[:10].load()


def test_stores_behind_fsspec_are_referenced(tmp_path):
    store(tmp_path / "a.zarr")
    store(tmp_path / "b.zarr.zip", zipped=True)
    for url in (f"simplecache::file://{tmp_path}/a.zarr", f"zip://::file://{tmp_path}/b.zarr.zip"):
        opened = ivz.open_virtual_dataset(url)
        written = tmp_path / f"{url.partition(':')[0]}.vzarr"
        opened.vzarr.to_zarr(written)
        xr.testing.assert_equal(xr.open_dataset(written, engine="virtualzarr").load(), values())
        rows = ivz.open_virtual_dataset(written).v.data.segments[0].stored.sources
        assert all(one.content is None for one in rows)
    opened = ivz.open_virtual_dataset(FsspecStore.from_url(f"file://{tmp_path}/a.zarr", read_only=True))
    np.testing.assert_array_equal(opened.v.values, values().v)


# ---------------------------------------------------------------------- buckets


@pytest.fixture(scope="module")
def s3():
    with s3_server() as server:
        yield server


def upload(s3, bucket, path, name):
    for file in path.rglob("*"):
        if file.is_file():
            s3.upload(bucket, f"{name}/{file.relative_to(path).as_posix()}", file)
    return f"s3://{bucket}/{name}"


@pytest.mark.s3
@pytest.mark.parametrize(("version", "consolidated", "shards"), [(2, False, None), (3, False, None), (3, True, (20, 200))])
def test_a_store_in_a_bucket_is_listed_and_referenced(s3, tmp_path, version, consolidated, shards):
    path = store(tmp_path / "a.zarr", version=version, consolidated=consolidated, shards=shards)
    url = upload(s3, PRIVATE, path, f"a {version} {consolidated}.zarr").replace(" ", "%20")
    opened = ivz.open_virtual_dataset(url, storage_options=s3.with_keys)
    np.testing.assert_array_equal(opened.v.values, values().v)
    opened.vzarr.to_zarr(tmp_path / "s.vzarr")
    reading = {"backend_kwargs": {"storage_options": s3.with_keys}}
    xr.testing.assert_equal(xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr", **reading).load(), values())
    rows = ivz.open_virtual_dataset(tmp_path / "s.vzarr", storage_options=s3.with_keys).v.data.segments[0].stored.sources
    assert all(one.etag for one in rows)


@pytest.mark.s3
def test_a_bucket_that_may_not_be_listed_is_asked_chunk_by_chunk(s3, tmp_path):
    url = upload(s3, PUBLIC, store(tmp_path / "a.zarr"), "b.zarr")
    opened = ivz.open_virtual_dataset(url, storage_options=s3.reading)
    np.testing.assert_array_equal(opened.v.values, values().v)


@pytest.mark.s3
def test_an_object_that_is_listed_and_one_that_is_asked_for_have_one_state(s3, tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=3)
    group.create_array("v", shape=(40,), chunks=(1,), dtype="f4", dimension_names=("t",))[:] = 1
    url = upload(s3, PRIVATE, tmp_path / "a.zarr", "c.zarr")
    few = ivz.open_virtual_dataset(url, storage_options=s3.with_keys)
    few.v[:4].load()  # by name
    few.vzarr.to_zarr(tmp_path / "1.vzarr")  # the others by a listing
    joined = xr.concat([few, ivz.open_virtual_dataset(url, storage_options=s3.with_keys).isel(t=slice(0, 3))], "t")
    joined.vzarr.to_zarr(tmp_path / "2.vzarr")
    obstore.put(s3.bucket(PRIVATE), "c.zarr/v/c/3", b"other bytes")
    with pytest.raises(SourceChangedError, match="c/3"):
        ivz.open_virtual_dataset(tmp_path / "1.vzarr", storage_options=s3.with_keys).v.load()
