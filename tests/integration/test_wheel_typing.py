"""A user's program, checked by mypy against the installed wheel: every public result has a type."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import venv

import pytest
from support.wheel import build_wheel

pytestmark = pytest.mark.slow

PROGRAM = """\
import intake_virtualzarr as ivz

ivz.config.set(threads=2)
found = ivz.scan("a.nc")
cube = ivz.open_virtual_mfdataset(["a.nc", "b.nc"], concat_dim="time")
tree = ivz.open_virtual_datatree("a.nc")
report = ivz.ingest(["a.nc", "b.nc"], "out", name="sst")
try:
    store = ivz.VirtualZarrStore("out/sst.vzarr", storage_options={"s3://": {"anon": True}})
except (ivz.HierarchyError, ivz.SourceError) as exc:
    raise SystemExit(str(exc)) from exc
"""

RESULTS = {
    "found": "intake_virtualzarr.formats.base.ScannedFile",
    "found.references": "int",
    "found.left_out": "typing.Mapping[str, str]",
    "cube": "xarray.core.dataset.Dataset",
    "tree": "xarray.core.datatree.DataTree",
    "report": "intake_virtualzarr.catalog.ingest.IngestReport",
    "report.store": "str",
    "store": "intake_virtualzarr.store.store.VirtualZarrStore",
    "ivz.config.threads": "int",
    "ivz.open_virtual_store": None,
    "ivz.open_virtual_dataset": None,
    "ivz.virtualize": None,
    "ivz.update": None,
    "ivz.VirtualZarrArray.from_stored": None,
    "ivz.ChunkManifest.from_columns": None,
    "ivz.Access.of": None,
    "ivz.JoinError": None,
    "ivz.__version__": "str",
}
"""Expressions, and their types; None where only the absence of Any in the result is asked for."""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """An interpreter whose site-packages hold the wheel; what it depends on lies where the tests have it."""
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("installed")
    wheel = build_wheel(folder / "dist")
    venv.create(folder / "venv", with_pip=False)
    (site,) = (folder / "venv").glob("**/site-packages")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True, text=True)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return next(path for path in (folder / "venv").glob("*/python*") if path.is_file())


MISTAKES = """\
import intake_virtualzarr as ivz
ivz.open_virtual_dataset("a.nc", chunk={})
ivz.nonsense
ivz.scan(3)
ivz.config.set(threads="two")
"""


@pytest.fixture(scope="module")
def mypy_cache(request, tmp_path_factory):
    """Where mypy keeps what it knows of numpy, xarray and others: reading their types takes most of the time."""
    cache = getattr(request.config, "cache", None)
    return tmp_path_factory.mktemp("mypy") if cache is None else cache.mkdir("mypy")


@pytest.fixture(scope="module")
def said(python, mypy_cache, tmp_path_factory):
    """What mypy says of both programs: away from the sources, and without settings of this repository."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "program.py").write_text(PROGRAM + "".join(f"reveal_type({expression})\n" for expression in RESULTS))
    (folder / "mistakes.py").write_text(MISTAKES)
    options = ["--strict", "--no-error-summary", "--config-file=", "--cache-dir", str(mypy_cache)]
    command = [sys.executable, "-m", "mypy", *options, "--python-executable", str(python), "program.py", "mistakes.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300).stdout


def test_a_program_of_a_user_passes_and_its_results_are_typed(said):
    assert re.findall(r"program\.py:\d+: error:.*", said) == []
    revealed = dict(zip(RESULTS, re.findall(r'program\.py:\d+: note: Revealed type is "(.*)"', said), strict=True))
    for expression, expected in RESULTS.items():
        result = revealed[expression].rpartition(" -> ")[2]
        assert "Any" not in result, f"{expression}: {revealed[expression]}"
        assert expected in (None, revealed[expression]), f"{expression}: {revealed[expression]}"


def test_mistakes_of_a_user_are_found(said):
    assert [int(number) for number in re.findall(r"mistakes\.py:(\d+): error", said)] == [2, 3, 4, 5], said
