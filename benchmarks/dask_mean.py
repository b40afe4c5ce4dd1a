"""A mean through dask, beside h5netcdf under the same scheduler; the size of the graph and of what a task carries."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import cloudpickle
import dask
import numpy as np
import xarray as xr
from bench import Row, cpu, main, medians, times
from data import field

import intake_virtualzarr as ivz
from intake_virtualzarr.drivers.intake1_source import VirtualZarrSource

CASES: dict[str, dict[str, Any]] = {
    "packed int16, 1 MB chunks": {"shape": (64, 724, 1448), "chunks": (1, 724, 724), "packed": True},
    "float32, 1 MB chunks": {"shape": (64, 512, 1024), "chunks": (1, 512, 512), "packed": False},
}


def rows(quick: bool) -> list[Row]:
    folder = Path(tempfile.mkdtemp())
    try:
        found = [row for title, options in CASES.items() for row in means(folder, title, options, quick)]
        return [*found, *graph(folder, quick), *distributed(folder, quick)]
    finally:
        shutil.rmtree(folder)


def means(folder: Path, title: str, options: dict[str, Any], quick: bool) -> list[Row]:
    steps, *size = options["shape"]
    shape = (steps // 20, *size) if quick else (steps, *size)
    path = field(f"full-{title.replace(' ', '-')}-{shape[0]}.nc", **{**options, "shape": shape})
    store = str(folder / f"{title}.vzarr")
    ivz.open_virtual_dataset(path).vzarr.to_zarr(store)

    def ours() -> float:
        return float(VirtualZarrSource(store).to_dask().v.mean().compute(scheduler="threads"))

    def theirs() -> float:
        with xr.open_dataset(path, engine="h5netcdf", chunks={}) as ds:
            return float(ds.v.mean().compute(scheduler="threads"))

    same = ours() == theirs()
    out = [Row(f"to_dask().mean(), {title}: value", "that of h5netcdf" if same else "another", goal="alike", held=same)]
    if quick:
        return out
    took = medians({"ours": ours, "h5netcdf": theirs}, 7)
    ratio = took["h5netcdf"] / took["ours"]
    figures = {"h5netcdf": f"{took['h5netcdf'] * 1e3:.0f} ms", "processor time": times(cpu(theirs) / cpu(ours))}
    out.append(Row(f"the same, threads, x of h5netcdf, {title}", times(ratio), figures, ">= 2x", ratio >= 2))
    return out


def million(folder: Path, quick: bool) -> str:
    """A store of a million references."""
    files, chunks = (200 if quick else 1000), 1000
    length = np.random.default_rng(0).normal(25_000, 600, (files, chunks)).astype("u4")
    offset = np.cumsum(length, axis=1, dtype="u8")
    urls = [f"https://example.org/data/{number:06}.nc" for number in range(files)]
    source = np.arange(files)[:, None]
    array = ivz.VirtualZarrArray.from_references((files, chunks * 10), (1, 10), "i2", urls, offset, length, source)
    store = str(folder / "million.vzarr")
    xr.Dataset({"v": (("time", "x"), array)}).vzarr.to_zarr(store, mode="w")
    return store


def graph(folder: Path, quick: bool) -> list[Row]:
    store = million(folder, quick)
    out = []
    for blocks in (50, 200):
        with xr.open_dataset(store, engine="virtualzarr", chunks={}) as ds:
            steps = ds.sizes["time"] // blocks
        with xr.open_dataset(store, engine="virtualzarr", chunks={"time": steps}) as ds:
            (optimized,) = dask.optimize(ds.v.mean())
            tasks = [len(cloudpickle.dumps(task)) for task in dict(optimized.__dask_graph__()).values()]
        per_block = (sum(tasks) - max(tasks)) / blocks
        found = f"{per_block:.0f} B, {max(tasks) / 1e3:.1f} kB"
        held = per_block <= 2000 and max(tasks) <= 20_000
        what = f"graph of a mean over {blocks} blocks: bytes a block, largest task"
        out.append(Row(what, found, goal="<= 2000 B, <= 20 kB", held=held))
    return out


def distributed(folder: Path, quick: bool) -> list[Row]:
    """A mean on two workers; not when quick, which looks at the graph alone."""
    if quick:
        return []
    from distributed import Client, LocalCluster

    title = "packed int16, 1 MB chunks"
    path = field(f"full-{title.replace(' ', '-')}-64.nc", **CASES[title])
    store = str(folder / f"{title}.vzarr")
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
        xr.open_dataset(store, engine="virtualzarr", chunks={}) as ours,
        xr.open_dataset(path, engine="h5netcdf", chunks={}) as theirs,
    ):
        took = medians({"ours": lambda: ours.v.mean().compute(), "h5netcdf": lambda: theirs.v.mean().compute()}, 5)
    ratio = took["h5netcdf"] / took["ours"]
    return [Row("the same mean on 2 workers of dask.distributed, x of h5netcdf", times(ratio))]


if __name__ == "__main__":
    main(rows, __doc__)
