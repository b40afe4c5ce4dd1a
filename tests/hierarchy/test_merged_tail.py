"""Many small appends: few pieces are left, each reference is written some few times, and values stay what they were."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from support.helpers import serving

import intake_virtualzarr as ivz
import intake_virtualzarr.datasets.accessor  # the accessor
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.chunk_grid import ChunkGrid
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.arrays.segments import StoredArray
from intake_virtualzarr.codecs.spec import CodecSpec, bytes_codec
from intake_virtualzarr.hierarchy.merged_tail import tail_length
from intake_virtualzarr.storage.source import Source, SourceTable

VALUES = [zlib.compress(np.full(6, n, "<i2").tobytes()) for n in range(100)]
LENGTHS = [len(one) for one in VALUES]
STARTS = np.cumsum([0, *LENGTHS])


def steps(url: str, first: int, count: int, level: int = 1) -> xr.Dataset:
    """Steps of one chunk each, which lie one behind the other in a file; another file for each append."""
    dtype, shape = np.dtype("i2"), (count, 1)
    codecs = (bytes_codec(dtype), CodecSpec.of("numcodecs.zlib", level=level) if level else CodecSpec.of("gzip", level=0))
    offsets, lengths = np.array(STARTS[first : first + count], "u8"), np.array(LENGTHS[first : first + count])
    manifest = ChunkManifest.from_columns(shape, offsets.reshape(shape), lengths.reshape(shape))
    grid = ChunkGrid.regular((count, 6), (1, 6))
    stored = StoredArray(dtype, np.int16(-1), grid, codecs, manifest, SourceTable((Source(f"{url}?versionId={first}"),)))
    time = ("time", np.arange(first, first + count, dtype="f8"))
    return xr.Dataset({"v": (("time", "x"), VirtualZarrArray.from_stored(stored))}, {"time": time})


def members(store: Path, name: str = "v") -> list[int]:
    root = json.loads((store / "zarr.json").read_bytes())
    transformer = root["consolidated_metadata"]["metadata"][name]["storage_transformers"][0]
    return [one["length"] for one in transformer["configuration"]["members"]]


@pytest.fixture
def grown(tmp_path):
    """A store of ten steps to which ninety were appended, one by one, with what each append wrote."""
    (tmp_path / "a.bin").write_bytes(b"".join(VALUES))
    store, written = tmp_path / "s.vzarr", []
    with serving(tmp_path) as server:
        steps(f"{server.url}/a.bin", 0, 10).vzarr.to_zarr(store)
        for n in range(10, 100):
            report = steps(f"{server.url}/a.bin", n, 1).vzarr.to_zarr(store, append_dim="time")
            written.append((report.objects, report.references))
        yield server, store, written


def test_ninety_appends_leave_few_pieces_and_all_values(grown):
    _, store, written = grown
    assert sum(members(store)) == 100
    assert len(members(store)) <= 16
    assert {objects for objects, _ in written} == {4}, "one part, the root, and a copy of the documents of v and time"
    assert sum(references for _, references in written) <= 4 * 90, "a reference is written again some log(n) times"
    with xr.open_dataset(store, engine="virtualzarr") as ds:
        np.testing.assert_array_equal(ds["v"].values, np.repeat(np.arange(100), 6).reshape(100, 6))
        np.testing.assert_array_equal(ds["time"].values, np.arange(100))


def test_a_series_over_many_appends_takes_requests_for_few_pieces(grown):
    server, store, _ = grown
    server.requests.clear()
    with xr.open_dataset(f"{server.url}/{store.name}", engine="virtualzarr") as ds:
        assert len(server.requests) <= 2, "the root holds all that opening needs"
        assert ds["v"][:, 3].values.tolist() == list(range(100))
    own = {path: n for path, n in server.requests.items() if "a.bin" not in path}
    assert sum(own.values()) <= 2 + 3 * len(members(store))


def test_who_opened_the_store_before_reads_on(grown):
    server, store, _ = grown
    opened = ivz.open_virtual_dataset(store)
    for n in range(8):
        more = steps(f"{server.url}/a.bin", n, 1).assign_coords(time=[100.0 + n])
        more.vzarr.to_zarr(store, append_dim="time")
    assert np.asarray(opened["v"].variable._data)[:, 0].tolist() == list(range(100))
    assert len(members(store)) <= 16


def test_pieces_that_cannot_share_a_manifest_stay_pieces(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"".join(VALUES))
    store = tmp_path / "s.vzarr"
    url = f"file://{tmp_path}/a.bin"
    steps(url, 0, 2).vzarr.to_zarr(store)
    for n in range(2, 22):
        more = steps(url, n, 1)
        if n % 2:  # chunks of another length along x
            one = more["v"].variable._data.segments[0].stored
            grid = ChunkGrid.regular((1, 6), (1, 7))
            other = StoredArray(one.dtype, one.fill_value, grid, one.codecs, one.manifest, one.sources)
            more = more.assign(v=(("time", "x"), VirtualZarrArray.from_stored(other)))
        more.vzarr.to_zarr(store, append_dim="time")
    assert members(store) == [2] + [1] * 20
    with xr.open_dataset(store, engine="virtualzarr") as ds:
        assert ds["v"][::2, 0].values.tolist() == list(range(0, 22, 2))


@pytest.mark.parametrize("largest", [1, 3, 31])
def test_pieces_stay_few_whatever_their_lengths(largest):
    rng, pieces, written = np.random.default_rng(largest), [5000], 0
    for _ in range(1000):
        pieces.append(int(rng.integers(1, largest + 1)))
        while count := tail_length(pieces):
            pieces[-count:] = [sum(pieces[-count:])]
            written += pieces[-1]
        assert len(pieces) <= 24
    assert written <= 5 * (sum(pieces) - 5000)


def test_the_first_array_is_not_written_again_for_a_day():
    assert tail_length([3650, *[1] * 8]) == 8
    assert tail_length([3650, *[1] * 7]) == 0
    assert tail_length([8, 1]) == 0
