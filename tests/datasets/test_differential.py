"""Random archives, joined and changed by random calls, against what h5netcdf and h5py make of the same files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
import zarr

import intake_virtualzarr as ivz

pytestmark = pytest.mark.filterwarnings("ignore:In a future version of xarray:FutureWarning")

HOUR = np.timedelta64(3600 * 10**9, "ns")
DIMS = [("time", "y", "x"), ("x", "time"), ("time",), ("y", "x"), ("y",), ()]
TEXT = ("characters", "strings")
"""Kinds that have no value for a gap."""


# ---------------------------------------------------------------------- netCDF4 files


def values_of(kind: str, rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[np.ndarray, dict[str, Any]]:
    """Values of a kind and an encoding that no two files need to share."""
    numbers = rng.integers(0, 100, shape)
    match kind:
        case "float":
            return np.where(numbers < 10, np.nan, numbers).astype("f4"), {"_FillValue": np.float32(rng.choice([-5, 1e20]))}
        case "packed":
            return numbers * 0.5, {"dtype": "i2", "scale_factor": rng.choice([0.5, 0.25]), "_FillValue": np.int16(-1)}
        case "integer":
            return numbers.astype("i4"), {}
        case "boolean":
            return numbers < 50, {}
        case "date":
            return np.datetime64("2001-01-01", "ns") + numbers * HOUR, {
                "units": str(rng.choice(["hours", "seconds"])) + " since 1999-01-01"
            }
        case "duration":
            return numbers * HOUR, {"units": str(rng.choice(["hours", "seconds"])), "dtype": "i8"}
        case "strings":
            return np.array(["", "a", "äöü", "b" * int(rng.integers(4, 9))], object)[numbers % 4], {}
    words = np.array([b"a", b"b" * int(rng.integers(2, 6))])[numbers % 2]
    return words, {}


def write_series(folder: Path, rng: np.random.Generator) -> tuple[list[Path], bool]:
    """Two or three files of one series, and whether all its kinds can have gaps."""
    kinds = rng.choice(["float", "packed", "integer", "boolean", "date", "duration", *TEXT], 3)
    dims = [DIMS[i] for i in rng.integers(0, len(DIMS), 3)]
    gaps = not set(kinds) & set(TEXT)
    paths, start = [], 0
    for number in range(int(rng.integers(2, 4))):
        days = int(rng.integers(1, 5))
        sizes = {"time": days, "y": 4, "x": 5}
        shift = int(rng.integers(0, 2)) if gaps else 0
        coords = {"time": np.arange(start, start + days), "y": np.arange(4.0), "x": np.arange(5) + shift}
        dataset, encoding = xr.Dataset(coords=coords), {}
        for i, kind in enumerate(kinds):
            shape = tuple(sizes[d] for d in dims[i])
            values, how = values_of(kind, rng if "time" in dims[i] else np.random.default_rng(7), shape)
            dataset[f"v{i}"] = (dims[i], values, {"long_name": str(kind)})
            encoding[f"v{i}"] = dict(how)
            if shape and kind != "characters":
                chunks = tuple(int(rng.integers(1, n + 1)) for n in shape)
                encoding[f"v{i}"] |= {"chunksizes": chunks, "zlib": bool(rng.integers(2)), "shuffle": bool(rng.integers(2))}
        paths.append(folder / f"{number}.nc")
        dataset.to_netcdf(paths[-1], engine="h5netcdf", encoding=encoding)
        start += days
    return paths, gaps


# ---------------------------------------------------------------------- calls


Call = Callable[[xr.Dataset], xr.Dataset]
JOIN: dict[str, Any] = {"data_vars": "minimal", "coords": "minimal", "compat": "override", "join": "outer"}


def halves_swapped(dataset: xr.Dataset) -> xr.Dataset:
    return xr.concat([dataset.isel(x=slice(2, None)), dataset.isel(x=slice(0, 2))], "x", **JOIN)


SELECTIONS: list[Call] = [
    lambda ds: ds.isel(time=slice(1, None, 2)),
    lambda ds: ds.isel(x=slice(None, None, -1), y=[3, 0, 0]),
    lambda ds: ds.isel(y=np.array([True, False, True, True])),
    lambda ds: ds.isel(y=2, time=[-1, 0]),
    lambda ds: ds.transpose("x", ...),
    lambda ds: ds.roll(x=2, roll_coords=True),
    lambda ds: ds.expand_dims(run=[1, 2]),
    lambda ds: ds.rename(v0="renamed", y="row").assign_coords(row=np.arange(4) * 2),
    halves_swapped,
]
FILLING: list[Call] = [
    lambda ds: ds.shift(time=1),
    lambda ds: ds.pad(x=(1, 2)),
    lambda ds: ds.reindex(x=[9, 2, 3]),
    lambda ds: ds.where(ds["x"] > 2),
]


def doors(virtual: xr.Dataset, store: Path, *, fuse: bool) -> Iterator[tuple[str, xr.Dataset]]:
    """Every way to the values of a virtual dataset."""
    yield "decoded", virtual.vzarr.decode()
    virtual.vzarr.to_zarr(store, fuse=fuse)
    yield "engine", xr.open_dataset(store, engine="virtualzarr")
    yield "dask", xr.open_dataset(store, engine="virtualzarr", chunks={})
    yield "zarr", xr.open_zarr(ivz.VirtualZarrStore(store), chunks=None)
    yield "again", ivz.open_virtual_dataset(store).vzarr.decode()


@pytest.mark.parametrize("seed", range(30))
def test_a_random_series_gives_what_xarray_makes_of_its_files(seed, tmp_path):
    rng = np.random.default_rng(seed)
    paths, gaps = write_series(tmp_path, rng)
    how = {"combine": "nested", "concat_dim": "time", **JOIN}
    with xr.open_mfdataset(paths, engine="h5netcdf", **how) as direct:
        expected = direct.load()
    virtual = ivz.open_virtual_mfdataset(paths, **how)
    calls = [SELECTIONS[rng.integers(len(SELECTIONS))], *([FILLING[rng.integers(len(FILLING))]] if gaps else [])]
    for number in rng.permutation(len(calls)):
        expected, virtual = calls[number](expected), calls[number](virtual)
    part = {dim: slice(int(rng.integers(n)), None, int(rng.integers(1, 3))) for dim, n in expected.sizes.items()}
    for door, found in doors(virtual, tmp_path / "s.vzarr", fuse=bool(rng.integers(2))):
        try:
            xr.testing.assert_equal(found.isel(part).load(), expected.isel(part))
            xr.testing.assert_equal(found.load(), expected)
        except AssertionError as exc:
            exc.add_note(f"read by {door}")
            raise


# ---------------------------------------------------------------------- HDF5 files


TYPES = ["i1", "<i2", ">i4", "<i8", "u1", ">u2", "u4", "u8", "<f2", "<f4", ">f8", "<c8", "?", "S3"]


def write_random(path: Path, rng: np.random.Generator) -> None:
    """Datasets of any type, layout, filters and chunk index, partly unwritten."""
    with h5py.File(path, "w", libver=str(rng.choice(["earliest", "latest"]))) as file:
        for number in range(6):
            shape = tuple(int(n) for n in rng.integers(1, 8, rng.integers(0, 4)))
            dtype = np.dtype(str(rng.choice(TYPES)))
            values = rng.integers(0, 100, shape).astype("S3" if dtype.kind == "S" else dtype)
            options: dict[str, Any] = {"fillvalue": values.reshape(-1)[0]} if rng.integers(2) else {}
            if shape and rng.integers(4):
                options["chunks"] = tuple(int(rng.integers(1, n + 1)) for n in shape)
                options["maxshape"] = tuple(None if rng.integers(2) else n for n in shape)
                options |= {"shuffle": bool(rng.integers(2)), "fletcher32": bool(rng.integers(2))}
                options["compression"] = [None, "gzip", "lzf"][rng.integers(3)]
            made = file.create_dataset(f"d{number}", shape, dtype, **options)
            written = tuple(slice(int(rng.integers(0, n)), n) for n in shape)
            made[written] = values[written]


@pytest.mark.parametrize("seed", range(16))
def test_random_hdf5_files_have_the_values_that_h5py_reads(seed, tmp_path):
    rng = np.random.default_rng(seed)
    write_random(tmp_path / "a.h5", rng)
    virtual = xr.open_dataset(tmp_path / "a.h5", engine="virtualzarr", decode_cf=False)
    virtual.vzarr.to_zarr(tmp_path / "s.vzarr")
    stored = xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr", decode_cf=False)
    plain = zarr.open_group(ivz.open_virtual_store(tmp_path / "a.h5"), mode="r")
    with h5py.File(tmp_path / "a.h5") as file:
        for name, dataset in file.items():
            expected = np.asarray(dataset[...], dataset.dtype)
            part = tuple(slice(int(rng.integers(n)), None, int(rng.integers(1, 3))) for n in expected.shape)
            for found in (virtual[name], stored[name], plain[name]):
                np.testing.assert_array_equal(np.asarray(found[...]), expected, err_msg=name)
                np.testing.assert_array_equal(np.asarray(found[part]), expected[part], err_msg=name)
