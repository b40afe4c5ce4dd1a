"""Publishing: collections and items, valid, complete, idempotent, and without credentials."""

import dataclasses
import datetime as dt
import hashlib
import io
import json
import pickle
from pathlib import Path

import cftime
import numpy as np
import pystac
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pystac.errors import STACValidationError
from pystac.validation import validate_dict
from support.local_schemas import validator

from intake_virtualzarr.errors import StacError
from intake_virtualzarr.stac.collection import build_collection, build_item
from intake_virtualzarr.stac.datacube import cube_dimensions, cube_variables
from intake_virtualzarr.stac.extent import dataset_bbox, dataset_interval, longitude_interval
from intake_virtualzarr.stac.find_sources import source_items
from intake_virtualzarr.stac.items import ItemDocument
from intake_virtualzarr.stac.publication import Publication, source_prefixes
from intake_virtualzarr.stac.publish import add_child, publish_collection, publish_item
from intake_virtualzarr.stac.source_item import SourceItem
from intake_virtualzarr.stac.source_list import read_source_items, source_item_documents, write_source_items
from intake_virtualzarr.stac.storage_schemes import known_storage, storage_schemes
from intake_virtualzarr.stac.thumbnail import make_thumbnail
from intake_virtualzarr.storage.readers import Access
from stac_ext import SourcePrefix, VirtualZarrExtension

VALIDATOR = validator()


def dataset(days=3, lon_start=0.0, **variables):
    """Sea surface temperature on a two-degree grid, warm in the south, without data on the equator's row."""
    lat = np.arange(-89.0, 90.0, 2.0)
    lon = np.arange(lon_start + 1.0, lon_start + 361.0, 2.0)
    time = np.datetime64("2024-01-01T12:00:00", "ns") + np.arange(days) * np.timedelta64(1, "D")
    sst = np.broadcast_to(-lat[None, :, None], (days, lat.size, lon.size)).astype(np.float32).copy()
    sst[:, 45, :] = np.nan
    return xr.Dataset(
        {
            "sst": (
                ("time", "lat", "lon"),
                sst,
                {
                    "long_name": "sea surface *temperature*",
                    "units": "degC",
                    "standard_name": "sea_surface_temperature",
                },
            ),
            **variables,
        },
        coords={
            "time": ("time", time, {"long_name": "time"}),
            "lat": ("lat", lat, {"units": "degrees_north", "standard_name": "latitude"}),
            "lon": ("lon", lon, {"units": "degrees_east", "axis": "X"}),
        },
        attrs={"title": "Daily SST"},
    )


def source(day):
    return SourceItem(
        href=f"https://data.example.com/sst/2024/{day:03d}.nc",
        signed_href=f"https://data.example.com/sst/2024/{day:03d}.nc?sig=SECRET",
        item_id=f"sst-{day:03d}",
        collection="sst",
        collection_href="https://api.example.com/collections/sst",
        asset_key="netcdf",
        datetime=dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC) + dt.timedelta(days=day),
        bbox=(-180, -90, 180, 90),
        media_type="application/x-netcdf",
        size=90_000,
        self_href=f"https://api.example.com/items/sst-{day:03d}",
    )


def publication(count=3, **fields):
    items = tuple(source(day) for day in range(count))
    return Publication(
        **{
            "id": "sst",
            "store_href": "./sst.vzarr/",
            "manifest_version": "0.1",
            "concat_dims": ("time",),
            "chunk_count": 12,
            "source_count": count,
            "sources": source_prefixes((one.href, one.size) for one in items),
            "fingerprint": "sha256:" + "0a" * 32,
            "manifest_size": 4321,
            "consolidated": True,
            "source_items": items,
            "license": "CC0-1.0",
            "software": {"intake-virtualzarr": "0.1.0"},
            "providers": ({"name": "Example", "roles": ["producer"], "url": "https://example.com"},),
            "keywords": ("ocean",),
            "preview_href": "./preview.html",
            "storage_schemes": {"web": {"type": "custom", "platform": "https://data.example.com"}},
            **fields,
        }
    )


def validate(path):
    return validate_dict(json.loads(Path(path).read_text()), validator=VALIDATOR)


# Collections


def test_a_published_collection_is_valid_with_every_extension(tmp_path):
    written = publish_collection(dataset(), publication(), tmp_path)
    assert sorted(path.name for path in written) == ["collection.json", "items.json", "thumbnail.png"]
    assert len(validate(tmp_path / "collection.json")) == 7


