"""kerchunk references, in JSON and Parquet: read with the values of the files, or refused by name."""

from __future__ import annotations

import base64
import copy
import json
import os
import pickle
import random
import shutil
import warnings

import h5py
import numcodecs
import numpy as np
import pytest
import xarray as xr
from support.helpers import serving, to_parquet

import intake_virtualzarr as ivz
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.errors import FormatError, SourceError, UnsupportedError, VirtualZarrError

RNG = np.random.default_rng(8)


@pytest.fixture
def archive(tmp_path):
    """A file with packed and masked numbers, text, big-endian numbers, valid zeros, an odd name; what HDF5 says it holds."""
    path = tmp_path / "day 1 #50%.nc"
    values = RNG.integers(0, 40, (5, 7)).astype("f8")
    values[1, 2] = np.nan
    ds = xr.Dataset(
        {
            "packed": (("time", "x"), values),
            "plain": (("time", "x"), np.nan_to_num(values).astype("f4")),
            "text": ("x", np.array(list("abcdefé"), dtype=object)),
            "scalar": ((), np.int32(0)),
        },
        coords={"time": np.datetime64("2024-01-01", "ns") + np.arange(5) * np.timedelta64(1, "D"), "x": np.arange(7)},
        attrs={"title": "five days"},
    )
    encoding = {
        "packed": {"chunksizes": (2, 3), "dtype": "i2", "scale_factor": 0.5, "_FillValue": -1, "zlib": True, "shuffle": True},
        "plain": {"chunksizes": (2, 7), "zlib": True, "_FillValue": None},
        "time": {"units": "hours since 2024-01-01"},
    }
    ds.to_netcdf(path, engine="h5netcdf", encoding=encoding)
    with h5py.File(path, "a") as file:
        big = file.create_dataset("big", data=np.arange(35, dtype=">i4").reshape(5, 7), chunks=(5, 3))
        for axis, name in enumerate(("time", "x")):
            big.dims[axis].attach_scale(file[name])
    return path


@pytest.fixture
def references(archive):
    hdf = pytest.importorskip("kerchunk.hdf", reason="the extra 'kerchunk' is not installed")
    return hdf.SingleHdf5ToZarr(str(archive), inline_threshold=0).translate()


def write(path, document):
    path.write_text(json.dumps(document))
    return path


def with_kerchunk(refs):
    """What kerchunk's own way of reading gives."""
    options = {"fo": refs, "remote_protocol": "file", "asynchronous": True}
    how = {"consolidated": False, "storage_options": options}
    with xr.open_dataset("reference://", engine="zarr", backend_kwargs=how) as opened:
        return opened.load()


def tiny(stored=None, attributes=None, **zarray):
    """References of one array ``v`` of one int32 axis."""
    document = {
        "zarr_format": 2, "shape": [4], "chunks": [2], "dtype": "<i4", "fill_value": None, "order": "C", "filters": None,
        "compressor": None, **zarray,
    }  # fmt: skip
    refs = {".zgroup": '{"zarr_format": 2}', "v/.zarray": json.dumps(document)}
    refs["v/.zattrs"] = json.dumps({"_ARRAY_DIMENSIONS": ["x", "y"][: len(document["shape"])], **(attributes or {})})
    return {"version": 1, "refs": {**refs, **{f"v/{key}": value for key, value in (stored or {}).items()}}}


def encoded(values):
    raw = values.tobytes() if isinstance(values, np.ndarray) and values.dtype != object else bytes(values)
    return "base64:" + base64.b64encode(raw).decode()


def opened(path, **options):
    return xr.open_dataset(path, engine="virtualzarr", **options).load()


# ---------------------------------------------------------------------- what kerchunk writes


@pytest.mark.parametrize("inline", [0, 10_000])
def test_references_of_a_file_read_as_hdf5_and_kerchunk_read_it(archive, tmp_path, inline):
    hdf = pytest.importorskip("kerchunk.hdf", reason="the extra 'kerchunk' is not installed")
    refs = hdf.SingleHdf5ToZarr(str(archive), inline_threshold=inline).translate()
    found = opened(write(tmp_path / "refs.json", refs))
    xr.testing.assert_identical(found, with_kerchunk(refs))
    raw = opened(tmp_path / "refs.json", mask_and_scale=False, decode_times=False)
    with h5py.File(archive) as file:
        for name in ("packed", "plain", "big", "scalar", "x"):
            np.testing.assert_array_equal(raw[name].values, file[name][()])
            assert raw[name].dtype == file[name].dtype.newbyteorder("=")
        assert raw["text"].values.tolist() == [text.decode() for text in file["text"][()]]


def test_virtual_datasets_of_references_hold_virtual_arrays(references, archive, tmp_path):
    virtual = ivz.open_virtual_dataset(write(tmp_path / "refs.json", references))
    assert isinstance(virtual["packed"].data, VirtualZarrArray)
    (segment,) = virtual["packed"].data.segments
    assert [source.url for source in segment.stored.sources] == [archive.as_uri()]
    direct = ivz.open_virtual_dataset(archive)
    stored = direct["packed"].data.segments[0].stored.manifest.load()
    mine = segment.stored.manifest.load()
    np.testing.assert_array_equal(mine.offset, stored.offset)
    np.testing.assert_array_equal(mine.length, stored.length)


def test_joined_references_read_as_the_files_joined(tmp_path):
    combine = pytest.importorskip("kerchunk.combine", reason="the extra 'kerchunk' is not installed")
    from kerchunk.hdf import SingleHdf5ToZarr

    singles, paths = [], []
    for i in range(3):
        path = tmp_path / f"{i}.nc"
        ds = xr.Dataset({"v": (("time", "x"), RNG.random((2, 6)))}, {"time": np.arange(2) + 2 * i, "x": np.arange(6)})
        ds.to_netcdf(path, engine="h5netcdf", encoding={"v": {"chunksizes": (1, 6), "zlib": True}})
        singles.append(SingleHdf5ToZarr(str(path), inline_threshold=0).translate())
        paths.append(path)
    joined = combine.MultiZarrToZarr(singles, concat_dims=["time"], identical_dims=["x"], remote_protocol="file").translate()
    found = opened(write(tmp_path / "joined.json", joined))
    with xr.open_mfdataset(paths, engine="h5netcdf") as direct:
        xr.testing.assert_equal(found, direct.load())
    xr.testing.assert_identical(found, with_kerchunk(joined))


