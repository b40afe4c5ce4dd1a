"""Files for benchmarks, generated once into a cache directory and never committed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np


def cache() -> Path:
    """Where generated files are kept: ``IVZ_BENCH_DATA``, else a directory below the system's temporary one."""
    path = Path(os.environ.get("IVZ_BENCH_DATA") or Path(tempfile.gettempdir()) / "intake-virtualzarr-benchmarks")
    path.mkdir(parents=True, exist_ok=True)
    return path


def made(name: str, make: Callable[[Path], None]) -> Path:
    """The file of that name, made if it is not there."""
    path = cache() / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{os.getpid()}-{path.name}")
        make(unfinished)
        unfinished.rename(path)
    return path


def field(name: str, shape: tuple[int, int, int], chunks: tuple[int, int, int], *, packed: bool, start: int = 0) -> Path:
    """One variable ``v``, deflated and shuffled: packed int16 or float32, as noisy as measured fields are."""

    def make(path: Path) -> None:
        rng = np.random.default_rng(start)
        with netCDF4.Dataset(path, "w") as nc:
            for dim, size in zip(("time", "lat", "lon"), shape, strict=True):
                nc.createDimension(dim, None if dim == "time" else size)
            time = nc.createVariable("time", "f8", "time")
            time.units = "days since 2000-01-01"
            time[:] = start + np.arange(shape[0])
            fill: Any = -999 if packed else 9.96921e36
            v = nc.createVariable(
                "v",
                "i2" if packed else "f4",
                ("time", "lat", "lon"),
                zlib=True,
                complevel=4,
                chunksizes=chunks,
                fill_value=fill,
            )
            v.set_auto_maskandscale(False)
            if packed:
                v.scale_factor, v.add_offset = 0.01, 273.15
            for t in range(shape[0]):
                walk = np.cumsum(rng.normal(0, 3 if packed else 0.1, shape[1:]), axis=1)
                v[t] = np.clip(np.round(walk), -3000, 3000).astype("i2") if packed else (280 + walk).astype("f4")

    return made(name, make)


def interleaved(name: str, variables: int, steps: int, size: int, *, paged: bool = False) -> Path:
    """Variables that grew in no order, so that the nodes of their indexes lie all over the file."""

    def make(path: Path) -> None:
        rng = np.random.default_rng(0)
        options: dict[str, Any] = {"fs_strategy": "page", "fs_page_size": 4 << 20} if paged else {}
        raw = rng.integers(0, 255, size, dtype="u1")
        with h5py.File(path, "w", **options) as file:
            datasets = [
                file.create_dataset(f"v{i}", (0, size), "u1", maxshape=(None, size), chunks=(1, size), compression=None)
                for i in range(variables)
            ]
            done = [0] * variables
            for number in rng.permutation(np.repeat(np.arange(variables), steps)).tolist():
                datasets[number].resize(done[number] + 1, axis=0)
                datasets[number].id.write_direct_chunk((done[number], 0), raw)
                done[number] += 1

    return made(name, make)


def small_files(count: int) -> list[Path]:
    """Small netCDF-4 files of six variables and 40 chunks, three time steps each, one after the other."""

    def make(path: Path) -> None:
        rng = np.random.default_rng(0)
        with netCDF4.Dataset(path, "w") as nc:
            nc.Conventions, nc.title, nc.institution, nc.history = "CF-1.8", "SST", "nobody", "made for a benchmark"
            for name, size in (("time", None), ("lat", 60), ("lon", 120)):
                nc.createDimension(name, size)
            for name, units in (("time", "days since 2000-01-01"), ("lat", "degrees_north"), ("lon", "degrees_east")):
                variable = nc.createVariable(name, "f8", name)
                variable.units, variable.standard_name, variable.axis = units, name, name[0].upper()
                variable[:] = np.arange(STEPS if name == "time" else nc.dimensions[name].size)
            for name in ("sst", "anom", "err"):
                chunks = (1, 30, 40) if name != "err" else (STEPS, 60, 120)
                variable = nc.createVariable(name, "i2", ("time", "lat", "lon"), zlib=True, chunksizes=chunks, fill_value=-999)
                variable.units, variable.long_name = "K", f"{name} of the sea surface"
                variable.scale_factor, variable.add_offset = 0.01, 273.15
                variable.set_auto_maskandscale(False)
                variable[:] = rng.integers(0, 3000, (STEPS, 60, 120))

    first = made("three-steps/00000.nc", make)
    data = first.read_bytes()
    paths = [first]
    for number in range(1, count):
        path = first.with_name(f"{number:05}.nc")
        if not path.exists():
            path.write_bytes(data)
            with h5py.File(path, "r+") as file:
                file["time"][...] = STEPS * number + np.arange(STEPS)
        paths.append(path)
    return paths


STEPS = 3
"""Time steps of a small file."""