def test_the_asset_says_how_to_read_the_store(tmp_path):
    publish_collection(dataset(), publication(), tmp_path)
    collection = pystac.Collection.from_file(tmp_path / "collection.json")
    asset = collection.assets["virtual"]
    assert asset.to_dict() == {
        "href": "./sst.vzarr/",
        "type": "application/vnd+zarr; version=3",
        "title": "Virtual Zarr store",
        "description": "References to chunks in 3 source files.",
        "roles": ["data", "virtual", "references"],
        "file:size": 4321,
        "zarr:zarr_format": 3,
        "zarr:node_type": "group",
        "zarr:consolidated": True,
        "vzarr:manifest_format": "vzarr",
        "vzarr:manifest_version": "0.1",
        "vzarr:concat_dims": ["time"],
        "vzarr:chunk_count": 12,
        "vzarr:source_count": 3,
        "vzarr:sources": [
            {
                "href": "https://data.example.com/sst/2024/",
                "type": "application/x-netcdf",
                "count": 3,
                "size": 270000,
            }
        ],
        "vzarr:fingerprint": "sha256:" + "0a" * 32,
        "processing:software": {"intake-virtualzarr": "0.1.0"},
    }
    assert VirtualZarrExtension.ext(asset).sources == publication().sources
    assert all(len(one.title) <= 30 for one in collection.assets.values())


def test_extent_title_and_cube_come_from_the_coordinates():
    collection = build_collection(dataset(), publication())
    assert collection.title == "Daily SST"
    assert collection.extent.spatial.bboxes == [[-180.0, -90.0, 180.0, 90.0]]
    start, end = collection.extent.temporal.intervals[0]
    assert (start.isoformat(), end.isoformat()) == ("2024-01-01T12:00:00+00:00", "2024-01-03T12:00:00+00:00")
    dims = collection.extra_fields["cube:dimensions"]
    assert dims["time"] == {
        "type": "temporal",
        "description": "time",
        "extent": ["2024-01-01T12:00:00Z", "2024-01-03T12:00:00Z"],
        "step": "P1D",
    }
    assert dims["lat"] == {
        "type": "spatial",
        "axis": "y",
        "description": "latitude",
        "unit": "degrees_north",
        "extent": [-89, 89],
        "step": 2,
        "reference_system": 4326,
    }
    assert collection.extra_fields["cube:variables"]["sst"]["dimensions"] == ["time", "lat", "lon"]


def test_a_second_publication_writes_nothing(tmp_path):
    first = publish_collection(dataset(), publication(30), tmp_path)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    assert len(first) == len(before) == 3
    assert publish_collection(dataset(), publication(30), tmp_path) == []
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()} == before


def test_an_update_changes_what_is_new_and_keeps_what_others_added(tmp_path):
    publish_collection(dataset(), publication(), tmp_path)
    path = tmp_path / "collection.json"
    document = json.loads(path.read_text())
    document["sci:doi"] = "10.1000/xyz"
    document["stac_extensions"].append("https://stac-extensions.github.io/scientific/v1.0.0/schema.json")
    document["assets"]["readme"] = {"href": "./README.md", "title": "Read me"}
    document["links"].append({"rel": "license", "href": "https://example.com/license"})
    path.write_text(json.dumps(document))
    written = publish_collection(dataset(days=5), publication(5), tmp_path)
    assert written == [tmp_path / "items.json", path]
    new = json.loads(path.read_text())
    assert new["sci:doi"] == "10.1000/xyz"
    assert "readme" in new["assets"]
    assert {"rel": "license", "href": "https://example.com/license"} in new["links"]
    assert any("scientific" in uri for uri in new["stac_extensions"])
    assert new["cube:dimensions"]["time"]["extent"][1] == "2024-01-05T12:00:00Z"
    assert new["assets"]["virtual"]["vzarr:source_count"] == 5
    assert len([link for link in new["links"] if link["rel"] == "derived_from"]) == 5
    assert publish_collection(dataset(days=5), publication(5), tmp_path) == []


def test_an_update_leaves_a_collection_in_the_catalog_that_took_it_in(tmp_path):
    publish_collection(dataset(), publication(), tmp_path)
    path = tmp_path / "collection.json"
    document = json.loads(path.read_text())
    document["links"][0]["href"] = "../catalog.json"
    document["links"].append({"rel": "parent", "href": "../catalog.json"})
    path.write_text(json.dumps(document))
    publish_collection(dataset(days=4), publication(4), tmp_path)
    assert links_of(path)["root"]["href"] == links_of(path)["parent"]["href"] == "../catalog.json"
    assert publish_collection(dataset(days=4), publication(4), tmp_path) == []


def test_another_collection_is_not_overwritten(tmp_path):
    publish_collection(dataset(), publication(), tmp_path)
    with pytest.raises(StacError, match="holds 'sst', not 'chl'; publish 'chl' in a directory of its own"):
        publish_collection(dataset(), publication(id="chl"), tmp_path)


