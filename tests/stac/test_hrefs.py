"""Hrefs of local files are references: escaped where written, read back as the file that is meant."""

from __future__ import annotations

import datetime as dt
import json

import pystac
import pytest
import xarray as xr
from conftest import write_sst
from support.helpers import serving

import intake_virtualzarr as ivz
from intake_virtualzarr.stac.hrefs import absolute_href

NAMES = ["a b 1.nc", "a#2%41.nc", "ä?3.nc"]


def item(path, month):
    one = pystac.Item(f"i{month}", None, None, dt.datetime(2024, month, 1, tzinfo=dt.UTC), {})
    one.add_asset("data", pystac.Asset(str(path), media_type="application/x-netcdf", roles=["data"]))
    return one


@pytest.fixture
def items(tmp_path):
    return [item(write_sst(tmp_path / name, month=month), month) for month, name in enumerate(NAMES, 1)]


def test_hrefs_that_are_written_are_references_without_forbidden_characters(tmp_path, items):
    ivz.ingest(items, tmp_path / "cat", name="sst")
    listed = json.loads((tmp_path / "cat" / "items.json").read_text())["features"]
    hrefs = [asset["href"] for one in listed for asset in one["assets"].values()]
    assert hrefs == ["../a%20b%201.nc", "../a%232%2541.nc", "../%C3%A4%3F3.nc"]


def test_a_published_list_of_items_is_ingested_again_from_a_file_and_over_http(tmp_path, items):
    ivz.ingest(items, tmp_path / "cat", name="sst")
    expected = xr.open_dataset(tmp_path / "cat" / "sst.vzarr", engine="virtualzarr").load()
    with serving(tmp_path) as server:
        ivz.ingest(f"{server.url}/cat/items.json", tmp_path / "http", name="sst")
        over_http = xr.open_dataset(tmp_path / "http" / "sst.vzarr", engine="virtualzarr").load()
    ivz.ingest(str(tmp_path / "cat" / "items.json"), tmp_path / "local", name="sst")
    local = xr.open_dataset(tmp_path / "local" / "sst.vzarr", engine="virtualzarr").load()
    xr.testing.assert_identical(local, expected)
    xr.testing.assert_identical(over_http, expected)


def test_an_update_counts_a_file_once_whatever_its_name(tmp_path, items):
    ivz.ingest(items[:2], tmp_path / "cat", name="sst")
    ivz.update(items[:2], tmp_path / "cat")
    ivz.update(items, tmp_path / "cat")
    document = json.loads((tmp_path / "cat" / "collection.json").read_text())
    assert document["assets"]["virtual"]["vzarr:source_count"] == 3


@pytest.mark.parametrize("href", ["a%20b 1.nc", "a b 1.nc", "./a%20b%201.nc"])
def test_a_name_that_nobody_escaped_is_found_too(tmp_path, href):
    (tmp_path / ("a%20b 1.nc" if "%20b " in href else "a b 1.nc")).touch()
    assert absolute_href(href, str(tmp_path / "items.json")).endswith(("a%20b 1.nc", "a b 1.nc"))