def test_joined_references_in_parquet_read_as_the_files_joined(tmp_path):
    combine = pytest.importorskip("kerchunk.combine", reason="the extra 'kerchunk' is not installed")
    from kerchunk.hdf import SingleHdf5ToZarr

    singles, paths = [], []
    for i in range(3):
        path = tmp_path / f"{i}.nc"
        time = xr.Variable("time", np.arange(2) + 2 * i, {"units": "days since 2024-01-01"})
        ds = xr.Dataset({"v": (("time", "x"), RNG.random((2, 6)))}, {"time": time, "x": np.arange(6)})
        ds.to_netcdf(path, engine="h5netcdf", encoding={"v": {"chunksizes": (1, 3), "zlib": True}})
        singles.append(SingleHdf5ToZarr(str(path), inline_threshold=0).translate())
        paths.append(path)
    joined = combine.MultiZarrToZarr(singles, concat_dims=["time"], identical_dims=["x"], remote_protocol="file").translate()
    to_parquet(joined, tmp_path / "joined.parq", record_size=5)
    with xr.open_mfdataset(paths, engine="h5netcdf") as direct:
        xr.testing.assert_equal(opened(tmp_path / "joined.parq"), direct.load())


@pytest.mark.parametrize("rows", [2, 1000])
def test_references_in_parquet_read_as_those_in_json(references, tmp_path, rows):
    to_parquet(references, tmp_path / "refs.parq", record_size=rows)
    found = opened(tmp_path / "refs.parq")
    xr.testing.assert_identical(found, opened(write(tmp_path / "refs.json", references)))


def test_only_the_row_files_of_what_is_read_are_opened(references, tmp_path):
    to_parquet(references, tmp_path / "refs.parq", record_size=2)
    (tmp_path / "refs.parq" / "plain" / "refs.0.parq").write_bytes(b"no Parquet")
    (tmp_path / "refs.parq" / "packed" / "refs.3.parq").write_bytes(b"no Parquet")
    lazy = xr.open_dataset(tmp_path / "refs.parq", engine="virtualzarr")
    whole = opened(write(tmp_path / "refs.json", references))
    np.testing.assert_array_equal(lazy["packed"][:2].values, whole["packed"][:2].values)
    with pytest.raises(FormatError, match=r"packed/refs\.3\.parq: is not a Parquet file"):
        lazy["packed"].load()


def test_showing_a_dataset_reads_no_references(references, tmp_path):
    to_parquet(references, tmp_path / "refs.parq")
    virtual = ivz.open_virtual_dataset(tmp_path / "refs.parq", loadable_variables=[])
    shutil.rmtree(tmp_path / "refs.parq")
    html = virtual["packed"].data._repr_html_()
    assert "read when they are needed" in html
    assert "opened when they are needed" in html
    assert virtual._repr_html_()
    assert repr(virtual)


def test_a_chunk_that_parquet_does_not_list_is_fill(references, tmp_path):
    del references["refs"]["packed/0.0"]
    to_parquet(references, tmp_path / "refs.parq", record_size=2)
    raw = opened(tmp_path / "refs.parq", mask_and_scale=False)
    assert (raw["packed"][:2, :3] == -1).all()
    assert (raw["packed"][2:] != -1).all()


def test_parquet_opens_over_http(references, archive, tmp_path):
    pytest.importorskip("pyarrow", reason="nothing else reads Parquet of a network")
    for reference in references["refs"].values():
        if isinstance(reference, list):
            reference[0] = archive.name
    to_parquet(references, tmp_path / "refs.parq", record_size=3)
    with serving(tmp_path) as server:
        found = opened(f"{server.url}/refs.parq")
        bare = shutil.copytree(tmp_path / "refs.parq", tmp_path / "refs")
        xr.testing.assert_identical(opened(f"{server.url}/{bare.name}"), found)
    xr.testing.assert_identical(found, opened(tmp_path / "refs.parq"))


def test_what_is_named_as_references_is_not_asked_for_other_things(references, archive, tmp_path):
    pytest.importorskip("pyarrow", reason="nothing else reads Parquet of a network")
    for reference in references["refs"].values():
        if isinstance(reference, list):
            reference[0] = archive.name
    to_parquet(references, tmp_path / "refs.parq")
    with serving(tmp_path) as server:
        # a bucket that may not be listed answers so for what is not there
        server.refuse = {"refs.parq/zarr.json": 403, "refs.parq/repo": 403}
        xr.testing.assert_identical(opened(f"{server.url}/refs.parq/"), opened(tmp_path / "refs.parq"))


def test_references_in_parquet_survive_pickling_and_writing(references, tmp_path):
    to_parquet(references, tmp_path / "refs.parq", record_size=2)
    virtual = ivz.open_virtual_dataset(tmp_path / "refs.parq")
    part = virtual.isel(time=slice(2, None))
    again = pickle.loads(pickle.dumps(part))
    again.vzarr.to_zarr(tmp_path / "part.vzarr")
    expected = opened(write(tmp_path / "refs.json", references)).isel(time=slice(2, None))
    xr.testing.assert_equal(opened(tmp_path / "part.vzarr"), expected)
    xr.testing.assert_equal(again.vzarr.decode().load(), expected)


def test_a_zarr_store_of_version_2_is_no_set_of_references(tmp_path):
    (tmp_path / "store.zarr").mkdir()
    write(tmp_path / "store.zarr" / ".zmetadata", {"zarr_consolidated_format": 1, "metadata": {".zgroup": {"zarr_format": 2}}})
    assert dict(opened(tmp_path / "store.zarr").variables) == {}
    with pytest.raises(FormatError, match="record_size"):
        opened(tmp_path / "store.zarr", format="kerchunk")


