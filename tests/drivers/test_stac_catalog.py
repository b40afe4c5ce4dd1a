"""The driver ``virtualzarr_stac``: STAC documents and APIs as catalogs of their virtual assets."""

import json
import pickle

import intake
import pytest
import xarray as xr
from support.helpers import to_parquet

import intake_virtualzarr as ivz
from intake_virtualzarr.drivers.intake2_readers import VirtualZarrReader, VirtualZarrStacReader
from intake_virtualzarr.drivers.stac_catalog import VirtualZarrStacCatalog
from intake_virtualzarr.drivers.virtual_assets import virtual_asset, virtual_assets
from intake_virtualzarr.errors import ArgumentError, NotAllowedError, NothingFoundError, StacError


def open_stac(path, **options):
    return intake.open_catalog(str(path), driver="virtualzarr_stac", **options)


def write(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def link(rel, href):
    return {"rel": rel, "href": href}


def item(name, assets, **properties):
    properties = {"datetime": "2024-01-01T00:00:00Z", **properties}
    return {"type": "Feature", "id": name, "properties": properties, "links": [], "assets": assets}


def store_asset(href):
    return {"href": href.as_uri(), "roles": ["data", "virtual"], "vzarr:manifest_format": "vzarr"}


def test_a_published_collection_opens_by_its_id(published_once):
    catalog = open_stac(published_once.catalog / "collection.json")
    assert list(catalog) == ["sst"]
    xr.testing.assert_equal(catalog.sst.to_dask(), published_once.direct)


def test_entries_take_the_arguments_of_the_driver(published_once):
    catalog = open_stac(published_once.catalog / "collection.json")
    assert catalog.sst(time="2024-02", variables="sst").to_dask().sizes["time"] == 20
    with pytest.raises(ArgumentError, match="no argument 'tme'"):
        catalog.sst(tme=1)


def test_a_published_collection_opens_over_http(published_once, serve):
    server = serve(published_once.root)
    catalog = open_stac(f"{server.url}/catalog/collection.json")
    xr.testing.assert_equal(catalog.sst.to_dask(), published_once.direct)


def test_headers_reach_the_documents_and_the_store(published_once, serve, monkeypatch):
    from intake_virtualzarr.cli import http_server as serving

    seen = []
    real = serving._Handler.do_GET
    monkeypatch.setattr(serving._Handler, "do_GET", lambda self: (seen.append(self.headers.get("X-Key")), real(self))[1])
    server = serve(published_once.root)
    options = {f"{server.url}/": {"headers": {"X-Key": "hush"}}}
    open_stac(f"{server.url}/catalog/collection.json", storage_options=options).sst.read()
    assert set(seen) == {"hush"}


def test_an_item_opens_and_its_title_is_the_description(published_once, tmp_path):
    path = write(tmp_path / "i.json", item("jan", {"v": store_asset(published_once.catalog / "sst.vzarr")}, title="January"))
    catalog = open_stac(path)
    assert catalog.jan.describe()["description"] == "January"
    assert catalog.jan.to_dask().sizes["time"] == 40


def test_several_virtual_assets_are_entries_of_their_own(published_once, tmp_path):
    store = store_asset(published_once.catalog / "sst.vzarr")
    path = write(tmp_path / "i.json", item("jan", {"a": store, "b": store, "thumbnail": {"href": "t.png"}}))
    assert list(open_stac(path)) == ["jan_a", "jan_b"]


def test_a_static_catalog_opens_with_its_children(published_once, tmp_path):
    store = store_asset(published_once.catalog / "sst.vzarr")
    write(tmp_path / "one" / "collection.json", {"type": "Collection", "id": "one", "assets": {"v": store}, "links": []})
    write(tmp_path / "deep" / "items" / "x.json", item("x", {"v": store}))
    write(
        tmp_path / "deep" / "catalog.json",
        {"type": "Catalog", "id": "deep", "links": [link("item", "./items/x.json"), link("parent", "../catalog.json")]},
    )
    write(tmp_path / "plain.json", item("plain", {"data": {"href": "a.nc"}}))
    links = [link("child", "./one/collection.json"), link("child", "./deep/catalog.json"), link("item", "./plain.json")]
    catalog = open_stac(write(tmp_path / "catalog.json", {"type": "Catalog", "id": "root", "links": links}))
    assert list(catalog) == ["deep", "one"] or list(catalog) == ["one", "deep"]
    assert catalog.one.to_dask().sizes["time"] == 40
    assert list(catalog.deep) == ["x"]
    assert catalog.deep.x.to_dask().sizes["time"] == 40
    assert catalog["deep.x"].to_dask().sizes["time"] == 40


def test_items_of_one_id_stay_apart(published_once, tmp_path):
    store = store_asset(published_once.catalog / "sst.vzarr")
    document = {"type": "FeatureCollection", "features": [item("x", {"v": store}), item("x", {"v": store})]}
    assert list(open_stac(write(tmp_path / "items.json", document))) == ["x", "x_2"]


def test_a_catalog_without_virtual_assets_is_an_error_and_not_empty(tmp_path):
    path = write(tmp_path / "i.json", item("plain", {"data": {"href": "a.nc", "type": "application/x-netcdf"}}))
    with pytest.raises(NothingFoundError, match="nothing there has a virtual asset"):
        open_stac(path)


def test_a_document_that_is_no_stac_is_an_error(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("[]")
    with pytest.raises(StacError, match="not a STAC document"):
        open_stac(path)
    with pytest.raises(StacError, match="cannot be read"):
        open_stac(tmp_path / "absent.json")


def test_an_unknown_argument_is_an_error():
    with pytest.raises(ArgumentError, match="no argument 'collections'; known are urlpath, search"):
        VirtualZarrStacCatalog("x.json", collections=["sst"])


def test_what_a_document_says_is_no_template(published_once, tmp_path):
    assets = {"v": store_asset(published_once.catalog / "sst.vzarr")}
    document = item("jan", assets, title="{{ env('HOME') }}")
    catalog = open_stac(write(tmp_path / "i.json", document))
    assert catalog.jan.metadata["title"] == "{{ env('HOME') }}"
    saved = tmp_path / "saved.yaml"
    catalog.save(str(saved))
    assert intake.open_catalog(saved).jan.metadata["title"] == "{{ env('HOME') }}"


@pytest.fixture
def nested(published_once, tmp_path):
    """A static catalog: two collections of one item each."""
    for name in ("warm", "cold"):
        assets = {"v": store_asset(published_once.catalog / "sst.vzarr")}
        write(tmp_path / name / "i.json", item(f"{name}_jan", assets, title="<b>January</b> {{ 1 + 1 }}"))
        write(tmp_path / name / "c.json", {"type": "Collection", "id": name, "links": [link("item", "./i.json")]})
    links = [link("child", "./warm/c.json"), link("child", "./cold/c.json")]
    return write(tmp_path / "root.json", {"type": "Catalog", "id": "root", "description": "Seas\n\nand oceans", "links": links})


def test_nested_catalogs_are_walked_and_searched(nested, published_once):
    catalog = open_stac(nested)
    assert list(catalog) == ["warm", "cold"]
    assert set(catalog.walk()) == {"warm", "warm.warm_jan", "cold", "cold.cold_jan"}
    xr.testing.assert_equal(catalog["cold.cold_jan"].to_dask(), published_once.direct)
    xr.testing.assert_equal(catalog.warm.warm_jan.read(), published_once.direct)
    found = catalog.search("cold_jan")
    assert list(found) == ["cold.cold_jan"]
    xr.testing.assert_equal(found._entries["cold.cold_jan"].get().to_dask(), published_once.direct)


def test_a_catalog_describes_itself_and_its_entries(nested):
    catalog = open_stac(nested)
    described = catalog.describe()
    assert (described["name"], described["container"], described["driver"]) == ("root", "catalog", ["virtualzarr_stac"])
    assert described["args"] == {"urlpath": str(nested)}
    assert catalog["warm"].describe()["name"] == "warm"
    assert catalog._entries["warm"].describe()["container"] == "catalog"
    assert catalog.discover()["container"] == "catalog"


def test_a_pickled_catalog_is_the_same(nested):
    catalog = open_stac(nested)
    again = pickle.loads(pickle.dumps(catalog))
    assert again == catalog
    assert list(again.warm) == ["warm_jan"]


def test_yaml_of_a_catalog_opens_as_the_same_catalog(nested, published_once, tmp_path):
    (tmp_path / "again.yaml").write_text(open_stac(nested).yaml())
    again = intake.open_catalog(tmp_path / "again.yaml")
    assert list(again.root) == ["warm", "cold"]
    xr.testing.assert_equal(again["root.warm.warm_jan"].to_dask(), published_once.direct)
    (tmp_path / "inner.yaml").write_text(open_stac(nested).warm.yaml())
    assert list(intake.open_catalog(tmp_path / "inner.yaml").warm) == ["warm_jan"]


def test_html_of_a_catalog_lists_its_entries_and_escapes_text(nested):
    catalog = open_stac(nested)
    html = catalog._repr_html_()
    assert "root (virtualzarr_stac, 2 entries)" in html
    assert "entry: cold" in html
    inner = catalog.warm._repr_html_()
    assert "&lt;b&gt;January&lt;/b&gt; {{ 1 + 1 }}" in inner
    assert "<b>" not in inner
    assert "sst.vzarr, vzarr" in inner


def test_html_of_many_entries_stays_short(published_once, tmp_path):
    asset = {"v": store_asset(published_once.catalog / "sst.vzarr")}
    items = [item(f"i{n}", asset) for n in range(30)]
    catalog = open_stac(write(tmp_path / "items.json", {"type": "FeatureCollection", "features": items}))
    html = catalog._repr_html_()
    assert html.count("entry: ") == 20
    assert "10 more entries" in html


@pytest.mark.parametrize("kind", ["kerchunk-json", "kerchunk-parquet", "icechunk"])
def test_assets_of_other_formats_open_alike(published_once, tmp_path, kind):
    path = published_once.paths[0]
    where = tmp_path / {"kerchunk-json": "refs.json", "kerchunk-parquet": "refs.parq", "icechunk": "repository"}[kind]
    if kind == "icechunk":
        pytest.importorskip("icechunk", reason="the extra 'icechunk' is not installed")
        from intake_virtualzarr.datasets.icechunk_repository import commit_references

        commit_references(ivz.open_virtual_dataset(path), where)
    else:
        hdf = pytest.importorskip("kerchunk.hdf", reason="the extra 'kerchunk' is not installed")
        refs = hdf.SingleHdf5ToZarr(str(path), inline_threshold=0).translate()
        write(where, refs) if kind == "kerchunk-json" else to_parquet(refs, where)
    asset = {"href": where.as_uri(), "roles": ["data"], "vzarr:manifest_format": kind}
    catalog = open_stac(write(tmp_path / "i.json", item("jan", {"v": asset})))
    xr.testing.assert_equal(catalog.jan.read(), published_once.direct.isel(time=slice(0, 20)))
    assert catalog.jan(time="2024-01-03", variables="ice").to_dask().sizes["time"] == 1


def test_a_saved_catalog_opens_without_the_documents(published_once, tmp_path):
    path = tmp_path / "saved.yaml"
    open_stac(published_once.catalog / "collection.json").save(str(path))
    xr.testing.assert_equal(intake.open_catalog(path).sst.to_dask(), published_once.direct)


def test_a_saved_catalog_holds_no_options(published_once, tmp_path):
    options = {"s3://b/": {"secret_access_key": "hush"}}
    catalog = open_stac(published_once.catalog / "collection.json", storage_options=options)
    assert "hush" not in catalog.serialize()
    assert "hush" not in str(catalog.sst._repr_html_())
    assert "hush" not in str(catalog._entries["sst"].describe())


def test_the_reader_of_intake_2_knows_virtual_assets(published_once):
    data = intake.datatypes.STACJSON(str(published_once.catalog / "collection.json"))
    catalog = VirtualZarrStacReader(data, cls="Collection").read()
    assert isinstance(catalog["virtual"], VirtualZarrReader)
    xr.testing.assert_equal(catalog["virtual"].read(), published_once.direct)


@pytest.mark.parametrize(
    ("assets", "expected"),
    [
        ({"a": {"href": "x", "vzarr:manifest_format": "icechunk"}, "b": {"href": "y.vzarr"}}, [("a", "icechunk")]),
        ({"a": {"href": "x.json", "roles": ["references"]}, "b": {"href": "y.vzarr"}}, [("a", "kerchunk")]),
        ({"a": {"href": "x.parq", "roles": ["virtual"]}}, [("a", "kerchunk")]),
        ({"a": {"href": "y.vzarr/"}}, [("a", "vzarr")]),
        ({"a": {"href": "s3://b/x", "type": "application/vnd.zarr+icechunk; version=1"}}, [("a", "icechunk")]),
        ({"a": {"href": "x.nc", "roles": ["data"]}, "b": {"href": "x.json", "roles": ["metadata"]}}, []),
        ({"a": {"href": "x.zarr", "type": "application/vnd+zarr", "roles": ["data"]}}, []),
    ],
)
def test_field_then_role_then_type_or_suffix_tell_virtual_assets(assets, expected):
    assert [(one.key, one.format) for one in virtual_assets({"assets": assets})] == expected


def test_an_unknown_manifest_format_is_an_error():
    with pytest.raises(StacError, match="manifest_format is 'other'; known are vzarr"):
        virtual_asset({"vzarr:manifest_format": "other"}, "x")


def test_the_group_of_an_asset_reaches_the_reader():
    found = virtual_asset({"vzarr:manifest_format": "vzarr", "vzarr:group": "/ocean"}, "x.vzarr")
    assert found.arguments == {"format": "vzarr", "group": "/ocean"}


@pytest.fixture(scope="module")
def api(published_once, tmp_path_factory):
    from intake_virtualzarr.cli.demo_api import find_rustac, stac_api

    program = find_rustac()
    if program is None:
        pytest.skip("rustac is not installed")
    directory = tmp_path_factory.mktemp("api")
    store = store_asset(published_once.catalog / "sst.vzarr")
    common = {"stac_version": "1.1.0", "description": "d", "license": "other", "links": []}
    extent = {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [["2024-01-01T00:00:00Z", None]]}}
    collection = {"type": "Collection", "id": "sst", **common, "extent": extent, "assets": {"virtual": store}}
    geometry = {"type": "Point", "coordinates": [0, 0]}
    point = {"stac_version": "1.1.0", "collection": "sst", "geometry": geometry, "bbox": [0, 0, 0, 0]}
    items = [
        {**item("jan", {"v": store}), **point},
        {**item("feb", {"v": store}, datetime="2024-02-01T00:00:00Z"), **point},
        {**item("plain", {"data": {"href": "https://host/a.nc"}}), **point},
    ]
    documents = (
        write(directory / "collection.json", collection),
        write(directory / "items.json", {"type": "FeatureCollection", "features": items}),
    )
    with stac_api(program, *documents) as url:
        yield url


def test_a_search_of_an_api_opens_as_a_catalog(api, published_once):
    catalog = open_stac(api, search={"collections": ["sst"], "datetime": "2024-01"}, allow=published_once.catalog)
    assert list(catalog) == ["jan"]
    xr.testing.assert_equal(catalog.jan.to_dask(), published_once.direct)


def test_a_search_that_finds_nothing_virtual_is_an_error(api):
    with pytest.raises(NothingFoundError, match="no item of the search has a virtual asset"):
        open_stac(api, search={"collections": ["sst"], "ids": ["plain"]})


def test_the_collections_of_an_api_open_as_a_catalog(api, published_once):
    catalog = open_stac(api)
    assert list(catalog) == ["sst"]
    with pytest.raises(NotAllowedError, match=r"names 'file:///.*allow="):
        catalog.sst.to_dask()
    catalog = open_stac(api, allow=published_once.catalog)
    xr.testing.assert_equal(catalog.sst.to_dask(), published_once.direct)
