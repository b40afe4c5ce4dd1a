"""Scanning in batches: failures by file, finished batches kept, the same on a cluster, all of it by the public functions."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import warnings
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
import xarray as xr
from conftest import sst_dataset
from support.helpers import serving

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import IngestError, VirtualZarrError
from intake_virtualzarr.formats import scan_batches, workers
from intake_virtualzarr.formats.base import ScannedFile
from intake_virtualzarr.formats.labels import LabelChoice
from intake_virtualzarr.formats.scan_batches import scan_paths
from intake_virtualzarr.progress import progress_bar

JOIN = {"combine": "nested", "concat_dim": "time", "data_vars": "minimal", "coords": "minimal", "progress": False}


def write(path, number):
    ds = sst_dataset(1, days=4)
    ds = ds.assign_coords(time=ds.time + np.timedelta64(4 * number, "D"))
    ds.sst.values[:] += number
    encoding = {
        "sst": {"zlib": True, "chunksizes": (2, 3, 8), "dtype": "i2", "scale_factor": 0.01, "_FillValue": -999},
        "time": {"units": "days since 2024-01-01", "dtype": "f8"},
    }
    ds.to_netcdf(path, engine="h5netcdf", encoding=encoding, unlimited_dims=["time"])
    return str(path)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("batches")
    return [write(folder / f"{n:03}.nc", n) for n in range(14)]


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(scan_batches, "LEAST", 4)
    monkeypatch.setattr(scan_batches, "BATCH", 4)


@pytest.fixture
def scanned(monkeypatch):
    """Files that were scanned, in order."""
    files = []
    real = scan_batches.scan_many
    monkeypatch.setattr(scan_batches, "scan_many", lambda some, **options: files.extend(some) or real(some, **options))
    return files


def agrees(virtual, paths):
    options = {name: value for name, value in JOIN.items() if name != "progress"}
    with xr.open_mfdataset(paths, engine="h5netcdf", compat="equals", **options) as expected:
        xr.testing.assert_identical(virtual.vzarr.decode().load(), expected.load())


def test_a_file_that_cannot_be_scanned_is_named_and_the_others_are_there(paths, small_batches, tmp_path):
    bad = tmp_path / "bad.nc"
    bad.write_bytes(b"no file of any format" * 1000)
    some = [*paths[:6], str(bad), *paths[6:10]]
    scans = scan_paths(some, progress=False, checkpoint=tmp_path / "kept")
    assert [isinstance(s, ScannedFile) for s in scans] == [True] * 6 + [False] + [True] * 4
    with pytest.warns(UserWarning, match="1 of 11 files skipped"):
        joined = ivz.open_virtual_mfdataset(some, on_error="skip", checkpoint=tmp_path / "kept", **JOIN)
    assert list(joined.encoding["skipped"]) == [bad.as_uri()]
    agrees(joined, paths[:10])


def by_mfdataset(paths, kept):
    return ivz.open_virtual_mfdataset(paths, checkpoint=kept, **JOIN)


def by_virtualize(paths, kept):
    return ivz.virtualize(paths, checkpoint=kept, progress=False)


@pytest.mark.parametrize("opened", [by_mfdataset, by_virtualize])
def test_a_finished_batch_is_not_scanned_again(opened, paths, small_batches, scanned, tmp_path):
    agrees(opened(paths[:8], tmp_path), paths[:8])
    assert len(scanned) == 8
    scanned.clear()
    agrees(opened(paths[:12], tmp_path), paths[:12])
    assert [path.rpartition("/")[2] for path in scanned] == ["008.nc", "009.nc", "010.nc", "011.nc"], "what was finished is kept"


def test_a_batch_with_a_changed_or_failed_file_is_scanned_again(small_batches, tmp_path):
    paths = [write(tmp_path / f"{n}.nc", n) for n in range(4)]
    good = (tmp_path / "3.nc").read_bytes()
    (tmp_path / "3.nc").write_bytes(b"cut short")
    kept = tmp_path / "kept"
    with pytest.raises(IngestError, match=r"3\.nc"):
        ivz.open_virtual_mfdataset(paths, checkpoint=kept, **JOIN)
    (tmp_path / "3.nc").write_bytes(good)
    agrees(ivz.open_virtual_mfdataset(paths, checkpoint=kept, **JOIN), paths)
    write(tmp_path / "2.nc", 2)
    (tmp_path / "2.nc").touch()
    agrees(ivz.open_virtual_mfdataset(paths, checkpoint=kept, **JOIN), paths)


def test_a_damaged_or_foreign_checkpoint_is_refused(paths, small_batches, tmp_path):
    scan_paths(paths[:4], progress=False, checkpoint=tmp_path)
    (kept,) = tmp_path.glob("*")
    whole = kept.read_bytes()
    for content in (whole[:-50], whole[:60], b"", whole.replace(b"scans 1", b"scans 2"), b"{}"):
        kept.write_bytes(content)
        with pytest.raises(IngestError, match=r"\.scans: is damaged, or no checkpoint of ours; remove it"):
            scan_paths(paths[:4], progress=False, checkpoint=tmp_path)
    kept.write_bytes(whole)
    with pytest.raises(IngestError, match="is a file, expected a directory"):
        scan_paths(paths[:4], progress=False, checkpoint=kept)


def test_a_checkpoint_counts_whatever_the_batches_and_for_the_same_options_only(paths, small_batches, scanned, tmp_path):
    scan_paths(paths[:8], progress=False, checkpoint=tmp_path)
    scanned.clear()
    found = scan_paths([*paths[9:11], *paths[1:7]], progress=False, checkpoint=tmp_path)
    assert scanned == paths[9:11], "files before them move the others into other batches"
    assert [scan.source.url for scan in found] == [f"file://{path}" for path in [*paths[9:11], *paths[1:7]]]
    scanned.clear()
    scan_paths(paths[:8], progress=False, checkpoint=tmp_path, labels=LabelChoice())
    assert scanned == paths[:8], "labels were not read then"


KILLED = """
import os, signal, sys
from intake_virtualzarr.formats import scan_batches
real, calls = scan_batches.scan_many, []
def scan(paths, **options):
    calls.append(paths)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(paths, **options)
