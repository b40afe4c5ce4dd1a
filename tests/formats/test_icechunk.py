"""Icechunk repositories: virtual, inline and native chunks of any version, read with the values that Icechunk gives."""

from __future__ import annotations

import os
import pickle
import sys

import numpy as np
import pytest
import xarray as xr
import zarr
from support.helpers import serving

import intake_virtualzarr as ivz
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.errors import FormatError, HierarchyError, MissingExtraError, NotAllowedError, SourceError, UnsupportedError
from intake_virtualzarr.formats.icechunk_session import container_access, version_of
from intake_virtualzarr.storage.key_value import StoreKeys
from intake_virtualzarr.storage.readers import Access

icechunk = pytest.importorskip("icechunk", reason="the extra 'icechunk' is not installed")

RNG = np.random.default_rng(9)


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "files" / "day 1 #.nc"
    path.parent.mkdir()
    values = RNG.integers(0, 40, (4, 6)).astype("f8")
    values[1, 2] = np.nan
    ds = xr.Dataset(
        {"packed": (("time", "x"), values), "plain": (("time", "x"), RNG.random((4, 6)).astype("f4"))},
        coords={"time": np.datetime64("2024-01-01", "ns") + np.arange(4) * np.timedelta64(1, "D"), "x": np.arange(6)},
    )
    encoding = {
        "packed": {"chunksizes": (2, 3), "dtype": "i2", "scale_factor": 0.5, "_FillValue": -1, "zlib": True, "shuffle": True},
        "plain": {"chunksizes": (1, 6), "_FillValue": None},
        "time": {"units": "hours since 2024-01-01"},
    }
    ds.to_netcdf(path, engine="h5netcdf", encoding=encoding)
    return path


def create(directory, archive, spec_version=2):
    """A repository in a directory that may refer to the archive."""
    prefix = archive.parent.as_uri() + "/"
    config = icechunk.RepositoryConfig.default()
    container = icechunk.VirtualChunkContainer(prefix, icechunk.local_filesystem_store(str(archive.parent)))
    config.set_virtual_chunk_container(container)
    return icechunk.Repository.create(
        icechunk.local_filesystem_storage(str(directory)),
        config=config,
        authorize_virtual_chunk_access={prefix: icechunk.credentials.LocalFileSystemAccess},
        spec_version=spec_version,
    )


@pytest.fixture(params=[1, 2], ids=["version 1", "version 2"])
def repository(request, tmp_path, archive):
    """Two commits: virtual references and a native array, tagged; then a changed value."""
    repository = create(tmp_path / "repo", archive, request.param)
    session = repository.writable_session("main")
    ivz.open_virtual_dataset(archive).vzarr.to_icechunk(session.store)
    group = zarr.open_group(session.store, mode="a")
    native = group.create_array("native", shape=(4, 300), chunks=(3, 300), dtype="f8", dimension_names=["time", "y"])
    native[:3] = RNG.random((3, 300))
    session.commit("one")
    repository.create_tag("v1", session.snapshot_id)
    session = repository.writable_session("main")
    zarr.open_group(session.store, mode="a")["native"][0, 0] = 7.0
    session.commit("two")
    return repository


def with_icechunk(repository, **version):
    store = repository.readonly_session(**(version or {"branch": "main"})).store
    with xr.open_zarr(store, consolidated=False, chunks=None) as opened:
        return opened.load()


def opened(path, **options):
    return xr.open_dataset(path, engine="virtualzarr", **options).load()


def test_a_repository_reads_as_icechunk_and_the_files_do(repository, archive, tmp_path):
    found = opened(tmp_path / "repo")
    xr.testing.assert_identical(found, with_icechunk(repository))
    with xr.open_dataset(archive, engine="h5netcdf") as direct:
        xr.testing.assert_equal(found[["packed", "plain"]], direct.load())
    assert np.isnan(found["native"][3]).all() or (found["native"][3] == 0).all()


def test_the_store_of_a_session_reads_alike(repository):
    session = repository.readonly_session("main")
    xr.testing.assert_identical(opened(session.store), with_icechunk(repository))
    virtual = ivz.open_virtual_dataset(session.store, format="icechunk")
    assert all(isinstance(virtual[name].data, VirtualZarrArray) for name in ("packed", "plain", "native"))


def test_uncommitted_changes_are_seen_through_their_session(repository):
    session = repository.writable_session("main")
    zarr.open_group(session.store, mode="a")["native"][3, 5] = 11.0
    assert opened(session.store)["native"][3, 5] == 11.0


def test_tags_branches_and_snapshots_are_named_behind_the_repository(repository, tmp_path):
    repository.create_branch("dev", repository.lookup_tag("v1"))
    path = str(tmp_path / "repo")
    old = with_icechunk(repository, tag="v1")
    assert not old.equals(with_icechunk(repository))
    for version in ("tag.v1", "branch.dev", repository.lookup_tag("v1")):
        xr.testing.assert_identical(opened(f"{path}|icechunk://{version}/"), old)
    xr.testing.assert_identical(ivz.open_virtual_dataset(f"{path}|icechunk:").load(), ivz.open_virtual_dataset(path).load())
    with pytest.raises(FormatError, match=r"absent/: cannot be opened by Icechunk: .*absent"):
        ivz.open_virtual_dataset(f"{path}|icechunk://tag.absent/")