def test_a_directory_that_holds_nothing_says_what_was_looked_for(tmp_path):
    with pytest.raises(FormatError, match=r"neither a Zarr hierarchy .* nor kerchunk references in Parquet"):
        opened(tmp_path)


# ---------------------------------------------------------------------- doors


def test_the_driver_opens_json_and_parquet(references, tmp_path):
    intake = pytest.importorskip("intake")
    to_parquet(references, tmp_path / "refs.parq")
    write(tmp_path / "refs.json", references)
    catalog = tmp_path / "catalog.yaml"
    entries = "\n".join(f"  {kind}:\n    driver: virtualzarr\n    args:\n      urlpath: '{{{{ CATALOG_DIR }}}}/refs.{end}'"
                        for kind, end in (("json", "json"), ("parquet", "parq")))  # fmt: skip
    catalog.write_text(f"sources:\n{entries}\n")
    opened_catalog = intake.open_catalog(catalog)
    expected = with_kerchunk(references)
    for kind in ("json", "parquet"):
        lazy = opened_catalog[kind].to_dask()
        assert lazy["packed"].chunks
        xr.testing.assert_identical(lazy.load(), expected)
        selected = opened_catalog[kind](time="2024-01-02", variables=["packed"]).read()
        xr.testing.assert_equal(selected, expected[["packed"]].sel(time=["2024-01-02"]))


def test_a_reader_of_intake_2_opens_references(references, tmp_path):
    from intake_virtualzarr.drivers.intake2_readers import VirtualZarrData, VirtualZarrReader

    for path in (write(tmp_path / "refs.json", references), to_parquet(references, tmp_path / "refs.parq")):
        reader = VirtualZarrReader(VirtualZarrData(str(path)), time="2024-01-02")
        xr.testing.assert_equal(reader.to_dask().load(), with_kerchunk(references).sel(time=["2024-01-02"]))


def test_references_join_with_files_and_become_a_hierarchy(tmp_path):
    hdf = pytest.importorskip("kerchunk.hdf", reason="the extra 'kerchunk' is not installed")
    parts = []
    for i in range(2):
        path = tmp_path / f"{i}.nc"
        ds = xr.Dataset({"v": (("time", "x"), RNG.random((2, 6)))}, {"time": np.arange(2) + 2 * i, "x": np.arange(6)})
        ds.to_netcdf(path, engine="h5netcdf", encoding={"v": {"chunksizes": (1, 6), "zlib": True}})
        parts.append(path)
    write(tmp_path / "0.json", hdf.SingleHdf5ToZarr(str(parts[0]), inline_threshold=0).translate())
    mixed = [ivz.open_virtual_dataset(tmp_path / "0.json"), ivz.open_virtual_dataset(parts[1])]
    joined = xr.concat(mixed, dim="time", data_vars="minimal", coords="minimal", compat="override", join="override")
    assert isinstance(joined["v"].data, VirtualZarrArray)
    joined.vzarr.to_zarr(tmp_path / "joined.vzarr")
    with xr.open_mfdataset(parts, engine="h5netcdf") as direct:
        xr.testing.assert_equal(opened(tmp_path / "joined.vzarr"), direct.load())
    several = ivz.open_virtual_mfdataset([tmp_path / "0.json", parts[1]])
    xr.testing.assert_equal(several.vzarr.decode().load(), opened(tmp_path / "joined.vzarr"))


def test_groups_open_as_a_tree(tmp_path):
    hdf = pytest.importorskip("kerchunk.hdf", reason="the extra 'kerchunk' is not installed")
    path = tmp_path / "groups.h5"
    with h5py.File(path, "w") as file:
        file["a/b/v"] = np.arange(6.0)
        file["a/w"] = np.arange(6)
        file.attrs["title"] = "groups"
    write(tmp_path / "refs.json", hdf.SingleHdf5ToZarr(str(path), inline_threshold=0).translate())
    tree = ivz.open_virtual_datatree(tmp_path / "refs.json")
    assert tree.groups == ("/", "/a", "/a/b")
    assert tree.attrs["title"] == "groups"
    np.testing.assert_array_equal(tree["/a/b/v"].values, np.arange(6.0))
    np.testing.assert_array_equal(opened(tmp_path / "refs.json", group="a", mask_and_scale=False)["w"], np.arange(6))


def test_what_was_exported_reads_as_the_same_references(archive, tmp_path):
    virtual = ivz.open_virtual_dataset(archive)
    virtual.vzarr.to_kerchunk(tmp_path / "refs.json")
    again = ivz.open_virtual_dataset(tmp_path / "refs.json")
    assert set(again.variables) == set(virtual.variables)
    for name, variable in virtual.variables.items():
        if not isinstance(variable.data, VirtualZarrArray):
            continue
        (one,), (other,) = variable.data.segments, again[name].variable.data.segments
        assert one.stored.codecs == other.stored.codecs
        assert one.stored.grid.same_as(other.stored.grid)
        assert one.packing == other.packing
        mine, theirs = one.stored.manifest.load(), other.stored.manifest.load()
        np.testing.assert_array_equal(mine.offset, theirs.offset)
        np.testing.assert_array_equal(mine.length, theirs.length)
        places = [[s.content or s.url for s in segment.stored.sources] for segment in (one, other)]
        assert places[0] == places[1]
    xr.testing.assert_equal(opened(tmp_path / "refs.json"), opened(archive))
    refs = json.loads((tmp_path / "refs.json").read_text())
    xr.testing.assert_equal(with_kerchunk(refs), opened(archive))


