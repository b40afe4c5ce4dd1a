"""From a search to sources: assets, signatures, selection, order, footprints."""

import datetime as dt
import json
import warnings

import pystac
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from intake_virtualzarr.errors import NothingFoundError, StacError
from intake_virtualzarr.stac.assets import choose_assets
from intake_virtualzarr.stac.find_sources import find_sources, iter_sources
from intake_virtualzarr.stac.footprint import bbox_of, footprint, split_at_antimeridian
from intake_virtualzarr.stac.items import iter_items
from intake_virtualzarr.stac.order import order_sources
from intake_virtualzarr.stac.query import Query, bbox_geometry
from intake_virtualzarr.stac.select_options import SelectOptions
from intake_virtualzarr.stac.signing import sign_href, strip_signature
from intake_virtualzarr.stac.source_item import SourceItem


def item(name="a", time="2024-01-01T12:00:00Z", assets=None, bbox=(0.0, 0.0, 10.0, 10.0), **properties):
    west, south, east, north = bbox
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": name,
        "bbox": list(bbox),
        "geometry": shapely.geometry.mapping(shapely.box(west, south, east, north)),
        "properties": {"datetime": time, **properties},
        "links": [{"rel": "self", "href": f"https://host/items/{name}.json"}],
        "assets": assets
        if assets is not None
        else {"data": {"href": f"./{name}.nc", "type": "application/x-netcdf", "roles": ["data"]}},
    }


def keys(document, asset=None):
    return [key for key, _, _ in choose_assets(document, asset)]


# Assets


@pytest.mark.parametrize(
    ("asset", "chosen"),
    [
        ({"href": "a.nc", "type": "application/x-netcdf"}, True),
        ({"href": "a", "type": "application/NetCDF; profile=cf"}, True),
        ({"href": "a.bin", "type": "application/x-hdf5"}, True),
        ({"href": "https://host/A.NC4?x=1#group"}, True),
        ({"href": "https://host/a.he5", "type": "application/octet-stream"}, True),
        ({"href": "a.h5", "type": "image/png"}, False),
        ({"href": "a.tif"}, False),
        ({"href": "s3://bucket/folder/", "type": "application/x-netcdf"}, False),
        ({"href": "a.nc", "roles": ["data", "virtual"]}, False),
        ({"href": "a.nc", "roles": ["opendap"]}, False),
    ],
)
def test_archives_are_told_by_type_else_by_suffix(asset, chosen):
    document = item(assets={"x": asset})
    if chosen:
        assert keys(document) == ["x"]
    else:
        with pytest.raises(StacError, match=r"item 'a': no archive file .* 'x'"):
            keys(document)


TWO = {
    "low": {"href": "low.nc", "type": "application/x-netcdf", "roles": ["data"]},
    "high": {"href": "high.h5", "type": "application/x-hdf5", "roles": ["data", "best"]},
    "map": {"href": "map.png", "type": "image/png"},
}


def test_several_candidates_are_refused_with_their_keys_and_the_way_out():
    with pytest.raises(StacError, match=r"item 'a': 2 assets could be meant: 'low', 'high'; .*asset='low'"):
        keys(item(assets=TWO))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("high", ["high"]),
        ("best", ["high"]),
        (".H5", ["high"]),
        ("application/x-hdf5", ["high"]),
        (lambda key, asset: asset["href"].startswith("low"), ["low"]),
        (["high", "low"], ["high", "low"]),
        ("map", ["map"]),
    ],
)
def test_an_asset_is_chosen_by_key_role_suffix_type_or_predicate(wanted, found):
    assert keys(item(assets=TWO), wanted) == found


def test_a_choice_that_fits_nothing_lists_what_there_is():
    with pytest.raises(StacError, match=r"no asset 'sst' .* 'low' \(application/x-netcdf\), .*'map' \(image/png\)"):
        keys(item(assets=TWO), "sst")


def test_a_role_decides_between_data_and_ancillary_files():
    assets = {"a": {"href": "a.nc", "roles": ["metadata"]}, "b": {"href": "b.nc", "roles": ["source"]}}
    assert keys(item(assets=assets)) == ["b"]


def test_a_virtual_asset_is_refused_with_a_hint():
    assets = {"refs": {"href": "r.json", "type": "application/json", "roles": ["references"]}}
    with pytest.raises(StacError, match="'refs' is virtual already: open it"):
        keys(item(assets=assets))


