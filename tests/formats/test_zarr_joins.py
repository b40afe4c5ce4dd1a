"""Plain Zarr stores joined with each other and with netCDF files, written, appended to, changed: nothing is ever copied."""

from __future__ import annotations

import json
import os
import pickle
import shutil

import intake
import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.storage import ZipStore

import intake_virtualzarr as ivz
from intake_virtualzarr.datasets.check_sources import check_sources
from intake_virtualzarr.errors import IngestError, SourceChangedError, SourceError

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*Zarr V3 specification"),
    pytest.mark.filterwarnings("ignore:.*Consolidated metadata"),
    pytest.mark.filterwarnings("ignore:Duplicate name"),
]
KINDS = {
    "v2": {"zarr_format": 2, "consolidated": True},
    "v3": {"zarr_format": 3, "consolidated": False},
    "shards": {"zarr_format": 3, "consolidated": False, "encoding": {"v": {"chunks": (5, 1000), "shards": (10, 2000)}}},
    "zip": {"zarr_format": 3, "consolidated": False},
}


def year(number, rows=30):
    """Values that no compression makes small: 240 kB a store."""
    values = np.random.default_rng(number).random((rows, 2000)).astype("f4")
    time = np.arange(rows, dtype="f8") + rows * number
    return xr.Dataset({"v": (("time", "x"), values, {"units": "m"})}, {"time": time, "x": np.arange(2000.0)})


def store(path, number, kind, **more):
    given = {"encoding": {"v": {"chunks": (10, 1000)}}, **KINDS[kind]}
    if kind == "zip":
        with ZipStore(path, mode="w") as zipped:
            year(number, **more).to_zarr(zipped, **given)
    else:
        year(number, **more).to_zarr(path, **given)
    return path


def nbytes(folder):
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def through_engine(path):
    return xr.open_dataset(path, engine="virtualzarr").load()


@pytest.mark.parametrize("kind", KINDS)
def test_stores_joined_along_time_are_written_as_references(tmp_path, kind):
    paths = [store(tmp_path / f"{k}.zarr{'.zip' * (kind == 'zip')}", k, kind) for k in range(3)]
    joined = xr.concat([ivz.open_virtual_dataset(path) for path in paths], "time")
    written = joined.vzarr.to_zarr(tmp_path / "s.vzarr")
    direct = xr.concat([year(k) for k in range(3)], "time")
    xr.testing.assert_identical(through_engine(tmp_path / "s.vzarr"), direct)
    chunks = 36 if kind == "shards" else 18
    assert written.references == chunks
    assert nbytes(tmp_path / "s.vzarr") < 40_000, "720 kB of values, 16 kB of them labels"
    opened = ivz.open_virtual_mfdataset([str(path) for path in paths], progress=False)
    xr.testing.assert_identical(opened.vzarr.decode().load(), direct)


def test_one_store_is_written_as_references_and_its_chunks_know_their_state(tmp_path):
    path = store(tmp_path / "a.zarr", 0, "v3")
    ivz.open_virtual_dataset(path).vzarr.to_zarr(tmp_path / "s.vzarr")
    tables = ivz.open_virtual_dataset(tmp_path / "s.vzarr").v.data.segments[0].stored.sources
    chunks = sorted(path.glob("v/c/*/*"))
    assert {one.url for one in tables} == {chunk.as_uri() for chunk in chunks}
    assert {one.size for one in tables} == {chunk.stat().st_size for chunk in chunks}
    assert all(one.last_modified is not None for one in tables)


def test_zarr_years_are_followed_by_netcdf_years(tmp_path):
    store(tmp_path / "0.zarr", 0, "v2")
    year(1).to_netcdf(tmp_path / "1.nc", engine="h5netcdf", encoding={"v": {"chunksizes": (10, 1000), "zlib": True}})
    store(tmp_path / "2.zarr", 2, "shards")
    year(3).to_netcdf(tmp_path / "3.nc", engine="scipy")
    names = ["0.zarr", "1.nc", "2.zarr", "3.nc"]
    joined = ivz.open_virtual_mfdataset([str(tmp_path / name) for name in names], progress=False)
    joined.vzarr.to_zarr(tmp_path / "s.vzarr")
    direct = xr.concat([year(k) for k in range(4)], "time")
    found = through_engine(tmp_path / "s.vzarr")
    found.v.attrs.pop("_FillValue", None)
    xr.testing.assert_equal(found, direct)
    assert nbytes(tmp_path / "s.vzarr") < 50_000


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_is_appended(tmp_path, kind):
    names = [f"{k}.zarr{'.zip' * (kind == 'zip')}" for k in range(2)]
    for k, name in enumerate(names):
        opened = ivz.open_virtual_dataset(store(tmp_path / name, k, kind))
        opened.vzarr.to_zarr(tmp_path / "s.vzarr", **({"append_dim": "time"} if k else {}))
    xr.testing.assert_equal(through_engine(tmp_path / "s.vzarr"), xr.concat([year(0), year(1)], "time"))
    assert nbytes(tmp_path / "s.vzarr") < 60_000


def test_a_chunk_that_is_rewritten_is_noticed_and_the_others_are_read(tmp_path):
    path = store(tmp_path / "a.zarr", 0, "v3")
    ivz.open_virtual_dataset(path).vzarr.to_zarr(tmp_path / "s.vzarr")
    zarr.open_array(path / "v", mode="r+")[10:20, :1000] = 0.0
    read = ivz.open_virtual_dataset(tmp_path / "s.vzarr")
    np.testing.assert_array_equal(read.v[:10].values, year(0).v[:10])
    with pytest.raises(SourceChangedError, match=r"a\.zarr/v/c/1/0: changed since it was scanned"):
        read.v[10:].load()
    states = {one.url.rpartition("a.zarr/")[2]: one.state for one in check_sources(tmp_path / "s.vzarr")}
    assert [name for name, state in states.items() if state == "changed"] == ["v/c/1/0"]


