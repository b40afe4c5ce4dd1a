"""Bad input: one clear message, the right exit code, nothing written."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from support.helpers import serving

import intake_virtualzarr as ivz
from intake_virtualzarr.cli.main import main
from intake_virtualzarr.errors import JoinError, SourceError


def write(path, sizes, mask=None, start=0):
    """A file with one variable, and perhaps one that must agree between files."""
    ds = xr.Dataset({"v": (("t", "x"), np.ones(sizes))}, coords={"t": start + np.arange(sizes[0])})
    if mask is not None:
        ds["mask"] = ("x", np.asarray(mask, "f8"))
    ds.to_netcdf(path, engine="h5netcdf")
    return str(path)


@pytest.fixture
def inputs(tmp_path):
    """Sources that cannot be ingested, and what the message must say."""
    good = write(tmp_path / "good.nc", (2, 3))
    (tmp_path / "text.nc").write_text("hello")
    (tmp_path / "cut.nc").write_bytes((tmp_path / "good.nc").read_bytes()[:1500])
    item = {"type": "Feature", "stac_version": "1.0.0", "id": "one", "geometry": None, "links": []}
    item |= {"properties": {"datetime": "2020-01-01T00:00:00Z"}, "assets": {"thumb": {"href": "./t.png", "type": "image/png"}}}
    (tmp_path / "none.json").write_text(json.dumps({"type": "FeatureCollection", "features": []}))
    (tmp_path / "noasset.json").write_text(json.dumps({"type": "FeatureCollection", "features": [item]}))
    return {
        "not HDF5": ([str(tmp_path / "text.nc")], "is not a file of any format known here"),
        "truncated": ([str(tmp_path / "cut.nc")], "truncated"),
        "missing": ([str(tmp_path / "absent.nc")], "no such file"),
        "empty search": ([str(tmp_path / "none.json")], "no items found"),
        "no usable asset": ([str(tmp_path / "noasset.json")], "item 'one': no archive file"),
        "sizes disagree": ([good, write(tmp_path / "wide.nc", (2, 4), start=2)], "conflicting dimension sizes"),
        "values disagree": (
            [write(tmp_path / "m1.nc", (2, 3), [1, 2, 3]), write(tmp_path / "m2.nc", (2, 3), [1, 2, 4], start=2)],
            "conflicting values for variable 'mask'",
        ),
    }


KINDS = ["not HDF5", "truncated", "missing", "empty search", "no usable asset", "sizes disagree", "values disagree"]


@pytest.mark.parametrize("kind", KINDS)
def test_bad_input_is_named_and_nothing_is_written(inputs, tmp_path, capsys, kind):
    sources, message = inputs[kind]
    assert main(["ingest", *sources, "--to", str(tmp_path / "out"), "--name", "x"]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_a_directory_that_is_not_empty_is_left_as_it_was(inputs, tmp_path, capsys):
    target = tmp_path / "full"
    target.mkdir()
    (target / "mine.txt").write_text("keep")
    assert main(["ingest", str(tmp_path / "good.nc"), "--to", str(target), "--name", "x"]) == 1
    assert "is not empty" in capsys.readouterr().err
    assert [p.name for p in target.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(("status", "message"), [(404, "not found"), (403, "access denied")])
def test_what_a_server_refuses_is_named_with_the_way_out(tmp_path, status, message):
    write(tmp_path / "a.nc", (2, 3))
    with serving(tmp_path) as server:
        server.refuse["a.nc"] = status
        with pytest.raises(SourceError, match=rf"a\.nc: {message}"):
            ivz.scan(f"{server.url}/a.nc")


def test_a_server_without_ranges_is_noticed(tmp_path):
    write(tmp_path / "a.nc", (2, 3))
    with serving(tmp_path, ranges=False) as server, pytest.raises(SourceError, match="with the whole file"):
        ivz.scan(f"{server.url}/a.nc")


def test_files_that_cannot_be_joined_are_named(tmp_path):
    paths = [write(tmp_path / "a.nc", (2, 3)), write(tmp_path / "b.nc", (2, 4), start=2)]
    with pytest.raises(JoinError, match=r"a\.nc, .*b\.nc: cannot be joined: .*'x'"):
        ivz.open_virtual_mfdataset(paths)