TWINS = {
    "0": {"href": "https://host/a.nc"},
    "s3_0": {"href": "s3://bucket/a.nc"},
    "browse": {"href": "https://host/a.png"},
}
ALTERNATE = {"x": {"href": "s3://bucket/a.nc", "alternate": {"web": {"href": "https://host/a.nc"}}}}


@pytest.mark.parametrize(
    ("assets", "protocols", "href"),
    [
        (TWINS, None, "https://host/a.nc"),
        (TWINS, ["s3"], "s3://bucket/a.nc"),
        (TWINS, ["gs", "https"], "https://host/a.nc"),
        (ALTERNATE, None, "s3://bucket/a.nc"),
        (ALTERNATE, ["https", "s3"], "https://host/a.nc"),
        ({"d": {"href": "s3://b/a.nc"}, "w": {"href": "https://h/a.nc"}}, ["s3"], "s3://b/a.nc"),
    ],
)
def test_a_file_in_several_places_is_read_over_the_preferred_protocol(assets, protocols, href):
    assert [one[2] for one in choose_assets(item(assets=assets), protocols=protocols)] == [href]


def test_a_protocol_that_is_not_offered_is_refused():
    with pytest.raises(StacError, match="not to be had over gs, only over https, s3"):
        choose_assets(item(assets=TWINS), protocols=["gs"])


# Signatures


@pytest.mark.parametrize(
    ("signed", "clean"),
    [
        ("https://a.blob.core.windows.net/c/a.nc?st=1&se=2&sp=rl&sv=2024&sr=c&sig=x%3D", "https://a.blob.core.windows.net/c/a.nc"),
        ("https://b.s3.amazonaws.com/a.nc?X-Amz-Algorithm=A&X-Amz-Signature=s&versionId=3", "https://b.s3.amazonaws.com/a.nc?versionId=3"),
        ("https://h/a.nc?Expires=1&Signature=s&Key-Pair-Id=k", "https://h/a.nc"),
        ("https://h/a.nc?access_token=t#g", "https://h/a.nc#g"),
        ("https://h/a.nc?token=t&v=1", "https://h/a.nc"),
        ("https://user:pass@h:8080/a.nc", "https://h:8080/a.nc"),
        ("s3://key:secret@bucket/a.nc", "s3://bucket/a.nc"),
        ("simplecache::https://u:p@h/a.nc", "simplecache::https://h/a.nc"),
        ("https://h/a.nc?jwt=t&access-token=a&hdnea=b&key=c", "https://h/a.nc"),
        ("abfs://container@account.dfs.core.windows.net/a.nc", "abfs://container@account.dfs.core.windows.net/a.nc"),
        ("/data/a b@c?token=x.nc", "/data/a b@c?token=x.nc"),
    ],
)  # fmt: skip
def test_credentials_are_taken_out_of_urls(signed, clean):
    assert strip_signature(signed) == clean


@given(
    st.text(st.characters(codec="ascii", exclude_characters="\x00"), max_size=40),
    st.text("ab=&?#%/", max_size=20),
)
def test_stripping_twice_is_stripping_once(path, query):
    try:
        once = strip_signature(f"https://me:secret@host/{path}?sig=abc&{query}")
    except ValueError:  # not a URL at all, e.g. a bracket in the host
        return
    assert strip_signature(once) == once
    assert "secret@" not in once.split("/")[2]


def test_a_modifier_signs_urls_or_items():
    def in_place(document):
        document["assets"]["data"]["href"] += "?sig=1"

    assert sign_href("https://h/a.nc", in_place) == "https://h/a.nc?sig=1"
    assert sign_href("https://h/a.nc", lambda url: url + "?sig=2") == "https://h/a.nc?sig=2"
    assert sign_href("https://h/a.nc", None) == "https://h/a.nc"


def test_a_signature_is_used_for_reading_and_not_kept():
    (source,) = find_sources([item()], modifier=lambda url: url + "?sig=1")
    assert source.href == "https://host/items/a.nc"
    assert source.signed_href == "https://host/items/a.nc?sig=1"
    assert "sig" not in repr(source)


def test_an_href_that_comes_signed_is_read_signed_and_kept_clean():
    (source,) = find_sources([item(assets={"data": {"href": "https://h/a.nc?sig=1"}})])
    assert (source.href, source.signed_href) == ("https://h/a.nc", "https://h/a.nc?sig=1")


# Where items come from


