"""Damaged GRIB files: only our errors, and no memory for what a file claims."""

import sys
from pathlib import Path

import pytest

from intake_virtualzarr.codecs import grib_library

if grib_library.no_eccodes() or grib_library.gribberish() is None:
    pytest.skip("the extra grib is not installed", allow_module_level=True)
sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))

from grib_mutations import mutations, outcome, seeds
from parser_runs import asked_bytes

from intake_virtualzarr.formats.grib import FORMAT

KINDS = 19


@pytest.mark.parametrize("number", range(KINDS))
def test_damage_gives_values_or_one_of_our_errors(number, tmp_path):
    data = seeds()[number]
    assert outcome(data, tmp_path / "a.grib") in ("read", "UnsupportedError")
    for changed in mutations(data, 12, number):
        outcome(changed, tmp_path / "a.grib")


def test_a_parser_asks_for_little_more_than_there_is(tmp_path):
    for data in seeds():
        for changed in mutations(data, 20, 5):
            assert asked_bytes(FORMAT, changed, tmp_path / "a.grib") < 20 * len(data) + 100_000
