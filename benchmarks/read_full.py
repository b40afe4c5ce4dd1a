"""Full reads of one file: through xarray with our engine, and through zarr-python, beside h5netcdf and the other stores.

python benchmarks/read_full.py [--quick]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peers
import xarray as xr
import zarr
from bench import Row, agree, cpu, main, medians, times
from data import field

import intake_virtualzarr as ivz

CASES = {
    "packed int16, 1 MB chunks": ({"shape": (64, 724, 1448), "chunks": (1, 724, 724), "packed": True}, 3.0),
    "float32, 1 MB chunks": ({"shape": (64, 512, 1024), "chunks": (1, 512, 512), "packed": False}, 3.0),
    "packed int16, 29 kB chunks": ({"shape": (40, 724, 1448), "chunks": (1, 121, 121), "packed": True}, 3.0),
    "float32, 29 kB chunks": ({"shape": (40, 512, 1024), "chunks": (1, 86, 86), "packed": False}, 3.0),
}


def decoded(path: Path, engine: str) -> Any:
    with xr.open_dataset(path, engine=engine) as ds:
        return ds.v.load()


def stored(path: Path, engine: str) -> Any:
    with xr.open_dataset(path, engine=engine, mask_and_scale=False) as ds:
        return ds.v.load()


def through_zarr(store: Any) -> Any:
    return zarr.open_group(store, mode="r", zarr_format=3)["v"][...]


def rows(quick: bool) -> list[Row]:
    return [row for title, (options, goal) in CASES.items() for row in case(title, options, goal, quick)]


def case(title: str, options: dict[str, Any], goal: float, quick: bool) -> list[Row]:
    out = []
    if quick:
        steps, *size = options["shape"]
        options = {**options, "shape": (steps // 20, *size)}
    path = field(f"full-{title.replace(' ', '-')}-{options['shape'][0]}.nc", **options)
    agree(decoded(path, "virtualzarr"), decoded(path, "h5netcdf"), title)
    agree(stored(path, "virtualzarr"), stored(path, "h5netcdf"), title)
    agree(through_zarr(ivz.open_virtual_store(path)), stored(path, "h5netcdf"), title)
    if quick:
        return [Row(f"read, {title}: values", "those of h5netcdf")]
    references = peers.kerchunk_references(path)
    agree(peers.kerchunk_dataset(references).v.values, decoded(path, "h5netcdf"), "kerchunk")
    fast = {
        "h5netcdf": lambda: decoded(path, "h5netcdf"),
        "engine": lambda: decoded(path, "virtualzarr"),
        "h5netcdf, stored": lambda: stored(path, "h5netcdf"),
        "engine, stored": lambda: stored(path, "virtualzarr"),
        "zarr": lambda: through_zarr(ivz.open_virtual_store(path)),
    }
    took = medians(fast, repeat=9)
    slow = medians(
        {
            "h5netcdf": lambda: decoded(path, "h5netcdf"),
            "h5netcdf, stored": lambda: stored(path, "h5netcdf"),
            "VirtualiZarr": lambda: through_zarr(peers.virtualizarr_store(f"file://{path}")),
            "kerchunk": lambda: peers.kerchunk_dataset(references).v.values,
        },
        repeat=1,
    )
    work = {name: cpu(run) for name, run in fast.items()}
    for what, ours, base in (
        ("xarray engine, decoded", "engine", "h5netcdf"),
        ("xarray engine, as stored", "engine, stored", "h5netcdf, stored"),
        ("zarr-python", "zarr", "h5netcdf, stored"),
    ):
        ratio = took[base] / took[ours]
        others = {}
        if ours == "zarr":
            others = {
                "VirtualiZarr": times(slow["h5netcdf, stored"] / slow["VirtualiZarr"]),
                "kerchunk (decoded)": times(slow["h5netcdf"] / slow["kerchunk"]),
            }
        out.append(
            Row(
                f"full read, {title}, {what}, x of h5netcdf",
                times(ratio),
                {
                    "h5netcdf": f"{took[base] * 1e3:.0f} ms",
                    "processor time": times(work[base] / work[ours]),
                    **others,
                },
                f">= {goal:.0f}x",
                ratio >= goal,
            )
        )
    return out


if __name__ == "__main__":
    main(rows, __doc__)
