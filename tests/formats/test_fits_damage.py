"""Damaged FITS files: only our errors, and no memory for what a file claims."""

import sys
from pathlib import Path

import pytest

for package in ("astropy", "imagecodecs"):
    pytest.importorskip(package, reason=f"{package} is not installed")
sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))

from fits_mutations import mutations, outcome, seeds  # noqa: E402
from parser_runs import asked_bytes  # noqa: E402

from intake_virtualzarr.formats.fits import FORMAT  # noqa: E402


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("number", range(9))
def test_damage_gives_values_or_one_of_our_errors(number, tmp_path):
    data = seeds()[number]
    assert outcome(data, tmp_path / "a.fits", read=True) == "read"
    for changed in mutations(data, 50, number):
        outcome(changed, tmp_path / "a.fits", read=True)


def test_a_parser_asks_for_little_more_than_there_is(tmp_path):
    for data in seeds():
        for changed in mutations(data, 15, 5):
            assert asked_bytes(FORMAT, changed, tmp_path / "a.fits") < 20 * len(data) + 500_000
