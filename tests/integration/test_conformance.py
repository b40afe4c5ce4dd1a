"""The conformance suite: a validator for stores, a runner for readers."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.hierarchy.validate_store import validate

SUITE = Path(__file__).parents[2] / "conformance"
ZARRITA = Path(__file__).parents[2] / "js" / "node_modules" / "zarrita"
OF_READERS = {"CM-5", "CM-7", "CM-14", "VC-13"}
"""Rules of which a store alone does not tell whether they are broken: files differ, chunks are elsewhere."""


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vectors")
    subprocess.run([sys.executable, str(SUITE / "make_vectors.py"), str(folder)], check=True)
    for path in folder.rglob("*.json"):
        path.write_text(path.read_text().replace("{{OTHER}}", folder.as_uri()))
    return folder


def test_each_broken_array_breaks_the_rule_that_it_says_and_no_other_array_breaks_any(vectors):
    report = validate(vectors / "store")
    found = {}
    for finding in report.findings:
        found.setdefault(finding.array.split(",")[0], set()).add(finding.rule)
    expected = json.loads((vectors / "expected.json").read_text())["arrays"]
    broken = {path: want["rule"] for path, want in expected.items() if "error" in want}
    assert set(found) <= set(broken)
    for path, rule in broken.items():
        if rule not in OF_READERS:
            assert rule in found.get(path, ()), path
    assert len(report.checked) >= 25


def test_what_is_written_holds_to_every_rule(tmp_path):
    paths = []
    for k, days in enumerate((31, 29, 31)):
        one = xr.Dataset(
            {"t": (("time", "x"), np.random.default_rng(k).random((days, 600)))},
            {"time": np.arange(days) + 40 * k, "x": np.arange(600)},
        )
        encoding = {"t": {"chunksizes": (10, 2), "zlib": True, "dtype": "i2", "scale_factor": 0.1 + k, "_FillValue": -1}}
        one.to_netcdf(tmp_path / f"{k}.nc", engine="h5netcdf", encoding=encoding)
        paths.append(str(tmp_path / f"{k}.nc"))
    ivz.open_virtual_mfdataset(paths[:2]).vzarr.to_zarr(tmp_path / "s.vzarr")
    ivz.open_virtual_dataset(paths[2]).vzarr.to_zarr(tmp_path / "s.vzarr", append_dim="time")
    report = validate(tmp_path / "s.vzarr")
    assert not report.findings
    assert {"CM-1", "CM-6", "CM-8", "CM-11", "CM-14", "VC-1", "VC-8", "VK-1"} <= set(report.checked)
    part = next((tmp_path / "s.vzarr" / "generations").rglob("parts/0/zarr.json"))
    part.write_bytes(part.read_bytes()[:-1])
    command = [sys.executable, "-m", "intake_virtualzarr", "validate", str(tmp_path / "s.vzarr")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "VC-5: does not hold" in done.stdout


READERS = {
    "Python": [sys.executable, str(SUITE / "readers" / "python_reader.py")],
    "Node": ["node", str(SUITE / "readers" / "node_reader.mjs")],
}


@pytest.mark.parametrize("name", READERS)
def test_readers_conform(name):
    if name == "Node" and not ZARRITA.exists():
        pytest.skip("js/node_modules is not installed")
    command = [sys.executable, str(SUITE / "run.py"), "--messages", *READERS[name]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "44 refused as it must be" in done.stdout


def test_the_runner_says_what_a_reader_gets_wrong(tmp_path):
    reader = tmp_path / "reader.py"
    reader.write_text('import sys\nfor line in sys.stdin: print(\'{"shape": [], "dtype": "int8", "values": [0]}\', flush=True)\n')
    command = [sys.executable, str(SUITE / "run.py"), sys.executable, str(reader)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 1
    assert "regular: wrong: shape is [], expected [" in done.stdout
    assert "44 read although it must be refused" in done.stdout