def test_a_file_that_is_no_json_is_not_overwritten(tmp_path):
    (tmp_path / "collection.json").write_text("{")
    with pytest.raises(StacError, match="not valid JSON"):
        publish_collection(dataset(), publication(), tmp_path)


# Hrefs and links


def links_of(path):
    return {link["rel"]: link for link in json.loads(Path(path).read_text())["links"]}


def test_a_self_contained_collection_has_relative_hrefs_only(tmp_path):
    publish_collection(dataset(), publication(source_items=()), tmp_path)
    document = json.loads((tmp_path / "collection.json").read_text())
    hrefs = [one["href"] for one in [*document["links"], *document["assets"].values()]]
    assert all(href.startswith("./") for href in hrefs)
    assert str(tmp_path) not in json.dumps(document)
    assert links_of(tmp_path / "collection.json")["preview"]["title"] == "Preview virtual data"
    assert links_of(tmp_path / "collection.json")["store"]["href"] == "./sst.vzarr/"


def test_an_absolute_collection_has_absolute_hrefs_and_a_self_link(tmp_path):
    publish_collection(dataset(), publication(30, base_href="https://c.example.com/x/"), tmp_path)
    document = json.loads((tmp_path / "collection.json").read_text())
    hrefs = [one["href"] for one in [*document["links"], *document["assets"].values()]]
    assert all(href.startswith("https://c.example.com/x/") for href in hrefs)
    assert links_of(tmp_path / "collection.json")["self"]["href"] == "https://c.example.com/x/collection.json"
    assert 'xr.open_dataset("https://c.example.com/x/sst.vzarr/"' in document["description"]


def test_a_self_contained_collection_is_read_by_pystac_with_resolved_assets(tmp_path):
    publish_collection(dataset(), publication(), tmp_path)
    collection = pystac.Collection.from_file(tmp_path / "collection.json")
    assert collection.assets["virtual"].get_absolute_href() == f"{tmp_path}/sst.vzarr"


def test_few_source_items_are_linked(tmp_path):
    publish_collection(dataset(), publication(20), tmp_path)
    document = json.loads((tmp_path / "collection.json").read_text())
    assert len([link for link in document["links"] if link["rel"] == "derived_from"]) == 20
    assert document["assets"]["source-items"]["href"] == "./items.json"


@pytest.mark.parametrize("parquet", [True, False])
def test_many_source_items_are_listed_in_a_file(tmp_path, monkeypatch, parquet):
    if parquet:
        rustac = pytest.importorskip("rustac")
    else:
        monkeypatch.setattr("intake_virtualzarr.stac.source_list.can_write", lambda: False)
    publish_collection(dataset(), publication(21), tmp_path)
    asset = json.loads((tmp_path / "collection.json").read_text())["assets"]["source-items"]
    path = tmp_path / asset["href"]
    items = (rustac.read_sync(str(path)) if parquet else json.loads(path.read_text()))["features"]
    assert [one["id"] for one in items] == [f"sst-{day:03d}" for day in range(21)]
    assert items[0]["assets"]["netcdf"]["href"] == "https://data.example.com/sst/2024/000.nc"
    assert asset["file:size"] == path.stat().st_size
    assert not any(link.rel == "derived_from" for link in build_collection(dataset(), publication(21)).links)


@pytest.mark.parametrize("uneven", [False, True])
@pytest.mark.parametrize("parquet", [True, False])
def test_a_list_of_items_is_read_as_it_was_written(tmp_path, monkeypatch, parquet, uneven):
    if parquet:
        pytest.importorskip("rustac")
    monkeypatch.setattr("intake_virtualzarr.stac.source_list.can_write", lambda: parquet)
    monkeypatch.setattr("intake_virtualzarr.stac.source_list.BATCH", 10)
    sources = [source(day) for day in range(35)]
    if uneven:  # only in the last batch
        sources[33] = dataclasses.replace(
            sources[33],
            datetime=None,
            start_datetime=dt.datetime(2024, 2, 3, tzinfo=dt.UTC),
            end_datetime=dt.datetime(2024, 2, 4, tzinfo=dt.UTC),
            checksum="1220" + "0a" * 32,
            updated=dt.datetime(2024, 3, 1, 1, 2, 3, 456000, tzinfo=dt.UTC),
            asset_key="other",
        )
        sources.append(dataclasses.replace(sources[0], asset_key="second", href="https://data.example.com/2.nc", size=2**40))
    _, asset = write_source_items(sources, tmp_path)
    assert asset.href == ("./items.parquet" if parquet else "./items.json")
    items = read_source_items((tmp_path / asset.href).read_bytes(), asset.href)
    assert len(items) == 35
    read = [one for item in items for one in source_items(ItemDocument(item, "https://h/items"), asset=list(item["assets"]))]
    nothing = {"signed_href": None, "properties": {}, "geometry_wkb": None, "collection_href": None}
    same = [dataclasses.replace(one, **nothing) for one in read]
    assert sorted(same, key=str) == sorted((dataclasses.replace(one, **nothing) for one in sources), key=str)


