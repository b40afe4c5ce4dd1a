"""Damaged files: a clean error or a scan, in bounded time. The long run is ``tests/fuzz/run_long.py``."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))

import hdf5_mutations
import hdf5_seeds

INPUTS = 400
"""For each seed; the long run tries thousands of times as many."""


@pytest.mark.parametrize("name", sorted(hdf5_seeds.SEEDS))
def test_a_whole_seed_is_read(name):
    assert hdf5_mutations.try_one(hdf5_seeds.seed_bytes(name)) in ("read", "read in part")


@pytest.mark.parametrize("checked", [True, False], ids=["checksums", "no_checksums"])
@pytest.mark.parametrize("name", sorted(hdf5_seeds.SEEDS))
def test_damage_ends_in_a_clean_error_or_a_scan(name, checked):
    whole = hdf5_seeds.seed_bytes(name)
    rng = random.Random(f"{name} {checked}")
    for number in range(INPUTS):
        change = hdf5_mutations.mutate if number % 3 == 0 else hdf5_mutations.mutate_metadata
        data = change(whole, rng)
        with hdf5_mutations.at_most(20):
            if checked:
                hdf5_mutations.try_one(data)
            else:
                with hdf5_mutations.without_checksums():
                    hdf5_mutations.try_one(data)


@pytest.mark.parametrize("name", sorted(hdf5_seeds.SEEDS))
def test_every_truncation_is_refused(name):
    whole = hdf5_seeds.seed_bytes(name)
    for stop in range(0, len(whole), max(1, len(whole) // 200)):
        assert hdf5_mutations.try_one(whole[:stop]) == "refused"
