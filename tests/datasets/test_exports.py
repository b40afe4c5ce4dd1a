"""Virtual datasets handed to other readers: fsspec's reference file system, Icechunk."""

from __future__ import annotations

import json
import sys

import h5py
import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.cli.main import main
from intake_virtualzarr.datasets.icechunk_repository import commit_references
from intake_virtualzarr.errors import HierarchyError, UnsupportedError


@pytest.fixture
def joined(tmp_path):
    """Two files of whole chunks with valid zeros, an unwritten chunk and packed values."""
    paths = []
    for i in range(2):
        path = tmp_path / f"{i}.nc"
        values = np.arange(4 * 6, dtype="f8").reshape(4, 6) % 7
        ds = xr.Dataset(
            {"v": (("time", "x"), values.astype("f4")), "p": (("time", "x"), values)},
            coords={"time": np.arange(4) + 4 * i, "x": np.arange(6)},
        )
        encoding = {
            "v": {"chunksizes": (2, 6), "zlib": True, "shuffle": True, "_FillValue": None},
            "p": {"chunksizes": (2, 3), "dtype": "i2", "scale_factor": 0.5, "_FillValue": -1},
        }
        ds.to_netcdf(path, engine="h5netcdf", encoding=encoding)
        paths.append(path)
    with xr.open_mfdataset(paths, engine="h5netcdf") as expected:
        return ivz.open_virtual_mfdataset(paths), expected.load()


def test_kerchunk_references_read_as_the_files_do(joined, tmp_path):
    virtual, expected = joined
    virtual.vzarr.to_kerchunk(tmp_path / "refs.json", zarr_format=3)
    refs = json.loads((tmp_path / "refs.json").read_text())
    assert refs["version"] == 1
    options = {"fo": refs, "remote_protocol": "file", "asynchronous": True}
    how = {"consolidated": False, "storage_options": options}
    with xr.open_dataset("reference://", engine="zarr", backend_kwargs=how) as opened:
        xr.testing.assert_equal(opened.load(), expected)


def test_kerchunk_references_are_returned_without_a_path(joined):
    virtual, _ = joined
    refs = virtual.vzarr.to_kerchunk()["refs"]
    assert sum(isinstance(ref, list) for key, ref in refs.items() if key.startswith("v/")) == 4


def test_what_must_be_cropped_is_refused_by_name(joined):
    virtual, _ = joined
    with pytest.raises(UnsupportedError, match=r"v: chunks of 2 along 'time' are seen in part"):
        virtual[["v"]].isel(time=slice(1, 6)).vzarr.to_kerchunk()


def test_an_icechunk_repository_reads_as_the_files_do(joined, tmp_path):
    icechunk = pytest.importorskip("icechunk", reason="the extra 'icechunk' is not installed")
    virtual, expected = joined
    prefix = tmp_path.as_uri() + "/"
    config = icechunk.RepositoryConfig.default()
    config.set_virtual_chunk_container(icechunk.VirtualChunkContainer(prefix, icechunk.local_filesystem_store(str(tmp_path))))
    allowed = {prefix: icechunk.credentials.LocalFileSystemAccess}
    repository = icechunk.Repository.create(icechunk.in_memory_storage(), config=config, authorize_virtual_chunk_access=allowed)
    session = repository.writable_session("main")
    assert virtual.vzarr.to_icechunk(session.store) == 4 + 8
    session.commit("two files")
    with xr.open_zarr(repository.readonly_session("main").store, consolidated=False, chunks=None) as opened:
        xr.testing.assert_equal(opened.load(), expected)


# ---------------------------------------------------------------------- trees


@pytest.fixture
def grouped(tmp_path):
    """A store of two groups, and the file behind it."""
    path = tmp_path / "groups.h5"
    with h5py.File(path, "w") as file:
        file.attrs["title"] = "groups"
        file.create_dataset("v", data=np.arange(12.0).reshape(3, 4), chunks=(1, 4), compression="gzip")
        file.create_dataset("a/b/w", data=np.arange(8, dtype=">i2"), chunks=(4,), shuffle=True, compression="gzip")
    ivz.open_virtual_datatree(path).vzarr.to_zarr(tmp_path / "store.vzarr")
    return tmp_path / "store.vzarr", path


def assert_grouped(tree):
    assert tree.attrs["title"] == "groups"
    np.testing.assert_array_equal(tree["/v"].values, np.arange(12.0).reshape(3, 4))
    np.testing.assert_array_equal(tree["/a/b/w"].values, np.arange(8))


def test_all_groups_of_a_tree_are_written(grouped, tmp_path):
    tree = ivz.open_virtual_datatree(grouped[0])
    tree.vzarr.to_kerchunk(tmp_path / "refs.json")
    assert_grouped(ivz.open_virtual_datatree(tmp_path / "refs.json"))
    refs = json.loads((tmp_path / "refs.json").read_text())["refs"]
    assert refs["a/b/w/0"][0] == f"file://{grouped[1]}"


def test_what_must_be_cropped_in_a_group_is_refused_by_path(grouped):
    tree = ivz.open_virtual_datatree(grouped[1])
    tree["/a/b"] = xr.DataTree(tree["/a/b"].to_dataset().isel({tree["/a/b/w"].dims[0]: slice(1, 7)}))
    with pytest.raises(UnsupportedError, match=r"a/b/w: chunks of 4 along .* are seen in part"):
        tree.vzarr.to_kerchunk()


