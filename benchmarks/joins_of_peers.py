"""What becomes of pairs of files that differ in one thing: here, in VirtualiZarr and in kerchunk.

    python benchmarks/joins_of_peers.py

Each pair is joined by each library in the way its documentation tells, and what its own reader gives is compared with plain xarray.
Prints a table in Markdown; ``docs/explanation/comparison.md`` quotes one. Needs the extra ``bench``.
"""

from __future__ import annotations

import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import intake_virtualzarr as ivz

ZLIB = {"zlib": True, "chunksizes": (2, 4)}
PACKED = {"dtype": "int16", "_FillValue": -999, "add_offset": 0.0, **ZLIB}


def days(start: str, count: int) -> xr.Dataset:
    """Daily values of a small field."""
    values = np.round(np.random.default_rng(count).uniform(0, 30, (count, 4)), 1)
    values[0, 0] = np.nan
    time = np.datetime64(start, "ns") + np.arange(count) * np.timedelta64(1, "D")
    return xr.Dataset({"v": (("time", "x"), values)}, {"time": time, "x": np.arange(4.0)})


@dataclass(frozen=True)
class Pair:
    """Two files and how they are joined."""

    what: str
    """In what they differ."""
    first: xr.Dataset = field(default_factory=lambda: days("2000-01-01", 4))
    second: xr.Dataset = field(default_factory=lambda: days("2000-01-05", 4))
    encodings: tuple[Mapping[str, Any], Mapping[str, Any]] = (ZLIB, ZLIB)
    """Encoding of the variable in each file."""
    units: tuple[str, str] = ("days since 2000-01-01", "days since 2000-01-01")
    """Units of time in each file."""
    dim: str = "time"
    """Dimension of the join; one that the files lack stacks them."""

    def write(self, folder: Path) -> list[str]:
        """Write both files."""
        paths = []
        for number, dataset in enumerate((self.first, self.second)):
            encoding = {"v": dict(self.encodings[number]), "time": {"units": self.units[number], "dtype": "int64"}}
            if "x" in dataset.coords:
                encoding["x"] = {"_FillValue": None}
            path = folder / f"{number}.nc"
            dataset.to_netcdf(path, engine="h5netcdf", encoding=encoding)
            paths.append(str(path))
        return paths


PAIRS = (
    Pair("nothing"),
    Pair("length, the end of the first inside a chunk", first=days("2000-01-02", 3)),
    Pair("`scale_factor`", encodings=({**PACKED, "scale_factor": 0.1}, {**PACKED, "scale_factor": 0.01})),
    Pair("`_FillValue`", encodings=({**PACKED, "scale_factor": 0.1}, {**PACKED, "scale_factor": 0.1, "_FillValue": -1})),
    Pair("packed and not packed", encodings=({**PACKED, "scale_factor": 0.1}, ZLIB)),
    Pair("compressed and not", encodings=({"chunksizes": (2, 4)}, ZLIB)),
    Pair("shuffled and not", encodings=({**ZLIB, "shuffle": True}, {**ZLIB, "shuffle": False})),
    Pair("chunk shape", encodings=(ZLIB, {"zlib": True, "chunksizes": (1, 2)})),
    Pair("float32 and float64", encodings=(ZLIB, {**ZLIB, "dtype": "float32"})),
    Pair("reference date of time", units=("days since 2000-01-01", "days since 2000-01-05")),
    Pair("order of the files", first=days("2000-01-05", 4), second=days("2000-01-01", 4)),
    Pair("extent of x", second=days("2000-01-05", 4).isel(x=slice(1, 4)), encodings=(ZLIB, {"zlib": True, "chunksizes": (2, 3)})),
    Pair("a variable is in one file only", first=days("2000-01-01", 4).assign(w=("time", np.arange(4.0)))),
    Pair("nothing, on a new axis", second=days("2000-01-01", 4) + 1, dim="member"),
)


def plain(paths: list[str], pair: Pair) -> xr.Dataset:
    """The join by plain xarray."""
    return xr.open_mfdataset(paths, engine="h5netcdf", combine="nested", concat_dim=pair.dim).load()


def ours(paths: list[str], pair: Pair) -> xr.Dataset:
    """Joined here, written, and opened by the engine."""
    store = Path(paths[0]).parent / "ours.vzarr"
    ivz.open_virtual_mfdataset(paths, combine="nested", concat_dim=pair.dim).vzarr.to_zarr(store)
    return xr.open_dataset(store, engine="virtualzarr").load()


def virtualizarr(paths: list[str], pair: Pair) -> xr.Dataset:
    """Joined by VirtualiZarr and xarray, written as kerchunk references, opened by that engine."""
    from peers import registry
    from virtualizarr import open_virtual_dataset
    from virtualizarr.parsers import HDFParser

    datasets = [open_virtual_dataset(f"file://{p}", registry=registry(p), parser=HDFParser()) for p in paths]
    joined = xr.concat(datasets, dim=pair.dim)
    target = Path(paths[0]).parent / "virtualizarr.json"
    joined.vz.to_kerchunk(str(target), format="json")
    return xr.open_dataset(str(target), engine="kerchunk").load()


def kerchunk(paths: list[str], pair: Pair) -> xr.Dataset:
    """Joined by kerchunk, opened by its engine."""
    from kerchunk.combine import MultiZarrToZarr
    from kerchunk.hdf import SingleHdf5ToZarr

    references = [SingleHdf5ToZarr(path, inline_threshold=0).translate() for path in paths]
    labels = "cf:time" if pair.dim == "time" else list(range(len(paths)))
    combined = MultiZarrToZarr(references, concat_dims=[pair.dim], identical_dims=["x"], coo_map={pair.dim: labels}).translate()
    return xr.open_dataset(combined, engine="kerchunk").load()


def outcome(join: Callable[[list[str], Pair], xr.Dataset], pair: Pair) -> str:
    """``identical``, ``error`` (a refusal or a failure) or ``differs``: the last without any error."""
    with tempfile.TemporaryDirectory() as folder:
        paths = pair.write(Path(folder))
        expected = plain(paths, pair)
        try:
            return "identical" if same(join(paths, pair), expected) else "**differs**"
        except Exception as exc:
            return f"error ({type(exc).__name__})"


def same(found: xr.Dataset, expected: xr.Dataset) -> bool:
    """Whether all values are equal; the order of files in time, and a number given to a new axis, do not count."""
    names = set(expected.variables)
    found, expected = found.sortby("time"), expected.sortby("time")
    if not names <= set(found.variables):
        return False
    pairs = [(found[name], expected[name]) for name in names]
    return all(a.shape == b.shape and a.variable.equals(b.variable) for a, b in pairs)


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    libraries = {"intake-virtualzarr": ours, "VirtualiZarr": virtualizarr, "kerchunk": kerchunk}
    print("| the files differ in |", " | ".join(f"{name} {version(name.lower())}" for name in libraries), "|")
    print("|---" * (len(libraries) + 1) + "|")
    counts: dict[str, Counter[str]] = {name: Counter() for name in libraries}
    for pair in PAIRS:
        results = [outcome(join, pair) for join in libraries.values()]
        for name, result in zip(libraries, results, strict=True):
            counts[name][result.split(" ")[0].strip("*")] += 1
        print(f"| {pair.what} |", " | ".join(results), "|")
    totals = [", ".join(f"{count} {word}" for word, count in counts[name].items()) for name in libraries]
    print("| together |", " | ".join(totals), "|")


if __name__ == "__main__":
    main()
