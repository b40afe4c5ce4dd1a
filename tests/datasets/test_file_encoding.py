"""``encoding`` beside that of xarray's own engines, for the same files."""

from __future__ import annotations

import os
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

CORPUS = Path(os.environ.get("IVZ_SHARED", Path(__file__).parents[3] / "shared")) / "corpus"
DIFFERENCES = {
    "preferred_chunks": "agrees among variables, so that chunks={} gives a dataset whose chunks fit together",
    "compression": "h5netcdf's second word for filters that netCDF4 names",
    "compression_opts": "h5netcdf's second word for filters that netCDF4 names",
}
"""Keys that may differ from both engines, and why."""
FILTERS = ("zlib", "bzip2", "zstd", None)


def write(path: Path) -> Path:
    """Filters, chunks, one stretch, an unlimited axis, fills and times."""
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("t", None)
        file.createDimension("x", 20)
        for number, name in enumerate(FILTERS):
            options = {} if name is None else {"compression": name, "complevel": 3}
            own = file.createVariable(f"v{number}", "f4", ("t", "x"), chunksizes=(2, 10), fletcher32=name == "zlib", **options)
            own[:] = np.zeros((4, 20))
        file.createVariable("shuffled", "i4", ("t", "x"), zlib=True, complevel=1, shuffle=True)[:] = np.zeros((4, 20))
        packed = file.createVariable("packed", "i2", "x", fill_value=-1)
        packed.scale_factor = 0.5
        packed[:] = np.arange(20)
        file.createVariable("plain", "f8", "x")[:] = np.arange(20)
        file.createVariable("scalar", "i4")[:] = 1
        time = file.createVariable("t", "i4", "t")
        time.units = "days since 2000-01-01"
        time[:] = range(4)
    return path


def differences(path: Path, engine: str) -> dict[str, dict[str, tuple[object, object]]]:
    """What differs from an engine, by variable and key."""
    found: dict[str, dict[str, tuple[object, object]]] = {}
    with xr.open_dataset(path, engine=engine) as direct:
        own = xr.open_dataset(path, engine="virtualzarr")
        pairs = {name: (direct[name].encoding, own[name].encoding) for name in direct.variables if name in own.variables}
        pairs[""] = (direct.encoding, own.encoding)
        for name, (theirs, ours) in pairs.items():
            keys = [key for key in {*theirs, *ours} if key not in DIFFERENCES]
            unlike = {key: (theirs.get(key), ours.get(key)) for key in keys if not _same(theirs.get(key), ours.get(key))}
            if name and np.dtype(theirs.get("dtype", "f8")).itemsize == 1:  # shuffled single bytes are as they were
                unlike.pop("shuffle", None)
            # h5netcdf says complevel where there is one, and nothing of blosc
            if engine == "h5netcdf":
                unlike = {key: pair for key, pair in unlike.items() if not (key in ("complevel", "blosc") and not pair[0])}
            if unlike:
                found[str(name)] = unlike
    return found


def _same(a: object, b: object) -> bool:
    if isinstance(a, np.dtype) and a.names:  # the engine pads compounds in memory
        return isinstance(b, np.dtype) and a.names == b.names
    return bool(np.array_equal(np.asarray(a, dtype=object), np.asarray(b, dtype=object))) or str(a) == str(b)


@pytest.mark.parametrize("engine", ["netcdf4", "h5netcdf"])
def test_the_encoding_is_that_of_the_engines(tmp_path, engine):
    assert differences(write(tmp_path / "a.nc"), engine) == {}


def test_nothing_is_invented(tmp_path):
    opened = xr.open_dataset(write(tmp_path / "a.nc"), engine="virtualzarr")
    assert "_FillValue" not in opened["plain"].encoding
    assert opened["packed"].encoding["_FillValue"] == -1
    assert opened.encoding == {"source": str(tmp_path / "a.nc"), "unlimited_dims": {"t"}}


def test_a_file_that_is_written_by_its_encoding_is_stored_alike(tmp_path):
    path = write(tmp_path / "a.nc")
    names = ["shuffled", "packed", "plain"]
    xr.open_dataset(path, engine="virtualzarr")[names].to_netcdf(tmp_path / "b.nc", engine="netcdf4")
    with netCDF4.Dataset(path) as one, netCDF4.Dataset(tmp_path / "b.nc") as other:
        for name in names:
            assert one[name].filters() == other[name].filters()
            assert one[name].chunking() == other[name].chunking()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(not (CORPUS / "INDEX.tsv").exists(), reason=f"{CORPUS} is absent; set IVZ_SHARED")
def test_the_encoding_of_the_corpus_is_that_of_netcdf4():
    unlike = {}
    # of netCDF-3, netCDF4 tells no filters, and here all are off
    files = [path for path in sorted(CORPUS.rglob("*.nc")) if path.is_file() and path.open("rb").read(3) != b"CDF"]
    for path in files[:: max(1, len(files) // 25)]:
        try:
            found = differences(path, "netcdf4")
        except Exception:  # files that one of the two does not open are the matter of tests/corpus
            continue
        if found:
            unlike[path.name] = found
    assert unlike == {}
