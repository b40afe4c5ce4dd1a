"""An archive like MUR SST: daily files of up to six variables over the years, with the inconsistencies of the real one.

    python benchmarks/mur.py [--quick] [--days 8400]

Chunk shapes change for some weeks, variables appear in later years, packing and data type of two change. Each day is one of nine
real netCDF-4 files with a time of its own (`server.Link`), behind a server that takes 50 ms for each answer.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import xarray as xr
from bench import Row, table
from data import made
from server import Running, serving

LATENCY = 0.05
FIRST = date(2002, 6, 1)
EPOCH = date(1981, 1, 1)
ALL = 8400
"""Days of the archive; fewer are spread over all years."""
ODD = [(date(2003, 9, 11), 5), (date(2021, 2, 20), 2), (date(2021, 12, 24), 34), (date(2022, 11, 9), 1)]
"""Days whose files have larger chunks, and how many follow."""


@dataclass(frozen=True)
class Kind:
    """What the files of some years have in common."""

    size: int
    """Rows; twice as many columns."""
    variables: int
    """The first so many of `VARIABLES`."""
    large: bool
    """Whether chunks are larger than usual."""
    error_scale: float
    """Packing of ``analysis_error``."""
    wide: bool
    """Whether ``dt_1km_data`` has 16 bits instead of 8."""

    @property
    def name(self) -> str:
        """Name of its file."""
        return f"mur-{self.size}/{self.variables}-{int(self.large)}-{self.error_scale}-{int(self.wide)}.nc"


VARIABLES: dict[str, tuple[str, dict[str, Any]]] = {
    "analysed_sst": ("i2", {"scale_factor": 0.001, "add_offset": 298.15, "units": "kelvin"}),
    "analysis_error": ("i2", {"scale_factor": 0.01, "add_offset": 0.0, "units": "kelvin"}),
    "mask": ("i1", {"flag_values": np.array([1, 2, 5, 9, 13], "i1"), "flag_meanings": "sea land lake ice lake_ice"}),
    "sea_ice_fraction": ("i1", {"scale_factor": 0.01, "add_offset": 0.0, "units": "1"}),
    "dt_1km_data": ("i1", {"long_name": "time to most recent 1km data", "units": "hours"}),
    "sst_anomaly": ("i2", {"scale_factor": 0.001, "add_offset": 0.0, "units": "kelvin"}),
}


def kind_of(day: date, step: int, size: int) -> Kind:
    """What a file of that day is like, if the next is ``step`` days later."""
    return Kind(
        size,
        4 + (day >= date(2003, 7, 1)) + (day >= date(2003, 12, 1)),
        any(first - timedelta(step) < day < first + timedelta(days) for first, days in ODD),
        0.01 if day < date(2004, 2, 1) else 0.005,
        day >= date(2010, 1, 1),
    )


def write(kind: Kind, path: Path) -> None:
    """One file of a kind: as many chunks as a file of MUR has, 18 by 18 for each variable."""
    rng = np.random.default_rng(kind.variables)
    rows, columns = kind.size, 2 * kind.size
    chunks = (1, rows // 5, columns // 5) if kind.large else (1, -(-rows // 18), -(-columns // 18))
    with netCDF4.Dataset(path, "w") as nc:
        nc.Conventions, nc.title, nc.history = "CF-1.7", "Daily SST, made for a benchmark", "made"
        for name, size in (("time", None), ("lat", rows), ("lon", columns)):
            nc.createDimension(name, size)
        stamp = nc.createVariable("time", "i4", "time", chunksizes=(1,))
        stamp.units, stamp.standard_name, stamp.axis = "seconds since 1981-01-01 00:00:00 UTC", "time", "T"
        stamp[:] = [0]
        for name, values in (("lat", np.linspace(-89.99, 89.99, rows)), ("lon", np.linspace(-179.99, 180, columns))):
            variable = nc.createVariable(name, "f4", name)
            variable.units = "degrees_north" if name == "lat" else "degrees_east"
            variable[:] = values
        for name, (dtype, attrs) in list(VARIABLES.items())[: kind.variables]:
            if name == "dt_1km_data" and kind.wide:
                dtype = "i2"
            if name == "analysis_error":
                attrs = {**attrs, "scale_factor": kind.error_scale}
            fill = None if name == "mask" else np.iinfo(dtype).min
            v = nc.createVariable(name, dtype, ("time", "lat", "lon"), zlib=True, complevel=1, chunksizes=chunks, fill_value=fill)
            v.set_auto_maskandscale(False)
            v.setncatts(attrs)
            values = np.add.outer(rng.integers(-50, 50, rows), rng.integers(-50, 50, columns)).astype(dtype)
            if fill is not None:
                values[: rows // 20] = fill
            v[0] = values


def place_of_time(path: Path) -> int:
    """Where the number of the one time lies in a file [bytes]."""
    with h5py.File(path) as file:
        return int(file["time"].id.get_chunk_info(0).byte_offset)


def archive(folder: Path, days: int, size: int) -> list[str]:
    """Files of all kinds that so many days need, in a folder, and which path is which; the paths, in order of time."""
    links: dict[str, dict[str, Any]] = {}
    places: dict[Kind, int] = {}
    step = max(1, ALL // days)
    for number in range(days):
        day = FIRST + timedelta(number * step)
        kind = kind_of(day, step, size)
        if kind not in places:
            whole = made(kind.name, lambda path, kind=kind: write(kind, path))  # type: ignore[misc]
            shutil.copyfile(whole, folder / whole.name)
            places[kind] = place_of_time(whole)
        seconds = ((day - EPOCH).days * 24 + 9) * 3600
        own = np.array([seconds], "<i4").tobytes().hex()
        links[f"/{day:%Y/%Y%m%d}.nc"] = {"file": Path(kind.name).name, "at": places[kind], "bytes": own}
    (folder / "links.json").write_text(json.dumps(links))
    return list(links)


BUILD = """
import sys, time
def memory(): return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
import intake_virtualzarr as ivz
root, urls = sys.argv[1], open(sys.argv[2]).read().split()
before, start, used = memory(), time.perf_counter(), time.process_time()
done = ivz.ingest(urls, root, name="mur", combine="nested", join="exact", compat="override", progress=False)
spent = time.perf_counter() - start, time.process_time() - used
print(done.sources, done.references, done.manifest_bytes, *spent, memory() - before)
"""


def build(root: Path, urls: list[str]) -> list[float]:
    """Ingest in a process of its own: sources, references, bytes, seconds, processor seconds, memory [MB]."""
    (root.parent / "urls.txt").write_text("\n".join(urls))
    command = [sys.executable, "-c", BUILD, str(root), str(root.parent / "urls.txt")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return [float(word) for word in done.stdout.split()]


def rows(quick: bool, days: int | None = None) -> list[Row]:
    days = days or (60 if quick else ALL)
    size = 180 if quick else 900
    folder = Path(tempfile.mkdtemp())
    try:
        paths = archive(folder, days + 1, size)
        with serving(folder, latency=0.0 if quick else LATENCY, links=folder / "links.json") as server:
            return measured(folder, server, paths, size, quick)
    finally:
        shutil.rmtree(folder)


def measured(folder: Path, server: Running, paths: list[str], size: int, quick: bool) -> list[Row]:
    import intake_virtualzarr as ivz

    urls = [server.url + path for path in paths]
    days = len(urls) - 1
    server.reset()
    sources, references, nbytes, seconds, used, memory = build(folder / "catalog", urls[:-1])
    counts = server.counts()
    asked = f"{sources:.0f}, {references:.0f}, {counts['requests'] / days:.1f}"
    out = [
        Row(f"MUR of {days} days ingested: files, references, requests a file", asked, goal="all", held=sources == days),
        Row(f"MUR of {days} days ingested: bytes a reference", f"{nbytes / references:.2f}"),
        Row(f"MUR of {days} days ingested: memory", f"{memory:.0f} MB", goal="<= 1 GB", held=memory <= 1000),
    ]
    if not quick:
        goal = 180 * days / ALL
        figures = {"processor time": f"{used:.0f} s"}
        out.append(Row(f"MUR of {days} days ingested: time", f"{seconds:.0f} s", figures, f"<= {goal:.0f} s", seconds <= goal))
    store = folder / "catalog/mur.vzarr"
    before = {str(path) for path in store.rglob("*") if path.is_file()}
    start = time.perf_counter()
    ivz.update(urls[-1:], folder / "catalog", check_files=False, progress=False)
    took = time.perf_counter() - start
    new = {str(path) for path in store.rglob("*") if path.is_file()} - before
    out.append(Row("one day more, by update: new objects in the store", str(len(new)), {"time": f"{took:.1f} s"}))
    return [*out, *series(server, folder, paths, size, quick)]


def series(server: Running, folder: Path, paths: list[str], size: int, quick: bool) -> list[Row]:
    """A point over all days, and some days of all variables beside what xarray gives for their files."""
    at = {"lat": size // 2, "lon": size // 3}
    with xr.open_dataset(f"{server.url}/catalog/mur.vzarr", engine="virtualzarr") as ds:
        server.reset()
        start = time.perf_counter()
        values = ds.analysed_sst.isel(at).values
        took = time.perf_counter() - start
        counts = server.counts()
        wrong = [path for path in paths[:: max(1, len(paths) // 25)] if not agrees(ds, folder, path, at)]
    held = not wrong and values.shape == (len(paths),) and not np.isnan(values).any()
    out = [Row(f"sample of {len(paths)} days, all variables: values", "as xarray's" if held else f"others: {wrong[:3]}", held=held)]
    out.append(Row(f"series over {len(paths)} days: requests, bytes", f"{counts['requests']}, {counts['bytes'] / 1e6:.0f} MB"))
    if not quick:
        out.append(Row(f"series over {len(paths)} days, 50 ms latency", f"{took:.1f} s"))
    return out


def agrees(ds: xr.Dataset, folder: Path, path: str, at: dict[str, int]) -> bool:
    """Whether a day of the store is what xarray reads from its file (which has another time)."""
    day = ds.sel(time=f"{path[6:10]}-{path[10:12]}-{path[12:14]}").isel(at).load()
    file = json.loads((folder / "links.json").read_text())[path]["file"]
    with xr.open_dataset(folder / file, engine="h5netcdf") as own:
        own = own.isel(at).load()
    for name in VARIABLES:
        found = day[name].values.item()
        wanted = own[name].values.item() if name in own else np.nan
        if not np.array_equal(np.float64(found), np.float64(wanted), equal_nan=True):
            print(f"{path} {name}: {found} instead of {wanted}", file=sys.stderr)
            return False
    return day.sizes["time"] == 1


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="60 days; counts and values only")
    options.add_argument("--days", type=int, help="how many; default: 8400")
    chosen = options.parse_args()
    print(table(rows(chosen.quick, chosen.days)))