def test_parquet_and_json_of_virtualizarr_read_as_the_file(tmp_path):
    vz = pytest.importorskip("virtualizarr", reason="virtualizarr is not installed")
    from obspec_utils.registry import ObjectStoreRegistry
    from obstore.store import LocalStore

    path = tmp_path / "a.nc"
    ds = xr.Dataset({"v": (("time", "x"), RNG.random((4, 6)))}, {"time": np.arange(4), "x": np.arange(6)})
    ds.to_netcdf(path, engine="h5netcdf", encoding={"v": {"chunksizes": (2, 6), "zlib": True, "shuffle": True}})
    registry = ObjectStoreRegistry({"file://": LocalStore()})
    with vz.open_virtual_dataset(path.as_uri(), registry=registry, parser=vz.parsers.HDFParser()) as theirs:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The 'fastparquet' engine")
            theirs.vz.to_kerchunk(str(tmp_path / "refs.parq"), format="parquet")
        theirs.vz.to_kerchunk(str(tmp_path / "refs.json"), format="json")
    for name in ("refs.parq", "refs.json"):
        xr.testing.assert_equal(opened(tmp_path / name), ds)


# ---------------------------------------------------------------------- documents


@pytest.mark.parametrize("flat", [True, False])
def test_inline_chunks_are_text_or_base64(tmp_path, flat):
    document = tiny({"0": encoded(np.array([1, 2], "<i4")), "1": "\x03\0\0\0\x04\0\0\0"})
    path = write(tmp_path / "refs.json", document["refs"] if flat else document)
    assert opened(path)["v"].values.tolist() == [1, 2, 3, 4]


def test_a_chunk_that_is_not_listed_is_fill(tmp_path):
    path = write(tmp_path / "refs.json", tiny({"0": encoded(np.array([1, 2], "<i4"))}, fill_value=-7))
    assert opened(path, mask_and_scale=False)["v"].values.tolist() == [1, 2, -7, -7]
    np.testing.assert_array_equal(opened(path)["v"], [1, 2, np.nan, np.nan])


def test_a_listed_chunk_that_is_absent_is_an_error(tmp_path):
    path = write(tmp_path / "refs.json", tiny({"0": ["absent.bin", 0, 8], "1": encoded(np.array([1, 2], "<i4"))}))
    virtual = xr.open_dataset(path, engine="virtualzarr")
    assert virtual["v"][2:].values.tolist() == [1, 2]
    with pytest.raises(SourceError, match=r"v: chunk \(0\): .*absent.bin: no such file"):
        virtual.load()


def test_documents_may_be_consolidated_or_objects(tmp_path):
    refs = tiny({"0": encoded(np.array([1, 2, 3, 4], "<i4"))}, chunks=[4])["refs"]
    metadata = {key: json.loads(refs.pop(key)) for key in (".zgroup", "v/.zarray", "v/.zattrs")}
    path = write(tmp_path / "a.json", {"version": 1, "refs": {".zmetadata": {"metadata": metadata}, **refs}})
    assert opened(path)["v"].values.tolist() == [1, 2, 3, 4]
    path = write(tmp_path / "b.json", {"version": 1, "refs": {**metadata, **refs}})
    assert opened(path)["v"].values.tolist() == [1, 2, 3, 4]


def test_templates_and_generators_are_filled(tmp_path):
    (tmp_path / "d").mkdir()
    for i in range(3):
        (tmp_path / "d" / f"part_{2 * i + 1}.bin").write_bytes(b"--" + np.array([i, i + 10], "<i4").tobytes())
    document = tiny({"3": ["{{f(c='part_1')}}", 2, 8]}, shape=[8])
    document["templates"] = {"u": "d", "f": "{{u}}/{{c}}.bin"}
    document["gen"] = [
        {"key": "v/{{i}}", "url": "{{u}}/part_{{ 2 * i + 1 }}.bin", "offset": "{{i * 0 + 2}}", "length": "8",
         "dimensions": {"i": {"stop": 3}}},
    ]  # fmt: skip
    assert opened(write(tmp_path / "refs.json", document))["v"].values.tolist() == [0, 10, 1, 11, 2, 12, 0, 10]


def test_generated_references_are_those_of_fsspec(tmp_path):
    pytest.importorskip("jinja2")
    from fsspec.implementations.reference import ReferenceFileSystem

    from intake_virtualzarr.formats.kerchunk_json import _references

    document = {
        "version": 1,
        "templates": {"u": "server/path", "f": "{{c}}_x"},
        "gen": [
            {"key": "a/{{i}}.{{j}}", "url": "{{u}}_{{i}}_{{f(c='k')}}", "offset": "{{(i + 1) * 1000 + j // 2 - j % 3}}",
             "length": "{{j + 1}}", "dimensions": {"i": {"start": 2, "stop": 9, "step": 3}, "j": [0, 4, 5]}},
            {"key": "b/{{i}}", "url": "file_{{i}}", "dimensions": {"i": {"stop": 2}}},
        ],
        "refs": {"c/0": ["{{u}}/{{f(c='text')}}", 1, 2], "d": ["plain", 3, 4]},
    }  # fmt: skip
    theirs = ReferenceFileSystem(document, remote_protocol="file", simple_templates=False, asynchronous=True).references
    assert dict(_references(document, "memory://")) == theirs


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("{{ ''.__class__ }}", "is more than names"),
        ("{{ open('x') }}", "is more than names"),
        ("{{ absent }}", "names 'absent'; known are u, loop"),
        ("{% for i in x %}{{u}}", "holds statements"),
        ("{{ loop }}", "uses templates that use it"),
        ("{{ u( }}", "cannot be read"),
        ("{{ 9 ** 9 ** 9 }}", "is more than names"),
    ],
)
def test_templates_that_are_more_than_fields_are_refused(tmp_path, field, message):
    document = tiny({"0": [field + "{{u}}", 0, 8]})
    document["templates"] = {"u": "x", "loop": "{{ loop }}"}
    with pytest.raises(UnsupportedError, match=message):
        opened(write(tmp_path / "refs.json", document))


