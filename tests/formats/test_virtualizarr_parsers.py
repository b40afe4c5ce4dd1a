"""Parsers of VirtualiZarr as formats: what they make of files is what ours make of them, or it is refused by name."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import intake
import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import FormatError, SourceError, UnsupportedError
from intake_virtualzarr.formats.virtualizarr_parsers import name_of_format

parsers = pytest.importorskip("virtualizarr.parsers", reason="virtualizarr is not installed")

from support.helpers import serving  # noqa: E402
from virtualizarr.manifests import ChunkManifest, ManifestArray, ManifestGroup, ManifestStore  # noqa: E402
from zarr.core.metadata.v3 import ArrayV3Metadata  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr")

HDF = parsers.HDFParser()


def values(first=0):
    rng = np.random.default_rng(first)
    return xr.Dataset(
        {
            "sst": (("time", "lat", "lon"), rng.normal(size=(5, 8, 12)).astype("f4"), {"units": "K"}),
            "ice": (("time", "lat"), rng.integers(0, 99, (5, 8)) * 0.5 + 1.0),
        },
        {"time": ("time", np.arange(5) + first, {"units": "days since 2000-01-01"}), "lat": np.linspace(0, 1, 8)},
    )


@pytest.fixture
def files(tmp_path):
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"{number}.nc")
        packed = {"dtype": "i2", "scale_factor": 0.5, "add_offset": 1.0, "_FillValue": np.int16(-1)}
        chunked = {"zlib": True, "shuffle": True, "chunksizes": (2, 8, 12), "_FillValue": np.float32(-9)}
        values(5 * number).to_netcdf(paths[-1], engine="h5netcdf", encoding={"sst": chunked, "ice": packed})
    return paths


def test_a_file_is_what_our_parser_makes_of_it(files, tmp_path):
    old = tmp_path / "old.nc3"
    values().to_netcdf(old, engine="scipy", format="NETCDF3_64BIT")
    for path, parser in ((files[0], HDF), (old, parsers.NetCDF3Parser())):
        theirs, ours = ivz.open_virtual_dataset(path, format=parser), ivz.open_virtual_dataset(path)
        xr.testing.assert_identical(theirs.vzarr.decode().load(), ours.vzarr.decode().load())
        assert theirs.encoding.get("source", str(path)).endswith(path.name)


def test_files_are_joined_by_every_door(files, tmp_path):
    expected = xr.open_mfdataset(files, engine="h5netcdf").load()
    joined = ivz.open_virtual_mfdataset(files, format=HDF)
    joined.vzarr.to_zarr(tmp_path / "s.vzarr")
    xr.testing.assert_identical(xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr").load(), expected)
    with ThreadPoolExecutor(2) as executor:
        again = ivz.open_virtual_mfdataset(files, format=HDF, executor=executor, checkpoint=tmp_path / "kept")
    xr.testing.assert_identical(again.vzarr.decode().load(), expected)
    ivz.ingest(list(map(str, files)), tmp_path / "c", name="sst", format=HDF)
    xr.testing.assert_equal(intake.open_catalog(tmp_path / "c" / "catalog.yaml").sst.to_dask().load(), expected)
    xr.testing.assert_equal(ivz.virtualize(list(map(str, files)), format=HDF).vzarr.decode().load(), expected)


def test_some_files_by_theirs_and_some_by_ours_are_joined(files):
    mixed = xr.concat([ivz.open_virtual_dataset(files[0], format=HDF), ivz.open_virtual_dataset(files[1])], "time")
    xr.testing.assert_equal(mixed.vzarr.decode().load(), xr.open_mfdataset(files[:2], engine="h5netcdf").load())


def test_a_file_of_a_web_server(files, tmp_path):
    with serving(tmp_path) as server:
        found = ivz.open_virtual_dataset(f"{server.url}/0.nc", format=HDF)
        xr.testing.assert_equal(found.vzarr.decode().load(), xr.open_dataset(files[0], engine="h5netcdf").load())
        with pytest.raises(SourceError, match=r"none\.nc"):
            ivz.open_virtual_dataset(f"{server.url}/none.nc", format=HDF)


def test_groups(files, tmp_path):
    path = tmp_path / "groups.nc"
    values().to_netcdf(path, engine="h5netcdf")
    xr.Dataset({"v": ("k", np.arange(3.0))}).to_netcdf(path, engine="h5netcdf", group="a/b", mode="a")
    theirs = ivz.open_virtual_datatree(path, format=HDF)
    assert theirs.groups == ("/", "/a", "/a/b")
    one = ivz.open_virtual_dataset(path, format=HDF, group="a/b")
    xr.testing.assert_equal(one.vzarr.decode().load(), xr.open_dataset(path, engine="h5netcdf", group="a/b").load())


def test_a_file_that_changes_later_is_an_error(files, tmp_path):
    ivz.open_virtual_dataset(files[0], format=HDF).vzarr.to_zarr(tmp_path / "s.vzarr")
    files[0].write_bytes(files[0].read_bytes() + b"more")
    with pytest.raises(SourceError, match="changed since it was scanned"):
        xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr").sst.load()


def array(entries, *, codecs=None, shape=(2,), chunks=(2,)):
    metadata = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": "int16",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}},
        "chunk_key_encoding": {"name": "default"},
        "fill_value": 7,
        "codecs": codecs or [{"name": "bytes", "configuration": {"endian": "big"}}],
        "attributes": {},
        "dimension_names": ("x",),
        "storage_transformers": [],
    }
    return ManifestArray(ArrayV3Metadata.from_dict(metadata), ChunkManifest(entries))


def made(**arrays):
    return lambda url, registry: ManifestStore(ManifestGroup(arrays), registry=registry)


def test_inline_chunks_and_chunks_that_are_not_there(tmp_path):
    path = tmp_path / "raw.bin"
    path.write_bytes(np.array([1, 2], ">i2").tobytes())
    metadata = array(
        {"0": {"path": path.as_uri(), "offset": 0, "length": 4}, "1": {"path": "", "offset": 0, "length": 0}}, shape=(4,)
    )

    def manifest(second, inlined):
        paths = np.array([path.as_uri(), second], dtype=np.dtypes.StringDType())
        numbers = {"offsets": np.array([0, 0], np.uint64), "lengths": np.array([4, 4], np.uint64)}
        return ManifestArray(metadata.metadata, ChunkManifest.from_arrays(paths=paths, **numbers, inlined=inlined))

    inlined = {(1,): np.array([3, 4], ">i2").tobytes()}
    found = ivz.open_virtual_dataset(path, format=made(a=manifest("", {}), b=manifest("__inlined__", inlined)))
    found.vzarr.to_zarr(tmp_path / "s.vzarr")
    stored = xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr", mask_and_scale=False)
    assert stored.a.values.tolist() == [1, 2, 7, 7]
    assert stored.b.values.tolist() == [1, 2, 3, 4]


def test_what_has_no_decoder_is_left_out_by_name(tmp_path):
    path = tmp_path / "raw.bin"
    path.write_bytes(bytes(8))
    entries = {"0": {"path": path.as_uri(), "offset": 0, "length": 4}}
    odd = [{"name": "bytes", "configuration": {"endian": "big"}}, {"name": "numcodecs.zstd", "configuration": {}}]
    good, bad = array(entries), array(entries, codecs=odd)
    document = bad.metadata.to_dict()
    found = ivz.scan(path, format=made(good=good, bad=_Renamed(bad, document)))
    assert list(found.arrays) == ["/good"]
    assert "codec 'odd' is unknown here" in found.left_out["/bad"]


class _Renamed(ManifestArray):
    """An array whose second codec has a name that nobody knows."""

    def __init__(self, given, document):
        super().__init__(given.metadata, given.manifest)

    @property
    def metadata(self):
        return _RenamedMetadata(self._metadata)


class _RenamedMetadata:
    def __init__(self, metadata):
        self._metadata = metadata

    def to_buffer_dict(self, prototype):
        raw = self._metadata.to_buffer_dict(prototype)["zarr.json"].to_bytes().replace(b"numcodecs.zstd", b"odd")
        return {"zarr.json": prototype.buffer.from_bytes(raw)}


def failing(url, registry):
    raise ValueError("no such box")


def declining(url, registry):
    raise NotImplementedError("boxes")


@pytest.mark.parametrize(
    ("parser", "error", "message"),
    [
        (parsers.HDFParser, FormatError, r"is the class HDFParser, expected a parser: HDFParser\(\)"),
        (failing, FormatError, "failed: ValueError: no such box"),
        (declining, UnsupportedError, "does not read it: boxes"),
        (lambda url, registry: {}, FormatError, "gave dict, expected a ManifestStore"),
    ],
)
def test_what_a_parser_does_wrong_is_told(parser, error, message, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"something")
    with pytest.raises(error, match=message):
        ivz.open_virtual_dataset(tmp_path / "a.bin", format=parser)


def test_a_file_from_a_network_may_not_name_others(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"something")
    secret = {"0": {"path": "file:///etc/hostname", "offset": 0, "length": 4}}
    with serving(tmp_path) as server:
        found = ivz.scan(f"{server.url}/a.bin", format=made(a=array(secret)))
    assert "'file:///etc/hostname', which is not allowed" in found.left_out["/a"]


def test_parsers_are_told_apart_by_how_they_were_made():
    assert name_of_format(parsers.HDFParser(drop_variables=["a"])) != name_of_format(parsers.HDFParser())
    assert name_of_format("hdf5") == "hdf5"


def test_without_virtualizarr_the_error_names_the_extra(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"something")
    code = f"""
import sys; sys.modules["obspec_utils"] = sys.modules["obspec_utils.registry"] = None
import intake_virtualzarr as ivz
try: ivz.open_virtual_dataset({str(tmp_path / "a.bin")!r}, format=lambda url, registry: None)
except ImportError as exc: print(exc)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'intake-virtualzarr[virtualizarr]'" in found.stdout
