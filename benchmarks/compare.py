"""This package beside an older state of itself: processor time of the same public calls, by turns.

    python benchmarks/compare.py COMMIT [--pairs 7]

Checks the commit out into a temporary folder and calls both states in processes of their own, one after the other. Prints for each
row the median of old / new: above 1 is faster than before.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

ROOT = Path(__file__).resolve().parents[1]


def make_files(folder: Path) -> None:
    """Fifty small files, one of large chunks and one of small ones."""
    rng = np.random.default_rng(1)
    for day in range(50):
        time = [np.datetime64("2024-01-01", "ns") + np.timedelta64(day, "D")]
        sst = xr.DataArray(rng.random((1, 36, 72)), {"time": time, "lat": np.arange(36.0)}, ("time", "lat", "lon"), "sst")
        encoding = {"sst": {"dtype": "int16", "scale_factor": 1e-4, "_FillValue": -1, "zlib": True, "chunksizes": (1, 12, 24)}}
        sst.to_netcdf(folder / f"day_{day:02}.nc", engine="h5netcdf", encoding=encoding)
    values = np.round(rng.random((32, 512, 512)), 2).astype("float32")
    for name, chunks in (("large", (1, 512, 512)), ("small", (1, 86, 86))):
        one = xr.DataArray(values, dims=("time", "y", "x"), name="v")
        one.to_netcdf(
            folder / f"{name}.nc", engine="h5netcdf", encoding={"v": {"zlib": True, "complevel": 1, "chunksizes": chunks}}
        )


def rows(folder: Path) -> dict[str, Callable[[], object]]:
    """The calls that are measured, by name."""
    import intake_virtualzarr as ivz

    paths = sorted(map(str, folder.glob("day_*.nc")))
    joined = ivz.open_virtual_mfdataset(paths)
    own = Path(tempfile.mkdtemp(dir=folder))
    joined.vzarr.to_zarr(own / "s.vzarr")

    def series() -> object:
        return xr.open_dataset(own / "s.vzarr", engine="virtualzarr").sst.isel(lat=3, lon=5).values

    return {
        "open_virtual_dataset": lambda: [ivz.open_virtual_dataset(path) for path in paths[:10]],
        "open_virtual_mfdataset, 50 files": lambda: ivz.open_virtual_mfdataset(paths),
        "to_zarr": lambda: joined.vzarr.to_zarr(own / "w.vzarr", mode="w"),
        "open a store and read a series": series,
        "read, 1 MB chunks": lambda: xr.open_dataset(folder / "large.nc", engine="virtualzarr").v.values,
        "read, 29 kB chunks": lambda: xr.open_dataset(folder / "small.nc", engine="virtualzarr").v.values,
    }


def measure(folder: Path) -> dict[str, float]:
    """Processor time of each call [s]: the least of three, after one that warms up."""
    found = {}
    for name, call in rows(folder).items():
        call()
        times = []
        for _ in range(3):
            begin = time.process_time()
            call()
            times.append(time.process_time() - begin)
        found[name] = min(times)
    return found


def run(state: Path, folder: Path) -> dict[str, float]:
    """Measure one state of the package in a process of its own; the import, too."""
    environment = {**os.environ, "PYTHONPATH": str(state)}
    command = [sys.executable, str(Path(__file__).resolve()), "--measure", str(folder)]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    if done.returncode or not done.stdout:
        raise SystemExit(f"{state}: {done.stderr}")
    code = "import time; b = time.process_time(); import intake_virtualzarr; print(time.process_time() - b)"
    imported = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return {"import intake_virtualzarr": float(imported.stdout), **json.loads(done.stdout)}


def check_out(commit: str, folder: Path) -> None:
    """An older state of the package, with the entry points that it had."""
    names = ["intake_virtualzarr", "stac_ext", "pyproject.toml"]
    archive = subprocess.run(["git", "archive", commit, *names], cwd=ROOT, check=True, capture_output=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    groups = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["entry-points"]
    metadata = folder / "intake_virtualzarr-0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: intake-virtualzarr\nVersion: 0\n")
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items()) for group, entries in groups.items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines))


def main() -> None:
    """Compare, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", nargs="?")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return
    if options.commit is None:
        parser.error("say with which commit to compare")
    with tempfile.TemporaryDirectory() as name:
        folder, old = Path(name) / "files", Path(name) / "old"
        folder.mkdir()
        old.mkdir()
        check_out(options.commit, old)
        make_files(folder)
        ratios: dict[str, list[float]] = {}
        for _ in range(options.pairs):
            before, after = run(old, folder), run(ROOT, folder)
            for row, seconds in before.items():
                ratios.setdefault(row, []).append(seconds / after[row])
        shutil.rmtree(folder)
    print(f"| call | {options.commit} / now, median of {options.pairs} pairs | range |\n|---|---|---|")
    for row, found in ratios.items():
        print(f"| {row} | {statistics.median(found):.2f} | {min(found):.2f} to {max(found):.2f} |")


if __name__ == "__main__":
    main()
