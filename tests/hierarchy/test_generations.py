"""What a store has published is never changed: readers, writers at once, kills, damage, and what is cleaned away."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import threading
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from support.helpers import serving

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import ConflictError, HierarchyError, StoreChangedError, VirtualZarrError
from intake_virtualzarr.hierarchy.clean import clean_hierarchy, named_bytes
from intake_virtualzarr.hierarchy.generation import generation_time, is_generation, new_generation
from intake_virtualzarr.hierarchy.transaction import HierarchyTransaction
from intake_virtualzarr.storage.key_value import LocalKeys, ObjectKeys, StoreKeys

STEPS = 300
"""More chunks than a readable manifest holds."""
NOW = timedelta(0)


def write_file(path: Path, first: int, version: int = 0, steps: int = STEPS) -> Path:
    times = np.datetime64("2024-01-01", "ns") + np.arange(first, first + steps).astype("m8[D]")
    values = np.arange(first, first + steps, dtype="f8")[:, None] * 10 + [1, 2] + 100_000 * version
    area = np.random.default_rng(0).random((200, 60))  # too large for a document
    dataset = xr.Dataset({"v": (("time", "x"), values)}, {"time": times, "area": (("p", "q"), area)})
    encoding = {"v": {"chunksizes": (1, 2)}, "time": {"units": "days since 2000-01-01", "dtype": "i4"}}
    dataset.to_netcdf(path, engine="h5netcdf", unlimited_dims=["time"], encoding=encoding)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    return [write_file(folder / f"{n}-{version}.nc", n * STEPS, version) for n, version in ((0, 0), (1, 0), (2, 0), (0, 1))]


def virtual(path):
    return ivz.open_virtual_dataset(path, loadable_variables=["time", "area"])


@pytest.fixture
def store(files, tmp_path):
    virtual(files[0]).vzarr.to_zarr(tmp_path / "s.vzarr")
    return tmp_path / "s.vzarr"


def engine(store):
    return xr.open_dataset(store, engine="virtualzarr")


def direct(*files):
    return xr.open_mfdataset(files, engine="h5netcdf", data_vars="minimal", coords="minimal", compat="override").load()


def test_names_of_generations_differ_sort_and_tell_their_time():
    names = [new_generation() for _ in range(1000)]
    assert len(set(names)) == 1000
    assert all(map(is_generation, names))
    assert abs(generation_time(names[0]).timestamp() - time.time()) < 5


# ---------------------------------------------------------------------- readers


def test_a_dataset_that_is_open_reads_on_while_the_store_is_replaced_and_appended_to(files, store):
    opened = engine(store)
    lazily = opened.chunk({"time": 50})
    plain = pickle.dumps(ivz.VirtualZarrStore(store))
    virtual(files[3]).vzarr.to_zarr(store, mode="w")
    virtual(files[1]).vzarr.to_zarr(store, append_dim="time")
    expected = direct(files[0])
    xr.testing.assert_equal(opened.load(), expected)
    xr.testing.assert_equal(lazily.load(), expected)
    np.testing.assert_array_equal(zarr.open_group(pickle.loads(plain), mode="r")["v"][:], expected.v)
    assert engine(store).sizes["time"] == 2 * STEPS


def test_a_reader_over_http_reads_on(tmp_path):
    paths = [write_file(tmp_path / f"{version}.nc", 0, version) for version in (0, 1)]
    virtual(paths[0]).vzarr.to_zarr(tmp_path / "h.vzarr")
    with serving(tmp_path) as server:
        opened = engine(f"{server.url}/h.vzarr")
        virtual(paths[1]).vzarr.to_zarr(tmp_path / "h.vzarr", mode="w")
        xr.testing.assert_equal(opened.load(), direct(paths[0]))
        xr.testing.assert_equal(engine(f"{server.url}/h.vzarr").load(), direct(paths[1]))


def test_a_reader_of_what_was_cleaned_away_is_told_to_open_again(files, store):
    opened = engine(store)
    virtual(files[3]).vzarr.to_zarr(store, mode="w")
    clean_hierarchy(LocalKeys(store), NOW)
    with pytest.raises(StoreChangedError, match=r"was written again \(generation .* of 20.*\).*open it again"):
        opened.v.load()
    xr.testing.assert_equal(engine(store).load(), direct(files[3]))


def objects(store):
    return sorted(path for path in store.rglob("*") if path.is_file())


DAMAGE = {
    "absent": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "short": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "altered": lambda path: path.write_bytes(path.read_bytes()[:-9] + bytes([path.read_bytes()[-9] ^ 1]) + path.read_bytes()[-8:]),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_object_is_an_error_or_does_not_matter(files, store, tmp_path, how):
    virtual(files[1]).vzarr.to_zarr(store, append_dim="time")
    expected = engine(store).load()
    refused = 0
    for path in objects(store):
        copy = tmp_path / "copy.vzarr"
        shutil.copytree(store, copy)
        DAMAGE[how](copy / path.relative_to(store))
        try:
            with engine(copy) as found:
                xr.testing.assert_equal(found.load(), expected)
        except (VirtualZarrError, ValueError):  # a directory without a root is none of ours
            refused += 1
        shutil.rmtree(copy)
    assert refused >= 4, "root, page, table, values, part"


# ---------------------------------------------------------------------- writers


@pytest.mark.parametrize("kind", ["local", "memory", "objects"])
def test_of_two_writers_that_began_alike_one_publishes_and_the_other_leaves_nothing(files, tmp_path, kind):
    if kind == "objects":
        from obstore.store import MemoryStore

        keys = ObjectKeys.__new__(ObjectKeys)
        keys.url, keys.access = "s3://bucket/s.vzarr", LocalKeys(tmp_path).access
        keys._prefix, keys._store = "s.vzarr", MemoryStore()
    else:
        keys = LocalKeys(tmp_path / "s.vzarr") if kind == "local" else StoreKeys(zarr.storage.MemoryStore())
    virtual(files[0]).vzarr.to_zarr(keys)
    first, second = HierarchyTransaction(keys), HierarchyTransaction(keys)
    for one in (first, second):
        one.commit.put(f"{one.commit.prefix}/x.bin", b"1")
    first.finish()
    with pytest.raises(ConflictError, match=f"changed by another writer .generation {first.commit.generation} of"):
        second.finish()
    names = set(keys.names("generations"))
    assert first.commit.generation in names
    assert second.commit.generation not in names


def test_appends_at_once_are_kept_or_refused(files, store):
    results = []

    def append(path):
        try:
            virtual(path).vzarr.to_zarr(store, append_dim="time")
            results.append("ok")
        except HierarchyError as exc:
            results.append(type(exc).__name__)

    threads = [threading.Thread(target=append, args=(path,)) for path in files[1:3]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = engine(store).load()
    assert found.sizes["time"] == STEPS * (1 + results.count("ok"))
    assert "ok" in results
    days = (found.time.values - np.datetime64("2024-01-01")).astype("m8[D]").astype(int)
    np.testing.assert_array_equal(found.v.values[:, 0], days * 10 + 1)


# ---------------------------------------------------------------------- what is left behind


def test_cleaning_removes_what_was_given_up_long_enough_ago(files, store):
    first = engine(store)
    keys = LocalKeys(store)
    before = named_bytes(keys)
    virtual(files[3]).vzarr.to_zarr(store, mode="w")
    assert named_bytes(keys) == pytest.approx(before, rel=0.1), "what was given up does not count"
    assert clean_hierarchy(keys, timedelta(days=7)).objects == 0
    dry = clean_hierarchy(keys, NOW, dry_run=True)
    assert len(dry.generations) == 1
    first.isel(time=slice(3)).v.load()
    done = clean_hierarchy(keys, NOW)
    assert (done.objects, done.nbytes, done.generations) == (dry.objects, dry.nbytes, dry.generations)
    assert clean_hierarchy(keys, NOW).objects == 0
    xr.testing.assert_equal(engine(store).load(), direct(files[3]))


def test_cleaning_keeps_what_an_append_and_a_region_still_name(files, store):
    virtual(files[1]).vzarr.to_zarr(store, append_dim="time")
    virtual(files[3])[["v"]].drop_vars(["time"]).vzarr.to_zarr(store, region={"time": slice(0, STEPS)})
    expected = engine(store).load()
    clean_hierarchy(LocalKeys(store), NOW)
    xr.testing.assert_equal(engine(store).load(), expected)


def test_an_old_copy_of_a_document_is_brought_up_to_date(files, store):
    old = (store / "v" / "zarr.json").read_bytes()
    virtual(files[1]).vzarr.to_zarr(store, append_dim="time")
    new = (store / "v" / "zarr.json").read_bytes()
    (store / "v" / "zarr.json").write_bytes(old)  # as if the writer had been killed right after the switch
    assert engine(store).sizes["time"] == 2 * STEPS
    assert clean_hierarchy(LocalKeys(store), timedelta(days=7)).refreshed == 1
    assert (store / "v" / "zarr.json").read_bytes() == new


def test_leftovers_of_a_killed_writer_go_with_the_next_write_and_those_of_a_live_one_stay(files, store):
    live = new_generation()
    old = "1ng00000000000000000"
    for name in (live, old):
        (store / "generations" / name).mkdir()
        (store / "generations" / name / "page").write_bytes(b"1")
    long_ago = time.time() - 7200
    os.utime(store / "generations" / old / "page", (long_ago, long_ago))
    virtual(files[1]).vzarr.to_zarr(store, append_dim="time")
    names = {path.name for path in (store / "generations").iterdir()}
    assert live in names
    assert old not in names


def test_a_place_that_holds_leftovers_only_is_free(files, tmp_path):
    name = new_generation()
    (tmp_path / "s.vzarr" / "generations" / name).mkdir(parents=True)
    (tmp_path / "s.vzarr" / "generations" / name / "page").write_bytes(b"1")
    virtual(files[0]).vzarr.to_zarr(tmp_path / "s.vzarr")
    assert engine(tmp_path / "s.vzarr").sizes["time"] == STEPS


def test_the_record_of_a_store_is_no_attribute_of_its_data(store):
    assert "_vzarr" in json.loads((store / "zarr.json").read_text())["attributes"]
    assert "_vzarr" not in engine(store).attrs
    assert "_vzarr" not in zarr.open_group(ivz.VirtualZarrStore(store), mode="r").attrs


# ---------------------------------------------------------------------- the root's own checksum


def test_a_bit_of_the_root_that_flips_is_an_error_or_does_not_matter(files, store):
    root = store / "zarr.json"
    raw = root.read_bytes()
    expected = engine(store).load()
    refused = 0
    for place in range(0, len(raw), 97):
        root.write_bytes(raw[:place] + bytes([raw[place] ^ 1 << place % 7]) + raw[place + 1 :])
        try:
            with engine(store) as found:
                xr.testing.assert_equal(found.load(), expected)
        except (VirtualZarrError, ValueError):
            refused += 1
    assert refused > 30


def test_a_root_that_another_zarr_tool_has_changed_is_refused_and_nothing_is_cleaned_away(files, store):
    before = objects(store)
    zarr.open_group(store, mode="r+", use_consolidated=False).attrs["title"] = "new"
    for act in (engine, ivz.VirtualZarrStore, lambda _: clean_hierarchy(LocalKeys(store), NOW)):
        with pytest.raises(
            HierarchyError, match=r"zarr.json: is not as it was written.*remove 'check' from its attribute '_vzarr'"
        ):
            act(store)
    root = json.loads((store / "zarr.json").read_text())
    del root["attributes"]["_vzarr"]["check"]
    (store / "zarr.json").write_text(json.dumps(root))
    assert engine(store).attrs["title"] == "new"
    with pytest.raises(HierarchyError, match="no consolidated_metadata, so it names nothing and all would go"):
        clean_hierarchy(LocalKeys(store), NOW)
    assert objects(store) == before
    virtual(files[1]).vzarr.to_zarr(store, append_dim="time")
    clean_hierarchy(LocalKeys(store), NOW)
    xr.testing.assert_equal(engine(store).drop_attrs().load(), direct(*files[:2]).drop_attrs())


def test_a_store_whose_root_is_damaged_is_written_again(files, store):
    raw = (store / "zarr.json").read_bytes()
    for damaged in (raw.replace(b"[300,2]", b"[301,2]"), raw[:-20], b"", b"[]"):
        (store / "zarr.json").write_bytes(damaged)
        with pytest.raises((VirtualZarrError, ValueError)):
            engine(store).load()
        virtual(files[0]).vzarr.to_zarr(store, mode="w")
        xr.testing.assert_equal(engine(store).load(), direct(files[0]))
