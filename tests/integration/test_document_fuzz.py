"""Damaged documents: a clean error or what they say. The long run is ``tests/fuzz/run_documents.py``."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))

import documents
from hdf5_mutations import at_most

INPUTS = 40
"""For each seed; the long run tries a thousand times as many."""

NAMES = (
    "s.vzarr", "cut.vzarr", "paged.vzarr", "kerchunk", "kerchunk templates", "kerchunk parquet", "kerchunk parquet rows",
    "stac item0.json", "stac features.json",
    "stac collection.json", "stac lines.ndjson", "published", "driver", "yaml",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_damaged_documents_end_in_an_error_of_ours_or_are_read(name, tmp_path):
    bench = documents.Bench(name, tmp_path)
    assert bench.whole() == "read"
    for number in range(INPUTS):
        with at_most(20):
            bench.try_one(random.Random(f"suite {number}"))


def test_all_seeds_are_tried():
    assert set(documents.seeds()) == set(NAMES)
