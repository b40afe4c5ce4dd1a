"""Families of tiny files of one archive, written once, of which random series are made: each file is odd in its own way."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import xarray as xr

__all__ = ["Family", "Member", "write_family"]

WORDS = np.array([b"a", b"bb", b"ccc", b"dd", b"e"], "S3")
TYPES = ("i1", "i2", "u2", "i4", "f4", "f8")
CLASSIC_TYPES = ("i1", "i2", "i4", "f4", "f8")
"""What netCDF-3 has."""
ODD: tuple[Any, ...] = ("0.1", np.array([0.5, 2.0]), np.array([0.5]), np.array([]), np.float64("nan"), np.float32(0.5))
ODD_FILLS: tuple[Any, ...] = ("-1", np.array([3, 7], "i2"), np.float64("nan"), np.float32(5), np.array([7], "i1"))
COMPLEX = np.complex128(0.5 + 2j)
"""What HDF5 can hold, and no netCDF library writes."""
EXTRA = ("bool", "date", "duration", "words", "texts", "wide", "unsigned", "floats with a fill")
CLASSIC_EXTRA = ("date", "duration", "words", "floats with a fill")
LABELS: tuple[tuple[str, Any], ...] = (("S", "S1"), ("U", "S1"), ("U", str))
"""Kind of words of a label and how they are written: characters, characters in UTF-8, strings of any length."""
REFERENCES = ("days since 2000-01-01", "hours since 1999-12-31", "seconds since 2000-01-01")


@dataclass(frozen=True)
class Member:
    """One file of a family."""

    path: Path
    engine: str
    """xarray's engine that reads it."""
    version_of: int | None = None
    """Number of the file of the same times."""

    @cached_property
    def direct(self) -> xr.Dataset | Exception:
        """The file as plain xarray loads it, or why it does not."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                with xr.open_dataset(self.path, engine=self.engine) as opened:
                    return opened.load()
            except Exception as exc:  # text as a factor, and the like: whatever xarray raises is its answer
                return exc


@dataclass(frozen=True)
class Family:
    """Files that fit together more or less."""

    members: tuple[Member, ...]
    stacked: bool
    """Whether all files have the same times: members of an ensemble."""
    same_words: bool
    """Whether all stations stand in the same order."""
    grid: bool = False
    """Whether the first four files are two members of two periods each."""

    @property
    def versions(self) -> tuple[Member, ...]:
        """Files that hold the times of another."""
        return tuple(one for one in self.members if one.version_of is not None)

    @property
    def originals(self) -> tuple[Member, ...]:
        """Files of times of their own."""
        return tuple(one for one in self.members if one.version_of is None)


@dataclass(frozen=True)
class _Plan:
    types: dict[str, str]
    packed: frozenset[str]
    dates: bool
    names: bool
    """Whether there is a variable of words, of another length in each file."""
    extra: str
    """Kind of one variable more."""
    labels: tuple[tuple[str, Any], ...]
    """How the stations of each file are written."""


def write_family(folder: Path, seed: int, count: int = 5) -> Family:
    """Write files of one family: ``count`` of times of their own, and a second version of one of them."""
    rng = np.random.default_rng([seed, 7])
    folder.mkdir(parents=True, exist_ok=True)
    classic = [rng.integers(3) == 0 for _ in range(count)] if rng.integers(4) == 0 else [False] * count
    choices = CLASSIC_TYPES if any(classic) else TYPES
    types = {f"v{n}": str(rng.choice(choices)) for n in range(3)}
    packed = frozenset(name for name, kind in types.items() if kind.startswith("i") and rng.integers(3) == 0)
    more = np.random.default_rng([seed, 11])
    extra = str(more.choice(CLASSIC_EXTRA if any(classic) else EXTRA))
    plan = _Plan(types, packed, bool(rng.integers(2)), rng.integers(4) == 0, extra, _labels(more, any(classic)))
    words = rng.permutation(WORDS)[: int(rng.integers(2, 6))]
    stacked, same = rng.integers(4) == 0, bool(rng.integers(2))
    grid = not stacked and more.integers(6) == 0
    members = []
    for number in range(count):
        start, times = (0, 2) if stacked else (10 * number, int(rng.integers(1, 4)))
        if grid:
            start, times = 10 * (number % 2), 2
        here = words if same or stacked or grid else rng.permutation(WORDS)[: len(words)]
        path = folder / f"{number}.nc"
        members.append(_write(path, rng, np.arange(start, start + times), here, plan, classic[number]))
    if not stacked and not grid:
        twin = int(rng.integers(count))
        with xr.open_dataset(members[twin].path, engine=members[twin].engine, decode_times=False, mask_and_scale=False) as old:
            times, here = np.arange(10 * twin, 10 * twin + old.sizes["time"]), old["station"].values.astype("S3")
        version = _write(folder / "version.nc", rng, times, here, plan, classic[twin])
        members.append(Member(version.path, version.engine, twin))
    if rng.integers(7) == 0:
        _make_odd(members[int(rng.integers(count))], rng)
    return Family(tuple(members), bool(stacked), same or bool(stacked), bool(grid))


def _labels(rng: np.random.Generator, classic: bool) -> tuple[tuple[str, Any], ...]:
    """One way to write words for all files, or for each its own, of those that compare equal."""
    if rng.integers(2):
        return (LABELS[0],)
    return LABELS[1:2] if classic else tuple(LABELS[n] for n in rng.integers(1, 3, 3))


def _write(path: Path, rng: np.random.Generator, times: np.ndarray, words: np.ndarray, plan: _Plan, classic: bool) -> Member:
    """One file; each variable in chunks of its own, two of them on axes that are staggered by half a step."""
    shape, attrs = (len(times), len(words)), {"title": "series", "history": str(rng.integers(3))}
    kind, dtype = plan.labels[len(path.name) * int(times[0]) % len(plan.labels)]
    coords: dict[str, Any] = {"time": times, "station": ("station", words.astype(kind), {}, {"dtype": dtype})}
    encoding: dict[str, Any] = {}
    if plan.dates:
        coords["time"] = np.datetime64("2000-01-01", "ns") + times.astype("m8[D]")
        encoding["time"] = {"units": str(rng.choice(REFERENCES)), "dtype": "i4"}
    dataset = xr.Dataset(coords=coords, attrs=attrs)
    for name, kind in plan.types.items():
        dims, extent = (("time", "edge"), (shape[0], shape[1] + 1)) if name == "v2" else (("time", "station"), shape)
        values = rng.integers(0, 50, extent).astype("f8" if name in plan.packed else kind)
        dataset[name] = (dims, values, {"note": str(rng.integers(4)), "long_name": name})
        encoding[name] = _encoding(rng, extent, name in plan.packed, classic)
    if plan.names:
        dataset["name"] = ("time", np.array(["x" * int(rng.integers(1, 4)) for _ in times], "S"))
    dataset["extra"], encoding["extra"] = _extra(rng, plan.extra, shape)
    options: dict[str, Any] = {"format": "NETCDF3_64BIT"} if classic else {}
    engine = "scipy" if classic else "h5netcdf"
    dataset.to_netcdf(path, engine=engine, encoding=encoding, **options)  # type: ignore[call-overload]
    return Member(path, engine)


def _encoding(rng: np.random.Generator, extent: tuple[int, ...], packed: bool, classic: bool) -> dict[str, Any]:
    chunks = tuple(int(rng.integers(1, n + 1)) for n in extent)
    out: dict[str, Any] = {} if classic else {"chunksizes": chunks, "zlib": bool(rng.integers(2)), "shuffle": bool(rng.integers(2))}
    if packed:
        out |= {"dtype": "i2", "scale_factor": float(rng.choice([0.5, 0.25, 1.0])), "_FillValue": np.int16(-1)}
    return out


def _extra(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A variable of a kind of which a file has one: its values, and an encoding that no two files need to share."""
    numbers, dims = rng.integers(0, 50, shape), ("time", "station")
    match kind:
        case "bool":
            return (dims, numbers < 25), {}
        case "date":
            dates = np.datetime64("2000-01-01", "ns") + numbers.astype("m8[h]")
            return (dims, dates), {"units": str(rng.choice(REFERENCES)), "dtype": "f8"}
        case "duration":
            return (dims, numbers.astype("m8[h]").astype("m8[ns]")), {"units": str(rng.choice(["hours", "seconds"])), "dtype": "i4"}
        case "words":
            along = int(rng.integers(3))  # one a station: a gap in a join with other stations
            of = (numbers[:, 0], numbers[0], numbers)[along]
            words = np.vectorize(lambda n: b"abcd"[: 1 + n % 4], otypes=["S4"])(of)
            return (("time", "station", dims)[along], words), {"dtype": "S1"}
        case "texts":
            return (("station",), np.array(["abcd"[: n % 5] for n in numbers[0]], object)), {"dtype": str}
        case "wide":
            return (dims, numbers.astype("i8") + 2**53), {}
        case "unsigned":
            return (dims, numbers.astype("i1") - 25, {"_Unsigned": str(rng.choice(["true", "false"]))}), {}
    fill = np.float32(rng.choice([7, 1e20]))
    return (dims, np.where(numbers == 7, np.nan, numbers).astype("f4")), {"_FillValue": fill}


def _make_odd(member: Member, rng: np.random.Generator) -> None:
    """Give a variable a factor, an offset or a fill that is none."""
    name = str(rng.choice(["scale_factor", "add_offset", "missing_value"]))
    values = ODD_FILLS if name == "missing_value" else ODD
    if member.engine == "h5netcdf":
        with h5py.File(member.path, "r+") as file:
            file["v0"].attrs[name] = (*values, COMPLEX)[rng.integers(len(values) + 1)]
        return
    with netCDF4.Dataset(member.path, "a") as file:
        file["v0"].setncattr(name, values[rng.integers(len(values))])