def test_a_damaged_list_of_items_is_named(tmp_path):
    pytest.importorskip("rustac")
    with pytest.raises(StacError, match=r"c/items.parquet: cannot be read as stac-geoparquet"):
        read_source_items(b"PAR1 no parquet", "c/items.parquet")
    with pytest.raises(StacError, match=r"c/items.json: is not a list of STAC items"):
        read_source_items(b"{}", "c/items.json")


def test_without_rustac_a_parquet_list_names_what_to_install(monkeypatch):
    monkeypatch.setattr("intake_virtualzarr.stac.geoparquet.can_write", lambda: False)
    with pytest.raises(StacError, match=r"install 'intake-virtualzarr\[rustac\]'"):
        read_source_items(b"", "c/items.parquet")


@pytest.mark.parametrize("count", [2, 30])
def test_local_source_items_are_relative_to_the_published_directory(tmp_path, monkeypatch, count):
    monkeypatch.setattr("intake_virtualzarr.stac.source_list.can_write", lambda: False)
    items = tuple(
        SourceItem(
            href=f"{tmp_path}/data/{n}.nc",
            self_href=f"{tmp_path}/items/{n}.json",
            item_id=f"i{n}",
            asset_key="data",
            datetime=dt.datetime(2024, 1, 1, n % 24, n, tzinfo=dt.UTC),
        )
        for n in range(count)
    )
    directory = tmp_path / "catalog"
    publish_collection(dataset(), publication(source_items=items, sources=()), directory)
    text = "".join(path.read_text() for path in directory.glob("*.json"))
    assert str(tmp_path) not in text
    assert ("../items/1.json" if count == 2 else "../data/1.nc") in text
    fixed = publication(source_items=items, sources=(), relocatable=False)
    publish_collection(dataset(), fixed, tmp_path / "copy")
    text = "".join(path.read_text() for path in (tmp_path / "copy").glob("*.json"))
    assert (f"{tmp_path}/items/1.json" if count == 2 else f"{tmp_path}/data/1.nc") in text


def test_listed_source_items_are_valid():
    for document in source_item_documents([source(0), source(1)]):
        validate_dict(document, validator=VALIDATOR)


def test_assets_of_one_item_are_listed_together():
    one = source(0)
    other = SourceItem(href="https://h/b.nc", item_id=one.item_id, collection="sst", asset_key="b")
    (document,) = source_item_documents([one, other])
    assert list(document["assets"]) == ["netcdf", "b"]


def test_a_publication_and_its_sources_can_be_pickled():
    whole = publication(30)
    assert pickle.loads(pickle.dumps(whole)) == whole


# Credentials


def test_no_signature_is_written(tmp_path):
    publish_collection(dataset(), publication(21), tmp_path)
    publish_item(dataset(), publication(3, id="one"), tmp_path)
    for path in tmp_path.iterdir():
        assert b"SECRET" not in path.read_bytes()


def test_a_signature_left_in_a_source_is_taken_out_when_it_is_written():
    one = SourceItem(href="https://h/a.nc?sig=SECRET", self_href="https://h/i?token=SECRET", item_id="i")
    assert "SECRET" not in json.dumps(source_item_documents([one]))
    links = build_collection(dataset(), publication(source_items=(one,))).links
    assert not any("SECRET" in str(link.target) for link in links)


@pytest.mark.parametrize(
    "fields",
    [
        {"store_href": "https://h/x.vzarr?sig=abc"},
        {"store_href": "s3://key:secret@bucket/x.vzarr"},
        {"preview_href": "https://h/?token=abc"},
        {"base_href": "https://me@h/"},
        {"sources": (SourcePrefix("https://h/?sig=abc"),)},
    ],
)
def test_credentials_are_refused_and_not_repeated(fields):
    with pytest.raises(StacError, match="credentials") as caught:
        publication(**fields)
    assert not {"abc", "secret", "me@"} & set(str(caught.value).replace("/", " ").replace("=", " ").split())


@pytest.mark.parametrize("name", ["", "..", "a/b", "a?b"])
def test_an_id_must_be_a_file_name(name):
    with pytest.raises(StacError, match="cannot be a file name"):
        publication(id=name)


# Items


