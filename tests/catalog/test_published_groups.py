"""Stores are made of the group that holds something, and take over what their items' collection says."""

from __future__ import annotations

import datetime as dt
import json

import pystac
import pytest
import xarray as xr
from conftest import sst_dataset

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import IngestError


def write(path, month, group):
    sst_dataset(month).to_netcdf(path, engine="h5netcdf", group=group)
    return path


def item(path, month, **fields):
    one = pystac.Item(f"i{month}", None, None, dt.datetime(2024, month, 1, tzinfo=dt.UTC), {})
    one.add_asset("data", pystac.Asset(str(path), media_type="application/x-netcdf", roles=["data"], extra_fields=fields))
    return one


def test_an_empty_root_group_is_refused_with_the_groups_that_hold_something(tmp_path):
    path = write(tmp_path / "a.nc", 1, "PRODUCT")
    with pytest.raises(IngestError, match=r"group '/' holds no variables; '/PRODUCT' does; choose with group='/PRODUCT'"):
        ivz.ingest([path], tmp_path / "c", name="s")
    assert not (tmp_path / "c").exists()


def test_the_group_that_an_asset_names_is_opened(tmp_path):
    kwargs = {"xarray:open_kwargs": {"engine": "h5netcdf", "group": "PRODUCT"}}
    items = [item(write(tmp_path / f"{month}.nc", month, "PRODUCT"), month, **kwargs) for month in (1, 2)]
    ivz.ingest(items, tmp_path / "c", name="s")
    with xr.open_dataset(tmp_path / "c" / "s.vzarr", engine="virtualzarr") as found:
        assert found.sizes["time"] == sst_dataset(1).sizes["time"] + sst_dataset(2).sizes["time"]


@pytest.fixture
def catalog(tmp_path):
    """A static collection with two items beside their files."""
    collection = pystac.Collection(
        "daily",
        "Daily fields",
        pystac.Extent(pystac.SpatialExtent([[-180, -90, 180, 90]]), pystac.TemporalExtent([[None, None]])),
        title="Daily sea surface temperature",
        license="CC-BY-4.0",
        keywords=["ocean", "temperature"],
        providers=[pystac.Provider("Producers", roles=[pystac.ProviderRole.PRODUCER], url="https://producers.example")],
    )
    for month in (1, 2):
        collection.add_item(item(write(tmp_path / f"{month}.nc", month, None), month))
    collection.normalize_and_save(str(tmp_path / "source"), pystac.CatalogType.SELF_CONTAINED)
    return tmp_path / "source" / "collection.json"


def published(directory):
    return json.loads((directory / "collection.json").read_text())


def test_a_store_takes_over_what_its_source_collection_says(tmp_path, catalog):
    ivz.ingest(str(catalog), tmp_path / "c", name="s")
    document = published(tmp_path / "c")
    assert document["title"] == "Daily sea surface temperature"
    assert document["license"] == "CC-BY-4.0"
    assert document["keywords"] == ["ocean", "temperature"]
    assert [one["name"] for one in document["providers"]] == ["Producers"]
    (link,) = [one for one in document["links"] if one["rel"] == "derived_from" and one["type"] == "application/json"]
    assert link["href"].endswith("source/collection.json")
    before = document
    assert ivz.update(str(catalog), tmp_path / "c").action == "nothing"
    assert published(tmp_path / "c") == before


def test_what_is_given_goes_before_what_the_collection_says(tmp_path, catalog):
    ivz.ingest(str(catalog), tmp_path / "c", name="s", title="Mine", license="CC0-1.0")
    document = published(tmp_path / "c")
    assert (document["title"], document["license"], document["keywords"]) == ("Mine", "CC0-1.0", ["ocean", "temperature"])
