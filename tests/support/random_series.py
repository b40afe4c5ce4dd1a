"""Random series of what users bring, joined by reference and by plain xarray: words as labels, versions, odd packing, members
without an axis of their own, several data types, attribute policies, staggered axes, netCDF-3 among netCDF-4.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from support.series_families import Family, Member, write_family

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import VirtualZarrError

__all__ = ["check_series"]

POLICIES = (*["override", "drop", "drop_conflicts"] * 4, "no_conflicts", "identical")
JOINS = (*["outer"] * 6, "inner", "left", "right", "exact")
PER_FAMILY = 40
"""Series that are made of the files of one family."""
known_family = lru_cache(maxsize=2)(write_family)


@dataclass
class Series:
    """Files, and how they are joined."""

    members: list[Member] = field(default_factory=list)
    """In the order in which they are given."""
    direct: list[Member] = field(default_factory=list)
    """Those that plain xarray is to join: without the versions that the policy leaves out."""
    how: dict[str, Any] = field(default_factory=dict)
    """Keywords of the join for both."""
    own: dict[str, Any] = field(default_factory=dict)
    """Keywords for ours."""

    @property
    def paths(self) -> list[Path]:
        """The files."""
        return [one.path for one in self.members]

    @property
    def appends(self) -> bool:
        """Whether the files can be appended one by one to the store of the first, with the same result."""
        plain = self.how["join"] in ("outer", "exact") and self.how["combine_attrs"] == "override"
        return plain and self.how.get("concat_dim") == "time" and not self.own


def draw_series(family: Family, rng: np.random.Generator) -> Series:
    """Two to four files of a family, and a way to join them."""
    originals = family.originals
    if family.grid:
        return _draw_grid(originals, rng)
    chosen = sorted(rng.choice(len(originals), size=int(rng.integers(2, 5)), replace=False))
    series = Series([originals[n] for n in chosen])
    nested = family.stacked or not family.same_words or bool(rng.integers(2))
    series.how = {
        "combine_attrs": str(rng.choice(POLICIES)),
        "join": str(rng.choice(JOINS)) if nested else "outer",
        "data_vars": "all" if family.stacked else str(rng.choice(["all", "all", "minimal"])),
        **_comparison(rng),
    }
    series.direct = list(series.members)
    if nested:
        series.how |= {"combine": "nested", "concat_dim": "member" if family.stacked else "time"}
    elif rng.integers(2):
        _add_version(series, family, rng)
    return series


def _comparison(rng: np.random.Generator) -> dict[str, str]:
    """How coordinates are compared."""
    if rng.integers(3):
        return {"coords": "minimal", "compat": "override"}
    return {"coords": str(rng.choice(["minimal", "different"])), "compat": str(rng.choice(["no_conflicts", "equals"]))}


def _draw_grid(originals: tuple[Member, ...], rng: np.random.Generator) -> Series:
    """Two members of two periods each, joined on two axes at once."""
    how = {"combine_attrs": str(rng.choice(POLICIES)), "data_vars": "all", **_comparison(rng)}
    how |= {"join": "outer", "combine": "nested", "concat_dim": ["member", "time"]}
    members = list(originals[:4])
    return Series(members, members, how)


def _as_grid(files: list[Any], how: dict[str, Any]) -> list[Any]:
    return [files[:2], files[2:]] if isinstance(how.get("concat_dim"), list) else files


def _add_version(series: Series, family: Family, rng: np.random.Generator) -> None:
    """A second version of one file, somewhere in the list."""
    for new in family.versions:
        old = family.originals[new.version_of or 0]
        if old not in series.members:
            continue
        series.members.insert(int(rng.integers(len(series.members) + 1)), new)
        policy = str(rng.choice(["first", "last"]))
        earlier, later = sorted((old, new), key=series.members.index)
        left_out = later if policy == "first" else earlier
        series.direct = [one for one in series.members if one != left_out]
        series.own = {"duplicates": policy}


def joined_directly(series: Series) -> xr.Dataset | Exception:
    """What plain xarray makes of the files: ``open_mfdataset`` without dask; or why it makes nothing."""
    datasets = [one.direct for one in series.direct]
    for one in datasets:
        if isinstance(one, Exception):
            return one
    how = {key: value for key, value in series.how.items() if key != "combine"}
    join: Callable[..., xr.Dataset] = xr.combine_nested if "concat_dim" in how else xr.combine_by_coords  # type: ignore[assignment]
    try:
        return join(_as_grid(datasets, how), **how)
    except Exception as exc:  # whatever it raises is its answer
        return exc


def check_series(folder: Path, seed: int, families: Path | None = None) -> str:
    """Compare a series joined by reference with what plain xarray makes of it; returns what became of it.

    Parameters
    ----------
    folder : Path
        An empty folder for stores.
    seed : int
        Which series.
    families : Path, optional
        Where the files are kept from which series with neighbouring seeds are made.

    Raises
    ------
    AssertionError
        If values, data types, labels or attributes differ, or a series is refused that xarray joins.
    """
    number = seed // PER_FAMILY
    family = known_family((families or folder) / f"family-{number}", number)
    rng = np.random.default_rng(seed)
    series = draw_series(family, rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = joined_directly(series)
        doors = [DOORS[n] for n in rng.choice(len(DOORS), size=2, replace=False)]
        if series.appends and not rng.integers(3):
            doors[0] = by_append
        for door in doors:
            try:
                found = door(folder / door.__name__, series, rng)
            except Exception as exc:
                if isinstance(expected, Exception):
                    return "refused by both"
                if isinstance(exc, VirtualZarrError) and _loses_files(series, expected):
                    return "refused, where xarray loses files"
                if isinstance(exc, VirtualZarrError) and door is by_append:  # stations in another order, another packing
                    return "refused by append, which joins nothing"
                exc.add_note(f"{door.__name__}, series of seed {seed}: {series}")
                raise
            assert not isinstance(expected, Exception), f"{door.__name__}, seed {seed}: xarray refuses it: {expected} {series}"
            _compare(found, expected, f"{door.__name__}, series of seed {seed}: {series}")
    return "equal"


def _loses_files(series: Series, expected: xr.Dataset) -> bool:
    axis = series.how.get("concat_dim", "time")
    if isinstance(axis, list):
        return False
    parts = sum(one.direct.sizes.get(axis, 1) for one in series.direct if isinstance(one.direct, xr.Dataset))
    return expected.sizes.get(axis, 1) < parts


def _compare(found: xr.Dataset, expected: xr.Dataset, note: str) -> None:
    try:
        found, expected = found.transpose(*expected.dims), expected.transpose(*expected.dims)
        xr.testing.assert_equal(found, expected)
        assert found.attrs == expected.attrs, (found.attrs, expected.attrs)
        for name, variable in expected.variables.items():
            other = found.variables[name]
            assert _kind(other.dtype) == _kind(variable.dtype), (name, other.dtype, variable.dtype)
            assert variable.dtype.kind not in "iuf" or other.dtype == variable.dtype, (name, other.dtype, variable.dtype)
            assert other.attrs == variable.attrs, (name, other.attrs, variable.attrs)
    except AssertionError as exc:
        exc.add_note(note)
        raise


def _kind(dtype: np.dtype) -> str:
    """NumPy's letter; words are words, however NumPy holds them."""
    return "O" if dtype.kind in "UT" else dtype.kind


