"""The command line speaks of flags, says what went wrong in one line, and never shows a traceback."""

from __future__ import annotations

import os

import pytest
from conftest import write_sst

from intake_virtualzarr.cli.main import main


def run(capsys, *arguments):
    try:
        code = main([str(one) for one in arguments])
    except SystemExit as exc:
        code = exc.code
    return code, capsys.readouterr().err


@pytest.fixture
def source(tmp_path):
    return write_sst(tmp_path / "a.nc", month=1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("ingest", "{a}", "--to", "{d}/c", "--name", "x/y"), "name is 'x/y'"),
        (("ingest", "{a}", "--to", "{d}/c", "--name", "s", "--datetime", "2024-13"), "datetime '2024-13'"),
        (("ingest", "{a}", "--to", "{a}/c", "--name", "s"), "a.nc"),
        (("serve", "{d}", "--port", "99999"), "'99999' is not a port"),
        (("scan", "{d}"), "is not a file"),
        (("scan", "ftp://127.0.0.1:1/a.nc"), "ftp://127.0.0.1:1/a.nc"),
        (("ingest", "{d}/none*.nc", "--to", "{d}/c", "--name", "s"), "none*.nc"),
    ],
)
def test_a_mistake_is_one_clear_line(capsys, tmp_path, source, arguments, says):
    code, err = run(capsys, *(one.format(a=source, d=tmp_path) for one in arguments))
    assert code in (1, 2)
    assert says in err
    assert "Traceback" not in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_may_not_be_written_is_named(capsys, tmp_path, source):
    (tmp_path / "closed").mkdir(mode=0o500)
    code, err = run(capsys, "ingest", source, "--to", tmp_path / "closed" / "c", "--name", "s")
    assert code == 1
    assert "closed" in err


def test_keywords_of_the_library_are_shown_as_flags(capsys, tmp_path, source):
    assert run(capsys, "ingest", source, "--to", tmp_path / "c", "--name", "s")[0] == 0
    other = write_sst(tmp_path / "b.nc", month=2)
    code, err = run(capsys, "ingest", other, "--to", tmp_path / "c", "--name", "s")
    assert code == 1
    assert "--overwrite replaces it" in err
    assert "overwrite=True" not in err


def test_an_error_that_nobody_expected_is_one_line_too(capsys, tmp_path, source, monkeypatch):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr("intake_virtualzarr.formats.scan.scan_many", broken)
    code, err = run(capsys, "scan", source)
    assert code == 1
    assert "ZeroDivisionError: of all things" in err
    assert "Traceback" not in err


def test_a_quoted_pattern_is_expanded(capsys, tmp_path, source):
    code, err = run(capsys, "ingest", tmp_path / "*.nc", "--to", tmp_path / "c", "--name", "s")
    assert code == 0, err
    assert (tmp_path / "c" / "s.vzarr").is_dir()