def test_relative_paths_lie_beside_the_references_or_in_the_working_directory(tmp_path, monkeypatch):
    for name in ("refs", "work"):
        (tmp_path / name).mkdir()
    path = write(tmp_path / "refs" / "refs.json", tiny({"0": ["a.bin", 0, 16]}, chunks=[4]))
    monkeypatch.chdir(tmp_path / "work")
    (tmp_path / "work" / "a.bin").write_bytes(np.array([1, 2, 3, 4], "<i4").tobytes())
    assert opened(path)["v"].values.tolist() == [1, 2, 3, 4]
    (tmp_path / "refs" / "a.bin").write_bytes(np.array([5, 6, 7, 8], "<i4").tobytes())
    with pytest.warns(UserWarning, match=r"relative path 'a.bin', and both .* and .* are there; use absolute URLs"):
        assert "v" not in opened(path)
    (tmp_path / "work" / "a.bin").unlink()
    assert opened(path)["v"].values.tolist() == [5, 6, 7, 8]


def test_relative_paths_of_remote_references_lie_beside_them(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a b.bin").write_bytes(np.array([1, 2, 3, 4], "<i4").tobytes())
    write(tmp_path / "d" / "refs.json", tiny({"0": ["a b.bin", 0, 16]}, chunks=[4]))
    with serving(tmp_path) as server:
        assert opened(f"{server.url}/d/refs.json")["v"].values.tolist() == [1, 2, 3, 4]


def test_http_urls_keep_their_escapes_and_other_urls_have_none(tmp_path):
    name = "a%20b.bin"
    (tmp_path / name).write_bytes(np.array([1, 2], "<i4").tobytes())
    (tmp_path / "a b.bin").write_bytes(np.array([3, 4], "<i4").tobytes())
    with serving(tmp_path) as server:
        chunks = {"0": [f"file://{tmp_path}/{name}", 0, 8], "1": [f"{server.url}/{name}", 0, 8]}
        found = opened(write(tmp_path / "refs.json", tiny(chunks)))
    assert found["v"].values.tolist() == [1, 2, 3, 4]


@pytest.fixture
def whole(tmp_path):
    """A Zarr store of version 2, each chunk a file, and references to whole files in it."""
    zarr = pytest.importorskip("zarr")
    values = RNG.integers(0, 90, (5, 6)).astype("i4")
    group = zarr.open_group(tmp_path / "store.zarr", mode="w", zarr_format=2)
    how = {"chunks": (2, 3), "compressors": numcodecs.Zlib(4), "fill_value": None}
    array = group.create_array("v", shape=(5, 6), dtype="i4", attributes={"_ARRAY_DIMENSIONS": ["y", "x"]}, **how)
    array[...] = values
    refs = {}
    for path in sorted(one for one in (tmp_path / "store.zarr").rglob("*") if one.is_file()):
        key = path.relative_to(tmp_path / "store.zarr").as_posix()
        refs[key] = path.read_text() if path.name.startswith(".z") else [f"store.zarr/{key}"]
    return refs, values


@pytest.mark.parametrize("kind", ["json", "parquet"])
def test_chunks_that_are_whole_files_are_read(whole, tmp_path, kind):
    refs, values = whole
    document = {"version": 1, "refs": refs}
    path = write(tmp_path / "refs.json", document)
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="nothing else reads Parquet of a network")
        path = to_parquet(document, tmp_path / "refs.parq", record_size=4)
    with serving(tmp_path) as server:
        lazy = xr.open_dataset(f"{server.url}/{path.name}", engine="virtualzarr")
        asked = {name for _, name in server.requests if name.startswith("store.zarr")}
        assert asked == set()
        np.testing.assert_array_equal(lazy["v"][:2, :3].values, values[:2, :3])
        assert {name for _, name in server.requests if name.startswith("store.zarr")} == {"store.zarr/v/0.0"}
        np.testing.assert_array_equal(lazy["v"].values, values)
    virtual = pickle.loads(pickle.dumps(ivz.open_virtual_dataset(path)))
    virtual.vzarr.to_zarr(tmp_path / "own.vzarr")
    np.testing.assert_array_equal(opened(tmp_path / "own.vzarr")["v"].values, values)
    assert virtual.vzarr.n_references == 6


def test_whole_files_that_are_absent_or_empty_are_errors(whole, tmp_path):
    path = write(tmp_path / "refs.json", whole[0])
    (tmp_path / "store.zarr" / "v" / "0.0").unlink()
    with pytest.raises(SourceError, match=r"v/0\.0: no such file"):
        opened(path)
    (tmp_path / "store.zarr" / "v" / "0.0").touch()
    with pytest.raises(SourceError, match=r"v/0\.0: is empty"):
        opened(path)


