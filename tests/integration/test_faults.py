"""Servers with faults, against what reads from them: right values, or a clear error in a short time.

Run as a script, it prints a table: fault, what is done, what came of it, and after how long.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import xarray as xr
from support.fault_server import FAULTS, FaultServer, serving_faults

import intake_virtualzarr as ivz
from intake_virtualzarr.datasets.check_sources import check_sources
from intake_virtualzarr.errors import VirtualZarrError

PATIENCE = {"patience": 2.5, "idle_timeout": 0.5}
MUST_WORK = (
    "none", "503 once", "503 once, Retry-After 1", "429 twice", "500 once", "reset once", "slow", "chunked", "HTTP/1.0",
    "no Content-Length", "no HEAD (405)", "no HEAD (501)", "no HEAD (403)", "redirect", "no ETag", "no Last-Modified",
    "odd Last-Modified", "no validators",
)  # fmt: skip
"""Faults that a reader can live with."""
MESSAGES = {
    "503": r"busy \(503\), \d+ tries in \d+ s",
    "503, Retry-After 9999": r"busy \(503\), 1 try",
    "429": r"busy \(429\)",
    "hang": r"timed out after \d+ s without a byte",
    "hang in the body": r"timed out after \d+ s",
    "404": "not found",
    "403": "access denied",
    "no ranges": "byte ranges",
    "login page": "byte ranges",
}
"""What errors say."""
ACTIONS = ("scan", "read", "ingest", "update")


def day(path: Path, number: int) -> Path:
    """A small file of one day."""
    values = np.arange(24, dtype="f4").reshape(1, 4, 6) + number
    data = xr.Dataset({"v": (("time", "y", "x"), values)}, {"time": ("time", [number], {"units": "days since 2000-01-01"})})
    data.to_netcdf(path, engine="h5netcdf", encoding={"v": {"chunksizes": (1, 2, 3), "zlib": True}})
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[FaultServer]:
    root = tmp_path_factory.mktemp("www")
    for number in range(2):
        day(root / f"{number}.nc", number)
    with serving_faults(root) as server:
        yield server


def act(action: str, server: FaultServer, folder: Path, fault: str) -> np.ndarray:
    """Do something under a fault; the values that were read."""
    first, second = f"{server.url}/0.nc", f"{server.url}/1.nc"
    server.fault = "none" if action in ("read", "update") else fault
    options = {"storage_options": {server.url: PATIENCE}}
    if action == "scan":
        return ivz.open_virtual_dataset(first, **options).v.shape
    if action == "read":
        found = ivz.open_virtual_dataset(first, **options)
        server.fault = fault
        return found.v.load().values
    ivz.ingest([first], folder, name="s", **options)
    if action == "update":
        server.fault = fault
        ivz.update([first, second], folder, name="s", **options)
    server.fault = "none"
    return xr.open_dataset(folder / "s.vzarr", engine="virtualzarr", storage_options=options["storage_options"]).v.load().values


def outcome(action: str, server: FaultServer, folder: Path, fault: str) -> tuple[str, float]:
    """What came of it, and after how long [s]."""
    server.seen.clear()
    began = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = act(action, server, folder, fault)
        except VirtualZarrError as exc:
            return str(exc), time.monotonic() - began
        finally:
            server.fault = "none"
    if action == "scan":
        assert found == (1, 4, 6)
    else:
        wanted = np.arange(24, dtype="f4").reshape(1, 4, 6)
        np.testing.assert_array_equal(found, np.concatenate([wanted, wanted + 1]) if action == "update" else wanted)
    return "right", time.monotonic() - began


@pytest.mark.parametrize("fault", FAULTS)
def test_values_are_right_or_the_error_is_clear(server, tmp_path, fault):
    for action in ACTIONS if fault in MUST_WORK else ("scan", "read"):
        found, _ = outcome(action, server, tmp_path / action, fault)
        if fault in MUST_WORK:
            assert found == "right", f"{action}: {found}"
        elif found != "right":
            assert "127.0.0.1" in found
            assert re.search(MESSAGES.get(fault, ""), found), f"{found!r} does not say {MESSAGES[fault]!r}"


def test_no_last_modified_is_recorded_as_none(server):
    server.fault = "no validators"
    try:
        assert ivz.scan(f"{server.url}/0.nc", storage_options={server.url: PATIENCE}).source.last_modified is None
    finally:
        server.fault = "none"


def test_a_hanging_server_is_named_by_check(server, tmp_path):
    options = {server.url: PATIENCE}
    ivz.open_virtual_dataset(f"{server.url}/0.nc", storage_options=options).vzarr.to_zarr(tmp_path / "s.vzarr")
    server.fault = "hang"
    try:
        (state,) = check_sources(tmp_path / "s.vzarr", storage_options=options)
    finally:
        server.fault = "none"
    assert state.state == "unreadable"
    assert "timed out" in state.reason


def table() -> None:
    """Print what comes of each fault."""
    with TemporaryDirectory() as place:
        root = Path(place) / "www"
        root.mkdir()
        for number in range(2):
            day(root / f"{number}.nc", number)
        with serving_faults(root) as server:
            for number, fault in enumerate(FAULTS):
                for action in ACTIONS:
                    found, seconds = outcome(action, server, Path(place) / f"{number}-{action}", fault)
                    print(f"{fault:26} {action:7} {seconds:5.1f} s  {found[-150:]}", flush=True)


if __name__ == "__main__":
    table()
