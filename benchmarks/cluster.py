"""Scan and join of many files on dask.distributed with two workers, beside VirtualiZarr and kerchunk on the same workers."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import peers
import xarray as xr
from bench import Row, main, medians, times
from data import STEPS, small_files

import intake_virtualzarr as ivz

JOIN: dict[str, Any] = {
    "combine": "nested",
    "concat_dim": "time",
    "data_vars": "minimal",
    "coords": "minimal",
    "compat": "override",
    "combine_attrs": "override",
}
"""As the documentation of VirtualiZarr joins: variables without time are those of the first file."""


def with_virtualizarr(urls: list[str], client: Any) -> xr.Dataset:
    """One file a task, joined by xarray: what its documentation shows."""
    parts = client.gather(client.map(peers.virtualizarr_dataset, urls, pure=False))
    options = {name: value for name, value in JOIN.items() if name != "combine"}
    joined: xr.Dataset = xr.combine_nested(parts, **options)
    return joined


def with_kerchunk(paths: list[str], client: Any) -> dict[str, Any]:
    """One file a task, joined by MultiZarrToZarr."""
    from kerchunk.combine import MultiZarrToZarr

    parts = client.gather(client.map(peers.kerchunk_references, paths, pure=False))
    joined: dict[str, Any] = MultiZarrToZarr(
        parts, concat_dims=["time"], identical_dims=["lat", "lon"], remote_protocol="file"
    ).translate()
    return joined


def ours(paths: list[str], client: Any = None) -> xr.Dataset:
    return ivz.open_virtual_mfdataset(paths, client=client, progress=False, **JOIN)


PEAK = """
import sys
import intake_virtualzarr as ivz
def peak(): return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM")) / 1024
ivz.open_virtual_dataset(sys.argv[1])
before = peak()
joined = ivz.open_virtual_mfdataset(
    sys.argv[1:], combine="nested", concat_dim="time", data_vars="minimal", coords="minimal", compat="override", progress=False
)
print(peak() - before, joined.vzarr.n_references)
"""


def rows(quick: bool) -> list[Row]:
    warnings.simplefilter("ignore")
    from distributed import Client, LocalCluster

    count = 40 if quick else 2000
    paths = [str(path) for path in small_files(count)]
    alone = ours(paths)
    days = (alone.time.values - alone.time.values[0]) / np.timedelta64(1, "D")
    out = [
        Row(
            f"{count} files opened by open_virtual_mfdataset: references, steps",
            f"{alone.vzarr.n_references}, {alone.sizes['time']}",
            goal="all",
            held=np.array_equal(days, np.arange(STEPS * count)),
        )
    ]
    done = subprocess.run([sys.executable, "-c", PEAK, *paths], capture_output=True, text=True, check=True)
    grown = float(done.stdout.split()[0])
    out.append(Row(f"memory of opening {count} files", f"{grown:.0f} MB", goal="<= 256 MB", held=grown <= 256))
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=not quick, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        joined = ours(paths, client)
        same = joined.vzarr.n_references == alone.vzarr.n_references and joined.identical(alone)
        out.append(Row("the same with client= (dask.distributed)", str(joined.vzarr.n_references), goal="the same", held=same))
        if quick:
            return out
        urls = [f"file://{path}" for path in paths]
        took = medians({"with client=": lambda: ours(paths, client), "without": lambda: ours(paths)}, 3)
        theirs = medians(
            {"VirtualiZarr": lambda: with_virtualizarr(urls, client), "kerchunk": lambda: with_kerchunk(paths, client)}, 1
        )
        rates = {name: count / seconds for name, seconds in {**took, **theirs}.items()}
        ratio = rates["with client="] / rates["VirtualiZarr"]
        out.append(
            Row(
                "files opened and joined on 2 workers, x of VirtualiZarr",
                times(ratio),
                {name: f"{rate:.0f} files/s" for name, rate in rates.items()},
                ">= 30x",
                ratio >= 30,
            )
        )
    return out


if __name__ == "__main__":
    main(rows, __doc__)
