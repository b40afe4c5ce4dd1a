"""Fixtures for all tests: a joined store with its files, and a server for a directory."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

with contextlib.suppress(ImportError):  # before netCDF4: its library brings a blosc of its own that breaks the plug-in's
    import hdf5plugin  # noqa: F401

# A thread pool per worker process is enough: two workers share two cores.
os.environ.setdefault("INTAKE_VIRTUALZARR_THREADS", "2")


@dataclass(frozen=True)
class Published:
    """Two files, and what `ingest` made of them."""

    root: Path
    """Holds ``data/`` and ``catalog/``."""
    paths: tuple[Path, ...]
    """The files."""
    direct: xr.Dataset
    """Their values, read by h5netcdf and joined by xarray."""

    @property
    def catalog(self) -> Path:
        """Directory with ``catalog.yaml``, ``collection.json`` and ``sst.vzarr``."""
        return self.root / "catalog"


def sst_dataset(month: int, days: int = 20) -> xr.Dataset:
    """A small field with latitudes that run from north to south."""
    random = np.random.default_rng(month)
    time = np.datetime64(f"2024-{month:02}-01", "ns") + np.arange(days) * np.timedelta64(1, "D")
    sst = random.normal(15, 3, (days, 6, 8)).astype("float32")
    sst[:, 0, 0] = np.nan
    return xr.Dataset(
        {
            "sst": (("time", "lat", "lon"), sst, {"units": "degree_Celsius", "long_name": "sea surface temperature"}),
            "ice": (("time", "lat", "lon"), random.uniform(0, 1, (days, 6, 8)), {"units": "1"}),
        },
        coords={
            "time": time,
            "lat": ("lat", np.linspace(50.0, -50.0, 6), {"units": "degrees_north"}),
            "lon": ("lon", np.arange(8.0) * 45, {"units": "degrees_east"}),
        },
        attrs={"title": "Monthly files of {{ 1 + 1 }} <b>fields</b>"},
    )


def write_sst(path: Path, month: int) -> Path:
    """Write one month, in chunks that do not fit its length."""
    path.parent.mkdir(parents=True, exist_ok=True)
    encoding = {name: {"zlib": True, "chunksizes": (7, 3, 8)} for name in ("sst", "ice")}
    sst_dataset(month).to_netcdf(path, engine="h5netcdf", encoding=encoding, unlimited_dims=["time"])
    return path


@pytest.fixture(scope="session")
def published_once(tmp_path_factory) -> Published:
    """Files and catalog; tests that change something take `published`."""
    from intake_virtualzarr import ingest

    root = tmp_path_factory.mktemp("published")
    paths = tuple(write_sst(root / "data" / f"sst_2024{month:02}.nc", month) for month in (1, 2))
    ingest([str(path) for path in paths], root / "catalog", name="sst")
    with xr.open_mfdataset(paths, engine="h5netcdf") as direct:
        return Published(root, paths, direct.load())


@pytest.fixture
def published(tmp_path) -> Published:
    """Files and catalog of this test alone."""
    from intake_virtualzarr import ingest

    paths = tuple(write_sst(tmp_path / "data" / f"sst_2024{month:02}.nc", month) for month in (1, 2))
    ingest([str(path) for path in paths], tmp_path / "catalog", name="sst")
    with xr.open_mfdataset(paths, engine="h5netcdf") as direct:
        return Published(tmp_path, paths, direct.load())


@pytest.fixture
def serve():
    """Serve directories on 127.0.0.1 until the test ends."""
    from contextlib import ExitStack

    from intake_virtualzarr.cli.http_server import serve_directory

    with ExitStack() as stack:
        yield lambda root: stack.enter_context(serve_directory(root))