def test_a_published_item_is_valid_and_linked_from_its_catalog(tmp_path):
    root = pystac.Catalog("root", "Root", catalog_type=pystac.CatalogType.SELF_CONTAINED)
    root.normalize_and_save(str(tmp_path), pystac.CatalogType.SELF_CONTAINED)
    assert len(publish_item(dataset(), publication(id="b"), tmp_path)) == 4
    publish_item(dataset(), publication(id="a"), tmp_path)
    assert publish_item(dataset(), publication(id="a"), tmp_path) == []
    assert len(validate(tmp_path / "a.json")) == 7
    catalog = pystac.Catalog.from_file(tmp_path / "catalog.json")
    assert [item.id for item in catalog.get_items()] == ["a", "b"]
    validate(tmp_path / "catalog.json")


def test_an_item_in_a_collection_names_it(tmp_path):
    publish_collection(dataset(), publication(id="all"), tmp_path)
    publish_item(dataset(), publication(id="one"), tmp_path)
    validate(tmp_path / "one.json")
    validate(tmp_path / "collection.json")
    assert publish_collection(dataset(), publication(id="all"), tmp_path) == []
    (item,) = pystac.Collection.from_file(tmp_path / "collection.json").get_items()
    assert (item.id, item.collection_id) == ("one", "all")


def test_an_item_of_one_time_has_a_datetime():
    item = build_item(dataset(days=1), publication())
    assert item.datetime == dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
    assert "start_datetime" not in item.properties


def test_an_item_across_the_antimeridian_has_a_split_geometry():
    item = build_item(dataset(lon_start=170).isel(lon=slice(0, 10)), publication())
    assert item.bbox == [170, -90, -170, 90]
    assert item.geometry["type"] == "MultiPolygon"


def test_a_dataset_without_time_takes_the_times_of_the_source_items():
    item = build_item(dataset().isel(time=0, drop=True), publication())
    assert item.properties["start_datetime"] == "2024-01-01T12:00:00Z"
    assert item.properties["end_datetime"] == "2024-01-03T12:00:00Z"


def test_an_item_without_any_time_is_refused():
    with pytest.raises(StacError, match="sst: an item needs a time"):
        build_item(dataset().isel(time=0, drop=True), publication(source_items=()))


def test_a_dataset_without_coordinates_takes_the_footprint_of_the_source_items():
    bare = dataset().drop_vars(["lat", "lon"])
    collection = build_collection(bare, publication())
    assert collection.extent.spatial.bboxes == [[-180, -90, 180, 90]]
    assert collection.extra_fields["cube:dimensions"]["lat"] == {
        "type": "index",
        "extent": [0, 89],
        "step": 1,
    }


def write_timed(path, time):
    path.parent.mkdir(exist_ok=True)
    extent = {"temporal": {"interval": [[time, None]]}}
    path.write_text(json.dumps({"type": "Collection", "id": path.parent.name, "extent": extent, "links": []}))
    return path


def test_links_stand_in_order_of_time_and_then_of_names(tmp_path):
    root = tmp_path / "catalog.json"
    links = [{"rel": "child", "href": "./unknown/collection.json"}, {"rel": "license", "href": "x"}]
    root.write_text(json.dumps({"type": "Catalog", "id": "root", "links": links}))
    times = {"b": "2024-02-01T00:00:00Z", "a": "2024-03-01", "c": "2024-01-01T00:00:00+02:00", "d": "2024-02-01T00:00:00Z"}
    for name, time in times.items():
        add_child(root, write_timed(tmp_path / name / "collection.json", time))
    found = [link["href"].split("/")[1] for link in json.loads(root.read_text())["links"] if link["rel"] == "child"]
    assert [name for name in found if name != "unknown"] == ["c", "b", "d", "a"]
    assert json.loads(root.read_text())["links"][-1] == {"rel": "license", "href": "x"}
    before = root.read_text()
    assert not add_child(root, tmp_path / "b" / "collection.json")
    assert root.read_text() == before


def test_a_link_is_added_to_a_catalog_once_and_in_order(tmp_path):
    path = tmp_path / "catalog.json"
    path.write_text(json.dumps(pystac.Catalog("c", "C").to_dict(include_self_link=False)))
    assert add_child(path, tmp_path / "b" / "collection.json", title="B")
    assert add_child(path, tmp_path / "a" / "collection.json")
    assert not add_child(path, tmp_path / "b" / "collection.json", title="B")
    assert add_child(path, tmp_path / "b" / "collection.json", title="New B")
    children = [link["href"] for link in json.loads(path.read_text())["links"] if link["rel"] == "child"]
    assert children == ["./a/collection.json", "./b/collection.json"]
    (tmp_path / "x.json").write_text('{"type": "Feature"}')
    with pytest.raises(StacError, match="not a STAC Catalog or Collection"):
        add_child(tmp_path / "x.json", path)


