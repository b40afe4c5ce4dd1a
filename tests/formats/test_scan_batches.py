"""Scanning in batches: joins equal xarray's, failures by file, finished batches kept, the same on a cluster."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr
from conftest import sst_dataset

import intake_virtualzarr.datasets.accessor  # noqa: F401 - the accessor
from intake_virtualzarr.datasets.virtual_dataset import virtual_dataset
from intake_virtualzarr.errors import EncodingMismatchError, VirtualZarrError
from intake_virtualzarr.formats import scan_batches as fanout
from intake_virtualzarr.formats.base import ScannedFile
from intake_virtualzarr.formats.scan_batches import scan_merged, scan_paths
from intake_virtualzarr.formats.scanned_tree import tree_of_scan


def write(path, number, change=None):
    ds = sst_dataset(1, days=4)
    ds = ds.assign_coords(time=ds.time + np.timedelta64(4 * number, "D"))
    ds.sst.values[:] += number
    if change is not None:
        ds = change(ds)
    encoding = {
        "sst": {"zlib": True, "chunksizes": (2, 3, 8), "dtype": "i2", "scale_factor": 0.01, "_FillValue": -999},
        "time": {"units": "days since 2024-01-01", "dtype": "f8"},
    }
    ds.to_netcdf(path, engine="h5netcdf", encoding=encoding, unlimited_dims=["time"])
    return str(path)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fanout")
    return [write(folder / f"{n:03}.nc", n) for n in range(45)]


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(fanout, "LEAST", 4)
    monkeypatch.setattr(fanout, "BATCH", 4)
    monkeypatch.setattr(fanout, "FAN_IN", 3)


def opened(merged):
    tree = tree_of_scan(merged.scan)
    return virtual_dataset(tree, tree.group("/"))


def direct(paths):
    with xr.open_mfdataset(
        paths, engine="h5netcdf", combine="nested", concat_dim="time", data_vars="minimal", coords="minimal", compat="equals"
    ) as ds:
        return ds.load()


def agrees(merged, paths):
    expected = direct(paths)
    got = opened(merged)
    assert got.sizes == expected.sizes
    assert got.time.equals(expected.time)
    xr.testing.assert_equal(got.vzarr.decode().load(), expected)


def test_a_join_of_batches_holds_what_xarray_joins(paths, small_batches, tmp_path):
    merged = scan_merged(paths, "time", progress=False, checkpoint=tmp_path)
    assert (merged.files, merged.failures) == (45, {})
    assert len(merged.scan.arrays["/sst"].segments) == 1, "one manifest"
    agrees(merged, paths)


def test_a_join_in_one_process_needs_no_checkpoint(paths):
    agrees(scan_merged(paths[:7], "time", progress=False), paths[:7])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ds: ds.assign_coords(lat=ds.lat + 1), "lat.* has other values than in .*000.nc"),
        (lambda ds: ds.isel(lat=slice(0, 4)), "shape"),
        (lambda ds: ds.drop_vars("ice"), "/ice is not in both"),
        (lambda ds: ds.assign(ice=ds.ice.astype("f4")), "data type"),
    ],
)
def test_files_that_differ_are_refused_by_name(paths, tmp_path, change, message):
    odd = write(tmp_path / "odd.nc", 99, change)
    with pytest.raises(EncodingMismatchError, match=rf"odd.nc: .*{message}|odd.nc.*{message}"):
        scan_merged([*paths[:5], odd], "time", progress=False)


def test_a_file_that_cannot_be_scanned_is_named_and_the_rest_is_joined(paths, small_batches, tmp_path):
    bad = tmp_path / "bad.nc"
    bad.write_bytes(b"no file of any format" * 1000)
    some = [*paths[:6], str(bad), *paths[6:10]]
    merged = scan_merged(some, "time", progress=False)
    assert list(merged.failures) == [str(bad)]
    assert "bad.nc" in merged.failures[str(bad)]
    agrees(merged, paths[:10])
    scans = scan_paths(some, progress=False, checkpoint=tmp_path / "kept")
    assert [isinstance(s, ScannedFile) for s in scans] == [True] * 6 + [False] + [True] * 4


def test_a_finished_batch_is_not_scanned_again(paths, small_batches, tmp_path, monkeypatch):
    scanned = []
    real = fanout.scan_many
    monkeypatch.setattr(fanout, "scan_many", lambda files, **kw: scanned.extend(files) or real(files, **kw))
    for run in (
        lambda some: scan_paths(some, progress=False, checkpoint=tmp_path / "a"),
        lambda some: scan_merged(some, "time", progress=False, checkpoint=tmp_path / "b"),
    ):
        scanned.clear()
        run(paths[:8])
        assert len(scanned) == 8
        scanned.clear()
        run(paths[:12])
        assert scanned == paths[8:12], "what was finished is kept"


def test_a_batch_with_a_changed_or_failed_file_is_scanned_again(small_batches, tmp_path):
    paths = [write(tmp_path / f"{n}.nc", n) for n in range(4)]
    good = (tmp_path / "3.nc").read_bytes()
    (tmp_path / "3.nc").write_bytes(b"cut short")
    kept = tmp_path / "kept"
    assert list(scan_merged(paths, "time", progress=False, checkpoint=kept).failures) == [paths[3]]
    assert not list(kept.glob("*"))
    (tmp_path / "3.nc").write_bytes(good)
    agrees(scan_merged(paths, "time", progress=False, checkpoint=kept), paths)
    write(tmp_path / "2.nc", 2, lambda ds: ds + 1)
    agrees(scan_merged(paths, "time", progress=False, checkpoint=kept), paths)


def test_a_damaged_checkpoint_is_scanned_again(paths, small_batches, tmp_path):
    scan_merged(paths[:4], "time", progress=False, checkpoint=tmp_path)
    for kept in tmp_path.glob("*"):
        kept.write_bytes(kept.read_bytes()[:50])
    agrees(scan_merged(paths[:4], "time", progress=False, checkpoint=tmp_path), paths[:4])


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with distributed.Client(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as client:
            yield client


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_gives_what_this_process_gives(paths, small_batches, client, tmp_path):
    bad = tmp_path / "bad.nc"
    bad.write_bytes(b"no")
    some = [*paths, str(bad)]
    for checkpoint in (None, tmp_path / "kept"):
        merged = scan_merged(some, "time", client=client, progress=False, checkpoint=checkpoint)
        assert merged.files == 45
        assert list(merged.failures) == [str(bad)]
        agrees(merged, paths)
    scans = scan_paths(some, client=client, progress=False)
    assert [s.source.url for s in scans[:-1]] == [f"file://{p}" for p in paths]
    assert isinstance(scans[-1], VirtualZarrError)
    odd = write(tmp_path / "odd.nc", 99, lambda ds: ds.drop_vars("ice"))
    with pytest.raises(EncodingMismatchError, match=r"odd\.nc"):
        scan_merged([*paths[:9], odd], "time", client=client, progress=False)


@pytest.mark.filterwarnings("ignore")
def test_a_batch_whose_task_dies_counts_as_failed_files(paths, small_batches, client, monkeypatch):
    monkeypatch.setattr(fanout, "RETRIES", 0)

    def dies(files, dim, compare, format, access):
        if paths[4] in files:
            raise MemoryError("worker gone")
        return merge_batch(files, dim, compare, format, access)

    merge_batch = fanout.merge_batch
    monkeypatch.setattr(fanout, "merge_batch", dies)
    merged = scan_merged(paths[:12], "time", client=client, progress=False)
    assert list(merged.failures) == paths[4:8]
    assert "worker gone" in merged.failures[paths[4]]
    assert merged.files == 8
