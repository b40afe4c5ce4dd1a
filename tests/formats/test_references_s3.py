"""kerchunk references and Icechunk repositories in buckets, for anybody and with keys."""

import json

import obstore
import pytest
import xarray as xr
from conftest import sst_dataset
from support.helpers import to_parquet
from support.servers.s3 import PRIVATE, PUBLIC, s3_server

import intake_virtualzarr as ivz
from intake_virtualzarr.datasets.icechunk_repository import commit_references
from intake_virtualzarr.errors import FormatError, NotAllowedError, SourceError

icechunk = pytest.importorskip("icechunk", reason="the extra 'icechunk' is not installed")

pytestmark = pytest.mark.s3


@pytest.fixture(scope="module")
def s3():
    with s3_server() as server:
        yield server


@pytest.fixture(scope="module")
def archive(s3, tmp_path_factory):
    """A file in the bucket that anybody may read, and its values."""
    path = tmp_path_factory.mktemp("archive") / "sst 1.nc"
    encoding = {name: {"zlib": True, "chunksizes": (5, 3, 8)} for name in ("sst", "ice")}
    sst_dataset(1, 20).to_netcdf(path, engine="h5netcdf", encoding=encoding)
    with xr.open_dataset(path, engine="h5netcdf") as direct:
        return s3.upload(PUBLIC, "data/sst 1.nc", path).replace(" ", "%20"), direct.load()


DATA = f"s3://{PUBLIC}/data/"
"""Where the files lie: not below the directories of the references."""


def opened(url, options, **more):
    return xr.open_dataset(url, engine="virtualzarr", backend_kwargs={"storage_options": options, **more}).load()


@pytest.mark.parametrize("kind", ["json", "parquet"])
def test_kerchunk_references_in_a_bucket_are_read_by_anybody(s3, archive, tmp_path, kind):
    href, direct = archive
    refs = ivz.open_virtual_dataset(href, storage_options=s3.anonymous).vzarr.to_kerchunk(zarr_format=3)
    assert refs["refs"]["sst/c/0/0/0"][0].removeprefix("s3://").split("/", 1) == [PUBLIC, "data/sst 1.nc"]
    if kind == "json":
        (tmp_path / "refs.json").write_text(json.dumps(refs))
        url = s3.upload(PUBLIC, "references/refs.json", tmp_path / "refs.json")
    else:
        pytest.importorskip("pyarrow", reason="nothing else reads Parquet of a network")
        url = f"s3://{PUBLIC}/references/refs.parq"
        for path in to_parquet(as_version_2(refs), tmp_path / "refs.parq", record_size=3).rglob("*"):
            if path.is_file():
                s3.upload(PUBLIC, f"references/refs.parq/{path.relative_to(tmp_path / 'refs.parq').as_posix()}", path)
    with pytest.raises(NotAllowedError, match="allow="):
        opened(url, s3.anonymous)
    xr.testing.assert_equal(opened(url, s3.anonymous, allow=DATA), direct)


DTYPES = {"float32": "<f4", "float64": "<f8", "int64": "<i8"}


def as_version_2(refs):
    """References with metadata of version 2, as kerchunk writes Parquet."""
    made = {".zgroup": json.dumps({"zarr_format": 2})}
    for key, value in refs["refs"].items():
        name, _, rest = key.partition("/")
        if rest.startswith("c"):
            made[f"{name}/{rest.removeprefix('c/').replace('/', '.')}"] = value
        elif rest == "zarr.json":
            made |= array_of_version_2(name, json.loads(value))
    return {"version": 1, "refs": made}


def array_of_version_2(name, document):
    codecs = {one["name"]: one.get("configuration", {}) for one in document["codecs"]}
    filters = [{"id": one, **codecs[f"numcodecs.{one}"]} for one in ("shuffle", "zlib") if f"numcodecs.{one}" in codecs]
    array = {
        "zarr_format": 2,
        "shape": document["shape"],
        "chunks": document["chunk_grid"]["configuration"]["chunk_shape"],
        "dtype": DTYPES[document["data_type"]],
        "order": "C",
        "filters": filters or None,
        "compressor": None,
        "fill_value": "NaN" if document["data_type"] == "float32" else None,
    }
    attributes = {key: one for key, one in document["attributes"].items() if not key.startswith("_")}
    attributes["_ARRAY_DIMENSIONS"] = document["dimension_names"]
    return {f"{name}/.zarray": json.dumps(array), f"{name}/.zattrs": json.dumps(attributes)}


def test_an_icechunk_repository_in_a_bucket_is_written_with_keys_and_read_by_anybody(s3, archive):
    href, direct = archive
    virtual = ivz.open_virtual_dataset(href, storage_options=s3.anonymous)
    url = f"s3://{PUBLIC}/repository"
    done = commit_references(virtual, url, storage_options=s3.with_keys)
    assert done.prefixes == (f"s3://{PUBLIC}/",)
    for options in (s3.anonymous, s3.with_keys):
        xr.testing.assert_equal(opened(url, options, allow=DATA), direct)
        xr.testing.assert_equal(opened(f"{url}|icechunk://{done.snapshot}/", options, allow=DATA), direct)
    storage = icechunk.s3_storage(bucket=PUBLIC, prefix="repository", endpoint_url=s3.endpoint, region="us-east-1", allow_http=True,
                                  force_path_style=True, anonymous=True)  # fmt: skip
    allowed = icechunk.containers_credentials({done.prefixes[0]: icechunk.s3_anonymous_credentials()})
    repository = icechunk.Repository.open(storage, authorize_virtual_chunk_access=allowed)
    with xr.open_zarr(repository.readonly_session("main").store, consolidated=False, chunks=None) as theirs:
        xr.testing.assert_equal(theirs.load(), direct)
    # the repository tells where the files are
    xr.testing.assert_equal(opened(repository.readonly_session("main").store, None, allow=DATA), direct)


def test_nothing_that_is_written_holds_keys(s3, archive):
    virtual = ivz.open_virtual_dataset(archive[0], storage_options=s3.with_keys)
    commit_references(virtual, f"s3://{PRIVATE}/repository", storage_options=s3.with_keys)
    bucket = s3.bucket(PRIVATE)
    names = [entry["path"] for batch in obstore.list(bucket, prefix="repository") for entry in batch]
    assert len(names) > 3
    for name in names:
        assert b"not-so-secret" not in bytes(obstore.get(bucket, name).bytes()), name


def test_who_has_no_keys_is_refused(s3, archive):
    virtual = ivz.open_virtual_dataset(archive[0], storage_options=s3.with_keys)
    url = f"s3://{PRIVATE}/another"
    commit_references(virtual, url, storage_options=s3.with_keys)
    with pytest.raises((FormatError, SourceError), match="another"):
        opened(url, s3.anonymous, format="icechunk")
    xr.testing.assert_equal(opened(url, s3.with_keys, allow=DATA), archive[1])
