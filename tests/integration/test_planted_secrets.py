"""Secrets in URLs and options are planted; nothing that is written, printed, shown or raised holds one."""

from __future__ import annotations

import contextlib
import io
import json
import re
import traceback
import warnings

import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.cli.main import main
from intake_virtualzarr.drivers.intake1_source import VirtualZarrSource
from intake_virtualzarr.storage.readers import ReaderPool, open_reader
from tests.support.helpers import serving

NAMES = ("X-Amz-Signature", "sig", "key", "access-token", "jwt", "hdnea", "token", "unheard-of")
QUERY = "&".join(f"{name}=PLANTED{number}" for number, name in enumerate(NAMES))
MARK = "PLANTED"


def daily(path, day):
    values = np.arange(12, dtype="f4").reshape(1, 3, 4) + 100 * day
    dataset = xr.Dataset(
        {"sst": (("time", "lat", "lon"), values)},
        {"time": [np.datetime64("2024-01-01", "ns") + np.timedelta64(day, "D")], "lat": np.arange(3.0), "lon": np.arange(4.0)},
    )
    dataset.to_netcdf(path, engine="h5netcdf", encoding={"sst": {"chunksizes": (1, 3, 4)}})


@pytest.fixture
def planted(tmp_path):
    """A server, and URLs that hold secrets."""
    www = tmp_path / "www"
    www.mkdir()
    for day in (0, 1, 2):
        daily(www / f"{day}.nc", day)
    with serving(www) as server:
        login = server.url.replace("//", f"//me:{MARK}@")
        yield server.url, [f"{login}/{day}.nc?{QUERY}" for day in (0, 1, 2)], tmp_path


def all_text(directory):
    return b"".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()).decode("latin-1")


def shown(*things):
    return "".join(repr(one) + str(one) + getattr(one, "_repr_html_", str)() for one in things)


def test_stores_exports_and_reprs_hold_no_secret(planted):
    _, (first, second, _), tmp_path = planted
    out = tmp_path / "out"
    out.mkdir()
    one = ivz.open_virtual_dataset(first)
    both = ivz.open_virtual_mfdataset([first, second])
    one.vzarr.to_zarr(out / "one.vzarr")
    both.vzarr.to_zarr(out / "both.vzarr")
    both.vzarr.to_kerchunk(out / "both.json")
    ivz.open_virtual_dataset(out / "one.vzarr").vzarr.to_zarr(out / "again.vzarr")
    ivz.open_virtual_dataset(second).vzarr.to_zarr(out / "one.vzarr", append_dim="time")
    assert MARK not in all_text(out)
    store = ivz.open_virtual_store(first)
    reader = open_reader(first)
    scanned = ivz.scan(first)
    sources = [source for array in scanned.arrays.values() for part in array.segments for source in part.stored.sources]
    things = (one, both, one.sst, one.sst.data, one.encoding, both.encoding, store, reader, scanned, *sources, ReaderPool().access)
    assert MARK not in shown(*things)
    assert MARK not in shown(one.sst.data.readers.access, reader.access)
    np.testing.assert_array_equal(both.sst.load()[1], both.sst.load()[0] + 100)


def test_an_icechunk_export_holds_no_secret(planted):
    pytest.importorskip("icechunk")
    _, (first, _, _), tmp_path = planted
    out = tmp_path / "repository"
    told = run("export", first, str(out), "--format", "icechunk")
    assert MARK not in told
    assert MARK not in all_text(out)


def test_ingest_and_update_publish_no_secret(planted):
    _, urls, tmp_path = planted
    out = tmp_path / "published"
    report = ivz.ingest(urls[:2], out, name="sst")
    again = ivz.update(urls, out)
    assert MARK not in all_text(out)
    assert MARK not in shown(report, again)


