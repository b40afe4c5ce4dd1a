"""The extension's schema against its examples, and against documents that must fail."""

import copy
import json
import subprocess
import sys
from importlib.resources import files

import jsonschema
import pystac
import pytest
from pystac.errors import STACValidationError
from pystac.validation import GetSchemaError, validate_dict

import stac_ext
from stac_ext import SourcePrefix, VirtualZarrExtension, offline_validator
from stac_ext.hooks import VIRTUAL_ZARR_EXTENSION_HOOKS

EXAMPLES = ("item.json", "collection.json", "collection-item-assets.json")
VALIDATOR = offline_validator()


def example(name):
    return json.loads(files("stac_ext").joinpath("examples", name).read_text())


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_valid(name):
    assert stac_ext.SCHEMA_URI in validate_dict(example(name), validator=VALIDATOR)


def test_the_schema_is_draft_07_and_names_itself():
    jsonschema.Draft7Validator.check_schema(stac_ext.schema())
    assert stac_ext.schema()["$id"] == stac_ext.SCHEMA_URI + "#"


def test_registering_the_schema_lets_pystac_validate_without_a_network():
    stac_ext.register_schema()
    assert stac_ext.SCHEMA_URI in pystac.Item.from_dict(example("item.json")).validate()


def test_the_offline_validator_never_fetches_a_schema():
    document = example("item.json")
    document["stac_extensions"].append("https://nowhere.invalid/v1.0.0/schema.json")
    with pytest.raises(GetSchemaError, match="not among the local schemas"):
        validate_dict(document, validator=VALIDATOR)


def set_asset(key, field, value):
    def edit(document):
        document["assets"][key][field] = value

    return edit


def drop_asset(key, field):
    def edit(document):
        del document["assets"][key][field]

    return edit


def set_source(field, value):
    return lambda document: document["assets"]["virtual"]["vzarr:sources"][0].__setitem__(field, value)


def second_asset(**fields):
    def edit(document):
        document["assets"]["second"] = {"href": "./b.vzarr/", **fields}

    return edit


WRONG_ASSETS = {
    "no manifest format on the first of two": drop_asset("virtual", "vzarr:manifest_format"),
    "unknown manifest format": set_asset("virtual", "vzarr:manifest_format", "zip"),
    "manifest format no string": set_asset("virtual", "vzarr:manifest_format", ["vzarr"]),
    "unknown field": set_asset("virtual", "vzarr:manifests", 3),
    "group empty": set_asset("virtual", "vzarr:group", ""),
    "version a number": set_asset("virtual", "vzarr:manifest_version", 0.1),
    "dims a string": set_asset("virtual", "vzarr:concat_dims", "time"),
    "dims twice": set_asset("virtual", "vzarr:concat_dims", ["time", "time"]),
    "chunks negative": set_asset("virtual", "vzarr:chunk_count", -1),
    "sources no integer": set_asset("virtual", "vzarr:source_count", 1.5),
    "sources no list": set_asset("virtual", "vzarr:sources", {"href": "https://a/"}),
    "fingerprint without algorithm": set_asset("virtual", "vzarr:fingerprint", "9f86d081884c7d65"),
    "no roles": drop_asset("virtual", "roles"),
    "role virtual missing": set_asset("virtual", "roles", ["data"]),
    "second asset has only another field": second_asset(**{"vzarr:chunk_count": 3, "roles": ["virtual"]}),
    "second asset has only the roles": second_asset(roles=["virtual", "references"]),
    "second asset unknown field": second_asset(**{"vzarr:foo": 1}),
    "signed href": set_asset("virtual", "href", "https://a.blob.core.windows.net/c/x.vzarr?sv=1&sig=abc"),
    "presigned href": set_asset("virtual", "href", "https://b.s3.amazonaws.com/x?X-Amz-Signature=0a"),
    "password in href": set_asset("virtual", "href", "ftp://me:secret@host/x.vzarr"),
    "source without href": lambda d: d["assets"]["virtual"]["vzarr:sources"][0].pop("href"),
    "source with unknown field": set_source("token", "abc"),
    "source with password": set_source("href", "s3://key:secret@bucket/"),
    "source with user": set_source("href", "https://token@host/data/"),
    "source signed": set_source("href", "https://host/data/?sig=abc"),
    "source with any query": set_source("href", "https://host/data/?a=b"),
    "source count negative": set_source("count", -1),
    "source type no media type": set_source("type", "netcdf"),
}


@pytest.mark.parametrize("edit", WRONG_ASSETS.values(), ids=WRONG_ASSETS.keys())
@pytest.mark.parametrize("name", ["item.json", "collection.json"])
def test_a_wrong_asset_fails(name, edit):
    document = example(name)
    edit(document)
    with pytest.raises(STACValidationError, match="virtual-zarr"):
        validate_dict(document, validator=VALIDATOR)


def test_a_good_second_asset_passes():
    document = example("item.json")
    second_asset(type="image/png", roles=["thumbnail"])(document)
    document["assets"]["vrt"] = {"href": "./a.vrt", "roles": ["virtual"]}
    document["assets"]["virtual"]["vzarr:sources"][0]["href"] = "abfs://container@account.dfs.core.windows.net/a/"
    validate_dict(document, validator=VALIDATOR)