def test_a_source_carries_what_the_item_says():
    assets = {
        "data": {
            "href": "../a.nc",
            "type": "application/x-netcdf",
            "file:size": 9719,
            "file:checksum": "1220ab",
            "updated": "2024-02-01T00:00:00Z",
        }
    }
    one = item(assets=assets, platform="x", ignored="y", updated="2024-01-02T00:00:00Z") | {"collection": "sst"}
    (source,) = find_sources(one)
    assert source.href == "https://host/a.nc"
    assert (source.item_id, source.collection, source.asset_key) == ("a", "sst", "data")
    assert source.datetime == source.time == dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
    assert (source.size, source.checksum) == (9719, "1220ab")
    assert source.updated == dt.datetime(2024, 2, 1, tzinfo=dt.UTC)
    assert dict(source.properties) == {"platform": "x", "updated": "2024-01-02T00:00:00Z"}
    assert source.bbox == (0, 0, 10, 10)
    assert source.self_href == "https://host/items/a.json"


@pytest.fixture
def catalog(tmp_path):
    """A static catalog with one collection of three items, saved with relative links."""
    collection = pystac.Collection(
        "sst",
        "SST",
        pystac.Extent(pystac.SpatialExtent([[0, 0, 10, 10]]), pystac.TemporalExtent([[None, None]])),
    )
    for day in (3, 1, 2):
        collection.add_item(pystac.Item.from_dict(item(f"day-{day}", f"2024-01-0{day}T00:00:00Z") | {"links": []}))
    root = pystac.Catalog("root", "Root")
    root.add_child(collection)
    root.normalize_hrefs(str(tmp_path))
    root.save(pystac.CatalogType.SELF_CONTAINED)
    return tmp_path


IDS = ["day-1", "day-2", "day-3"]


def every_way(catalog):
    path = catalog / "catalog.json"
    collection = catalog / "sst" / "collection.json"
    items = [json.loads((catalog / "sst" / name / f"{name}.json").read_text()) for name in IDS]
    for one in items:
        one["links"].append({"rel": "self", "href": str(catalog / "sst" / one["id"] / "x.json")})
    lines = catalog / "items.ndjson"
    lines.write_text("".join(json.dumps(one) + "\n" for one in items))
    feature_collection = catalog / "items.json"
    feature_collection.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    return {
        "path of a catalog": path,
        "path of a collection": str(collection),
        "file URL of a collection": collection.as_uri(),
        "pystac catalog": pystac.Catalog.from_file(path),
        "pystac collection": pystac.Collection.from_file(collection),
        "pystac items": list(pystac.Catalog.from_file(path).get_items(recursive=True)),
        "pystac item collection": pystac.ItemCollection(items),
        "dictionaries": iter(items),
        "a feature collection": {"type": "FeatureCollection", "features": items},
        "path of a feature collection": feature_collection,
        "lines": lines,
        "paths of items": [catalog / "sst" / name / f"{name}.json" for name in reversed(IDS)],
    }


@pytest.mark.parametrize("way", [
    "path of a catalog", "path of a collection", "file URL of a collection", "pystac catalog",
    "pystac collection", "pystac items", "pystac item collection", "dictionaries", "a feature collection",
    "path of a feature collection", "lines", "paths of items",
])  # fmt: skip
def test_items_come_from_whatever_is_at_hand(catalog, way):
    sources = find_sources(every_way(catalog)[way])
    assert [one.item_id for one in sources] == IDS
    assert [one.href.endswith(f"/sst/{name}/{name}.nc") for one, name in zip(sources, IDS, strict=True)] == [True] * 3


def test_data_files_are_passed_through_in_their_order(tmp_path):
    paths = [tmp_path / "b.nc", "https://host/a.nc?v=1"]
    sources = find_sources(paths)
    assert [one.href for one in sources] == [str(tmp_path / "b.nc"), "https://host/a.nc"]
    assert {one.item_id for one in sources} == {None}
    assert sources[1].signed_href == "https://host/a.nc?v=1"


def test_a_collection_without_items_gives_its_own_data_asset(tmp_path):
    path = tmp_path / "collection.json"
    path.write_text(
        json.dumps(
            {
                "type": "Collection",
                "stac_version": "1.1.0",
                "id": "c",
                "description": "c",
                "license": "CC0-1.0",
                "links": [],
                "extent": {
                    "spatial": {"bbox": [[0, 0, 1, 1]]},
                    "temporal": {"interval": [["2024-01-01T00:00:00Z", None]]},
                },
                "assets": {"all": {"href": "./all.nc"}},
            }
        )
    )
    (source,) = find_sources(path)
    assert source.href == str(tmp_path / "all.nc")
    assert source.start_datetime == dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    assert source.bbox == (0, 0, 1, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not valid JSON: .*line 1"),
        ("[1]", "holds a JSON list"),
        ('{"type": "Topology"}', "'type' is 'Topology'; expected Feature"),
    ],
)
def test_a_file_that_is_no_stac_document_is_named(tmp_path, text, message):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(StacError, match=rf"a\.json: {message}"):
        find_sources(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StacError, match=r"none\.json: cannot be read: No such file"):
        find_sources(tmp_path / "none.json")