# Description


def test_the_description_shows_how_to_open_the_store():
    text = build_collection(dataset(), publication()).description
    assert text.startswith(r"Daily SST: `sst` (sea surface \*temperature\*) (time 3, lat 90, lon 180).")
    assert "inside 3 source files and copies no data" in text
    assert 'intake.open_catalog("./catalog.yaml")' in text
    assert 'ds = cat["sst"].to_dask()' in text
    assert 'xr.open_dataset("./sst.vzarr/", engine="virtualzarr", chunks={})' in text
    assert "```js" in text
    assert text.count("```") == 6


def test_a_given_description_comes_first():
    text = build_collection(dataset(), publication(description="My words.", catalog_href=None)).description
    assert text.startswith("My words.\n\n")
    assert "intake.open_catalog" not in text


@pytest.mark.parametrize("manifest_format", ["kerchunk-json", "kerchunk-parquet", "icechunk"])
def test_other_manifest_formats_are_published_too(tmp_path, manifest_format):
    publish_collection(dataset(), publication(manifest_format=manifest_format, consolidated=None), tmp_path)
    validate(tmp_path / "collection.json")


# Extents


def grid(lon, lat=(0.0, 1.0)):
    return xr.Dataset(
        coords={
            "lat": ("lat", np.asarray(lat), {"units": "degrees_north"}),
            "lon": ("lon", np.asarray(lon), {"units": "degrees_east"}),
        }
    )


@pytest.mark.parametrize(
    ("lon", "west", "east"),
    [
        (np.arange(0.5, 360), -180, 180),
        (np.arange(-179.5, 180), -180, 180),
        (np.arange(0.0, 360.0, 2.5), -180, 180),
        (np.arange(0.0, 361.0, 90.0), -180, 180),
        (np.arange(200.5, 220), -160, -140),
        (np.arange(170.5, 190), 170, -170),
        (np.arange(-10.5, 10), -11, 10),
        ([10.0, 11.0, 13.0], 10, 13),
        ([5.0], 5, 5),
    ],
)
def test_the_bbox_covers_the_cells_in_any_turn_of_longitude(lon, west, east):
    assert dataset_bbox(grid(lon)) == (west, -0.5, east, 1.5)


def test_latitudes_never_pass_the_poles():
    assert dataset_bbox(grid([0.0, 1.0], np.linspace(-90, 90, 181)))[1::2] == (-90, 90)


def test_two_dimensional_coordinates_bound_the_data():
    lat, lon = np.meshgrid([10.0, 20.0], [350.0, 5.0], indexing="ij")
    swath = xr.Dataset(
        {
            "latitude": (("y", "x"), lat, {"units": "degrees_north"}),
            "longitude": (("y", "x"), lon, {"units": "degrees_east"}),
            "a": (("y", "x"), lat),
        }
    )
    assert dataset_bbox(swath) == (-10, 10, 5, 20)


def test_projected_coordinates_are_no_bbox():
    projected = xr.Dataset(
        coords={
            "x": ("x", [0.0, 1e6], {"standard_name": "projection_x_coordinate", "units": "m"}),
            "y": ("y", [0.0, 1e6], {"standard_name": "projection_y_coordinate", "units": "m"}),
        }
    )
    assert dataset_bbox(projected) is None
    assert cube_dimensions(projected)["x"]["type"] == "projection_x"


@given(st.integers(-180, 179), st.integers(2, 359), st.integers(-2, 2), st.sampled_from([0.5, 1.0, 2.0]))
def test_the_arc_of_longitudes_holds_every_value(west, width, turns, step):
    values = np.arange(west, west + width, step) + 360.0 * turns
    found_west, found_east = longitude_interval(values)
    span = (found_east - found_west) % 360 or 360
    assert np.all(np.mod(values - found_west, 360) <= span + 1e-9)
    assert span == 360 or span == pytest.approx(values[-1] - values[0])


@pytest.mark.parametrize(
    ("calendar", "last"),
    [("noleap", "2024-02-28T00:00:00+00:00"), ("360_day", "2024-02-29T00:00:00+00:00")],
)
def test_times_of_other_calendars_are_brought_into_the_iso_calendar(calendar, last):
    day = 30 if calendar == "360_day" else 28
    times = [cftime.datetime(2024, 1, 1, calendar=calendar), cftime.datetime(2024, 2, day, calendar=calendar)]
    data = xr.Dataset(coords={"time": ("time", np.array(times, dtype=object))})
    assert dataset_interval(data)[1].isoformat() == last
    assert f"calendar {calendar}" in cube_dimensions(data)["time"]["description"]


