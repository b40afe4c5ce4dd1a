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

from intake_virtualzarr.datasets.virtual_dataset import virtual_dataset
from intake_virtualzarr.formats.scan_batches import Merged, scan_merged
from intake_virtualzarr.formats.scanned_tree import tree_of_scan


def with_virtualizarr(urls: list[str], client: Any) -> xr.Dataset:
    """One file a task, joined by xarray: what its documentation shows."""
    parts = client.gather(client.map(peers.virtualizarr_dataset, urls, pure=False))
    joined: xr.Dataset = xr.combine_nested(
        parts, concat_dim="time", data_vars="minimal", coords="minimal", compat="override", combine_attrs="override"
    )
    return joined


def with_kerchunk(paths: list[str], client: Any) -> dict[str, Any]:
    """One file a task, joined by MultiZarrToZarr."""
    from kerchunk.combine import MultiZarrToZarr

    parts = client.gather(client.map(peers.kerchunk_references, paths, pure=False))
    joined: dict[str, Any] = MultiZarrToZarr(
        parts, concat_dims=["time"], identical_dims=["lat", "lon"], remote_protocol="file"
    ).translate()
    return joined


def ours(paths: list[str], client: Any) -> Merged:
    return scan_merged(paths, "time", client=client, progress=False)


PEAK = """
import sys
from intake_virtualzarr.formats.scan_batches import scan_merged
def peak(): return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM")) / 1024
before = peak()
merged = scan_merged(sys.argv[1:], "time", progress=False)
print(peak() - before, merged.scan.references)
"""


def rows(quick: bool) -> list[Row]:
    warnings.simplefilter("ignore")
    from distributed import Client, LocalCluster

    count = 40 if quick else 2000
    paths = [str(path) for path in small_files(count)]
    alone = scan_merged(paths, "time", progress=False)
    assert alone.scan is not None
    tree = tree_of_scan(alone.scan)
    joined = virtual_dataset(tree, tree.group("/"))
    expected = np.arange(STEPS * count)
    days = (joined.time.values - joined.time.values[0]) / np.timedelta64(1, "D")
    out = [
        Row(
            f"{count} files scanned and joined: references, steps, segments",
            f"{alone.scan.references}, {joined.sizes['time']}, {len(alone.scan.arrays['/sst'].segments)}",
            goal="all, in one manifest",
            held=np.array_equal(days, expected) and len(alone.scan.arrays["/sst"].segments) == 1,
        )
    ]
    done = subprocess.run([sys.executable, "-c", PEAK, *paths], capture_output=True, text=True, check=True)
    grown = float(done.stdout.split()[0])
    out.append(Row(f"memory of scanning and joining {count} files", f"{grown:.0f} MB", goal="<= 256 MB", held=grown <= 256))
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=not quick, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        merged = ours(paths, client)
        assert merged.scan is not None
        out.append(
            Row(
                "the same on dask.distributed",
                str(merged.scan.references),
                goal="the same",
                held=merged.scan.references == alone.scan.references and not merged.failures,
            )
        )
        if quick:
            return out
        urls = [f"file://{path}" for path in paths]
        took = medians({"ours": lambda: ours(paths, client)}, 3)["ours"]
        theirs = medians(
            {"VirtualiZarr": lambda: with_virtualizarr(urls, client), "kerchunk": lambda: with_kerchunk(paths, client)}, 1
        )
        again = medians({"ours": lambda: ours(paths, client)}, 3)["ours"]
        rate = count / ((took + again) / 2)
        rates = {name: count / seconds for name, seconds in theirs.items()}
        out.append(
            Row(
                "files scanned and joined on 2 workers, x of VirtualiZarr",
                times(rate / rates["VirtualiZarr"]),
                {"ours": f"{rate:.0f} files/s", **{name: f"{r:.0f} files/s" for name, r in rates.items()}},
                ">= 30x",
                rate >= 30 * rates["VirtualiZarr"],
            )
        )
        no_compare = medians({"ours": lambda: scan_merged(paths, "time", compare=False, client=client, progress=False)}, 3)["ours"]
        out.append(
            Row(
                "the same, static variables not compared (as VirtualiZarr's compat='override')",
                times(count / no_compare / rates["VirtualiZarr"]),
                {"ours": f"{count / no_compare:.0f} files/s"},
                ">= 30x",
                count / no_compare >= 30 * rates["VirtualiZarr"],
            )
        )
    return out


if __name__ == "__main__":
    main(rows, __doc__)