def test_a_thing_of_another_kind_is_refused():
    with pytest.raises(StacError, match="cannot be taken from a int"):
        find_sources(3)


def test_a_relative_href_needs_a_self_link():
    with pytest.raises(StacError, match=r"item 'a': asset 'data' has the relative href './a.nc'"):
        find_sources(item() | {"links": []})


def test_an_empty_list_is_an_error_of_its_own():
    with pytest.raises(NothingFoundError, match="no items found"):
        find_sources([])


# Selection


@pytest.mark.parametrize(
    ("parameters", "kept"),
    [
        ({"datetime": "2024-01-02T00:00:00Z/.."}, ["day-2", "day-3"]),
        ({"datetime": "../2024-01-01T23:59:59Z"}, ["day-1"]),
        ({"datetime": "2024-01-02"}, ["day-2"]),
        ({"datetime": "2024-01"}, IDS),
        ({"datetime": "2023/2024"}, IDS),
        ({"bbox": [9, 9, 20, 20]}, IDS),
        ({"bbox": [175, -1, 5, 1]}, IDS),
        ({"bbox": [0, 0, -100, 1, 1, 100]}, IDS),
        ({"bbox": [20, 20, 30, 30]}, []),
        ({"intersects": {"type": "Point", "coordinates": [5, 5]}}, IDS),
        ({"intersects": {"type": "Point", "coordinates": [50, 5]}}, []),
    ],
)
def test_items_are_checked_on_the_client(parameters, kept):
    items = [item(name, f"2024-01-0{name[-1]}T00:00:00Z") for name in IDS]
    assert [one.item_id for one in iter_sources(items, SelectOptions(**parameters))] == kept


def test_an_item_without_datetime_matches_by_its_interval():
    query = Query.from_parameters({"datetime": "2024-03"})
    times = {"start_datetime": "2024-01-01T00:00:00Z", "end_datetime": "2024-12-31T00:00:00Z"}
    assert query.matches(item(time=None, **times))
    assert not Query.from_parameters({"datetime": "2025"}).matches(item(time=None, **times))


def test_what_an_item_does_not_say_is_no_reason_to_drop_it():
    query = Query.from_parameters({"datetime": "2024", "bbox": "0,0,1,1", "collections": ["a"]})
    assert query.matches({"type": "Feature", "id": "x", "properties": {}})
    assert not query.matches({"type": "Feature", "id": "x", "collection": "b", "properties": {}})


def test_an_uncut_geometry_across_the_antimeridian_is_found_where_it_is():
    ring = [[170, 0], [-170, 0], [-170, 10], [170, 10], [170, 0]]
    one = item(bbox=(170.0, 0.0, -170.0, 10.0)) | {"geometry": {"type": "Polygon", "coordinates": [ring]}}
    assert Query.from_parameters({"bbox": [175, 1, 178, 2]}).matches(one)
    assert not Query.from_parameters({"bbox": [0, 1, 10, 2]}).matches(one)


@pytest.mark.parametrize("geometry", [{"type": "Polygon"}, {"type": "Nothing", "coordinates": []}, [1], "x"])
def test_a_geometry_that_is_none_is_named(geometry):
    with pytest.raises(StacError, match="item 'a': its geometry is not GeoJSON"):
        find_sources(item() | {"geometry": geometry})


def test_a_time_that_is_none_is_named():
    with pytest.raises(StacError, match="item 'a': datetime: 'yesterday' is not an RFC 3339 time"):
        find_sources(item(time="yesterday"), datetime="2024")


# Order and duplicates


def source(name, time=None, **fields):
    when = None if time is None else dt.datetime.fromisoformat(time).replace(tzinfo=dt.UTC)
    return SourceItem(href=f"https://h/{name}.nc", item_id=name, datetime=when, **fields)


@given(st.permutations(range(6)))
def test_the_order_does_not_depend_on_the_servers(order):
    sources = [source(f"n{5 - number}", f"2024-01-0{number // 2 + 1}", bbox=(number, 0, 9, 9)) for number in order]
    names = [one.item_id for one in order_sources(sources)]
    assert names == ["n4", "n5", "n2", "n3", "n0", "n1"]


