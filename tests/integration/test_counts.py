"""Costs that do not depend on the clock: rounds, requests, bytes and objects."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr
from support.helpers import serving

import intake_virtualzarr as ivz
import intake_virtualzarr.datasets.accessor  # the accessor
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.chunk_grid import ChunkGrid
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.arrays.segments import StoredArray
from intake_virtualzarr.codecs.spec import CodecSpec, bytes_codec
from intake_virtualzarr.formats.parser_input import RemoteFile
from intake_virtualzarr.formats.parser_loop import parse_file
from intake_virtualzarr.formats.registry import HEAD
from intake_virtualzarr.formats.scan import scan
from intake_virtualzarr.storage.coalesce import merge_ranges
from intake_virtualzarr.storage.event_loop import run
from intake_virtualzarr.storage.http_reader import HttpReader
from intake_virtualzarr.storage.source import Source, SourceTable

VARIABLES, STEPS, CHUNK = 20, 1000, 20_000
INDEX_DEPTH = 2
"""Levels of the B-trees of 1,000 chunks."""


@pytest.fixture(scope="module")
def interleaved(tmp_path_factory):
    """A file of 400 MB whose variables grew step by step; all chunks but the metadata between them are holes."""
    path = tmp_path_factory.mktemp("counts") / "interleaved.h5"
    with h5py.File(path, "w") as file:
        datasets = [
            file.create_dataset(f"v{i}", (0, CHUNK), "u1", maxshape=(None, CHUNK), chunks=(1, CHUNK)) for i in range(VARIABLES)
        ]
        raw = bytes(CHUNK)
        for step in range(STEPS):
            for dataset in datasets:
                dataset.resize(step + 1, axis=0)
                dataset.id.write_direct_chunk((step, 0), raw)
    return path


class CountingReader:
    """A local file behind the interface of a remote reader; counts rounds, requests and bytes."""

    def __init__(self, path: Path) -> None:
        self.url = "http://example.org/interleaved.h5"
        self.path = path
        self.size = path.stat().st_size
        self.rounds = self.requests = self.nbytes = 0

    def _read(self, start, length):
        self.requests += 1
        self.nbytes += length
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(length)

    async def head_async(self, size):
        self.rounds += 1
        return Source(self.url, size=self.size), self._read(0, size)

    async def read_merged_async(self, ranges, expected=None):
        self.rounds += 1
        merged, _ = merge_ranges(ranges)
        return merged, [self._read(*part) for part in merged]


def test_rounds_of_a_scan_grow_with_the_depth_of_the_indexes_and_not_with_the_file(interleaved):
    reader = CountingReader(interleaved)
    assert reader.size > 400e6
    found = run(parse_file(RemoteFile(reader), None))
    assert found.references == VARIABLES * STEPS
    assert reader.rounds <= 3 + INDEX_DEPTH
    assert reader.nbytes < 0.03 * reader.size
    assert reader.requests < 100


def test_a_small_remote_file_is_scanned_by_one_request(tmp_path):
    path = tmp_path / "small.h5"
    with h5py.File(path, "w") as file:
        file["v"] = np.arange(1000)
    assert path.stat().st_size < HEAD
    with serving(tmp_path) as server:
        scan(f"{server.url}/small.h5")
        assert sum(server.requests.values()) == 1


# ---------------------------------------------------------------------- a store of a million references

FILES, CHUNKS = 1000, 1000


def file_of_steps(url: str, chunks: int, size: int, steps: int = 1) -> VirtualZarrArray:
    """An array whose chunks all lie at the beginning of a file."""
    dtype = np.dtype("i2")
    codecs = bytes_codec(dtype), CodecSpec.of("numcodecs.zlib", level=4)
    grid = ChunkGrid.regular((steps, chunks * 10), (1, 10))
    shape = (steps, chunks)
    manifest = ChunkManifest.from_columns(shape, np.zeros(shape, "u8"), np.full(shape, size))
    return VirtualZarrArray.from_stored(StoredArray(dtype, np.int16(0), grid, codecs, manifest, SourceTable((Source(url),))))


def dataset(parts: list[VirtualZarrArray]) -> xr.Dataset:
    return xr.Dataset({"v": (("time", "x"), np.concatenate(parts, axis=0))})


@pytest.fixture
def million(tmp_path):
    data = zlib.compress(np.arange(10, dtype="<i2").tobytes())
    (tmp_path / "a.bin").write_bytes(data)
    with serving(tmp_path) as server:
        parts = [file_of_steps(f"{server.url}/a.bin?versionId={i}", CHUNKS, len(data)) for i in range(FILES)]
        written = dataset(parts).vzarr.to_zarr(str(tmp_path / "s.vzarr"))
        assert written.references == FILES * CHUNKS
        yield server, tmp_path / "s.vzarr", len(data)


def through_engine(url):
    with xr.open_dataset(url, engine="virtualzarr") as ds:
        return ds.v[777, 50:60].values


def through_zarr(url):
    return zarr.open_group(ivz.VirtualZarrStore(url), mode="r")["v"][777, 50:60]


def test_one_chunk_of_a_million_takes_few_requests_and_bytes(million):
    server, store, size = million
    for read in (through_engine, through_zarr):
        server.requests.clear()
        server.sent = 0
        assert read(f"{server.url}/{store.name}").tolist() == list(range(10))
        assert sum(server.requests.values()) <= 7
        assert server.sent == size, "of the data file the chunk and nothing else"


def state(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): os.stat(p).st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def one_part(names: set[str]) -> bool:
    return len(names) == 1 and Path(min(names)).match("generations/*/v/parts/0/zarr.json")


def test_an_append_writes_two_documents_and_the_new_page(million):
    server, store, size = million
    for turn in range(3):
        before = state(store)
        more = dataset([file_of_steps(f"{server.url}/a.bin?versionId=more{turn}", CHUNKS, size)])
        written = more.vzarr.to_zarr(str(store), append_dim="time")
        after = state(store)
        changed = {name for name in before if after.get(name) != before[name]}
        new = set(after) - set(before)
        assert changed == {"zarr.json", "v/zarr.json"}, "pages that are there stay"
        assert one_part(new), "the part holds its page of references"
        assert written.objects == 3
        assert through_engine(str(store)).tolist() == list(range(10))
    with xr.open_dataset(str(store), engine="virtualzarr") as ds:
        assert ds.sizes["time"] == FILES + 3
        assert ds.v[[999, 1000, 1002], :10].values.tolist() == [list(range(10))] * 3
    server.requests.clear()
    with xr.open_dataset(f"{server.url}/{store.name}", engine="virtualzarr") as ds:
        assert ds.v[1001, :10].values.tolist() == list(range(10))
    assert sum(server.requests.values()) <= 3, "root, part, chunk"


def test_an_append_of_a_dataset_with_a_time_writes_three_documents_and_new_pages(million, tmp_path):
    server, _, size = million
    first = dataset([file_of_steps(f"{server.url}/a.bin?versionId={i}", CHUNKS, size) for i in range(FILES)])
    store = tmp_path / "t.vzarr"
    days = pd.date_range("2000-01-01", periods=FILES + 2)
    first.assign_coords(time=days[:FILES]).vzarr.to_zarr(str(store))
    for turn in range(2):
        before = state(store)
        more = dataset([file_of_steps(f"{server.url}/a.bin?versionId=more{turn}", CHUNKS, size)])
        more.assign_coords(time=days[FILES + turn : FILES + turn + 1]).vzarr.to_zarr(str(store), append_dim="time")
        after = state(store)
        assert {name for name in before if after[name] != before[name]} == {"zarr.json", "v/zarr.json", "time/zarr.json"}
        assert one_part(set(after) - set(before)), "the times stand in their document"


def test_ten_thousand_files_of_one_chunk_make_few_objects(tmp_path):
    parts = [file_of_steps(f"https://example.org/{i}.bin", 1, 30) for i in range(10_000)]
    written = dataset(parts).vzarr.to_zarr(str(tmp_path / "s.vzarr"))
    assert written.references == 10_000
    assert written.objects <= 4 + 10, "documents, one page, and ten pages of sources"
    assert written.nbytes < 2_000_000


# ---------------------------------------------------------------------- points


def test_a_point_series_asks_for_its_chunks_at_once_and_for_no_more(tmp_path):
    path = tmp_path / "series.h5"
    values = np.random.default_rng(0).integers(0, 9999, (200, 40, 10)).astype("i2")
    with h5py.File(path, "w") as file:
        file.create_dataset("v", data=values, chunks=(1, 10, 10))
        size = sum(file["v"].id.get_chunk_info(i).size for i in range(800)) // 4
    with serving(tmp_path) as server:
        url = f"{server.url}/series.h5"
        array = zarr.open_group(ivz.open_virtual_store(url), mode="r")["v"]
        with xr.open_dataset(url, engine="virtualzarr", cache=False) as ds:
            for read in (lambda: array[:, 5, 5], lambda: ds.v[:, 5, 5].values):
                server.requests.clear()
                server.sent = 0
                assert np.array_equal(read(), values[:, 5, 5])
                assert sum(server.requests.values()) <= 8
                assert server.sent <= path.stat().st_size
                assert server.sent >= size


def test_requests_under_way_are_capped(tmp_path, monkeypatch):
    import intake_virtualzarr.storage.http_reader as web
    import intake_virtualzarr.storage.network as network

    path = tmp_path / "a.bin"
    path.write_bytes(bytes(40 * 200_000))
    most, under_way = 0, 0
    real = web.ask

    async def counted(*args, **kwargs):
        nonlocal most, under_way
        under_way += 1
        most = max(most, under_way)
        try:
            return await real(*args, **kwargs)
        finally:
            under_way -= 1

    monkeypatch.setattr(web, "ask", counted)
    monkeypatch.setattr(network, "IN_FLIGHT", 3)
    monkeypatch.setattr(network, "_gates", type(network._gates)())
    with serving(tmp_path) as server:
        blocks = HttpReader(f"{server.url}/a.bin").read([(i * 200_000, 10) for i in range(40)])
        assert [len(b) for b in blocks] == [10] * 40
        assert sum(server.requests.values()) == 40
    assert most <= 3


def test_listed_elements_are_read_by_few_requests(tmp_path):
    """zarr-python's oindex, vindex and masks: chunks all over the file, at once."""
    path = tmp_path / "series.h5"
    values = np.random.default_rng(0).integers(0, 9999, (200, 40, 10)).astype("i2")
    with h5py.File(path, "w") as file:
        file.create_dataset("v", data=values, chunks=(1, 10, 10), compression="gzip")
    steps = np.arange(0, 200, 3)
    rows, columns = steps % 40, steps % 10
    mask = np.zeros(values.shape, bool)
    mask[steps, rows, columns] = True
    with serving(tmp_path) as server:
        array = zarr.open_group(ivz.open_virtual_store(f"{server.url}/series.h5"), mode="r")["v"]
        for read, expected in (
            (lambda: array.oindex[steps, [5, 17], :], values[np.ix_(steps, [5, 17], np.arange(10))]),
            (lambda: array.vindex[steps, rows, columns], values[steps, rows, columns]),
            (lambda: array[mask], values[mask]),
        ):
            server.requests.clear()
            assert np.array_equal(read(), expected)
            assert sum(server.requests.values()) <= 8