def test_a_chunk_that_is_lost_is_an_error_and_one_that_was_not_written_is_fill(tmp_path):
    path = tmp_path / "a.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=3)
    array = group.create_array("v", shape=(40,), chunks=(10,), dtype="f4", fill_value=-1, dimension_names=("t",))
    array[:20] = 1
    ivz.open_virtual_dataset(path).vzarr.to_zarr(tmp_path / "s.vzarr")
    os.remove(path / "v/c/1")
    read = ivz.open_virtual_dataset(tmp_path / "s.vzarr").v
    assert read[20:].values.tolist() == [-1] * 20
    with pytest.raises(SourceError, match=r"v/c/1: no such file"):
        read[10:20].load()


def test_a_store_moves_with_its_chunks(tmp_path):
    (tmp_path / "here").mkdir()
    ivz.open_virtual_dataset(store(tmp_path / "here/a.zarr", 0, "v3")).vzarr.to_zarr(tmp_path / "here/s.vzarr")
    shutil.move(tmp_path / "here", tmp_path / "there")
    xr.testing.assert_equal(through_engine(tmp_path / "there/s.vzarr"), year(0))


@pytest.mark.parametrize("kind", ["v3", "shards"])
def test_virtual_arrays_of_a_store_survive_pickling(tmp_path, kind):
    opened = ivz.open_virtual_dataset(store(tmp_path / "a.zarr", 0, kind), loadable_variables=[])
    again = pickle.loads(pickle.dumps(opened))
    np.testing.assert_array_equal(again.v.values, year(0).v)
    chunked = xr.open_dataset(tmp_path / "a.zarr", engine="virtualzarr", chunks={})
    np.testing.assert_array_equal(chunked.v.max().values, year(0).v.max().values)


def test_a_table_of_many_chunk_objects_is_short(tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=3)
    array = group.create_array("v", shape=(4000, 5), chunks=(2, 5), dtype="f4", dimension_names=("t", "x"), compressors=None)
    array[:] = 1
    written = ivz.open_virtual_dataset(tmp_path / "a.zarr").vzarr.to_zarr(tmp_path / "s.vzarr")
    assert written.references == 2000
    assert nbytes(tmp_path / "s.vzarr") < 2000 * 100, "a row has the key below the store, size and time"


def test_stores_are_ingested_and_opened_by_intake(tmp_path):
    for k in range(2):
        store(tmp_path / f"{k}.zarr", k, "v3")
    report = ivz.ingest([str(tmp_path / f"{k}.zarr") for k in range(2)], tmp_path / "out", name="sst", progress=False)
    assert report.sources == 2
    found = intake.open_catalog(str(tmp_path / "out/catalog.yaml")).sst.to_dask().load()
    xr.testing.assert_equal(found, xr.concat([year(0), year(1)], "time"))


def test_a_published_cube_of_stores_is_updated(tmp_path):
    """Same stores: nothing; one more: appended; a chunk object that was rewritten: found, and the cube made anew on request."""
    paths = [str(store(tmp_path / f"{k}.zarr", k, "v3")) for k in range(2)]
    ivz.ingest(paths, tmp_path / "out", name="s", progress=False)
    assert ivz.update(paths, tmp_path / "out", name="s", progress=False).action == "nothing"
    paths.append(str(store(tmp_path / "2.zarr", 2, "v3")))
    assert ivz.update(paths, tmp_path / "out", name="s", progress=False).action == "append"
    zarr.open_array(tmp_path / "1.zarr/v", mode="r+")[:10, :1000] = 0.0
    with pytest.raises(IngestError, match=r"1\.zarr: changed: size was"):
        ivz.update(paths, tmp_path / "out", name="s", progress=False)
    assert ivz.update(paths, tmp_path / "out", name="s", progress=False, conflicts="rewrite").action == "rewrite"
    direct = xr.concat([year(k) for k in range(3)], "time")
    direct.v[30:40, :1000] = 0.0
    xr.testing.assert_equal(through_engine(tmp_path / "out/s.vzarr"), direct)


@pytest.mark.parametrize("urlpath", ["*.zarr", ["0.zarr", "1.zarr"]])
def test_stores_are_opened_by_intake_as_they_are(tmp_path, urlpath):
    for k in range(2):
        store(tmp_path / f"{k}.zarr", k, "v2")
    named = [str(tmp_path / one) for one in urlpath] if isinstance(urlpath, list) else str(tmp_path / urlpath)
    entry = {"driver": "virtualzarr", "args": {"urlpath": named}}
    (tmp_path / "c.yaml").write_text(json.dumps({"sources": {"s": entry}}))
    xr.testing.assert_equal(intake.open_catalog(str(tmp_path / "c.yaml")).s.to_dask().load(), xr.concat([year(0), year(1)], "time"))


@pytest.mark.parametrize("kind", KINDS)
def test_stores_are_exported_to_kerchunk(tmp_path, kind):
    path = store(tmp_path / ("a.zarr" + ".zip" * (kind == "zip")), 0, kind)
    ivz.open_virtual_dataset(path).vzarr.to_kerchunk(tmp_path / "a.json")
    xr.testing.assert_equal(through_engine(tmp_path / "a.json"), year(0))
    assert (tmp_path / "a.json").stat().st_size < 60_000
