"""Ordinary arrays in shards, as arrays of a hierarchy: against zarr-python, in few requests, damaged."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intake_virtualzarr import open_virtual_dataset
from intake_virtualzarr.cli.http_server import serve_directory
from intake_virtualzarr.errors import VirtualZarrError

NUMBERS = itertools.count()


def write(folder, values, chunks, shards, **options):
    """A store with one array in shards."""
    zarr.open_group(folder, mode="w", zarr_format=3)
    array = zarr.create_array(
        folder / "v", shape=values.shape, dtype=values.dtype, chunks=chunks, shards=shards, fill_value=-1, **options
    )
    array[:] = values
    return folder


def edit(folder, change):
    """Change the configuration of the shards."""
    path = folder / "v/zarr.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def virtual(folder):
    return open_virtual_dataset(folder, loadable_variables=[])["v"]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_part_equals_what_zarr_reads(tmp_path, data):
    ndim = data.draw(st.integers(1, 3))
    chunks = tuple(data.draw(st.integers(1, 4)) for _ in range(ndim))
    shards = tuple(chunk * data.draw(st.integers(1, 3)) for chunk in chunks)
    shape = tuple(data.draw(st.integers(1, 15)) for _ in range(ndim))
    values = np.arange(np.prod(shape), dtype="i4").reshape(shape)
    values[values % 7 < 3] = -1  # whole chunks, and whole shards, of fill are not stored
    index = data.draw(st.sampled_from(["start", "end"]))
    folder = write(tmp_path / f"{next(NUMBERS)}.zarr", values, chunks, {"shape": shards, "index_location": index})
    part = tuple(slice(*sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n))))) for n in shape)
    np.testing.assert_array_equal(virtual(folder)[part].values, values[part])


def test_one_chunk_takes_its_shards_index_and_its_own_bytes(tmp_path):
    values = np.random.default_rng(1).integers(0, 1000, (40, 1000)).astype("i4")
    write(tmp_path / "s.zarr", values, (1, 1000), (20, 1000), compressors=None)
    with pytest.warns(match="Consolidated metadata"):
        zarr.consolidate_metadata(tmp_path / "s.zarr")
    with serve_directory(tmp_path) as server:
        variable = virtual(f"{server.url}/s.zarr")
        server.reset()
        np.testing.assert_array_equal(variable[25].values, values[25])
        assert server.requests <= 3
        assert server.sent < 5000, "one chunk of 4 kB and an index, of a shard of 80 kB"


def test_a_damaged_index_names_its_shard(tmp_path):
    folder = write(tmp_path / "s.zarr", np.arange(8, dtype="i4"), (2,), (4,))
    shard = folder / "v/c/1"
    raw = bytearray(shard.read_bytes())
    raw[-10] ^= 1
    shard.write_bytes(raw)
    np.testing.assert_array_equal(virtual(folder)[:4].values, np.arange(4))
    with pytest.raises(VirtualZarrError, match=r"the index of shard .*s\.zarr/v/c/1 is damaged"):
        virtual(folder)[4:].load()


def test_a_shard_cut_short_is_an_error(tmp_path):
    folder = write(tmp_path / "s.zarr", np.arange(8, dtype="i4"), (2,), (4,))
    (folder / "v/c/1").write_bytes(b"short")
    with pytest.raises(VirtualZarrError, match=r"v/c/1"):
        virtual(folder)[4:].load()


def _nested(document):
    codec = document["codecs"][0]
    codec["configuration"]["codecs"] = [json.loads(json.dumps(codec))]


def _compressed(document):
    document["codecs"].append({"name": "gzip", "configuration": {"level": 1}})


def _odd_index(document):
    zstd = {"name": "zstd", "configuration": {"level": 1, "checksum": False}}
    document["codecs"][0]["configuration"]["index_codecs"].append(zstd)


def _uneven(document):
    document["codecs"][0]["configuration"]["chunk_shape"] = [3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_nested, "shards within shards"),
        (_compressed, r"encoded once more \(sharding_indexed, gzip\)"),
        (_odd_index, "index of its shards has codec 'zstd', expected bytes and crc32c"),
        (_uneven, r"shards of \(4,\) hold no whole chunks of \(3,\)"),
    ],
)
def test_shards_of_another_kind_are_refused_by_name(tmp_path, change, message):
    folder = write(tmp_path / "s.zarr", np.arange(8, dtype="i4"), (2,), (4,))
    edit(folder, change)
    with pytest.raises(VirtualZarrError, match=message):
        open_virtual_dataset(folder, on_unsupported="raise")
