"""What dask is given: graphs that grow with the blocks and not with the references, and tasks that carry no manifest."""

import pickle
import zlib

import cloudpickle
import dask
import numpy as np
import pytest
import xarray as xr
from dask.base import tokenize

import intake_virtualzarr as ivz

MILLION = (1000, 1000)
"""Files, and chunks of each."""
VALUES = np.arange(10, dtype="<i2")
CODECS = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "numcodecs.zlib", "configuration": {"level": 4}}]


def references(folder, files, chunks, first=0):
    """An array whose chunks all lie in one file, told as if there were many of different sizes."""
    data = zlib.compress(VALUES.tobytes())
    (folder / "a.bin").write_bytes(data)
    url = (folder / "a.bin").as_uri()
    urls = [f"{url}?versionId={first + number}" for number in range(files)]
    shape, chunk_shape, source = (files, chunks * 10), (1, 10), np.arange(files)[:, None]
    return ivz.VirtualZarrArray.from_references(shape, chunk_shape, "i2", urls, 0, len(data), source, codecs=CODECS)


def dataset(array):
    return xr.Dataset({"v": (("time", "x"), array)})


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("million")
    dataset(references(folder, *MILLION)).vzarr.to_zarr(str(folder / "s.vzarr"))
    return str(folder / "s.vzarr")


@pytest.fixture
def appended(tmp_path):
    target = str(tmp_path / "appended.vzarr")
    dataset(references(tmp_path, 100, 100)).vzarr.to_zarr(target)
    for turn in range(6):
        dataset(references(tmp_path, 1, 100, 1000 + turn)).vzarr.to_zarr(target, append_dim="time")
    return target


def tasks_of(array):
    """Pickled size of each task that a scheduler is given for a mean [bytes]."""
    (optimized,) = dask.optimize(array.mean())
    graph = dict(optimized.__dask_graph__())
    return {key: len(cloudpickle.dumps(task)) for key, task in graph.items()}


def test_no_task_carries_the_references_of_a_store(stored):
    with xr.open_dataset(stored, engine="virtualzarr", chunks={"time": 10}) as ds:
        sizes = sorted(tasks_of(ds.v.data).values())
    assert len(sizes) > 100
    assert sizes[-1] < 10_000, "the array: its document and where it lies; its references take 16 MB"
    assert sizes[-2] < 2_000, "a block, or a step of the mean"


@pytest.mark.parametrize("blocks", [50, 200])
def test_a_graph_takes_two_kilobytes_a_block(stored, blocks):
    with xr.open_dataset(stored, engine="virtualzarr", chunks={"time": MILLION[0] // blocks}) as ds:
        sizes = tasks_of(ds.v.data)
    assert sum(sizes.values()) < 10_000 + 2_000 * blocks


def test_references_in_memory_are_in_the_graph_once(tmp_path):
    array = references(tmp_path, 200, 1000)
    manifest = array.segments[0].stored.manifest
    for lazy in (dataset(array).chunk({"time": 10}).v.data, dataset(array).vzarr.decode().chunk({"time": 10}).v.data):
        sizes = sorted(tasks_of(lazy).values())
        assert sizes[-1] < 1.1 * manifest.count * 16 + 50_000
        assert sizes[-2] < 2_000


def test_an_array_of_a_store_that_was_read_and_appended_to_pickles_as_its_document(appended):
    with xr.open_dataset(appended, engine="virtualzarr", decode_cf=False) as ds:
        array = ds.v.variable._data
        before = pickle.dumps(array)
        assert np.array_equal(array[100:, :10], np.tile(VALUES, (6, 1)))
        after = pickle.dumps(array)
    assert len(before) == len(after) < 8_000
    assert np.array_equal(pickle.loads(after)[98:103, 5:15], np.tile(np.roll(VALUES, 5), (5, 1)))


def test_a_graph_of_an_appended_store_computes_what_the_store_holds(appended):
    with xr.open_dataset(appended, engine="virtualzarr", chunks={"time": 10}) as ds:
        graph = pickle.loads(cloudpickle.dumps(ds.v.mean()))
        assert max(tasks_of(ds.v.data).values()) < 10_000
    assert float(graph) == 4.5


def test_names_of_blocks_follow_the_references(tmp_path):
    one, same, other = references(tmp_path, 3, 2), references(tmp_path, 3, 2), references(tmp_path, 3, 2, first=7)
    assert tokenize(one) == tokenize(one)
    assert tokenize(one) == tokenize(same)
    assert tokenize(one) != tokenize(other)
    assert tokenize(one[:2]) != tokenize(one[1:])
    names = set()
    for first in range(20):  # arrays that are gone leave their place in memory to the next
        names.add(tokenize(references(tmp_path, 3, 2, first)))
    assert len(names) == 20


def test_naming_an_array_opens_no_member_of_a_concatenation(appended):
    with xr.open_dataset(appended, engine="virtualzarr", decode_cf=False) as ds:
        array = ds.v.variable._data
        tokenize(array)
        assert not array.segments._opened