def test_references_with_signed_urls_are_read_and_passed_on_without(planted):
    _, (first, _, _), tmp_path = planted
    out = tmp_path / "out"
    out.mkdir()
    scanned = ivz.scan(first).arrays["/sst"]
    manifest = scanned.segments[0].stored.manifest.load()
    zarray = {
        "zarr_format": 2, "shape": [1, 3, 4], "chunks": [1, 3, 4], "dtype": "<f4", "fill_value": None, "order": "C",
        "filters": None, "compressor": None,
    }  # fmt: skip
    refs = {
        ".zgroup": '{"zarr_format": 2}', "sst/.zarray": json.dumps(zarray),
        "sst/.zattrs": '{"_ARRAY_DIMENSIONS": ["time", "lat", "lon"]}',
        "sst/0.0.0": [first, manifest.offset.item(), manifest.length.item()],
    }  # fmt: skip
    (tmp_path / "refs.json").write_text(json.dumps({"version": 1, "refs": refs}))
    opened = ivz.open_virtual_dataset(tmp_path / "refs.json")
    opened.vzarr.to_zarr(out / "s.vzarr")
    opened.vzarr.to_kerchunk(out / "s.json")
    assert MARK not in all_text(out) + shown(opened, opened.sst.data)
    assert opened.sst.load().values.ravel()[1] == 1


def run(*words):
    told = io.StringIO()
    with (
        contextlib.redirect_stdout(told), contextlib.redirect_stderr(told), contextlib.suppress(SystemExit),
        warnings.catch_warnings(),
    ):  # fmt: skip
        warnings.simplefilter("always")
        main(list(words))
    return told.getvalue()


COMMANDS = {
    "scan": ("scan", "{url}"),
    "scan as JSON": ("scan", "{url}", "--json"),
    "describe": ("describe", "{url}"),
    "describe as JSON": ("describe", "{url}", "--json"),
    "export": ("export", "{url}", "{out}/k.json", "--format", "kerchunk", "--json"),
    "ingest": ("ingest", "{url}", "--to", "{out}/p", "--name", "sst", "--json"),
    "search": ("search", "{url}"),
    "search as JSON": ("search", "{url}", "--json"),
    "check": ("check", "{url}"),
    "check as JSON": ("check", "{url}", "--json"),
    "append": ("append", "{out}/none.vzarr", "{url}"),
    "update": ("update", "{url}", "--to", "{out}/none"),
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("which", ["there", "absent"])
def test_commands_print_no_secret(planted, words, which):
    _, (first, _, _), tmp_path = planted
    url = {"there": first, "absent": first.replace("0.nc", "absent.nc")}[which]
    out = tmp_path / "out"
    out.mkdir()
    told = run(*(one.format(url=url, out=out) for one in words))
    assert MARK not in told
    assert MARK not in all_text(out)


def calls(url):
    yield "open_virtual_dataset", lambda: ivz.open_virtual_dataset(url)
    yield "open_virtual_datatree", lambda: ivz.open_virtual_datatree(url)
    yield "open_virtual_mfdataset", lambda: ivz.open_virtual_mfdataset([url])
    yield "engine", lambda: xr.open_dataset(url, engine="virtualzarr")
    yield "scan", lambda: ivz.scan(url)
    yield "store", lambda: ivz.open_virtual_store(url)
    yield "hierarchy", lambda: ivz.VirtualZarrStore(url.replace(".nc", ".vzarr"))
    yield "driver", lambda: VirtualZarrSource(url).to_dask()
    yield "virtualize", lambda: ivz.virtualize([url])


@pytest.mark.parametrize("name", [name for name, _ in calls("")])
@pytest.mark.parametrize("kind", ["absent", "chained", "ftp"])
def test_errors_show_no_secret(planted, name, kind):
    _, (first, _, _), _ = planted
    absent = first.replace("0.nc", "absent.nc")
    nowhere = re.sub(r":\d+/", ":1/", absent.replace("http:", "ftp:"))  # nobody listens there: a web server would keep it waiting
    url = {"absent": absent, "chained": f"simplecache::{absent}", "ftp": nowhere}[kind]
    with pytest.raises(Exception) as caught:
        dict(calls(url))[name]()
    text = "".join(traceback.format_exception(caught.value))
    assert MARK not in "\n".join(line for line in text.splitlines() if "lambda" not in line)


def test_options_are_shown_nowhere(planted):
    base, _, tmp_path = planted
    options = {f"{base}/": {"headers": {"X-Key": MARK}}}
    one = ivz.open_virtual_dataset(f"{base}/0.nc", storage_options=options)
    one.vzarr.to_zarr(tmp_path / "out/s.vzarr")
    source = VirtualZarrSource(f"{base}/0.nc", storage_options=options)
    assert MARK not in all_text(tmp_path / "out") + shown(one, one.sst.data, one.sst.data.readers.access)
    assert MARK not in shown(source)
