"""Plain Zarr stores against `xarray.open_zarr` and zarr-python: versions, shards, consolidated, directories, zip files."""

from __future__ import annotations

import itertools
import json

import numcodecs
import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zarr.storage import MemoryStore, ZipStore

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import FormatError, UnsupportedError
from intake_virtualzarr.formats.scan import scan

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*Zarr V3 specification"),
    pytest.mark.filterwarnings("ignore:.*Consolidated metadata"),
    pytest.mark.filterwarnings("ignore:Duplicate name"),
]
NUMBERS = itertools.count()


def dataset():
    """Packed, masked, text, flags, a scalar and dates."""
    rng = np.random.default_rng(0)
    sst = rng.random((20, 12, 16)).astype("f4")
    sst[0, 0, 0] = np.nan
    ds = xr.Dataset(
        {
            "sst": (("time", "y", "x"), sst, {"units": "K"}),
            "ice": (("time", "x"), rng.normal(size=(20, 16))),
            "name": (("time",), np.array([f"n{i}" for i in range(20)], object)),
            "flag": (("x",), rng.random(16) > 0.5),
            "count": (("time",), rng.integers(0, 9, 20).astype("i2")),
            "zero": ((), np.float64(3.5)),
        },
        coords={
            "time": np.datetime64("2000-01-01", "ns") + np.arange(20) * np.timedelta64(1, "D"),
            "x": np.arange(16.0),
            "lat": (("y",), np.linspace(-1, 1, 12)),
        },
        attrs={"title": "a test"},
    )
    ds["ice"].encoding.update(dtype="i2", scale_factor=0.01, add_offset=1.0, _FillValue=-999)
    return ds


def write(path, *, version=3, shards=None, consolidated=False, zipped=False):
    """The dataset in a store, and what xarray reads of it."""
    encoding = {"sst": {"chunks": (5, 5, 8), **({"shards": shards} if shards else {})}}
    target = ZipStore(path, mode="w") if zipped else path
    dataset().to_zarr(target, encoding=encoding, zarr_format=version, consolidated=consolidated)
    if zipped:
        target.close()
    with xr.open_zarr(ZipStore(path, mode="r") if zipped else path, consolidated=consolidated) as direct:
        return direct.load()


