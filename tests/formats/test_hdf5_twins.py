"""Files that are like an earlier one are parsed by comparison with it: with the same result as alone, or not at all."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))

import hdf5_mutations
import hdf5_pairs
import hdf5_seeds

from intake_virtualzarr.formats.hdf5 import TWINS
from intake_virtualzarr.formats.labels import LabelChoice
from intake_virtualzarr.formats.scan import scan
from intake_virtualzarr.formats.series import SeriesArrays

INPUTS = 60
"""Damaged files of each kind; the long run is ``tests/fuzz/run_long.py --pairs``."""


def write_day(path: Path, day: int, **odd: Any) -> bytes:
    """A day of a series: other values, other sizes of chunks, another history."""
    rng = np.random.default_rng(day)
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("time", None), ("lat", 6), ("lon", 8)):
            file.createDimension(name, size)
        time = file.createVariable("time", "f8", ("time",))
        time.units = "days since 2000-01-01"
        time[:] = [day]
        for name in ("lat", "lon"):
            file.createVariable(name, "f4", (name,), zlib=True)[:] = np.arange(file.dimensions[name].size)
        for name in ("sst", "err"):
            values = file.createVariable(name, "i2", ("time", "lat", "lon"), zlib=True, chunksizes=(1, 3, 4), fill_value=-9)
            values.scale_factor, values.units, values.long_name = odd.get("scale", 0.01), "K", f"{name} of the sea"
            values[:] = rng.integers(0, odd.get("most", 300), (1, 6, 8))
        file.createVariable("mask", "i1", ("time", "lat", "lon"), chunksizes=(1, 6, 8))[:] = rng.integers(0, 2, (1, 6, 8))
        file.Conventions, file.history = "CF-1.8", odd.get("history", f"made on day {day:03}")
        for number in range(odd.get("more", 0)):
            file.setncattr(f"note_{number}", f"of day {day:03}")
    return path.read_bytes()


@pytest.mark.parametrize("more", [0, 12], ids=["attributes in the header", "attributes in a heap"])
def test_days_of_a_series_are_parsed_by_comparison(tmp_path, more):
    first, *others = (write_day(tmp_path / f"{day}.nc", day, more=more) for day in range(6))
    assert [hdf5_pairs.compare(first, other) for other in others] == [True] * 5


ODD: dict[str, dict[str, Any]] = {"packing": {"scale": 0.02}, "a longer history": {"history": "another " * 9}, "notes": {"more": 9}}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_an_odd_day_is_what_it_is_alone(tmp_path, odd):
    hdf5_pairs.compare(write_day(tmp_path / "a.nc", 0), write_day(tmp_path / "b.nc", 1, **odd))


@pytest.mark.parametrize("checked", [True, False], ids=["checksums", "no checksums"])
def test_damage_after_a_whole_file_is_found_as_ever(tmp_path, checked):
    whole = [write_day(tmp_path / f"{more}.nc", 3, more=more) for more in (0, 12)]
    whole += [hdf5_seeds.seed_bytes(name) for name in ("btree_v1", "old_groups")]
    rng = random.Random(f"twins {checked}")
    for number in range(INPUTS * len(whole)):
        one = whole[number % len(whole)]
        change = hdf5_mutations.mutate if number % 3 == 0 else hdf5_mutations.mutate_metadata
        data = change(one, rng)
        if checked:
            hdf5_pairs.compare(one, data)
        else:
            with hdf5_mutations.without_checksums():
                hdf5_pairs.compare(one, data)


@pytest.mark.parametrize("name", sorted(hdf5_seeds.SEEDS))
def test_a_file_is_like_itself_or_of_a_kind_that_is_never_compared(name):
    data = hdf5_seeds.seed_bytes(name)
    hdf5_pairs.compare(data, data)


def test_every_byte_that_matters_is_looked_at(tmp_path):
    """Each byte of the metadata is changed; what says the same afterwards, says the same alone."""
    whole = write_day(tmp_path / "a.nc", 0)
    other = write_day(tmp_path / "b.nc", 1)
    rng = random.Random(0)
    for at in rng.sample(range(len(other)), 250):
        hdf5_pairs.compare(whole, other[:at] + bytes([other[at] ^ 1 << rng.randrange(8)]) + other[at + 1 :])


def test_labels_of_compared_files_are_those_of_each(tmp_path):
    for day in range(4):
        write_day(tmp_path / f"{day}.nc", day)
    TWINS.forget()
    found = [scan(tmp_path / f"{day}.nc", labels=LabelChoice()) for day in range(4)]
    assert [isinstance(one.arrays, SeriesArrays) for one in found] == [False, True, True, True]
    for day, one in enumerate(found):
        TWINS.forget()
        alone = scan(tmp_path / f"{day}.nc", labels=LabelChoice())
        assert list(one.labels) == list(alone.labels)
        assert one.labels["/time"].tolist() == [day]
        for path, values in alone.labels.items():
            assert one.labels[path].dtype == values.dtype
            np.testing.assert_array_equal(one.labels[path], values)


def test_files_that_are_never_alike_are_seldom_remembered(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(type(TWINS), "keep", lambda self, parsed: kept.append(parsed))
    TWINS.forget()
    for number in range(40):
        with h5py.File(tmp_path / f"{number}.h5", "w") as file:
            file[f"name_{number}"] = np.arange(3)
        scan(tmp_path / f"{number}.h5")
    assert len(kept) < 20