@pytest.mark.parametrize(
    ("times", "step"),
    [
        (["2024-01-01", "2024-01-02", "2024-01-03"], "P1D"),
        (["2024-01-01T00", "2024-01-01T03", "2024-01-01T06"], "PT3H"),
        (["2024-01-01", "2024-01-09", "2024-01-17"], "P8D"),
        (["2024-01-15", "2024-02-15", "2024-03-15"], "P1M"),
        (["2020-01-01", "2021-01-01", "2022-01-01"], "P1Y"),
        (["2024-01-01", "2024-01-02", "2024-01-05"], None),
    ],
)
def test_regular_steps_of_time_are_iso_durations(times, step):
    data = xr.Dataset(coords={"time": np.array(times, dtype="datetime64[ns]")})
    assert cube_dimensions(data)["time"]["step"] == step


def test_every_kind_of_variable_and_dimension_is_described():
    data = dataset(
        mask=(("lat", "lon"), np.zeros((90, 180), bool)),
        depth_data=(("depth", "name"), np.zeros((2, 2), np.int16)),
    ).assign_coords(
        depth=("depth", np.float32([0.1, 10.0]), {"positive": "down", "units": "m"}),
        name=("name", ["a", "b"]),
        area=("lat", np.ones(90)),
    )
    dims, variables = cube_dimensions(data), cube_variables(data)
    assert dims["depth"] == {
        "type": "spatial",
        "axis": "z",
        "unit": "m",
        "extent": [0.1, 10],
        "step": 9.9,
        "values": [0.1, 10],
    }
    assert dims["name"] == {"type": "name", "values": ["a", "b"]}
    assert variables["mask"]["data_type"] == "other"
    assert variables["depth_data"]["data_type"] == "int16"
    assert (variables["area"]["type"], variables["sst"]["type"]) == ("auxiliary", "data")
    collection = build_collection(data, publication())
    validate_dict(collection.to_dict(include_self_link=False), validator=VALIDATOR)


# Source prefixes


def test_files_are_grouped_by_host_and_common_directory():
    files = [
        ("s3://b/x/1.nc", 1),
        ("s3://b/x/y/2.nc", 2),
        ("https://h/a.nc?sig=1", None),
        ("https://h/b.nc", 5),
    ]
    assert source_prefixes(files, storage_refs={"s3://b": ("aws",)}) == (
        SourcePrefix("https://h/", "application/x-netcdf", (), 2, None),
        SourcePrefix("s3://b/x/", "application/x-netcdf", ("aws",), 2, 3),
    )


def test_local_sources_are_relative_to_the_published_directory():
    files = [("/d/data/a.nc", 1), ("file:///d/data/b.nc", 1)]
    assert [one.href for one in source_prefixes(files, relative_to="/d/catalog")] == ["../data/"]
    assert [one.href for one in source_prefixes(files, relative_to="/d")] == ["./data/"]


# Storage


def test_buckets_are_described_as_far_as_they_are_known():
    hrefs = [
        "s3://a/x.nc",
        "s3://b/x.nc",
        "s3://c/x.nc",
        "abfs://d@acc.dfs.core.windows.net/x.nc",
        "https://h/x.nc",
    ]
    schemes, refs = storage_schemes(hrefs, regions={"a": "eu-west-1"}, endpoints={"b": "http://127.0.0.1:8333"})
    assert {key: one["type"] for key, one in schemes.items()} == {
        "abfs-d": "ms-azure",
        "s3-a": "aws-s3",
        "s3-b": "custom-s3",
    }
    assert refs["s3://b"] == ("s3-b",)
    assert schemes["abfs-d"]["account"] == "acc"
    fields = publication(storage_schemes=schemes, storage_refs=("s3-a",))
    collection = build_collection(dataset(), fields)
    validate_dict(collection.to_dict(include_self_link=False), validator=VALIDATOR)
    with pytest.raises(StacError, match="its endpoint holds credentials"):
        storage_schemes(["s3://b/x"], endpoints={"b": "https://key:secret@host"})


def test_options_for_opening_tell_places_and_never_keys():
    access = Access.of(
        {
            "s3://a/": {"region": "eu-west-1", "access_key_id": "mine", "secret_access_key": "hush"},
            "s3://": {"endpoint": "http://127.0.0.1:8333", "secret_access_key": "hush"},
            "az://c/": {"account_name": "acc", "account_key": "hush"},
        }
    )
    schemes, refs = known_storage(["s3://a/x.nc", "s3://b/y.nc", "az://c/z.nc", "https://h/x.nc", "/d/x.nc"], access)
    assert {key: one["type"] for key, one in schemes.items()} == {"az-c": "ms-azure", "s3-a": "aws-s3", "s3-b": "custom-s3"}
    assert refs["az://c"] == ("az-c",)
    assert "hush" not in json.dumps(schemes)
    assert "mine" not in json.dumps(schemes)