@pytest.mark.parametrize("zipped", [False, True], ids=["directory", "zip"])
@pytest.mark.parametrize("consolidated", [False, True], ids=["alone", "consolidated"])
@pytest.mark.parametrize(("version", "shards"), [(2, None), (3, None), (3, (10, 15, 16))], ids=["v2", "v3", "shards"])
def test_a_store_reads_as_xarray_reads_it_and_is_written_as_references(tmp_path, version, shards, consolidated, zipped):
    path = tmp_path / ("a.zarr.zip" if zipped else "a.zarr")
    direct = write(path, version=version, shards=shards, consolidated=consolidated, zipped=zipped)
    xr.testing.assert_identical(xr.open_dataset(path, engine="virtualzarr").load(), direct)
    written = ivz.open_virtual_dataset(path).vzarr.to_zarr(tmp_path / "s.vzarr")
    assert written.references == scan(path).arrays["/sst"].references + 4, "ice, name, flag, count; labels are loaded"
    xr.testing.assert_identical(xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr").load(), direct)


# ---------------------------------------------------------------------- arrays as zarr-python makes them

V2 = {
    "blosc": {"compressors": numcodecs.Blosc("lz4", 5, numcodecs.Blosc.SHUFFLE)},
    "bitshuffle": {"compressors": numcodecs.Blosc("zstd", 3, numcodecs.Blosc.BITSHUFFLE)},
    "zlib": {"compressors": numcodecs.Zlib(4)},
    "gzip": {"compressors": numcodecs.GZip(4)},
    "zstd": {"compressors": numcodecs.Zstd(3)},
    "lz4": {"compressors": numcodecs.LZ4()},
    "bz2": {"compressors": numcodecs.BZ2()},
    "none": {"compressors": None},
    "F": {"order": "F"},
    "delta": {"filters": [numcodecs.Delta(dtype="<i4")], "dtype": "<i4"},
    "shuffle": {"filters": [numcodecs.Shuffle(4)], "dtype": "<f4"},
    "fixed": {"filters": [numcodecs.FixedScaleOffset(offset=0, scale=10, dtype="<f4", astype="<i2")], "dtype": "<f4"},
    "big": {"dtype": ">f4"},
    "big_F": {"dtype": ">i2", "order": "F"},
    "bool": {"dtype": "|b1"},
    "u1": {"dtype": "|u1"},
    "i8": {"dtype": "<i8"},
    "f2": {"dtype": "<f2"},
    "c8": {"dtype": "<c8"},
    "S3": {"dtype": "|S3"},
    "U4": {"dtype": "<U4"},
    "M8": {"dtype": "<M8[s]"},
    "slashes": {"chunk_key_encoding": {"name": "v2", "separator": "/"}},
    "null": {"fill_value": None},
    "nan": {"fill_value": np.nan, "dtype": "<f4"},
    "seven": {"fill_value": 7, "dtype": "<i4"},
}
V3 = {
    "plain": {},
    "zstd": {"compressors": zarr.codecs.ZstdCodec()},
    "gzip": {"compressors": zarr.codecs.GzipCodec()},
    "blosc": {"compressors": zarr.codecs.BloscCodec()},
    "crc": {"compressors": [zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()]},
    "none": {"compressors": None},
    "transpose": {"filters": [zarr.codecs.TransposeCodec(order=(1, 0))]},
    "big": {"serializer": zarr.codecs.BytesCodec(endian="big")},
    "v2_keys": {"chunk_key_encoding": {"name": "v2", "separator": "."}},
    "dots": {"chunk_key_encoding": {"name": "default", "separator": "."}},
    "bool": {"dtype": "bool"},
    "f2": {"dtype": "float16"},
    "c16": {"dtype": "complex128"},
    "U4": {"dtype": "<U4"},
    "S3": {"dtype": "|S3"},
    "M8": {"dtype": "<M8[s]"},
    "string": {"dtype": str},
    "seven": {"fill_value": 7},
    "nan": {"fill_value": np.nan, "dtype": "float32"},
    "shards": {"shards": (6, 8)},
    "shards_first": {"shards": {"shape": (6, 8), "index_location": "start"}},
    "shards_big": {"shards": (6, 8), "serializer": zarr.codecs.BytesCodec(endian="big"), "compressors": None},
}
SHAPES = {"edges": (7, 10), "one": (3, 4), "empty": (0, 5), "long": (20, 3)}


def values_for(array):
    """Values of an array's type that are small, round and not fill."""
    numbers = np.arange(np.prod(array.shape, dtype=int)).reshape(array.shape) % 50 + 1
    if array.dtype.kind in "SUTO":
        return numbers.astype("U3").astype(array.dtype if array.dtype.kind in "SU" else object)
    if array.dtype.kind == "M":
        return numbers.astype("M8[s]")
    return (numbers % 2 == 0) if array.dtype.kind == "b" else numbers.astype(array.dtype)


def make(path, version, options, shape):
    """A store with one array, the middle of which is not written."""
    group = zarr.open_group(path, mode="w", zarr_format=version)
    given = {"dtype": "float32" if version == 3 else "<f4", "chunks": (3, 4), **options}
    array = group.create_array("v", shape=shape, **given)
    values = values_for(array)
    array[:3] = values[:3]
    array[6:] = values[6:]
    array.attrs["_ARRAY_DIMENSIONS"] = ["t", "x"]
    return array


CASES = [(2, name) for name in V2] + [(3, name) for name in V3]


@pytest.mark.parametrize(("version", "name"), CASES, ids=[f"v{version}-{name}" for version, name in CASES])
@pytest.mark.filterwarnings("ignore")  # of zarr-python: types without a specification
def test_every_kind_of_array_reads_as_zarr_reads_it(tmp_path, version, name):
    for label, shape in SHAPES.items():
        path = tmp_path / f"{label}.zarr"
        array = make(path, version, (V2 if version == 2 else V3)[name], shape)
        found = ivz.open_virtual_dataset(path, loadable_variables=[], on_unsupported="raise")["v"]
        direct = np.asarray(array[:])
        np.testing.assert_array_equal(np.asarray(found.data), direct.astype(found.dtype), err_msg=label)
        ivz.open_virtual_dataset(path, loadable_variables=[]).vzarr.to_zarr(tmp_path / f"{label}.vzarr")
        again = ivz.open_virtual_dataset(tmp_path / f"{label}.vzarr", loadable_variables=[])["v"]
        np.testing.assert_array_equal(np.asarray(again.data), direct.astype(found.dtype), err_msg=label)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_shape_any_chunks_any_gaps_come_back(tmp_path, data):
    ndim = data.draw(st.integers(0, 3))
    shape = tuple(data.draw(st.integers(0, 9)) for _ in range(ndim))
    chunks = tuple(data.draw(st.integers(1, 4)) for _ in range(ndim))
    version = data.draw(st.sampled_from([2, 3]))
    shards = tuple(chunk * data.draw(st.integers(1, 3)) for chunk in chunks)
    options = {"shards": shards} if version == 3 and ndim and 0 not in shape and data.draw(st.booleans()) else {}
    path = tmp_path / f"{next(NUMBERS)}.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=version)
    array = group.create_array("v", shape=shape, chunks=chunks, dtype="i4", fill_value=-1, **options)
    values = np.arange(np.prod(shape, dtype=int), dtype="i4").reshape(shape)
    if ndim:
        values[values % 7 < data.draw(st.integers(0, 6))] = -1
    array[...] = values
    found = ivz.open_virtual_dataset(path, loadable_variables=[])["v"]
    part = tuple(slice(*sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n))))) for n in shape)
    np.testing.assert_array_equal(np.asarray(found[part].data), values[part])
    found.to_dataset().vzarr.to_zarr(path.with_suffix(".vzarr"))
    again = ivz.open_virtual_dataset(path.with_suffix(".vzarr"), loadable_variables=[])["v"]
    np.testing.assert_array_equal(np.asarray(again.data), values)


