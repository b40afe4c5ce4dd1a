"""Families of tiny files of one archive, written once, of which random series are made: each file is odd in its own way."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

__all__ = ["Family", "Member", "write_family"]

WORDS = np.array([b"a", b"bb", b"ccc", b"dd", b"e"], "S3")
TYPES = ("i1", "i2", "u2", "i4", "f4", "f8")
CLASSIC_TYPES = ("i1", "i2", "i4", "f4", "f8")
"""What netCDF-3 has."""
ODD: tuple[Any, ...] = ("0.1", np.array([0.5, 2.0]), np.array([0.5]), np.array([]), np.float64("nan"), np.float32(0.5))
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


def write_family(folder: Path, seed: int, count: int = 5) -> Family:
    """Write files of one family: ``count`` of times of their own, and a second version of one of them."""
    rng = np.random.default_rng([seed, 7])
    folder.mkdir(parents=True, exist_ok=True)
    classic = [rng.integers(3) == 0 for _ in range(count)] if rng.integers(4) == 0 else [False] * count
    choices = CLASSIC_TYPES if any(classic) else TYPES
    types = {f"v{n}": str(rng.choice(choices)) for n in range(3)}
    packed = frozenset(name for name, kind in types.items() if kind.startswith("i") and rng.integers(3) == 0)
    plan = _Plan(types, packed, bool(rng.integers(2)), rng.integers(4) == 0)
    words = rng.permutation(WORDS)[: int(rng.integers(2, 6))]
    stacked, same = rng.integers(4) == 0, bool(rng.integers(2))
    members = []
    for number in range(count):
        start, times = (0, 2) if stacked else (10 * number, int(rng.integers(1, 4)))
        here = words if same or stacked else rng.permutation(WORDS)[: len(words)]
        path = folder / f"{number}.nc"
        members.append(_write(path, rng, np.arange(start, start + times), here, plan, classic[number]))
    if not stacked:
        twin = int(rng.integers(count))
        with xr.open_dataset(members[twin].path, engine=members[twin].engine, decode_times=False, mask_and_scale=False) as old:
            times, here = np.arange(10 * twin, 10 * twin + old.sizes["time"]), old["station"].values.astype("S3")
        version = _write(folder / "version.nc", rng, times, here, plan, classic[twin])
        members.append(Member(version.path, version.engine, twin))
    if rng.integers(4) == 0:
        _make_odd(members[int(rng.integers(count))], rng)
    return Family(tuple(members), bool(stacked), same or bool(stacked))


def _write(path: Path, rng: np.random.Generator, times: np.ndarray, words: np.ndarray, plan: _Plan, classic: bool) -> Member:
    """One file; each variable in chunks of its own, two of them on axes that are staggered by half a step."""
    shape, attrs = (len(times), len(words)), {"title": "series", "history": str(rng.integers(3))}
    coords: dict[str, Any] = {"time": times, "station": ("station", words, {}, {"dtype": "S1"})}
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


def _make_odd(member: Member, rng: np.random.Generator) -> None:
    """Give a variable a factor or an offset that is none."""
    if member.engine == "h5netcdf":
        with h5py.File(member.path, "r+") as file:
            file["v0"].attrs[str(rng.choice(["scale_factor", "add_offset"]))] = ODD[rng.integers(len(ODD))]
