"""Virtual datasets handed to other readers: fsspec's reference file system, Icechunk."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import UnsupportedError


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
    virtual.vzarr.to_kerchunk(tmp_path / "refs.json")
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
    with pytest.raises(UnsupportedError, match="v: chunks are seen in part"):
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
