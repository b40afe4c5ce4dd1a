"""Scan of local files, beside h5py ("open and chunk_iter"), VirtualiZarr and kerchunk. Ratios, measured alternately.

python benchmarks/scan_local.py [--chunks 200000] [--repeat 30]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.formats.hdf5 import FORMAT
from intake_virtualzarr.storage.source import Source


def small_netcdf(path: Path) -> Path:
    """Six variables in 39 chunks, with the usual attributes."""
    import netCDF4

    with netCDF4.Dataset(path, "w") as nc:
        nc.Conventions, nc.title, nc.institution, nc.history = "CF-1.8", "SST", "nobody", "made for a benchmark"
        for name, size in (("time", None), ("lat", 60), ("lon", 120)):
            nc.createDimension(name, size)
        rng = np.random.default_rng(0)
        for name, units in (("time", "days since 2000-01-01"), ("lat", "degrees_north"), ("lon", "degrees_east")):
            variable = nc.createVariable(name, "f8", name)
            variable.units, variable.standard_name, variable.axis = units, name, name[0].upper()
            variable[:] = np.arange(4 if name == "time" else nc.dimensions[name].size)
        for name in ("sst", "anom", "err"):
            chunks = (1, 30, 40) if name != "err" else (4, 60, 120)
            variable = nc.createVariable(name, "i2", ("time", "lat", "lon"), zlib=True, chunksizes=chunks, fill_value=-999)
            variable.units, variable.long_name = "K", f"{name} of the sea surface"
            variable.scale_factor, variable.add_offset = 0.01, 273.15
            variable.set_auto_maskandscale(False)
            steps = {"sst": 3, "anom": 3, "err": 2}[name]
            variable[:steps] = rng.integers(0, 3000, (steps, 60, 120))
    return path


def many_chunks(path: Path, index: str, count: int) -> Path:
    """One dataset of many chunks with the given chunk index."""
    side = int(count**0.5)
    latest = {} if index == "btree_v1" else {"libver": "latest"}
    maxshape: dict[str, Any] = {
        "btree_v1": None,
        "fixed_array": None,
        "extensible_array": (None, side),
        "btree_v2": (None, None),
    }
    with h5py.File(path, "w", **latest) as file:
        dataset = file.create_dataset(
            "v", shape=(side, side), maxshape=maxshape[index], chunks=(1, 1), dtype="i1", compression="gzip"
        )
        raw = b"x\x9cc\x00\x00\x00\x01\x00\x01"
        for i in range(side):
            for j in range(side):
                dataset.id.write_direct_chunk((i, j), raw)
    return path


def with_h5py(path: Path) -> int:
    count = 0

    def found(info: Any) -> None:
        nonlocal count
        count += 1

    with h5py.File(path, "r") as file:
        for name in file:
            node = file[name]
            if node.chunks is not None:
                node.id.chunk_iter(found)
    return count


def with_parser(path: Path) -> int:
    """The parser alone, driven by ``os.pread``."""
    fd = os.open(path, os.O_RDONLY)
    try:
        parse = FORMAT.parse(Source(f"file://{path}", size=os.fstat(fd).st_size))
        ranges = next(parse)
        while True:
            ranges = parse.send([os.pread(fd, size, start) for start, size in ranges])
    except StopIteration as stop:
        return int(stop.value.references)
    finally:
        os.close(fd)


def with_open(path: Path) -> int:
    """`open_virtual_dataset` as users call it: times decoded, indexes made."""
    return int(ivz.open_virtual_dataset(path).vzarr.n_references)


def same_dataset_by_xarray(path: Path) -> Callable[[], Any]:
    """What xarray alone takes to make the dataset that `with_open` opens: from values, attributes and encodings in memory."""
    opened = ivz.open_virtual_dataset(path, loadable_variables=[])
    parts = {
        name: (variable.dims, variable.values if name in variable.dims else variable._data, variable.attrs, variable.encoding)
        for name, variable in opened.variables.items()
    }

    def make() -> Any:
        raw = {name: xr.Variable(dims, data, attrs, encoding) for name, (dims, data, attrs, encoding) in parts.items()}
        for name in opened.dims:
            raw[name] = xr.conventions.decode_cf_variable(name, raw[name])
        return xr.Dataset(raw, attrs=opened.attrs)

    return make


def with_virtualizarr(path: Path) -> int:
    from obspec_utils.registry import ObjectStoreRegistry
    from obstore.store import LocalStore
    from virtualizarr.parsers import HDFParser

    registry = ObjectStoreRegistry({"file://": LocalStore()})
    store = HDFParser()(f"file://{path}", registry)
    return sum(int((a.manifest._lengths > 0).sum()) for a in store._group.arrays.values())


def with_kerchunk(path: Path) -> int:
    from kerchunk.hdf import SingleHdf5ToZarr

    refs = SingleHdf5ToZarr(str(path), inline_threshold=0).translate()["refs"]
    return sum(isinstance(value, list) for value in refs.values())


def best_of(candidates: dict[str, Callable[[Path], int]], path: Path, repeat: int) -> dict[str, float]:
    """Median seconds of each, run in turn so that all see the same machine."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for name, run in candidates.items():
        print(f"    {name}: {run(path)} chunks")
    for _ in range(repeat):
        for name, run in candidates.items():
            start = time.perf_counter()
            run(path)
            times[name].append(time.perf_counter() - start)
    return {name: float(np.median(values)) for name, values in times.items()}


def report(title: str, seconds: dict[str, float]) -> None:
    reference = seconds["h5py"]
    line = ", ".join(f"{name} {value / reference:.2f}x" for name, value in seconds.items())
    print(f"{title}: h5py open + chunk_iter {reference * 1e3:.2f} ms; {line}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--chunks", type=int, default=200_000)
    options.add_argument("--repeat", type=int, default=30)
    options.add_argument("--peers", action="store_true", help="also VirtualiZarr and kerchunk")
    chosen = options.parse_args()
    candidates: dict[str, Callable[[Path], int]] = {"h5py": with_h5py, "ours": with_parser, "opened": with_open}
    if chosen.peers:
        candidates |= {"virtualizarr": with_virtualizarr, "kerchunk": with_kerchunk}
    with tempfile.TemporaryDirectory() as folder:
        path = small_netcdf(Path(folder) / "small.nc")
        report("small netCDF-4 file", best_of(candidates, path, chosen.repeat))
        for index in ("btree_v1", "fixed_array", "extensible_array", "btree_v2"):
            path = many_chunks(Path(folder) / f"{index}.h5", index, chosen.chunks)
            scans = {name: run for name, run in candidates.items() if name != "opened"}
            report(f"{chosen.chunks} chunks, {index}", best_of(scans, path, max(1, chosen.repeat // 10)))


if __name__ == "__main__":
    main()