@pytest.mark.parametrize("name", ["items.json", "thumbnail.png"])
def test_files_beside_the_document_have_their_size_and_checksum(tmp_path, name):
    publish_collection(dataset(), publication(), tmp_path)
    assets = json.loads((tmp_path / "collection.json").read_text())["assets"]
    (asset,) = [one for one in assets.values() if one["href"] == f"./{name}"]
    content = (tmp_path / name).read_bytes()
    assert asset["file:size"] == len(content)
    assert asset["file:checksum"] == "1220" + hashlib.sha256(content).hexdigest()


# What was found


# Thumbnails


def picture(data, **options):
    return np.asarray(Image.open(io.BytesIO(make_thumbnail(data, **options))).convert("RGBA"))


def test_a_thumbnail_has_north_up_and_transparent_gaps():
    pixels = picture(dataset())
    assert pixels.shape == (90, 180, 4)
    north, south = pixels[0, 0, :3], pixels[-1, 0, :3]
    assert tuple(north) == (68, 1, 84)
    assert tuple(south) == (253, 231, 37)
    assert (pixels[44, :, 3] == 0).all()
    assert (pixels[43, :, 3] == 255).all()


def test_a_thumbnail_starts_at_the_western_edge_of_the_bbox():
    lon = np.arange(0.5, 360)
    values = np.broadcast_to(np.where(lon < 180, 1.0, 0.0), (3, 360))
    data = grid(lon, [0.0, 1.0, 2.0]).assign(a=(("lat", "lon"), values))
    pixels = picture(data)
    assert (pixels[:, :180, 0] == 68).all()
    assert (pixels[:, 180:, 0] == 253).all()


@pytest.mark.parametrize("turn", [0, -360])
def test_a_thumbnail_of_a_region_across_the_antimeridian_is_in_one_piece(turn):
    lon = np.arange(170.5, 190) + turn
    data = grid(lon, [0.0, 1.0]).assign(a=(("lat", "lon"), np.broadcast_to(np.arange(20.0), (2, 20))))
    assert picture(data)[0, 0, 0] == 68
    assert picture(data)[0, -1, 0] == 253


def test_a_thumbnail_is_small_and_the_same_each_time():
    assert max(picture(dataset(), size=64).shape) <= 64
    assert make_thumbnail(dataset()) == make_thumbnail(dataset())


def test_only_the_pixels_that_are_drawn_are_taken_from_the_first_step():
    pixels = picture(dataset().isel(lat=slice(None, None, -1)), size=60)
    assert pixels.shape == (30, 60, 4)
    assert pixels[0, 0, 0] < pixels[-1, 0, 0]


def test_a_slice_that_is_too_large_to_fetch_has_no_thumbnail(monkeypatch):
    monkeypatch.setattr("intake_virtualzarr.stac.thumbnail.MAX_CELLS", 1000)
    assert make_thumbnail(dataset()) is None


def test_a_projected_grid_has_no_thumbnail(tmp_path):
    bare = dataset().drop_vars(["lat", "lon"])
    assert make_thumbnail(bare) is None
    publish_collection(bare, publication(), tmp_path)
    assert not (tmp_path / "thumbnail.png").exists()
    with pytest.raises(StacError, match="sst: no thumbnail"):
        make_thumbnail(bare, variable="sst")
    with pytest.raises(StacError, match="x: no thumbnail, it does not lie along 'lat' and 'lon'"):
        make_thumbnail(dataset(x=("time", [1.0, 2.0, 3.0])), variable="x")


def test_a_field_without_any_value_is_transparent():
    assert (picture(dataset() * np.nan)[..., 3] == 0).all()


# What must fail


def test_the_stand_in_schemas_catch_mistakes(tmp_path):
    publish_collection(dataset(), publication(), tmp_path)
    good = (tmp_path / "collection.json").read_text()
    for old, new in [
        ('"cube:dimensions"', '"cube:dims"'),
        ('"axis": "y"', '"axis": "q"'),
        ('"zarr:zarr_format": 3', '"zarr:zarr_format": 4'),
        ('"file:size": 4321', '"file:size": "4321"'),
        ('"platform": "https:/', '"platform": "'),
        ('"processing:software"', '"processing:program"'),
        ('"vzarr:manifest_format": "vzarr"', '"vzarr:manifest_format": "zip"'),
    ]:
        assert old in good
        with pytest.raises(STACValidationError):
            validate_dict(json.loads(good.replace(old, new)), validator=VALIDATOR)