def test_start_datetime_orders_where_datetime_is_null():
    start = dt.datetime(2023, 1, 1, tzinfo=dt.UTC)
    sources = [source("b", "2024-01-01"), source("a", start_datetime=start)]
    assert [one.item_id for one in order_sources(sources)] == ["a", "b"]


OLD = source("v9", "2024-01-01", properties={"version": "9"})
NEW = source("v10", "2024-01-01", properties={"version": "10"})


def test_two_versions_of_one_file_are_refused_by_default():
    with pytest.raises(StacError, match=r"2 sources for 2024-01-01T00:00:00\+00:00 .*'v9', 'v10'.*duplicates='latest'"):
        order_sources([OLD, NEW])


def test_a_policy_picks_one_of_two_versions():
    assert order_sources([NEW, OLD], "latest") == (NEW,)
    assert order_sources([OLD, NEW], "first") == (OLD,)


def test_the_later_update_wins_where_no_version_is_given():
    one = source("a", "2024-01-01", updated=dt.datetime(2024, 3, 1, tzinfo=dt.UTC))
    two = source("b", "2024-01-01", updated=dt.datetime(2024, 2, 1, tzinfo=dt.UTC))
    assert order_sources([two, one], "latest") == (one,)


def test_one_file_listed_twice_is_taken_once():
    assert order_sources([OLD, OLD]) == (OLD,)


@pytest.mark.parametrize(
    "other",
    [
        {"bbox": (1.0, 1.0, 2.0, 2.0)},
        {"asset_key": "b"},
        {"properties": {"cmip6:variable": "tas"}},
        {"end_datetime": dt.datetime(2024, 1, 2, tzinfo=dt.UTC)},
    ],
)
def test_another_place_asset_variable_or_interval_is_no_duplicate(other):
    assert len(order_sources([source("a", "2024-01-01"), source("b", "2024-01-01", **other)])) == 2


def test_an_unknown_policy_is_refused():
    with pytest.raises(StacError, match="expected one of error, first, latest"):
        order_sources([], "newest")


# Footprints


def test_a_time_series_has_the_footprint_of_one_item():
    found = footprint([source("a", bbox=(0, 0, 10, 10)), source("b", bbox=(0, 0, 10, 10))])
    assert found.bbox == (0, 0, 10, 10)
    assert shapely.geometry.shape(found.geometry).equals(shapely.box(0, 0, 10, 10))


def test_nothing_is_known_of_files_without_items():
    assert footprint([SourceItem(href="a.nc")]) is None


def test_a_footprint_across_the_antimeridian_is_split_and_its_bbox_is_short():
    found = footprint([source("a", bbox=(170, 0, -170, 10)), source("b", bbox=(160, 0, 175, 10))])
    assert found.bbox == (160, 0, -170, 10)
    assert found.geometry["type"] == "MultiPolygon"
    assert shapely.geometry.shape(found.geometry).area == pytest.approx(300)


def test_longitudes_beyond_180_are_brought_back():
    geometry = split_at_antimeridian(shapely.box(170, 0, 190, 10))
    assert geometry.bounds == (-180, 0, 180, 10)
    assert bbox_of(geometry) == (170, 0, -170, 10)


def test_an_unsplit_polygon_is_split_if_its_bbox_crosses():
    ring = shapely.Polygon([(170, 0), (-170, 0), (-170, 10), (170, 10)])
    found = footprint([source("a", bbox=(170, 0, -170, 10), geometry_wkb=shapely.to_wkb(ring))])
    assert found.bbox == (170, 0, -170, 10)


def test_the_whole_globe_stays_the_whole_globe():
    assert bbox_of(bbox_geometry([-180, -90, 180, 90])) == (-180, -90, 180, 90)


@given(st.lists(st.tuples(st.integers(-180, 179), st.integers(1, 300)), min_size=1, max_size=4))
def test_the_bbox_of_a_union_covers_every_part(parts):
    boxes = [(west, 0, (west + width + 180) % 360 - 180, 10) for west, width in parts]
    found = footprint([source("a", bbox=box) for box in boxes])
    covered = bbox_geometry(found.bbox).buffer(1e-9)
    for box in boxes:
        assert covered.contains(bbox_geometry(box))


def test_reading_items_warns_of_nothing(catalog):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(iter_items(catalog / "catalog.json"))) == 3
