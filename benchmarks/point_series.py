"""A point time series over http with latency: one element of each of 2,000 chunks of 20 kB, by default settings."""

from __future__ import annotations

import netCDF4
import numpy as np
import peers
import xarray as xr
import zarr
from bench import Row, agree, main, medians
from data import cache, made
from server import Running, serving

import intake_virtualzarr as ivz

LATENCY = 0.02


def series(steps: int, width: int):
    """Steps of ``width`` chunks each."""

    def make(path):
        with netCDF4.Dataset(path, "w") as nc:
            for name, size in (("time", None), ("lat", 100 * width), ("lon", 100)):
                nc.createDimension(name, size)
            v = nc.createVariable("v", "f4", ("time", "lat", "lon"), zlib=True, chunksizes=(1, 100, 100), complevel=1)
            base = np.random.default_rng(0).normal(0, 1, (50, 100 * width, 100)).astype("f4")
            for t in range(0, steps, 50):
                v[t : t + 50] = base + np.float32(t)

    return made(f"series-{steps}-{width}.nc", make)


def rows(quick: bool) -> list[Row]:
    with serving(cache(), latency=0.0 if quick else LATENCY, bandwidth=None if quick else 400e6) as server:
        return [*one(server, 1, "one chunk a step", quick), *one(server, 8, "8 chunks a step", quick)]


def one(server: Running, width: int, what: str, quick: bool) -> list[Row]:
    steps = 100 if quick else 2000
    path = series(steps, width)
    url = f"{server.url}/{path.name}"
    with netCDF4.Dataset(path) as nc:
        expected = nc["v"][:, 50, 50].data
    engine = xr.open_dataset(url, engine="virtualzarr", cache=False)
    array = zarr.open_group(ivz.open_virtual_store(url), mode="r")["v"]
    reads = {"engine": lambda: engine.v.isel(lat=50, lon=50).values, "zarr": lambda: array[:, 50, 50]}
    counts = {}
    for name, read in reads.items():
        server.reset()
        agree(read(), expected, f"point series, {name}")
        counts[name] = server.counts()
    same = counts["engine"]["requests"] == counts["zarr"]["requests"]
    asked = counts["zarr"]["requests"]
    most = steps if width > 1 else 16
    out = [
        Row(
            f"point series of {steps} chunks, {what}: requests, bytes",
            f"{asked}, {counts['zarr']['bytes'] / 1e6:.1f} MB",
            goal=f"<= {most}, zarr and engine alike",
            held=same and asked <= most,
        )
    ]
    if quick:
        return out
    vz = zarr.open_group(peers.virtualizarr_store(url), mode="r", zarr_format=3)["v"]
    took = medians(reads, 5)
    slow = medians({"VirtualiZarr": lambda: vz[:, 50, 50]}, 1)["VirtualiZarr"]
    for name, seconds in took.items():
        out.append(
            Row(
                f"point series of {steps} x 20 kB, 20 ms latency, {what}, through {name}",
                f"{seconds:.2f} s",
                {"VirtualiZarr": f"{slow:.1f} s"},
                "<= 1.0 s",
                seconds <= 1.0,
            )
        )
    return out


if __name__ == "__main__":
    main(rows, __doc__)