def wrong_definitions():
    """Yield documents whose item asset definitions, summaries or other parts are wrong."""
    for name, edit in {
        "definition lacks the format": lambda d: d["item_assets"]["virtual"].pop("vzarr:manifest_format"),
        "definition has an unknown field": lambda d: d["item_assets"]["virtual"].update({"vzarr:x": 1}),
        "second definition is wrong": lambda d: d["item_assets"].update(b={"title": "B", "vzarr:group": "/"}),
        "summary of an unknown format": lambda d: d["summaries"].update({"vzarr:manifest_format": ["zip"]}),
        "summary of an unknown field": lambda d: d["summaries"].update({"vzarr:fingerprint": ["sha256:0123456789abcdef"]}),
        "summary range is open": lambda d: d["summaries"].update({"vzarr:chunk_count": {"minimum": 1}}),
        "field at the top level": lambda d: d.update({"vzarr:manifest_format": "vzarr"}),
        "field in a link": lambda d: d["links"][0].update({"vzarr:group": "/"}),
        "wrong asset beside good definitions": lambda d: d.update(assets={"a": {"href": "a", "vzarr:group": "/"}}),
        "field nowhere": lambda d: (d.pop("summaries"), d.pop("item_assets")),
        "extension not listed": lambda d: d.update(stac_extensions=[]),
    }.items():
        document = copy.deepcopy(example("collection-item-assets.json"))
        edit(document)
        yield pytest.param(document, id=name)


@pytest.mark.parametrize("document", list(wrong_definitions()))
def test_a_wrong_collection_fails(document):
    with pytest.raises(STACValidationError, match="virtual-zarr"):
        validate_dict(document, extensions=[stac_ext.SCHEMA_URI], validator=VALIDATOR)


def test_a_field_in_item_properties_fails():
    document = example("item.json")
    document["properties"]["vzarr:manifest_format"] = "vzarr"
    with pytest.raises(STACValidationError, match="virtual-zarr"):
        validate_dict(document, validator=VALIDATOR)


def test_fields_written_through_the_class_are_those_of_the_example():
    wanted = example("item.json")["assets"]["virtual"]
    item = pystac.Item.from_dict(example("item.json"))
    item.stac_extensions = []
    asset = pystac.Asset(wanted["href"], media_type=wanted["type"], roles=wanted["roles"], title=wanted["title"])
    item.add_asset("virtual", asset)
    source = wanted["vzarr:sources"][0]
    VirtualZarrExtension.ext(asset, add_if_missing=True).apply(
        "vzarr",
        manifest_version="0.1",
        concat_dims=["time"],
        chunk_count=124,
        source_count=31,
        sources=[SourcePrefix(source["href"], source["type"], count=source["count"], size=source["size"])],
        fingerprint=wanted["vzarr:fingerprint"],
    )
    assert asset.to_dict() == wanted
    assert item.stac_extensions == [stac_ext.SCHEMA_URI]


def test_fields_are_read_with_their_types():
    asset = pystac.Item.from_dict(example("item.json")).assets["virtual"]
    ext = VirtualZarrExtension.ext(asset)
    assert (ext.manifest_format, ext.manifest_version, ext.group) == ("vzarr", "0.1", None)
    assert (ext.concat_dims, ext.chunk_count, ext.source_count) == (("time",), 124, 31)
    assert ext.sources == (SourcePrefix("https://data.example.com/sst/2024/01/", "application/x-netcdf", (), 31, 2790000),)
    assert ext.fingerprint is not None
    assert "VirtualZarrExtension" in repr(ext)


def test_an_item_asset_definition_has_the_fields_too():
    collection = pystac.Collection.from_dict(example("collection-item-assets.json"))
    ext = VirtualZarrExtension.ext(collection.item_assets["virtual"])
    assert ext.manifest_format == "vzarr"
    ext.group = "/sst"
    assert collection.to_dict()["item_assets"]["virtual"]["vzarr:group"] == "/sst"


def test_summaries_are_typed():
    collection = pystac.Collection.from_dict(example("collection-item-assets.json"))
    summaries = VirtualZarrExtension.summaries(collection)
    assert summaries.manifest_format == ["vzarr", "kerchunk-json"]
    assert summaries.manifest_version == ["0.1"]
    assert summaries.concat_dims == [["time"]]
    assert summaries.source_count.maximum == 31
    summaries.chunk_count = pystac.RangeSummary(1, 2)
    summaries.source_count = None
    assert summaries.chunk_count.minimum == 1
    assert "vzarr:source_count" not in collection.to_dict()["summaries"]


def test_the_fields_belong_to_assets_only():
    with pytest.raises(pystac.ExtensionTypeError, match="does not apply to type 'Item'"):
        VirtualZarrExtension.ext(pystac.Item.from_dict(example("item.json")))


def test_a_document_that_does_not_list_the_extension_is_refused():
    item = pystac.Item.from_dict(example("item.json") | {"stac_extensions": []})
    with pytest.raises(pystac.ExtensionNotImplemented, match="vzarr"):
        VirtualZarrExtension.ext(item.assets["virtual"])


def test_an_unknown_manifest_format_is_refused_when_it_is_set():
    with pytest.raises(ValueError, match="'zip' is none of vzarr"):
        VirtualZarrExtension.ext(pystac.Asset("a")).apply("zip")


def test_the_required_field_is_named_when_it_is_missing():
    with pytest.raises(pystac.RequiredPropertyMissing, match="vzarr:manifest_format"):
        _ = VirtualZarrExtension.ext(pystac.Asset("a")).manifest_format


def test_the_hooks_are_an_instance_for_items_and_collections():
    assert VIRTUAL_ZARR_EXTENSION_HOOKS.schema_uri == stac_ext.SCHEMA_URI
    assert VIRTUAL_ZARR_EXTENSION_HOOKS._get_stac_object_types() == {"Feature", "Collection"}


def test_importing_the_extension_loads_nothing_heavy():
    code = "import stac_ext.hooks, sys; print({'xarray', 'zarr', 'numpy', 'jsonschema'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    baseline = subprocess.run(
        [sys.executable, "-c", code.replace("stac_ext.hooks", "pystac")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == baseline.stdout