def test_options_reach_whole_files(whole, tmp_path):
    seen = []

    def sign(url):
        seen.append(url)
        return url

    write(tmp_path / "refs.json", whole[0])
    with serving(tmp_path) as server:
        opened(f"{server.url}/refs.json", storage_options=ivz.Access(modifier=sign))
    assert any(url.endswith("v/0.0") for url in seen)


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("changes", "chunks", "message"),
    [
        ({"compressor": {"id": "imagecodecs_jpeg2k"}}, {}, "codec 'imagecodecs_jpeg2k' has no counterpart here"),
        ({"filters": [{"id": "fill_hdf_strings"}]}, {}, "codec 'fill_hdf_strings' has no counterpart here"),
        ({"filters": [{"id": "pickle"}], "dtype": "|O"}, {}, "objects are encoded by 'pickle'"),
        ({"filters": [{"id": "zlib"}, {"id": "delta", "dtype": "<i4"}]}, {}, "'delta' takes values, and stands after"),
        ({"filters": [{"id": "delta", "dtype": "<i2"}]}, {}, "decodes to int16, the array has int32"),
        ({"filters": ["zlib"]}, {}, "is not a codec of Zarr v2"),
        ({"dtype": [["a", "<i4"]]}, {}, "is structured"),
        ({"dtype": "<i5"}, {}, "data type '<i5' is unknown"),
        ({"fill_value": "many"}, {}, "fill_value 'many' does not fit data type int32"),
        ({"zarr_format": 1}, {}, "zarr_format is 1"),
        ({"order": "A"}, {}, "order is 'A'"),
        ({"chunks": [2, 2]}, {}, r"chunks \(2, 2\) for shape \(4,\)"),
        ({"shape": ["many"]}, {}, r"shape is \['many'\], expected a list of sizes"),
        ({"shape": [2**63]}, {}, "expected a list of sizes"),
        ({"shape": [2**40], "chunks": [1]}, {}, "has 1099511627776 chunks; at most 67108864 are held in memory"),
        ({}, {"0/0": ["a", 0, 8]}, "key '0/0' names no chunk; keys have the form '0'"),
        ({}, {"01": ["a", 0, 8]}, "key '01' names no chunk"),
        ({}, {"0": ["a", 0]}, r"expected \[url, offset, length\]"),
        ({}, {"0": ["a", -1, 8]}, "has offset -1"),
        ({}, {"0": ["a", 0, 0]}, "length 0"),
        ({}, {"0": ["a", 0, 2**32]}, "longer than"),
        ({}, {"0": ["a", 0, 2**70]}, "v: "),
        ({}, {"0": [None, 0, 8]}, "names None as its file"),
        ({}, {"0": ""}, "has no bytes"),
        ({}, {"0": "base64:?"}, "is not base64"),
        ({}, {"0": {"a": 1}}, r"expected \[url, offset, length\]"),
    ],
)
def test_what_cannot_be_read_is_left_out_by_name_and_the_rest_opens(tmp_path, changes, chunks, message):
    document = tiny(chunks, **changes)
    document["refs"] |= {"w/.zarray": tiny()["refs"]["v/.zarray"], "w/.zattrs": tiny()["refs"]["v/.zattrs"]}
    document["refs"] |= {"w/0": encoded(np.array([1, 2], "<i4")), "w/1": encoded(np.array([3, 4], "<i4"))}
    path = write(tmp_path / "refs.json", document)
    with pytest.warns(UserWarning, match=f"(?s)1 variable left out.*/v: .*{message}"):
        found = opened(path)
    assert found["w"].values.tolist() == [1, 2, 3, 4]
    assert "v" not in found
    with pytest.raises(UnsupportedError, match="/v: "):
        xr.open_dataset(path, engine="virtualzarr", on_unsupported="raise")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"version": 1, "refs": {}}, "holds no Zarr metadata"),
        ({"version": 2, "refs": {".zgroup": "{}"}}, "version 2"),
        ({"version": 1, "refs": []}, "are to be objects"),
        ({"version": 1, "refs": {".zgroup": "{"}}, r"\.zgroup: is not valid JSON"),
        ({"version": 1, "refs": {".zgroup": "{}"}, "gen": [{"key": "a"}]}, "generator .* is incomplete"),
    ],
)
def test_documents_that_are_no_references_are_errors(tmp_path, document, message):
    with pytest.raises(FormatError, match=message):
        ivz.open_virtual_dataset(write(tmp_path / "refs.json", document), format="kerchunk")


def test_an_array_that_fits_no_dimension_is_left_out(tmp_path):
    document = tiny({"0": encoded(np.array([1, 2], "<i4"))})
    document["refs"] |= {"x/.zarray": tiny(shape=[3])["refs"]["v/.zarray"], "x/.zattrs": tiny()["refs"]["v/.zattrs"]}
    path = write(tmp_path / "refs.json", document)
    with pytest.warns(UserWarning, match="/v: dimension 'x' has 4 elements here, and 3 in /x"):
        assert set(opened(path).variables) == {"x"}


@pytest.mark.parametrize(
    ("generator", "message"),
    [
        ({"key": "v/{{i}}", "url": "a", "dimensions": {"i": {"stop": 2**40}}}, "makes 1099511627776 references"),
        ({"key": "v/{{i}}", "url": "a", "dimensions": {"i": {"stop": "x"}}}, "is incomplete or wrong"),
        ({"key": "v/{{i}}", "url": "a", "dimensions": {"i": [1]}, "offset": "0"}, "is incomplete or wrong"),
        ({"key": "v/{{i}}", "url": "a", "dimensions": {"i": [1]}, "offset": "x", "length": "2"}, "gives 'x' as offset"),
    ],
)
def test_generators_that_cannot_be_are_errors(tmp_path, generator, message):
    path = write(tmp_path / "refs.json", {**tiny(), "gen": [generator]})
    with pytest.raises(FormatError, match=message):
        opened(path)


ODD = [None, True, 0, -1, 2, 2**31, 2**63, 1e308, "", "a", "0", "NaN", "<f4", "|S0", "|O", [], [1], {}, {"id": "zlib"}, "{{u}}",
       ["b.bin", 0, 8], "base64:!!", "{{1 // 0}}", "/", "F", "string", {"stop": 3}]  # fmt: skip


