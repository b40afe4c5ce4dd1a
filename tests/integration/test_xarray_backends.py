"""xarray's own tests of its netCDF engines, from the installed package, while our engine reads the files that they write."""

from __future__ import annotations

import fnmatch
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import xarray as xr

HERE = Path(__file__).parent / "xarray_backends"
SUITES = Path(xr.__file__).parent / "tests"
CLASSES = {
    "test_backends.py": (
        "TestNetCDF4Data",
        "TestScipyFilePath",
        "TestNetCDF3ViaNetCDF4Data",
        "TestGenericNetCDFData",
        "TestH5NetCDFData",
        "TestDask",
        "TestEncodingInvalid",
        "TestDataArrayToNetCDF",
    ),
    "test_backends_datatree.py": ("TestNetCDF4DatatreeIO", "TestH5NetCDFDatatreeIO", "TestGenericNetCDFIO"),
}
"""Which classes run; ``deviations.toml`` says what is left out, and why."""
LEFT_OUT = "test_backends.py::TestDask::test_load_async"


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> dict[str, str]:
    """How each test ended, by its name."""
    if not (SUITES / "test_backends_datatree.py").exists():
        pytest.skip("this xarray has no tests in its package")
    out = tmp_path_factory.mktemp("outcomes") / "outcomes.jsonl"
    named = [f"{SUITES / suite}::{one}" for suite, classes in CLASSES.items() for one in classes]
    settings = ["-c", str(HERE / "settings.ini"), f"--rootdir={SUITES}", "-p", "reads_by_virtualzarr"]
    command = [sys.executable, "-m", "pytest", *settings]
    paths = [str(HERE), str(HERE.parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "OUTCOMES": str(out), "PYTHONPATH": os.pathsep.join(paths)}
    environment.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(
        [*command, f"--deselect={LEFT_OUT}", *named], env=environment, capture_output=True, text=True, check=False, cwd=out.parent
    )
    # xarray loads all engines that are installed; libraries of some of them (PROJ, twice) crash while Python ends
    crashed_at_the_end = done.returncode < 0 and " passed" in done.stdout
    assert done.returncode in (0, 1) or crashed_at_the_end, done.stdout[-2000:] + done.stderr[-2000:]
    ended: dict[str, str] = {}
    for line in out.read_text().splitlines():
        one = json.loads(line)
        ended[one["test"]] = "failed: " + one["why"] if one["outcome"] == "failed" else ended.get(one["test"], one["outcome"])
    return ended


def listed() -> list[str]:
    """Patterns of the tests that may fail."""
    found = tomllib.loads((HERE / "deviations.toml").read_text())["deviation"]
    assert all(one["reason"] for one in found)
    return [pattern for one in found for pattern in one["tests"]]


def matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


@pytest.mark.timeout(900)
def test_what_xarray_expects_of_its_engines_holds_but_for_the_listed_deviations(outcomes):
    assert len(outcomes) > 600
    failed = {name: why for name, why in outcomes.items() if why.startswith("failed")}
    unlisted = {name: why for name, why in failed.items() if not any(matches(name, one) for one in listed())}
    assert not unlisted, "\n".join(f"{name}: {why}" for name, why in unlisted.items())


@pytest.mark.timeout(900)
def test_every_listed_deviation_is_one(outcomes):
    for pattern in listed():
        named = {name: ended for name, ended in outcomes.items() if matches(name, pattern)}
        passed = [name for name, ended in named.items() if ended == "passed"]
        assert named, f"{pattern} names no test"
        assert not passed, f"{passed} hold now; take them off the list"
