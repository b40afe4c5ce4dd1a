"""The command line: what it prints, its exit codes, one message per error."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request

import intake
import pytest
import xarray as xr
from conftest import write_sst

from intake_virtualzarr import __version__
from intake_virtualzarr.cli.examples import EXAMPLES
from intake_virtualzarr.cli.main import COMMANDS, command_parsers, main


@pytest.fixture
def run(capsys):
    """Run a command in this process; give exit code, stdout and stderr."""

    def command(*arguments):
        try:
            code = main([str(one) for one in arguments])
        except SystemExit as exc:
            code = exc.code
        out = capsys.readouterr()
        return code, out.out, out.err

    return command


def tree(directory):
    return {path: path.stat().st_mtime_ns for path in directory.rglob("*") if path.is_file()}


# ---------------------------------------------------------------------- in general


def test_the_version_is_told(run):
    assert run("--version")[:2] == (0, f"intake-virtualzarr {__version__}\n")


@pytest.mark.parametrize("arguments", [(), ("nothing",), ("scan",), ("ingest", "a.nc"), ("search", "x", "--bbox", "1,2")])
def test_wrong_usage_is_exit_code_2(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "usage:" in err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example_that_parses(run, name):
    code, out, _ = run(name, "--help")
    assert code == 0
    lines = re.findall(rf"^  (intake-virtualzarr {name} .*)$", out, re.MULTILINE)
    assert len(lines) == len(EXAMPLES[name])
    parser, _ = command_parsers()
    for line in lines:
        command = line.split(" > ")[0]  # where a shell would put the output
        assert parser.parse_args(shlex.split(command)[1:]).command == name


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(run, shell):
    pytest.importorskip("argcomplete")
    code, out, _ = run("completion", shell)
    assert code == 0
    assert "intake-virtualzarr" in out


def test_a_shell_that_asks_is_given_commands_and_options(tmp_path):
    pytest.importorskip("argcomplete")

    def completed(line):
        told = {"COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE": "1", "IFS": "\n"}
        answer = tmp_path / "answer"
        told["_ARGCOMPLETE_STDOUT_FILENAME"] = str(answer)
        subprocess.run([sys.executable, "-m", "intake_virtualzarr"], env={**os.environ, **told}, check=True, timeout=120)
        return answer.read_text().replace("\x0b", "\n").split()

    assert completed("intake-virtualzarr in") == ["ingest"]
    assert "--concat-dim" in completed("intake-virtualzarr ingest --con")


def test_the_module_is_the_program():
    out = subprocess.run([sys.executable, "-m", "intake_virtualzarr", "--version"], capture_output=True, text=True, timeout=120)
    assert out.stdout == f"intake-virtualzarr {__version__}\n"


def test_ingest_takes_what_a_catalog_says_of_its_data(run, tmp_path):
    path = write_sst(tmp_path / "a.nc", 1)
    told = ("--description", "Made for a test", "--keyword", "sst", "--keyword", "test", "--provider", "We,https://example.org")
    code, _, err = run("ingest", path, "--to", tmp_path / "catalog", "--name", "sst", *told, "--base-href", "https://example.org/c")
    assert code == 0, err
    collection = json.loads((tmp_path / "catalog/collection.json").read_text())
    assert collection["description"].startswith("Made for a test")
    assert {"sst", "test"} <= set(collection["keywords"])
    assert {"name": "We", "url": "https://example.org"} in collection["providers"]
    assert "https://example.org/c/" in json.dumps(collection)


def test_the_installed_program_is_this_one():
    out = subprocess.run(
        [sys.executable, "-m", "intake_virtualzarr.cli.main", "--version"], capture_output=True, text=True, check=True
    )
    assert __version__ in out.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("scan", "absent.nc"), "absent.nc: no such file"),
        (("scan", "absent*.nc"), "no file matches"),
        (("describe", "absent.vzarr"), "no such file"),
        (("check", "absent.vzarr"), "no such file"),
        (("describe", "absent.json"), "absent.json: cannot be read"),
        (("describe", "absent.yaml"), "absent.yaml: no such catalog"),
        (("search", "absent.json"), "absent.json: cannot be read"),
        (("serve", "absent"), "absent: is not a directory"),
        (("scan", "a.nc", "--storage-options", "{"), "--storage-options: is not valid JSON"),
        (("scan", "a.nc", "--storage-options", "[1]"), "--storage-options: is a JSON list, expected an object"),
        (("scan", "a.nc", "--storage-options", "@absent"), "--storage-options: absent: No such file"),
        (
            ("ingest", "a.json", "b.json", "--collection", "x", "--to", "d", "--name", "n"),
            "--collection searches one STAC API",
        ),
    ],
)
def test_an_error_is_one_line_and_exit_code_1(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments)
    assert code == 1
    assert out == ""
    assert err.startswith("error: ")
    assert message in err
    assert "Traceback" not in err
    assert err.count("\n") == 1


def test_debug_shows_where_an_error_came_from(run, tmp_path):
    assert "Traceback" in run("--debug", "describe", tmp_path / "absent.vzarr")[2]


# ---------------------------------------------------------------------- scan


def test_scan_lists_variables(run, published_once):
    code, out, err = run("scan", published_once.paths[0])
    assert (code, err) == (0, "")
    assert "/sst" in out
    assert "time: 20, lat: 6, lon: 8" in out


def test_scan_gives_json(run, published_once):
    code, out, _ = run("scan", *published_once.paths, "--json")
    first, second = json.loads(out)
    assert code == 0
    assert first["arrays"]["/sst"]["chunk_shape"] == [7, 3, 8]
    assert first["arrays"]["/sst"]["references"] == second["arrays"]["/sst"]["references"] == 6
    assert first["left_out"] == {}


def test_scan_goes_on_after_a_file_that_is_none(run, published_once, tmp_path):
    bad = tmp_path / "bad.nc"
    bad.write_bytes(b"no HDF5 at all" * 100)
    code, out, err = run("scan", bad, published_once.paths[0])
    assert code == 1
    assert err.count("error: ") == 1
    assert "bad.nc" in err
    assert "/sst" in out


# ---------------------------------------------------------------------- search and ingest


def test_search_lists_files_in_order(run, stac_items):
    code, out, _ = run("search", stac_items, "--json")
    assert code == 0
    assert [one["item_id"] for one in json.loads(out)] == ["jan", "feb"]
    assert run("search", stac_items)[1].splitlines()[-1] == "2 source files"


def test_an_empty_search_is_a_problem(run, stac_items):
    code, _, err = run("search", stac_items, "--datetime", "2030")
    assert (code, err) == (1, "error: no items found for --datetime 2030; nothing to do\n")


def test_ingest_publishes_what_intake_opens(run, stac_items, published_once, tmp_path):
    code, out, err = run("ingest", stac_items, "--to", tmp_path / "c", "--name", "sst", "--title", "SST")
    assert (code, err) == (0, "")
    assert "2 source files" in out
    catalog = intake.open_catalog(tmp_path / "c" / "catalog.yaml")
    xr.testing.assert_equal(catalog.sst.to_dask(), published_once.direct)


def test_a_second_ingest_writes_nothing(run, stac_items, tmp_path):
    arguments = ("ingest", stac_items, "--to", tmp_path / "c", "--name", "sst")
    run(*arguments)
    before = tree(tmp_path / "c")
    code, out, _ = run(*arguments)
    assert code == 0
    assert "nothing to write" in out
    assert tree(tmp_path / "c") == before


def test_a_dry_run_writes_nothing_and_says_what_it_would(run, stac_items, tmp_path):
    code, out, _ = run("ingest", stac_items, "--to", tmp_path / "c", "--name", "sst", "--dry-run")
    assert code == 0
    assert "would write" in out
    assert not (tmp_path / "c").exists()


def test_ingest_gives_json(run, stac_items, tmp_path):
    code, out, _ = run("ingest", stac_items, "--to", tmp_path / "c", "--name", "sst", "--json")
    report = json.loads(out)
    assert code == 0
    assert report["sources"] == 2
    assert report["store"].endswith("/c/sst.vzarr")


def test_a_directory_that_holds_something_else_is_left_alone(run, stac_items, tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "thesis.tex").write_text("years of work")
    code, _, err = run("ingest", stac_items, "--to", tmp_path / "c", "--name", "sst")
    assert code == 1
    assert "is not empty" in err
    assert list((tmp_path / "c").iterdir()) == [tmp_path / "c" / "thesis.tex"]


@pytest.fixture
def stac_items(published_once, tmp_path):
    """A file of two items, the later one first."""
    features = []
    for name, month, path in (("feb", 2, published_once.paths[1]), ("jan", 1, published_once.paths[0])):
        asset = {"href": path.as_uri(), "type": "application/x-netcdf", "roles": ["data"]}
        properties = {"datetime": f"2024-{month:02}-01T00:00:00Z"}
        common = {"type": "Feature", "stac_version": "1.1.0", "links": [], "geometry": None, "properties": properties}
        features.append({**common, "id": name, "assets": {"data": asset}})
    path = tmp_path / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


# ---------------------------------------------------------------------- update


@pytest.fixture
def third(published, tmp_path):
    """Items of two published files and of a third."""
    paths = [*published.paths, write_sst(published.root / "data" / "sst_202403.nc", 3)]
    features = []
    for month, path in enumerate(paths, 1):
        asset = {"href": str(path), "type": "application/x-netcdf", "roles": ["data"]}
        properties = {"datetime": f"2024-{month:02}-01T00:00:00Z"}
        common = {"type": "Feature", "stac_version": "1.1.0", "links": [], "geometry": None, "properties": properties}
        features.append({**common, "id": f"month-{month}", "assets": {"data": asset}})
    path = tmp_path / "three.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_update_says_what_it_would_do_and_then_does_it(run, published, third):
    before = tree(published.catalog)
    code, out, err = run("update", third, "--to", published.catalog, "--dry-run")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert ["new", "month-3", "2024-03-01", "00:00:00+00:00"] in [row[:4] for row in rows]
    assert "3 source files found, 2 of them as they were" in out
    assert "'sst': 'time' would grow from 40 to 60, by 12 references to chunks" in out
    assert ["would", "write:"] in rows
    assert tree(published.catalog) == before
    code, out, err = run("update", third, "--to", published.catalog)
    assert (code, err) == (0, "")
    assert "'time' grew from 40 to 60" in out
    code, out, _ = run("update", third, "--to", published.catalog)
    assert code == 0
    assert "'sst' is up to date" in out
    dataset = intake.open_catalog(published.catalog / "catalog.yaml").sst.to_dask()
    with xr.open_mfdataset([*published.paths, published.root / "data" / "sst_202403.nc"], engine="h5netcdf") as direct:
        xr.testing.assert_equal(dataset, direct)


def test_update_lists_changed_sources_and_refuses_them(run, published, third):
    os.utime(published.paths[0], (1, 1))
    before = tree(published.catalog)
    code, out, _ = run("update", third, "--to", published.catalog, "--dry-run", "--json")
    report = json.loads(out)
    assert (code, report["action"]) == (1, "refuse")
    assert [(one["state"], one["item_id"]) for one in report["sources"]] == [("changed", "month-1"), ("new", "month-3")]
    assert "modification time" in report["sources"][0]["reason"]
    code, out, err = run("update", third, "--to", published.catalog)
    assert (code, out) == (1, "")
    assert "month-1: changed: modification time" in err
    assert tree(published.catalog) == before
    code, out, err = run("update", third, "--to", published.catalog, "--conflicts", "skip", "--json")
    assert err == ""
    report = json.loads(out)
    assert (code, report["action"], report["after"]) == (1, "append", 60)
    assert [(one["state"], one["item_id"]) for one in report["sources"]] == [("changed", "month-1"), ("added", "month-3")]
    code, out, _ = run("update", third, "--to", published.catalog, "--conflicts", "rewrite")
    assert "were put in their places" in out
    assert run("update", third, "--to", published.catalog)[0] == 0


# ---------------------------------------------------------------------- append


def test_append_adds_later_files(run, published):
    path = write_sst(published.root / "data" / "sst_202403.nc", 3)
    code, out, err = run("append", published.catalog / "sst.vzarr", path)
    assert (code, err) == (0, "")
    assert "'time' grew from 40 to 60" in out
    dataset = intake.open_catalog(published.catalog / "catalog.yaml").sst.to_dask()
    with xr.open_mfdataset([*published.paths, path], engine="h5netcdf") as direct:
        xr.testing.assert_equal(dataset, direct)


def test_a_dry_run_of_append_writes_nothing(run, published):
    path = write_sst(published.root / "data" / "sst_202403.nc", 3)
    before = tree(published.catalog)
    code, out, _ = run("append", published.catalog / "sst.vzarr", path, "--dry-run", "--json")
    assert code == 0
    assert json.loads(out)["after"] == 60
    assert tree(published.catalog) == before


def test_append_refuses_what_is_there(run, published):
    before = tree(published.catalog)
    code, _, err = run("append", published.catalog / "sst.vzarr", published.paths[1])
    assert code == 1
    assert "'time' ends at 2024-02-20 00:00:00, and the new files begin at 2024-02-01 00:00:00" in err
    assert tree(published.catalog) == before


# ---------------------------------------------------------------------- describe and check


@pytest.mark.parametrize("name", ["sst.vzarr", "catalog.yaml", "collection.json"])
def test_describe_tells_what_a_store_holds(run, published_once, name):
    code, out, err = run("describe", published_once.catalog / name, "--json")
    assert (code, err) == (0, "")
    (report,) = json.loads(out)
    assert report["groups"]["/"]["variables"]["sst"]["shape"] == [40, 6, 8]
    assert report["groups"]["/"]["variables"]["sst"]["references"] == 12
    assert report["sources"]["count"] == 2


def test_describe_prints_a_table(run, published_once):
    out = run("describe", published_once.catalog / "sst.vzarr")[1]
    assert "time: 40, lat: 6, lon: 8" in out
    assert "2 source files" in out


def test_describe_shows_text_of_files_as_it_is(run, published_once):
    assert "{{ 1 + 1 }} <b>fields</b>" in run("describe", published_once.catalog / "sst.vzarr")[1]


@pytest.mark.parametrize("name", ["sst.vzarr", "catalog.yaml", "collection.json"])
def test_check_finds_unchanged_sources_unchanged(run, published_once, name):
    code, out, _ = run("check", published_once.catalog / name)
    assert code == 0
    assert "all 2 sources are as they were" in out


def test_check_finds_changed_and_missing_sources(run, published):
    with published.paths[0].open("ab") as file:
        file.write(b"more")
    published.paths[1].unlink()
    code, out, _ = run("check", published.catalog / "sst.vzarr", "--json")
    (report,) = json.loads(out)
    assert code == 1
    assert [one["state"] for one in report["problems"]] == ["changed", "unreadable"]
    code, out, _ = run("check", published.catalog / "sst.vzarr")
    assert "size was" in out
    assert "2 of 2 sources are not as they were" in out


# ---------------------------------------------------------------------- serve


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=lambda one: one.name)
def test_serve_names_stores_and_their_pages_and_ends_with_counts(published_once, ending):
    command = [sys.executable, "-m", "intake_virtualzarr.cli.main", "serve", str(published_once.root), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            first, second = process.stdout.readline(), process.stdout.readline()
            url = first.split(" at ")[1].split()[0]
            assert "catalog/sst.vzarr: " in second
            page = second.split(": ", 1)[1].strip()
            assert page == f"{url}_preview/?store=/catalog/sst.vzarr"
            for one in (page, f"{url}catalog/catalog.yaml"):
                with urllib.request.urlopen(one, timeout=10) as answer:
                    assert answer.status == 200
        finally:
            os.kill(process.pid, ending)
            rest, errors = process.communicate(timeout=10)
        assert process.returncode == 0
        assert "requests" in rest
        assert errors == ""


def test_a_reader_that_has_seen_enough_is_no_error(published_once):
    command = f"{sys.executable} -m intake_virtualzarr.cli.main describe {published_once.catalog / 'sst.vzarr'} | head -1"
    out = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert out.stdout.startswith("file://")
    assert "Traceback" not in out.stderr


def test_describe_notes_once_that_chunks_are_inflated_slowly_here(run, tmp_path, monkeypatch):
    from intake_virtualzarr.codecs import bytes_to_bytes

    path = write_sst(tmp_path / "a.nc", 1)
    assert "note:" not in run("describe", path)[1]
    monkeypatch.setattr(bytes_to_bytes, "_fast", None)
    assert run("describe", path)[1].count("pip install deflate") == 1
    assert "note:" not in run("describe", path, "--json")[1]