@pytest.mark.parametrize("text", ["a|icechunk://tag./", "a|icechunk://dev/", "a|zip:", "a|icechunk://tag.v1/|zip:"])
def test_other_adapters_and_versions_are_refused(text):
    with pytest.raises(UnsupportedError, match=r"a\|"):
        version_of(text)


def test_the_segments_are_those_of_the_file(repository, archive, tmp_path):
    direct, again = ivz.open_virtual_dataset(archive), ivz.open_virtual_dataset(tmp_path / "repo")
    for name in ("packed", "plain"):
        (one,), (other,) = direct[name].data.segments, again[name].data.segments
        assert one.stored.codecs == other.stored.codecs
        assert one.packing == other.packing
        mine, theirs = one.stored.manifest.load(), other.stored.manifest.load()
        np.testing.assert_array_equal(mine.offset, theirs.offset)
        np.testing.assert_array_equal(mine.length, theirs.length)
        assert {other.stored.sources[int(row)].url for row in theirs.source.ravel()} == {archive.as_uri()}


def test_a_repository_joins_with_files_and_becomes_a_hierarchy(repository, archive, tmp_path):
    virtual = ivz.open_virtual_dataset(tmp_path / "repo")
    later = ivz.open_virtual_dataset(archive).assign_coords(time=virtual.time + np.timedelta64(4, "D"))
    options = {"data_vars": "minimal", "coords": "minimal", "compat": "override", "join": "override"}
    joined = xr.concat([virtual.drop_vars("native"), later], dim="time", **options)
    joined.vzarr.to_zarr(tmp_path / "joined.vzarr")
    found, once = opened(tmp_path / "joined.vzarr"), opened(archive)
    np.testing.assert_array_equal(found["packed"], np.concatenate([once["packed"]] * 2))
    virtual.vzarr.to_zarr(tmp_path / "own.vzarr")
    xr.testing.assert_equal(opened(tmp_path / "own.vzarr"), with_icechunk(repository))


def test_references_survive_pickling(repository, tmp_path):
    virtual = ivz.open_virtual_dataset(tmp_path / "repo").isel(time=slice(1, 3))
    again = pickle.loads(pickle.dumps(virtual))
    xr.testing.assert_equal(again.vzarr.decode().load(), with_icechunk(repository).isel(time=slice(1, 3)))


def test_groups_open_as_a_tree(tmp_path, archive):
    repository = create(tmp_path / "repo", archive)
    session = repository.writable_session("main")
    root = zarr.open_group(session.store, mode="a")
    root.attrs["title"] = "groups"
    root.create_array("a/b/v", data=np.arange(5), dimension_names=["n"])
    session.commit("groups")
    tree = ivz.open_virtual_datatree(tmp_path / "repo")
    assert tree.attrs["title"] == "groups"
    np.testing.assert_array_equal(tree["/a/b/v"].values, np.arange(5))
    path = str(tmp_path / "repo")
    np.testing.assert_array_equal(opened(f"{path}|icechunk://branch.main/a/b/|zarr3")["v"], np.arange(5))
    np.testing.assert_array_equal(opened(f"{path}|icechunk://branch.main/a/", group="b")["v"], np.arange(5))
    for absent in ("c", "a/b/v"):
        with pytest.raises(FormatError, match=f"has no group '{absent}'"):
            opened(f"{path}|icechunk://branch.main/{absent}/")


def test_text_and_scalars_of_xarray_read_alike(tmp_path, archive):
    repository = create(tmp_path / "repo", archive)
    session = repository.writable_session("main")
    texts = np.array(["a", "bé", ""], dtype=object)
    ds = xr.Dataset(
        {"text": ("x", texts), "big": ("x", np.arange(3, dtype=">i4")), "none": ((), np.nan), "flag": ("x", [True, False, True])}
    )
    ds.to_zarr(session.store, mode="w", consolidated=False)
    session.commit("text")
    xr.testing.assert_equal(opened(tmp_path / "repo"), with_icechunk(repository))


def test_a_hierarchy_kept_in_a_repository_opens_as_one(tmp_path, archive):
    repository = create(tmp_path / "repo", archive)
    session = repository.writable_session("main")
    written, keys = zarr.storage.MemoryStore(), StoreKeys(session.store)
    ivz.open_virtual_dataset(archive).vzarr.to_zarr(written)
    documents, chunks = [key for key in written._store_dict if key.endswith("zarr.json")], written._store_dict
    for key in [*sorted(documents), *(key for key in chunks if key not in documents)]:  # Icechunk wants arrays before chunks
        keys.set(key, written._store_dict[key].to_bytes())
    session.commit("hierarchy")
    expected = opened(archive)
    xr.testing.assert_equal(opened(repository.readonly_session("main").store), expected)
    xr.testing.assert_equal(opened(tmp_path / "repo"), expected)