# ---------------------------------------------------------------------- ways to read a series


def _joined(series: Series) -> xr.Dataset:
    return ivz.open_virtual_mfdataset(_as_grid(series.paths, series.how), progress=False, **series.how, **series.own)


def _stored(folder: Path, series: Series, rng: np.random.Generator) -> Path:
    _joined(series).vzarr.to_zarr(folder, fuse=bool(rng.integers(2)))
    return folder


def by_decode(folder: Path, series: Series, rng: np.random.Generator) -> xr.Dataset:
    """In memory, never written."""
    return _joined(series).vzarr.decode().load()


def by_engine(folder: Path, series: Series, rng: np.random.Generator) -> xr.Dataset:
    """Written and opened by xarray's engine."""
    return xr.open_dataset(_stored(folder, series, rng), engine="virtualzarr").load()


def by_chunks(folder: Path, series: Series, rng: np.random.Generator) -> xr.Dataset:
    """As dask arrays, whose chunks must agree among variables."""
    opened = xr.open_dataset(_stored(folder, series, rng), engine="virtualzarr", chunks={})
    assert set(opened.chunks) <= set(opened.dims)  # raises if chunks of variables do not agree
    return opened.unify_chunks().load(scheduler="synchronous")


def by_zarr(folder: Path, series: Series, rng: np.random.Generator) -> xr.Dataset:
    """By xarray's own Zarr engine."""
    opened = xr.open_zarr(ivz.VirtualZarrStore(_stored(folder, series, rng)), chunks=None, consolidated=False).load()
    for name, words in opened.data_vars.items():
        if words.dtype.kind == "S" and (words == b"").any():  # Zarr's engine knows no marker in bytes
            opened[name] = words.astype(object).where(words != b"")
    return opened


def by_append(folder: Path, series: Series, rng: np.random.Generator) -> xr.Dataset:
    """A store of the first file, to which the others are appended one by one."""
    one = {**series.how, "combine_attrs": "override"}
    ivz.open_virtual_mfdataset(series.paths[:1], progress=False, **one).vzarr.to_zarr(folder)
    for path in series.paths[1:]:
        later = ivz.open_virtual_mfdataset([path], progress=False, **one)
        later.vzarr.to_zarr(folder, append_dim="time")
    return xr.open_dataset(folder, engine="virtualzarr").load()


DOORS = (by_decode, by_engine, by_chunks, by_zarr)
