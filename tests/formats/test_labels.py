"""Labels are read with the scan: by no request of their own where the head holds them, in one round where not."""

from __future__ import annotations

from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr
from support.helpers import serving

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import IngestError, SourceChangedError
from intake_virtualzarr.formats.labels import LabelChoice
from intake_virtualzarr.formats.scan import scan, scan_many
from intake_virtualzarr.storage.ranged_reader import RangedReader

FILES, FAR = 6, 300_000


def daily(path: Path, day: int, *, far: bool = False, format: str = "NETCDF4") -> None:
    """A day of a grid; with ``far`` the labels lie behind the values, out of the first request."""
    with netCDF4.Dataset(path, "w", format=format) as file:
        for name, size in (("time", None), ("lat", 3), ("lon", 4), ("nv", 2), ("x", FAR if far else 5)):
            file.createDimension(name, size)
        file.createVariable("sst", "f4", ("time", "lat", "lon"))[:] = np.full((1, 3, 4), day)
        if far:
            file.createVariable("filler", "i1", ("x",), contiguous=True)[:] = np.arange(FAR) % 101
        time = file.createVariable("time", "i4", ("time",))
        time.units, time.bounds = "days since 2000-01-01", "time_bnds"
        time[:] = day
        file.createVariable("time_bnds", "i4", ("time", "nv"))[:] = [[day, day + 1]]
        for name, size in (("lat", 3), ("lon", 4)):
            file.createVariable(name, "f8", (name,))[:] = np.arange(size) + 0.5
        file.createVariable("crs", "i4", ())[...] = 7


def requests(server) -> int:
    return sum(server.requests.values())


@pytest.fixture
def near(tmp_path):
    for day in range(FILES):
        daily(tmp_path / f"{day}.nc", day)
    with serving(tmp_path) as server:
        yield server, [f"{server.url}/{day}.nc" for day in range(FILES)]


@pytest.mark.parametrize("opened", ["open_virtual_mfdataset", "virtualize"])
def test_a_join_of_small_remote_files_takes_one_request_a_file(near, tmp_path, opened):
    server, urls = near
    found = getattr(ivz, opened)(urls, progress=False)
    assert requests(server) == FILES
    expected = ivz.open_virtual_mfdataset([tmp_path / f"{day}.nc" for day in range(FILES)], progress=False)
    xr.testing.assert_identical(found.coords.to_dataset(), expected.coords.to_dataset())
    assert found.sst.dims == ("time", "lat", "lon")


def test_ingest_of_small_remote_files_takes_one_request_a_file(near, tmp_path):
    server, urls = near
    ivz.ingest(urls, tmp_path / "catalog", name="s", progress=False, dry_run=True)
    assert requests(server) == FILES


def test_one_small_remote_file_takes_one_request(near):
    server, urls = near
    ivz.open_virtual_dataset(urls[0])
    assert requests(server) == 1
    ivz.open_virtual_datatree(urls[0])
    assert requests(server) == 2


@pytest.mark.parametrize("format", ["NETCDF4", "NETCDF3_CLASSIC"])
def test_labels_beyond_the_head_are_fetched_in_one_round(tmp_path, monkeypatch, format):
    daily(tmp_path / "far.nc", 3, far=True, format=format)
    rounds: list[int] = []
    real = RangedReader.read_merged_async

    async def counted(self, ranges, expected=None):
        rounds.append(len(ranges))
        return await real(self, ranges, expected)

    monkeypatch.setattr(RangedReader, "read_merged_async", counted)
    with serving(tmp_path) as server:
        url = f"{server.url}/far.nc"
        scan(url)
        alone = len(rounds)
        rounds.clear()
        found = ivz.open_virtual_dataset(url)
    assert len(rounds) <= alone + 1
    with xr.open_dataset(tmp_path / "far.nc", decode_timedelta=False) as expected:
        for name in ("time", "lat", "lon"):
            assert np.array_equal(found[name].values, expected[name].values), name


def test_a_file_that_changes_between_scan_and_labels_is_refused(tmp_path, monkeypatch):
    daily(tmp_path / "far.nc", 3, far=True)
    real = RangedReader.read_merged_async
    with serving(tmp_path) as server:

        async def changed(self, ranges, expected=None):
            with (tmp_path / "far.nc").open("ab") as file:
                file.write(b"more")
            return await real(self, ranges, expected)

        monkeypatch.setattr(RangedReader, "read_merged_async", changed)
        urls = [f"{server.url}/far.nc"]
        with pytest.raises(SourceChangedError, match="size was"):
            ivz.open_virtual_mfdataset(urls, progress=False)
        daily(tmp_path / "other.nc", 9)
        with pytest.raises(IngestError, match=r"1 of 2 files cannot be scanned:\n.*far\.nc: changed since it was scanned"):
            ivz.open_virtual_mfdataset([*urls, f"{server.url}/other.nc"], progress=False)


def values(path: Path, choice: LabelChoice) -> set[str]:
    return set(scan(path, labels=choice).labels)


def test_labels_are_those_that_a_dataset_loads(tmp_path):
    daily(tmp_path / "a.nc", 3)
    path = tmp_path / "a.nc"
    default = {"/time", "/time_bnds", "/lat", "/lon", "/crs"}
    assert values(path, LabelChoice()) == default
    assert values(path, LabelChoice(dropped=frozenset({"lat"}))) == default - {"/lat"}
    assert values(path, LabelChoice(names=frozenset({"sst"}))) == {"/sst", "/time", "/lat", "/lon"}
    assert values(path, LabelChoice(groups=frozenset({"/g"}))) == set()
    dataset = ivz.open_virtual_dataset(path)
    loaded = {f"/{name}" for name, variable in dataset.variables.items() if isinstance(variable._data, np.ndarray)}
    assert loaded | {f"/{name}" for name in dataset.indexes} == default
    assert scan(path).labels == {}


def test_labels_of_the_groups_that_are_opened_are_read(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for group in ("/", "/g", "/g/h"):
            scale = file.require_group(group).create_dataset("x", data=np.arange(3.0))
            scale.make_scale("x")
            file[group].create_dataset("v", data=np.arange(3)).dims[0].attach_scale(scale)
    assert values(tmp_path / "a.h5", LabelChoice.of(None, frozenset(), ["g", None])) == {"/x", "/g/x"}
    assert values(tmp_path / "a.h5", LabelChoice(groups=None)) == {"/x", "/g/x", "/g/h/x"}


def test_a_label_that_cannot_be_decoded_is_named_by_who_needs_it(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.arange(50.0), chunks=(50,), compression="gzip").make_scale("x")
        file.create_dataset("v", data=np.arange(50)).dims[0].attach_scale(file["x"])
        at = file["x"].id.get_chunk_info(0).byte_offset
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"garbage!")
    assert scan(path, labels=LabelChoice()).labels == {}
    with pytest.raises(ivz.CodecError, match=r"^x: chunk \(0\)"):
        ivz.open_virtual_dataset(path)


def test_labels_are_sent_back_from_a_checkpoint(tmp_path, monkeypatch):
    for day in range(3):
        daily(tmp_path / f"{day}.nc", day)
    paths = [str(tmp_path / f"{day}.nc") for day in range(3)]
    first = ivz.open_virtual_mfdataset(paths, checkpoint=tmp_path / "kept", progress=False)
    again = ivz.open_virtual_mfdataset(paths, checkpoint=tmp_path / "kept", progress=False)
    xr.testing.assert_identical(first.coords.to_dataset(), again.coords.to_dataset())
    assert all("/time" in one.labels for one in scan_many(paths, labels=LabelChoice()))
