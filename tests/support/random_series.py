"""Random series of what users bring: words as labels, versions, odd packing, members without an axis, several data types."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import VirtualZarrError

WORDS = np.array([b"a", b"bb", b"ccc", b"dd", b"e"], "S3")
TYPES = ("i1", "i2", "u2", "i4", "f4", "f8")
ODD: tuple[Any, ...] = ("0.1", np.array([0.5, 2.0]), np.array([0.5]), np.array([]), np.float64("nan"), np.float32(0.5))
POLICIES = ("override", "drop", "drop_conflicts")


@dataclass
class Series:
    """Files, and how they are joined."""

    paths: list[Path] = field(default_factory=list)
    """In the order in which they are given."""
    direct: list[Path] = field(default_factory=list)
    """Those that plain xarray is to join: without the versions that the policy leaves out."""
    how: dict[str, Any] = field(default_factory=dict)
    """Keywords of the join for both."""
    own: dict[str, Any] = field(default_factory=dict)
    """Keywords for ours."""


def write_series(folder: Path, rng: np.random.Generator) -> Series:
    """Two to four files with a station axis in any order of its words, and one odd thing or another."""
    stacked, odd = rng.integers(4) == 0, rng.integers(4) == 0
    names = [f"v{i}" for i in range(3)]
    types = {name: str(rng.choice(TYPES)) for name in names}
    packed = {name for name in names if rng.integers(3) == 0 and types[name].startswith("i")}
    words = rng.permutation(WORDS)[: int(rng.integers(2, 6))]
    same = bool(rng.integers(2))
    series = Series()
    for number in range(int(rng.integers(2, 5))):
        times = 2 if stacked else int(rng.integers(1, 4))
        start = 0 if stacked else 10 * number
        here = words if same or stacked else rng.permutation(WORDS)[: len(words)]
        path = folder / f"{number}.nc"
        write_file(path, rng, np.arange(start, start + times), here, types, packed)
        series.paths.append(path)
    if odd:
        with h5py.File(series.paths[int(rng.integers(len(series.paths)))], "r+") as file:
            file[names[0]].attrs[str(rng.choice(["scale_factor", "add_offset"]))] = ODD[rng.integers(len(ODD))]
    series.direct = list(series.paths)
    nested = stacked or not same or bool(rng.integers(2))
    series.how = {"combine_attrs": str(rng.choice(POLICIES)), "join": "outer", "data_vars": "all", "coords": "minimal"}
    series.how["compat"] = "override"
    if nested:
        series.how |= {"combine": "nested", "concat_dim": "member" if stacked else "time"}
    elif rng.integers(2):
        _add_version(series, folder, rng, words, types, packed)
    return series


def write_file(
    path: Path, rng: np.random.Generator, times: np.ndarray, words: np.ndarray, types: dict[str, str], packed: set[str]
) -> None:
    """One file; each variable in chunks of its own."""
    shape = (len(times), len(words))
    attrs = {"title": "series", "history": str(rng.integers(3))}
    dataset = xr.Dataset(coords={"time": times, "station": ("station", words, {}, {"dtype": "S1"})}, attrs=attrs)
    encoding: dict[str, Any] = {}
    for name, dtype in types.items():
        dataset[name] = (("time", "station"), rng.integers(0, 50, shape).astype("f8" if name in packed else dtype))
        chunks = tuple(int(rng.integers(1, n + 1)) for n in shape)
        encoding[name] = {"chunksizes": chunks, "zlib": bool(rng.integers(2))}
        if name in packed:
            scale = float(rng.choice([0.5, 0.25, 1.0]))
            encoding[name] |= {"dtype": "i2", "scale_factor": scale, "_FillValue": np.int16(-1)}
    dataset.to_netcdf(path, engine="h5netcdf", encoding=encoding)


def _add_version(
    series: Series, folder: Path, rng: np.random.Generator, words: np.ndarray, types: dict[str, str], packed: set[str]
) -> None:
    """A second version of one file, somewhere in the list."""
    old = series.paths[int(rng.integers(len(series.paths)))]
    with xr.open_dataset(old, engine="h5netcdf", mask_and_scale=False) as opened:
        times = opened["time"].values
    new = folder / "version.nc"
    write_file(new, rng, times, words, types, packed)
    series.paths.insert(int(rng.integers(len(series.paths) + 1)), new)
    policy = str(rng.choice(["first", "last"]))
    earlier, later = sorted((old, new), key=series.paths.index)
    left_out = later if policy == "first" else earlier
    series.direct = [path for path in series.paths if path != left_out]
    series.own = {"duplicates": policy}


def check_series(folder: Path, seed: int) -> str:
    """Compare a series joined by reference with what plain xarray makes of it; returns what became of it.

    Raises
    ------
    AssertionError
        If values, labels or attributes differ, or a series is refused that xarray joins.
    """
    rng = np.random.default_rng(seed)
    series = write_series(folder, rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with xr.open_mfdataset(series.direct, engine="h5netcdf", **series.how) as opened:
                expected = opened.load()
        except Exception:
            expected = None
        try:
            virtual = ivz.open_virtual_mfdataset(series.paths, progress=False, **series.how, **series.own)
            virtual.vzarr.to_zarr(folder / "s.vzarr", fuse=bool(rng.integers(2)))
            found = {
                "decode": virtual.vzarr.decode().load(),
                "engine": xr.open_dataset(folder / "s.vzarr", engine="virtualzarr").load(),
                "chunks": _in_chunks(folder / "s.vzarr"),
            }
        except VirtualZarrError as exc:
            assert expected is None, f"refused: {exc}"
            return "refused by both"
        except Exception:
            if expected is None:
                return "refused by both"
            raise
    assert expected is not None, "xarray refuses it"
    for door, dataset in found.items():
        try:
            xr.testing.assert_equal(dataset.transpose(*expected.dims), expected)
            assert dataset.attrs == expected.attrs, (dataset.attrs, expected.attrs)
        except AssertionError as exc:
            exc.add_note(f"read by {door}, series of seed {seed}")
            raise
    return "equal"


def _in_chunks(store: Path) -> xr.Dataset:
    opened = xr.open_dataset(store, engine="virtualzarr", chunks={})
    assert set(opened.chunks) <= set(opened.dims)  # raises if chunks of variables do not agree
    return opened.unify_chunks().load()
