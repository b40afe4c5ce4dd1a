"""Stores of five and of a thousand million references: what a reader asks for and keeps, and that nothing goes by their number."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import xarray as xr
import zarr
from support.helpers import serving
from support.large_stores import VALUES, simulate

import intake_virtualzarr as ivz
from intake_virtualzarr.hierarchy.paged_manifest import page_references

FILES, CHUNKS = 5_000, 1_000
MILLION = 1_000_000


@pytest.fixture(scope="module")
def five_million(tmp_path_factory):
    """Five million references made from columns; a chunk of one of the files is there."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "data").mkdir()
    (folder / "data/002500.bin").write_bytes(b"\0" * 4096 + VALUES.tobytes())
    length = np.full((FILES, CHUNKS), VALUES.nbytes, np.uint32)  # alike, so that compressing takes no time
    offset = np.broadcast_to(np.arange(CHUNKS, dtype=np.uint64)[::-1] * 8 + 4096, (FILES, CHUNKS))
    urls = [str(folder / f"data/{number:06}.bin") for number in range(FILES)]
    shape, chunks = (FILES, CHUNKS * VALUES.size), (1, VALUES.size)
    source = np.arange(FILES, dtype=np.uint32)[:, None]
    array = ivz.VirtualZarrArray.from_references(shape, chunks, "<i2", urls, offset, length, source)
    written = xr.Dataset({"v": (("time", "x"), array)}).vzarr.to_zarr(str(folder / "s.vzarr"))
    assert written.references == FILES * CHUNKS
    assert written.sources == FILES
    with serving(folder) as server:
        yield server, folder


def through_engine(url, row, x):
    with xr.open_dataset(url, engine="virtualzarr") as ds:
        return ds.v[row, x : x + 10].values.tolist()


def through_zarr(url, row, x):
    return zarr.open_group(ivz.VirtualZarrStore(url), mode="r")["v"][row, x : x + 10].tolist()


@pytest.mark.parametrize("read", [through_engine, through_zarr])
def test_one_of_five_million_references_takes_five_requests(five_million, read):
    server, _ = five_million
    server.requests.clear()
    server.sent = 0
    assert read(f"{server.url}/s.vzarr", 2500, 9990) == VALUES.tolist()
    assert sum(server.requests.values()) <= 5, "root, page, table of files, the chunk"
    assert server.sent == VALUES.nbytes


def test_opening_five_million_references_and_reading_one_keeps_two_megabytes(five_million):
    _, folder = five_million
    through_engine(str(folder / "s.vzarr"), 2500, 9990)  # what is imported is not memory of the store
    tracemalloc.start()
    try:
        through_engine(str(folder / "s.vzarr"), 2500, 9990)
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()


def test_the_root_of_five_million_references_takes_ten_kilobytes(five_million):
    _, folder = five_million
    assert (folder / "s.vzarr/zarr.json").stat().st_size < 10_000


@pytest.mark.parametrize("read", [through_engine, through_zarr])
def test_one_of_a_thousand_million_references_takes_the_same_requests(tmp_path, read):
    (tmp_path / "a.bin").write_bytes(VALUES.tobytes())
    with serving(tmp_path) as server:
        store = simulate(tmp_path, MILLION, 1000, f"{server.url}/a.bin")
        assert (store / "zarr.json").stat().st_size < 200_000
        server.requests.clear()
        assert read(f"{server.url}/{store.name}", MILLION // 2, 70) == VALUES.tolist()
        assert sum(server.requests.values()) <= 5


def test_a_page_that_the_root_says_is_there_and_is_not_is_an_error(tmp_path):
    store = simulate(tmp_path, MILLION, 1000, (tmp_path / "a.bin").as_uri())
    with xr.open_dataset(str(store), engine="virtualzarr") as ds, pytest.raises(ivz.HierarchyError, match="is absent"):
        ds.v[0, :10].load()


PAGES = {1: 1 << 14, 10**7: 1 << 14, 10**8: 1 << 15, 10**9: 1 << 16, 10**14: 1 << 18}


@pytest.mark.parametrize("count", PAGES)
def test_pages_grow_with_the_root_of_the_references(count):
    assert page_references(count) == PAGES[count]