def test_groups_within_groups_open_as_a_tree(tmp_path):
    for version in (2, 3):
        path = tmp_path / f"{version}.zarr"
        tree = xr.DataTree.from_dict({"/": dataset()[["count"]], "/a": dataset()[["ice"]], "/a/b": dataset()[["sst"]]})
        tree.to_zarr(path, zarr_format=version, consolidated=False)
        with xr.open_datatree(path, engine="zarr", consolidated=False) as direct:
            xr.testing.assert_identical(xr.open_datatree(path, engine="virtualzarr").load(), direct.load())
        xr.testing.assert_identical(
            xr.open_dataset(path, engine="virtualzarr", group="a/b").load(),
            xr.open_zarr(path, group="a/b", consolidated=False).load(),
        )


# ---------------------------------------------------------------------- what is refused, and how


def test_structured_values_are_refused_by_name_and_the_others_open(tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    group.create_array("odd", shape=(3,), dtype=[("a", "<i4"), ("b", "<f4")])
    group.create_array("good", shape=(3,), dtype="<i4")[:] = 1
    with pytest.warns(UserWarning, match=r"odd.*structured"):
        assert set(ivz.open_virtual_dataset(tmp_path / "a.zarr").variables) == {"good"}


def test_an_unknown_codec_is_refused_by_name(tmp_path):
    array = make(tmp_path / "a.zarr", 3, {}, (7, 10))
    path = tmp_path / "a.zarr/v/zarr.json"
    document = json.loads(path.read_text())
    document["codecs"].append({"name": "magic"})
    path.write_text(json.dumps(document))
    assert array is not None
    with pytest.raises(UnsupportedError, match=r"v: .*magic"):
        ivz.open_virtual_dataset(tmp_path / "a.zarr", on_unsupported="raise")


def test_an_array_without_a_group_is_refused(tmp_path):
    zarr.create_array(tmp_path / "a.zarr", shape=(3,), dtype="i4")
    with pytest.raises(Exception, match=r"expected a group"):
        ivz.open_virtual_dataset(tmp_path / "a.zarr")


@pytest.mark.parametrize("path", ["../v", "a/../../v", "/v", "a//v"])
def test_paths_that_lead_out_of_a_store_are_refused(tmp_path, path):
    write(tmp_path / "a.zarr", consolidated=True)
    where = tmp_path / "a.zarr/zarr.json"
    document = json.loads(where.read_text())
    members = document["consolidated_metadata"]["metadata"]
    members[path] = members.pop("sst")
    where.write_text(json.dumps(document))
    with pytest.raises(FormatError, match="no path in a store"):
        ivz.open_virtual_dataset(tmp_path / "a.zarr")


def test_an_empty_object_is_no_chunk(tmp_path):
    make(tmp_path / "a.zarr", 3, {}, (7, 10))
    (tmp_path / "a.zarr/v/c/0/0").write_bytes(b"")
    with pytest.raises(FormatError, match=r"v/c/0/0: is empty, so it is not a chunk"):
        ivz.open_virtual_dataset(tmp_path / "a.zarr", loadable_variables=[]).v.load()


def test_a_store_in_memory_is_read_and_what_has_no_name_is_written_along(tmp_path):
    for version in (2, 3):
        store = MemoryStore()
        dataset().to_zarr(store, zarr_format=version, consolidated=False)
        with xr.open_zarr(store, consolidated=False) as direct:
            xr.testing.assert_identical(xr.open_dataset(store, engine="virtualzarr").load(), direct.load())
            ivz.open_virtual_dataset(store).vzarr.to_zarr(tmp_path / f"{version}.vzarr")
            again = xr.open_dataset(tmp_path / f"{version}.vzarr", engine="virtualzarr")
            xr.testing.assert_identical(again.load(), direct.load())


def test_files_that_are_no_chunks_are_overlooked(tmp_path):
    array = make(tmp_path / "a.zarr", 3, {}, (7, 10))
    for name in ("v/c/0/.nfs01", "v/c/00/0", "v/c/9/9", "v/note.txt", "v/c/0/x", "README.md"):
        (tmp_path / "a.zarr" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "a.zarr" / name).write_bytes(b"?")
    found = ivz.open_virtual_dataset(tmp_path / "a.zarr", loadable_variables=[])
    np.testing.assert_array_equal(found.v.values, array[:])