def test_a_repository_opens_over_http(repository, tmp_path):
    allow = [tmp_path / "files"]
    with serving(tmp_path) as server:
        xr.testing.assert_identical(opened(f"{server.url}/repo", allow=allow), with_icechunk(repository))
        xr.testing.assert_identical(
            opened(f"{server.url}/repo|icechunk://tag.v1/", allow=allow), with_icechunk(repository, tag="v1")
        )
        with pytest.raises(NotAllowedError, match=r"/repo: names 'file:///.*allow=\['file:///.*/files/"):
            opened(f"{server.url}/repo")


def test_the_driver_opens_a_repository(repository, tmp_path):
    import intake

    catalog = tmp_path / "catalog.yaml"
    entry = "    driver: virtualzarr\n    args:\n      urlpath: '{{ CATALOG_DIR }}/repo"
    catalog.write_text(f"sources:\n  now:\n{entry}'\n  then:\n{entry}|icechunk://tag.v1/'\n")
    entries = intake.open_catalog(catalog)
    lazy = entries.now.to_dask()
    assert lazy["packed"].chunks
    xr.testing.assert_identical(lazy.load(), with_icechunk(repository))
    xr.testing.assert_identical(entries.then.read(), with_icechunk(repository, tag="v1"))


def test_a_file_that_is_gone_is_an_error_and_not_fill(repository, archive, tmp_path):
    lazy = xr.open_dataset(tmp_path / "repo", engine="virtualzarr")
    os.rename(archive, tmp_path / "elsewhere.nc")
    with pytest.raises(SourceError, match=r"packed: chunk .*no such file"):
        lazy["packed"].load()


def test_arrays_of_unknown_codecs_are_left_out_by_name(tmp_path, archive):
    repository = create(tmp_path / "repo", archive)
    session = repository.writable_session("main")
    group = zarr.open_group(session.store, mode="a")
    group.create_array("v", data=np.arange(5), dimension_names=["n"])
    group.create_array("packed", data=np.arange(5) > 2, filters=[zarr.codecs.numcodecs.PackBits()], dimension_names=["n"])
    session.commit("codecs")
    with pytest.warns(UserWarning, match=r"/packed: .*numcodecs.packbits"):
        assert set(opened(tmp_path / "repo").variables) == {"v"}


def test_a_path_without_a_repository_is_an_error(tmp_path):
    with pytest.raises(FormatError, match=r"cannot be opened by Icechunk: .*repository"):
        ivz.open_virtual_dataset(tmp_path, format="icechunk")


def test_without_icechunk_the_extra_is_named(repository, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "icechunk", None)
    with pytest.raises(MissingExtraError, match=r"pip install intake-virtualzarr\[icechunk\]"):
        ivz.open_virtual_dataset(tmp_path / "repo")


def test_options_of_places_come_from_the_repository_unless_given():
    config = icechunk.RepositoryConfig.default()
    for name, options in {
        "one": {"region": "us-west-2", "anonymous": True},
        "two": {"region": "eu-central-1", "endpoint_url": "https://s3.example.com"},
    }.items():
        store = icechunk.s3_store(**options)
        config.set_virtual_chunk_container(icechunk.VirtualChunkContainer(f"s3://{name}/", store))
    repository = icechunk.Repository.create(icechunk.in_memory_storage(), config=config)
    session = repository.readonly_session("main")
    access = container_access(session.store, Access({"s3://two/": {"region": "mine"}}))
    assert access.options("s3://one/a.nc") == {"region": "us-west-2", "skip_signature": True}
    assert access.options("s3://two/a.nc") == {"region": "mine"}


def test_what_virtualizarr_writes_reads_as_the_file(tmp_path, archive):
    vz = pytest.importorskip("virtualizarr", reason="virtualizarr is not installed")
    from obspec_utils.registry import ObjectStoreRegistry
    from obstore.store import LocalStore

    repository = create(tmp_path / "repo", archive)
    session = repository.writable_session("main")
    path = archive.rename(archive.with_name("a.nc"))
    registry = ObjectStoreRegistry({"file://": LocalStore()})
    with vz.open_virtual_dataset(path.as_uri(), registry=registry, parser=vz.parsers.HDFParser()) as theirs:
        theirs.vz.to_icechunk(session.store)
    session.commit("theirs")
    xr.testing.assert_equal(opened(tmp_path / "repo"), opened(path))


def test_a_session_takes_no_hierarchy_and_says_what_it_takes(archive):
    repository = icechunk.Repository.create(icechunk.in_memory_storage())
    store = repository.writable_session("main").store
    opened = ivz.open_virtual_dataset(archive)
    for write in (opened.vzarr.to_zarr, xr.DataTree(opened).vzarr.to_zarr):
        with pytest.raises(HierarchyError, match=r"takes no hierarchy of manifests .* ds.vzarr.to_icechunk\(session.store\)"):
            write(store)
