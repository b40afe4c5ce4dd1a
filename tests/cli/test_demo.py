"""The demo: its files are what it says, it compares truly, and it leaves others' directories alone."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import intake
import numpy as np
import pytest
import xarray as xr

from intake_virtualzarr.cli import demo_api, demo_files, demo_run
from intake_virtualzarr.cli.demo_check import compare
from intake_virtualzarr.cli.main import main
from intake_virtualzarr.errors import MissingExtraError, StacError, VirtualZarrError


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo's directory, lines and report."""
    directory = tmp_path_factory.mktemp("demo") / "d"
    lines = []
    return directory, lines, demo_run.run_demo(directory, say=lines.append, progress=False)


@pytest.fixture
def few(monkeypatch):
    """A demo of few files, for what does not depend on their number."""
    for module in (demo_files, demo_run):
        monkeypatch.setattr(module, "DAYS", 3)
    monkeypatch.setattr(demo_files, "ODD_SCALE_DAY", 1)
    monkeypatch.setattr("intake_virtualzarr.cli.demo_items.DAYS", 3)


def test_every_value_equals_that_of_h5netcdf(demo):
    _, lines, report = demo
    assert report.equal
    assert report.values == 30 * 180 * 360
    assert any("Every value equals h5netcdf's: 1,944,000 compared" in line for line in lines)


def test_thirty_files_of_packed_integers_are_made(demo):
    paths = sorted((demo[0] / "data").glob("*.nc"))
    assert len(paths) == 30
    assert all(60_000 < path.stat().st_size < 120_000 for path in paths)
    with h5py.File(paths[0]) as file:
        assert file["sst"].dtype == np.int16
        assert file["sst"].chunks == (1, 90, 180)
        assert file["sst"].shuffle
        assert file["sst"].compression == "gzip"


def test_one_file_has_another_chunk_shape_and_one_another_scale(demo):
    shapes, scales = set(), []
    for path in sorted((demo[0] / "data").glob("*.nc")):
        with h5py.File(path) as file:
            shapes.add(file["sst"].chunks)
            scales.append(float(file["sst"].attrs["scale_factor"][()].item()))
    assert shapes == {(1, 90, 180), (1, 60, 120)}
    assert sorted(set(np.round(scales, 6))) == [0.01, 0.02]
    assert len([scale for scale in scales if scale > 0.015]) == 1


def test_values_are_within_the_valid_range():
    values = demo_files.day_dataset(4).sst
    assert float(values.min()) >= demo_files.VALID_RANGE[0]
    assert float(values.max()) <= demo_files.VALID_RANGE[1]
    assert 0.1 < float(np.isnan(values).mean()) < 0.4


def test_the_mean_the_sizes_and_the_bytes_are_told(demo):
    directory, lines, report = demo
    with xr.open_mfdataset(sorted((directory / "data").glob("*.nc")), engine="h5netcdf") as direct:
        assert report.monthly_mean == pytest.approx(float(direct.sst.mean(dtype="float64")), rel=1e-12)
    assert report.data_bytes == sum(path.stat().st_size for path in (directory / "data").glob("*.nc"))
    store = sum(path.stat().st_size for path in (directory / "catalog" / "sst.vzarr").rglob("*") if path.is_file())
    assert report.manifest_bytes == store < report.data_bytes / 20
    assert report.data_bytes / 2 < report.read_bytes < report.data_bytes  # each chunk once
    assert report.requests > 0
    assert any(f"{report.monthly_mean:.4f}" in line for line in lines)


def test_the_catalog_stays_and_opens(demo):
    dataset = intake.open_catalog(demo[2].catalog).sst.to_dask()
    assert dict(dataset.sizes) == {"time": 30, "lat": 180, "lon": 360}


def test_the_commands_that_are_named_next_work(demo, monkeypatch):
    _, lines, _ = demo
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    at = next(at for at, line in enumerate(lines) if "Try next" in line)
    commands = [line.strip() for line in lines[at + 1 :]]
    assert len(commands) == 4
    for command in commands:
        if " serve " not in command:  # runs until it is stopped; see test_cli.py
            subprocess.run(command, shell=True, check=True, capture_output=True, timeout=120)


def test_a_program_is_named_so_that_a_shell_finds_it(monkeypatch, tmp_path):
    own = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{own}{os.pathsep}{os.environ['PATH']}")
    assert demo_run._program("python") == "python"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(own.parent)
    assert demo_run._program("python") == f"{own.name}/python"
    monkeypatch.chdir(tmp_path)
    assert demo_run._program("python") == str(own / "python")


@pytest.mark.usefixtures("few")
def test_a_second_demo_replaces_the_first(tmp_path):
    for _ in range(2):
        assert demo_run.run_demo(tmp_path / "d", say=lambda _: None).equal
    assert len(list((tmp_path / "d" / "data").iterdir())) == 3


@pytest.mark.usefixtures("few")
def test_without_rustac_a_static_catalog_is_used(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_run, "find_rustac", lambda: None)
    lines = []
    assert demo_run.run_demo(tmp_path / "d", say=lines.append).equal
    assert any("static catalog" in line for line in lines)


@pytest.mark.usefixtures("few")
def test_with_rustac_a_real_api_is_searched(tmp_path):
    if demo_api.find_rustac() is None:
        pytest.skip("rustac is not installed")
    lines = []
    assert demo_run.run_demo(tmp_path / "d", say=lines.append).equal
    assert any("rustac serve" in line for line in lines)


@pytest.mark.usefixtures("few")
def test_a_value_that_differs_is_exit_code_1(tmp_path, monkeypatch, capsys):
    real = compare

    def with_a_difference(dataset, paths, **options):
        return replace(real(dataset, paths, **options), different=(("sst_20240102.nc", 7),))

    monkeypatch.setattr(demo_run, "compare", with_a_difference)
    assert main(["demo", str(tmp_path / "d")]) == 1
    out = capsys.readouterr().out
    assert "VALUES DIFFER" in out
    assert "sst_20240102.nc: 7 values" in out


@pytest.mark.usefixtures("few")
def test_the_report_is_given_as_json(tmp_path, capsys):
    assert main(["demo", str(tmp_path / "d"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["equal"] is True


def test_the_comparison_finds_what_differs(tmp_path):
    path = tmp_path / demo_files.day_name(0)
    demo_files.day_dataset(0).to_netcdf(path, engine="h5netcdf")
    with xr.open_dataset(path, engine="h5netcdf") as direct:
        right = direct.load()
    assert compare(right, [path]).equal
    wrong = right.copy(deep=True)
    wrong.sst[0, 90, 180] += np.float32(0.01)
    wrong.sst[0, 0, 0] = 1.0  # no data there
    assert compare(wrong, [path]).different == ((path.name, 2),)


def test_a_directory_of_others_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(VirtualZarrError, match="is not empty and was not made by the demo"):
        demo_run.run_demo(tmp_path, say=lambda _: None)
    with pytest.raises(VirtualZarrError, match=r"thesis\.tex: is a file"):
        demo_run.run_demo(tmp_path / "thesis.tex", say=lambda _: None)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_without_h5netcdf_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_files.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'intake-virtualzarr\[demo\]'"):
        demo_files.write_files(tmp_path / "x")


def test_a_server_that_does_not_come_up_is_an_error():
    with pytest.raises(StacError, match="ended at once"), demo_api.stac_api(shutil.which("false")):
        pass