scan_batches.scan_many, scan_batches.LEAST, scan_batches.BATCH = scan, 4, 4
scan_batches.scan_paths(sys.argv[2:], progress=False, checkpoint=sys.argv[1])
"""


def test_a_killed_scan_goes_on_and_sees_what_changed_meanwhile(small_batches, scanned, tmp_path):
    paths = [write(tmp_path / f"{n:02}.nc", n) for n in range(12)]
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "kept"), *paths], check=False)
    assert killed.returncode == -signal.SIGKILL
    write(tmp_path / "05.nc", 5)
    os.utime(paths[5], ns=(1, 1))
    os.remove(paths[2])
    scans = scan_paths(paths, progress=False, checkpoint=tmp_path / "kept")
    assert sorted(scanned) == [paths[n] for n in (2, 5, 8, 9, 10, 11)]
    assert [n for n, scan in enumerate(scans) if not isinstance(scan, ScannedFile)] == [2]


def test_remote_files_that_changed_are_scanned_again(small_batches, scanned, tmp_path):
    for n in range(4):
        write(tmp_path / f"{n}.nc", n)
    with serving(tmp_path) as server:
        urls = [f"{server.url}/{n}.nc" for n in range(4)]
        scan_paths(urls, progress=False, checkpoint=tmp_path / "kept")
        with open(tmp_path / "2.nc", "ab") as file:
            file.write(b"more")
        scanned.clear()
        server.requests.clear()
        found = scan_paths(urls, progress=False, checkpoint=tmp_path / "kept")
        assert scanned == [urls[2]]
        assert sum(server.requests.values()) == 4 + 1, "one look at each, one scan"
        assert found[2].source.size == (tmp_path / "2.nc").stat().st_size


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
        joined = ivz.open_virtual_mfdataset(some, client=client, on_error="skip", checkpoint=checkpoint, **JOIN)
        assert list(joined.encoding["skipped"]) == [bad.as_uri()]
        agrees(joined, paths)
    scans = scan_paths(some, client=client, progress=False)
    assert [s.source.url for s in scans[:-1]] == [f"file://{p}" for p in paths]
    assert isinstance(scans[-1], VirtualZarrError)


@pytest.mark.filterwarnings("ignore")
def test_a_batch_whose_task_dies_counts_as_failed_files(paths, small_batches, client, monkeypatch):
    monkeypatch.setattr(workers, "RETRIES", 0)
    real = scan_batches.scan_batch

    def dies(files, *arguments):
        if paths[4] in files:
            raise MemoryError("worker gone")
        return real(files, *arguments)

    monkeypatch.setattr(scan_batches, "scan_batch", dies)
    scans = scan_paths(paths[:12], client=client, progress=False)
    assert [isinstance(s, ScannedFile) for s in scans] == [True] * 4 + [False] * 4 + [True] * 4
    assert "worker gone" in str(scans[4])


class Service:
    """An executor whose futures nobody else knows, as those of services are."""

    class Promise:
        def __init__(self, call):
            self.call = call

        def result(self):
            return self.call()

    def submit(self, function, /, *args, **kwargs):
        return self.Promise(lambda: function(*args, **kwargs))


EXECUTORS = {
    "threads": lambda: ThreadPoolExecutor(2),
    "processes": lambda: ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")),
    "service": Service,
}


@pytest.mark.parametrize("made", EXECUTORS.values(), ids=EXECUTORS)
def test_an_executor_gives_what_this_process_gives(paths, small_batches, tmp_path, made):
    bad = tmp_path / "bad.nc"
    bad.write_bytes(b"no")
    executor = made()
    try:
        with pytest.warns(UserWarning, match="1 of 15 files skipped"):
            joined = ivz.open_virtual_mfdataset([*paths, str(bad)], executor=executor, on_error="skip", **JOIN)
        with pytest.raises(IngestError, match=r"1 of 15 files cannot be scanned:\n.*bad\.nc"):
            ivz.virtualize([*paths, str(bad)], executor=executor, progress=False)
    finally:
        if isinstance(executor, Executor):
            executor.shutdown()
    agrees(joined, paths)


@pytest.mark.filterwarnings("ignore")
def test_the_executor_of_a_dask_client_scans(paths, small_batches, client):
    agrees(ivz.open_virtual_mfdataset(paths, executor=client.get_executor(), **JOIN), paths)


def test_ingest_and_update_take_an_executor(paths, small_batches, tmp_path):
    with ThreadPoolExecutor(2) as executor:
        assert ivz.ingest(paths[:9], tmp_path, name="s", executor=executor, progress=False).sources == 9
        ivz.update(paths, tmp_path, executor=executor, progress=False)
    with xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr") as grown:
        assert grown.sizes["time"] == 4 * len(paths)


class Broken(Executor):
    """Fails its second call; counts what is cancelled."""

    def __init__(self, error):
        self.error, self.futures = error, []

    def submit(self, function, /, *args, **kwargs):
        future = Future()
        if len(self.futures) == 1:
            future.set_exception(self.error)
        elif isinstance(self.error, Exception):
            future.set_result(function(*args, **kwargs))
        self.futures.append(future)
        return future


def test_a_batch_whose_call_dies_counts_as_failed_files(paths, small_batches):
    scans = scan_paths(paths[:12], executor=Broken(MemoryError("worker gone")), progress=False)
    assert [isinstance(s, ScannedFile) for s in scans] == [True] * 4 + [False] * 4 + [True] * 4
    assert "worker gone" in str(scans[4])


def test_an_interrupt_leaves_no_call_behind(paths, small_batches):
    executor = Broken(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        scan_paths(paths[:12], executor=executor, progress=False)
    assert [future.cancelled() for future in executor.futures] == [True, False, True]


def test_what_cannot_scan_is_refused(paths):
    with pytest.raises(VirtualZarrError, match=r"executor is str, which has no submit\(\)"):
        ivz.open_virtual_mfdataset(paths, executor="threads")
    with pytest.raises(VirtualZarrError, match="client= and executor= were both given"):
        ivz.open_virtual_mfdataset(paths, executor=Service(), client=Service())


def test_a_bar_tells_the_rate_and_the_time_left(capsys):
    with progress_bar("scanning", 40, True) as advance:
        advance(10)
        advance(30)
    shown = capsys.readouterr().err
    assert "40/40" in shown
    assert "/s" in shown