# ---------------------------------------------------------------------- the command


def run(capsys, *arguments):
    code = main([str(one) for one in arguments])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_a_store_is_exported_to_kerchunk(grouped, tmp_path, capsys):
    out = tmp_path / "refs.json"
    code, text, _ = run(capsys, "export", grouped[0], out, "--format", "kerchunk", "--dry-run")
    assert (code, text) == (0, f"{out}: 5 references of 2 variables would be written\n")
    assert not out.exists()
    code, text, _ = run(capsys, "export", grouped[0], out, "--format", "kerchunk")
    assert (code, text) == (0, f"{out}: 5 references of 2 variables written\n")
    assert_grouped(ivz.open_virtual_datatree(out))
    code, _, error = run(capsys, "export", grouped[0], out, "--format", "kerchunk")
    assert code == 1
    assert "is there already; choose another place, or --overwrite" in error
    code, text, _ = run(capsys, "export", grouped[0], out, "--format", "kerchunk", "--group", "a/b", "--overwrite", "--json")
    assert code == 0
    assert json.loads(text)["references"] == 2
    np.testing.assert_array_equal(xr.open_dataset(out, engine="virtualzarr")["w"].values, np.arange(8))


def test_a_store_is_exported_to_parquet(grouped, tmp_path, capsys):
    pytest.importorskip("kerchunk", reason="the extra 'kerchunk' is not installed")
    out = tmp_path / "refs.parq"
    for more in ((), ("--overwrite",)):
        code, text, _ = run(capsys, "export", grouped[0], out, "--format", "kerchunk-parquet", *more)
        assert (code, text) == (0, f"{out}: 5 references of 2 variables written\n")
        assert_grouped(ivz.open_virtual_datatree(out))
    code, _, error = run(capsys, "export", grouped[0], out, "--format", "kerchunk-parquet")
    assert code == 1
    assert "--overwrite" in error


def test_a_store_is_exported_to_icechunk(grouped, tmp_path, capsys):
    icechunk = pytest.importorskip("icechunk", reason="the extra 'icechunk' is not installed")
    out = tmp_path / "a repository"
    arguments = ("export", grouped[0], out, "--format", "icechunk")
    assert run(capsys, *arguments, "--dry-run")[0] == 0
    assert not out.exists()
    code, text, _ = run(capsys, *arguments, "--json", "--message", "first")
    assert code == 0
    report = json.loads(text)
    assert report["references"] == 5
    assert_grouped(ivz.open_virtual_datatree(out))
    allowed = dict.fromkeys(report["prefixes"], icechunk.credentials.LocalFileSystemAccess)
    storage = icechunk.local_filesystem_storage(str(out))
    repository = icechunk.Repository.open(storage, authorize_virtual_chunk_access=allowed)
    with xr.open_datatree(repository.readonly_session("main").store, engine="zarr", consolidated=False) as theirs:
        assert_grouped(theirs.load())
    code, _, error = run(capsys, *arguments)
    assert code == 1
    assert "branch 'main' is not empty" in error
    assert run(capsys, *arguments, "--overwrite", "--drop", "v", "--message", "second")[0] == 0
    assert [one.message for one in repository.ancestry(branch="main")][:2] == ["second", "first"]
    assert list(ivz.open_virtual_datatree(out).variables) == []


def test_a_repository_learns_of_further_places(joined, tmp_path):
    icechunk = pytest.importorskip("icechunk", reason="the extra 'icechunk' is not installed")
    virtual, expected = joined
    out = tmp_path / "repo"
    storage = icechunk.local_filesystem_storage(str(out))
    config = icechunk.RepositoryConfig.default()
    config.set_virtual_chunk_container(icechunk.VirtualChunkContainer("s3://other/", icechunk.s3_store(region="us-west-2")))
    icechunk.Repository.create(storage, config=config)
    done = commit_references(virtual, out)
    assert done.references == 12
    assert done.prefixes == (tmp_path.as_uri() + "/",)
    assert set(icechunk.Repository.open(storage).config.virtual_chunk_containers) == {"s3://other/", *done.prefixes}
    xr.testing.assert_equal(xr.open_dataset(out, engine="virtualzarr").load(), expected)


def test_a_repository_that_knows_no_place_of_the_files_is_an_error(joined):
    icechunk = pytest.importorskip("icechunk", reason="the extra 'icechunk' is not installed")
    session = icechunk.Repository.create(icechunk.in_memory_storage()).writable_session("main")
    with pytest.raises(HierarchyError, match=r"references cannot be written by Icechunk: .*container"):
        joined[0].vzarr.to_icechunk(session.store)


def test_without_icechunk_the_extra_is_named(grouped, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "icechunk", None)
    code, _, error = run(capsys, "export", grouped[0], tmp_path / "out", "--format", "icechunk", "--dry-run")
    assert code == 1
    assert "pip install intake-virtualzarr[icechunk]" in error


def test_wrong_formats_of_export_are_wrong_usage(grouped, tmp_path, capsys):
    with pytest.raises(SystemExit) as exc:
        run(capsys, "export", grouped[0], tmp_path / "out", "--format", "zip")
    assert exc.value.code == 2