def places(value, path=()):
    """Paths of all values in a document."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in members:
        yield (*path, key)
        yield from places(one, (*path, key))


def damaged(document, random):
    """A document with one to three values removed, moved or replaced."""
    document = copy.deepcopy(document)
    for _ in range(random.choice([1, 1, 2, 3])):
        *parents, last = random.choice(list(places(document)))
        inside = document
        for key in parents:
            inside = inside[key]
        if random.random() < 0.2:
            del inside[last]
        elif random.random() < 0.1 and isinstance(inside, dict):
            inside[random.choice(["x/1", "v/2", "zarr.json", ".zmetadata"])] = inside.pop(last)
        else:
            inside[last] = copy.deepcopy(random.choice(ODD))
    return document


@pytest.mark.parametrize("version", [2, 3])
def test_damaged_documents_give_errors_of_ours(tmp_path, version):
    (tmp_path / "b.bin").write_bytes(np.arange(100, dtype="<i4").tobytes())
    document = tiny({"0.0": ["b.bin", 0, 24]}, shape=[4, 3], chunks=[2, 3], filters=[{"id": "shuffle", "elementsize": 4}])
    document["templates"] = {"u": "b.bin"}
    document["gen"] = [
        {"key": "v/{{i}}.0", "url": "{{u}}", "offset": "{{i * 24}}", "length": "24", "dimensions": {"i": {"start": 1, "stop": 2}}}
    ]
    document["refs"] = {key: json.loads(one) if isinstance(one, str) else one for key, one in document["refs"].items()}
    if version == 3:
        array = {
            "zarr_format": 3, "node_type": "array", "shape": [4], "data_type": "int32", "fill_value": 0, "dimension_names": ["x"],
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2]}}, "attributes": {"units": "K"},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        }  # fmt: skip
        group = {"zarr_format": 3, "node_type": "group", "attributes": {"title": "t"}}
        document = {"version": 1, "refs": {"zarr.json": group, "v/zarr.json": array, "v/c/0": ["b.bin", 0, 8]}}
    assert "v" in ivz.open_virtual_dataset(write(tmp_path / "refs.json", document), format="kerchunk")
    read = 0
    for seed in range(250):
        write(tmp_path / "refs.json", damaged(document, random.Random(seed)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                ivz.open_virtual_dataset(tmp_path / "refs.json", format="kerchunk", loadable_variables=[]).load()
                read += 1
            except VirtualZarrError:
                pass
    assert 20 < read < 240


def test_metadata_in_another_file_is_refused(tmp_path):
    with pytest.raises(UnsupportedError, match=r"v/.zarray: the metadata lies in another file"):
        opened(write(tmp_path / "refs.json", {"version": 1, "refs": {".zgroup": "{}", "v/.zarray": ["a.json", 0, 9]}}))


def test_json_that_is_cut_is_an_error(tmp_path):
    (tmp_path / "refs.json").write_text('{"version": 1, "refs": {".zgroup": "{')
    with pytest.raises(FormatError, match="is not valid JSON"):
        opened(tmp_path / "refs.json")


def test_other_json_is_no_set_of_references(tmp_path):
    write(tmp_path / "item.json", {"type": "Feature", "stac_version": "1.1.0", "assets": {"a": {"href": "x/zarr.json"}}})
    with pytest.raises(FormatError, match="is not a file of any format known here"):
        opened(tmp_path / "item.json")


# ---------------------------------------------------------------------- codecs


def stored_as_v2(tmp_path, values, **options):
    """References of an array that zarr-python wrote as version 2, chunk by chunk, and its chunks in one file."""
    import zarr

    store = tmp_path / "v2.zarr"
    group = zarr.open_group(store, mode="w", zarr_format=2)
    array = group.create_array("v", shape=values.shape, dtype=values.dtype, attributes={"_ARRAY_DIMENSIONS": ["x", "y"]}, **options)
    array[...] = values
    refs, blob = {}, bytearray(b"head")
    for path in sorted(p for p in store.rglob("*") if p.is_file()):
        key = path.relative_to(store).as_posix()
        if path.name.startswith(".z"):
            refs[key] = path.read_text()
            continue
        refs[key] = ["chunks.bin", len(blob), path.stat().st_size]
        blob += path.read_bytes()
    (tmp_path / "chunks.bin").write_bytes(blob)
    return write(tmp_path / "refs.json", {"version": 1, "refs": refs}), group["v"][...]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i2", ">u4", "|u1", "|b1", "<c8", "|S3", "<U2", "<M8[s]"])
def test_data_types_and_orders_of_version_2_read_as_zarr_reads_them(tmp_path, dtype, order):
    values = (RNG.random((5, 7)) * 90).astype("u1").astype(dtype)
    how = {"chunks": (2, 3), "order": order, "compressors": [numcodecs.Zlib(4)], "filters": None}
    path, expected = stored_as_v2(tmp_path, values, **how)
    found = opened(path, mask_and_scale=False, decode_times=False)["v"]
    np.testing.assert_array_equal(found.values, expected)
    np.testing.assert_array_equal(found[1:4, ::2].values, expected[1:4, ::2])
    assert found.dtype == expected.dtype.newbyteorder("=")


CODECS = {
    "zlib": ([], numcodecs.Zlib(3)),
    "gzip": ([], numcodecs.GZip(3)),
    "zstd": ([], numcodecs.Zstd(3)),
    "blosc": ([], numcodecs.Blosc("zstd", 3, shuffle=2)),
    "blosc of no setting": ([], numcodecs.Blosc("lz4", 3, shuffle=-1)),
    "lz4": ([], numcodecs.LZ4()),
    "bz2": ([], numcodecs.BZ2(3)),
    "lzma": ([], numcodecs.LZMA()),
    "shuffle, zlib, fletcher32": ([numcodecs.Shuffle(4), numcodecs.Zlib(4), numcodecs.Fletcher32()], None),
    "delta": ([numcodecs.Delta("<i4", "<i2")], numcodecs.Zlib(1)),
    "checksums": ([numcodecs.CRC32(), numcodecs.Adler32(), numcodecs.CRC32C()], None),
    "astype": ([numcodecs.AsType("<i2", "<i4")], numcodecs.Zlib(1)),
    "astype, delta": ([numcodecs.AsType(">i2", "<i4"), numcodecs.Delta(">i2")], numcodecs.Zlib(1)),
}


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("order", ["C", "F"])
def test_codecs_of_version_2_read_as_zarr_reads_them(tmp_path, name, order):
    filters, compressor = CODECS[name]
    values = RNG.integers(0, 90, (5, 7)).astype("<i4")
    how = {"chunks": (2, 3), "order": order, "compressors": compressor, "filters": filters or None}
    path, expected = stored_as_v2(tmp_path, values, **how)
    np.testing.assert_array_equal(expected, values)
    np.testing.assert_array_equal(opened(path, mask_and_scale=False)["v"].values, values)
    virtual = ivz.open_virtual_dataset(path)
    virtual.vzarr.to_zarr(tmp_path / "own.vzarr")
    np.testing.assert_array_equal(opened(tmp_path / "own.vzarr", mask_and_scale=False)["v"].values, values)
    with xr.open_zarr(ivz.VirtualZarrStore(tmp_path / "own.vzarr"), chunks=None, mask_and_scale=False) as plain:
        np.testing.assert_array_equal(plain["v"].values, values)


@pytest.mark.parametrize(
    "filters",
    [
        [numcodecs.FixedScaleOffset(offset=3, scale=10, dtype="<f4", astype="<u2")],
        [numcodecs.FixedScaleOffset(offset=3, scale=10, dtype="<f4", astype=">i4")],
        [numcodecs.Quantize(digits=1, dtype="<f4")],
        [numcodecs.BitRound(8)],
    ],
)
def test_codecs_that_lose_digits_read_as_zarr_reads_them(tmp_path, filters):
    values = (RNG.random((5, 7)) * 50 + 3).astype("<f4")
    path, expected = stored_as_v2(tmp_path, values, chunks=(2, 3), filters=filters, compressors=numcodecs.Zlib(1))
    np.testing.assert_allclose(expected, values, rtol=0.01, atol=0.06)
    np.testing.assert_array_equal(opened(path, mask_and_scale=False)["v"].values, expected)


@pytest.mark.parametrize("codec", [numcodecs.VLenUTF8(), numcodecs.JSON()])
def test_text_reads_as_it_was_written(tmp_path, codec):
    texts = np.array(["a", "bé", "", "dd"], dtype=object)
    chunk = encoded(codec.encode(texts.copy()))
    document = tiny({"0": chunk}, chunks=[4], dtype="|O", filters=[codec.get_config()])
    path = write(tmp_path / "refs.json", document)
    assert opened(path)["v"].values.tolist() == texts.tolist()
    ivz.open_virtual_dataset(path).vzarr.to_zarr(tmp_path / "own.vzarr")
    assert opened(tmp_path / "own.vzarr")["v"].values.tolist() == texts.tolist()
    with xr.open_zarr(ivz.VirtualZarrStore(tmp_path / "own.vzarr"), chunks=None) as plain:
        assert plain["v"].values.tolist() == texts.tolist()


@pytest.mark.parametrize(
    ("dtype", "fill", "expected"),
    [
        ("<f4", "NaN", np.nan), ("<f8", "-Infinity", -np.inf), ("<f4", 1.5, 1.5), ("<i2", -3, -3), ("|b1", True, True),
        ("|S2", base64.b64encode(b"ab").decode(), b"ab"), ("<M8[s]", "NaT", np.datetime64("NaT", "s")),
        ("<u8", 2**64 - 1, 2**64 - 1),
    ],
)  # fmt: skip
def test_fill_values_of_version_2_have_the_type_of_the_array(tmp_path, dtype, fill, expected):
    path = write(tmp_path / "refs.json", tiny(dtype=dtype, fill_value=fill))
    values = opened(path, mask_and_scale=False, decode_times=False)["v"].values
    np.testing.assert_array_equal(values, np.full(4, expected, dtype=dtype))


@pytest.mark.filterwarnings("ignore:Duplicate dimension names")
def test_a_dimension_may_stand_twice_if_its_lengths_agree(tmp_path):
    chunk = {"0.0": encoded(np.arange(4, dtype="<i4"))}
    document = tiny(chunk, {"_ARRAY_DIMENSIONS": ["x", "x"]}, shape=[2, 2], chunks=[2, 2])
    assert opened(write(tmp_path / "refs.json", document))["v"].values.tolist() == [[0, 1], [2, 3]]
    document = tiny({}, {"_ARRAY_DIMENSIONS": ["x", "x"]}, shape=[2, 3], chunks=[2, 2])
    with pytest.warns(UserWarning, match=r"\('x', 'x'\) are one, but the shape is \(2, 3\)"):
        opened(write(tmp_path / "refs.json", document))


def test_a_text_that_is_not_stored_is_empty(tmp_path):
    path = write(tmp_path / "refs.json", tiny(shape=[], chunks=[], dtype="|O", filters=[{"id": "vlen-utf8"}]))
    value = opened(path)["v"].values[()]
    assert isinstance(value, str)
    assert value == ""


def test_dimensions_without_real_names_need_not_agree(tmp_path):
    hdf = pytest.importorskip("kerchunk.hdf", reason="the extra 'kerchunk' is not installed")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"], file["b"], file["c"] = np.arange(3), np.arange(8).reshape(4, 2), np.arange(3)
    refs = hdf.SingleHdf5ToZarr(str(tmp_path / "a.h5"), inline_threshold=0).translate()
    found = opened(write(tmp_path / "refs.json", refs), mask_and_scale=False)
    assert [found[name].dims for name in "abc"] == [("phony_dim_0",), ("b_dim_0", "b_dim_1"), ("phony_dim_0",)]
    np.testing.assert_array_equal(found["b"], np.arange(8).reshape(4, 2))


def test_a_scalar_and_an_empty_array_are_read(tmp_path):
    path = write(tmp_path / "refs.json", tiny({"0": encoded(np.array(7, "<i4"))}, shape=[], chunks=[]))
    assert opened(path)["v"].values == 7
    path = write(tmp_path / "empty.json", tiny(shape=[0], chunks=[0]))
    assert opened(path)["v"].shape == (0,)


@pytest.mark.skipif(os.name == "nt", reason="POSIX paths")
def test_the_scan_lists_references(references, tmp_path):
    report = ivz.scan(write(tmp_path / "refs.json", references))
    assert report.format == "kerchunk"
    assert report.arrays["/packed"].references == 9
    assert not report.left_out


@pytest.mark.parametrize("kind", ["json", "parquet"])
def test_the_commands_describe_and_check_references(references, tmp_path, capsys, kind):
    from intake_virtualzarr.cli.main import main

    path = write(tmp_path / "refs.json", references) if kind == "json" else to_parquet(references, tmp_path / "refs.parq")
    assert main(["describe", str(path), "--json"]) == 0
    (report,) = json.loads(capsys.readouterr().out)
    assert set(report["groups"]["/"]["variables"]) >= {"packed", "plain", "big"}
    assert main(["check", str(path)]) == 0
    assert "all 1 sources are as they were" in capsys.readouterr().out
