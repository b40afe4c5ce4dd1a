"""The driver ``virtualzarr``: what users of Intake 1 and Intake 2 expect of a source."""

import inspect
import pickle
import subprocess
import sys

import dask.array
import intake
import numpy as np
import pytest
import xarray as xr
import yaml
from conftest import write_sst

from intake_virtualzarr.cli.main import main
from intake_virtualzarr.drivers.intake1_source import VirtualZarrSource
from intake_virtualzarr.drivers.intake2_readers import VirtualZarrData, VirtualZarrReader
from intake_virtualzarr.drivers.open_entry import open_entry
from intake_virtualzarr.drivers.storage_options import access_rules
from intake_virtualzarr.drivers.template_values import plain_url
from intake_virtualzarr.errors import ArgumentError, CatalogError, VirtualZarrError


@pytest.fixture
def catalog(published_once):
    return intake.open_catalog(published_once.catalog / "catalog.yaml")


def write_yaml(path, document):
    path.write_text(yaml.safe_dump(document))
    return path


def entry(url, **more):
    return {"sources": {"sst": {"driver": "virtualzarr", "args": {"urlpath": str(url), **more.pop("args", {})}, **more}}}


def test_to_dask_gives_the_decoded_values_lazily_in_dask_chunks(catalog, published_once):
    dataset = catalog.sst.to_dask()
    assert isinstance(dataset.sst.data, dask.array.Array)
    assert dataset.sst.chunks[1:] == ((3, 3), (8,))  # those of the files
    xr.testing.assert_equal(dataset, published_once.direct)


def test_read_gives_the_values_in_memory(catalog, published_once):
    dataset = catalog.sst.read()
    assert isinstance(dataset.sst.data, np.ndarray)
    xr.testing.assert_equal(dataset, published_once.direct)


def test_attributes_are_those_of_the_files_even_if_they_look_like_templates(catalog, published_once):
    assert catalog.sst.to_dask().attrs["title"] == published_once.direct.attrs["title"]
    assert "{{ 1 + 1 }}" in catalog.sst.to_dask().attrs["title"]


def test_discover_tells_dimensions_variables_and_types(catalog):
    found = catalog.sst.discover()
    assert found["shape"]["sst"] == (40, 6, 8)
    assert found["dtype"]["sst"] == "float32"
    assert found["metadata"]["dims"] == {"time": 40, "lat": 6, "lon": 8}
    assert set(found["metadata"]["data_vars"]) == {"sst", "ice"}


def test_describe_tells_what_the_catalog_says(catalog):
    described = catalog.sst.describe()
    assert described["name"] == "sst"
    assert described["driver"] == ["virtualzarr"]
    assert described["container"] == "xarray"


def test_describe_works_without_a_catalog(published_once):
    source = VirtualZarrSource(str(published_once.catalog / "sst.vzarr"))
    assert source.describe()["args"] == {"urlpath": str(published_once.catalog / "sst.vzarr")}


def test_a_call_selects_variables_and_times(catalog, published_once):
    dataset = catalog.sst(time="2024-02", variables=["sst"]).to_dask()
    xr.testing.assert_equal(dataset, published_once.direct[["sst"]].sel(time="2024-02"))


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2024-01-15/2024-02-02", slice("2024-01-15", "2024-02-02")),
        ("2024-02-05/..", slice("2024-02-05", None)),
        ("../2024-01-03", slice(None, "2024-01-03")),
        ({"start": "2024-01-02", "stop": "2024-02-10", "step": 3}, slice("2024-01-02", "2024-02-10", 3)),
        ("2024", slice("2024", "2024")),
        ("2024-01-07", slice("2024-01-07", "2024-01-07")),
    ],
)
def test_times_are_spans_and_intervals(catalog, published_once, time, expected):
    xr.testing.assert_equal(catalog.sst(time=time).to_dask(), published_once.direct.sel(time=expected))


def test_a_range_of_labels_selects_whichever_way_the_coordinate_runs(catalog, published_once):
    expected = published_once.direct.sel(lat=slice(30, -10))
    xr.testing.assert_equal(catalog.sst(sel={"lat": {"start": -10, "stop": 30}}).to_dask(), expected)
    xr.testing.assert_equal(catalog.sst(sel={"lat": {"start": 30, "stop": -10}}).to_dask(), expected)


def test_positions_select_after_labels(catalog, published_once):
    dataset = catalog.sst(time="2024-02", isel={"time": -1, "lon": [1, 2], "lat": {"start": 0, "stop": 2}}).to_dask()
    expected = published_once.direct.sel(time="2024-02").isel(time=-1, lon=[1, 2], lat=slice(0, 2))
    xr.testing.assert_equal(dataset, expected)


def test_what_xarray_takes_as_positions_is_taken(catalog, published_once):
    given = {"time": slice(2, 9, 3), "lat": np.array([1, 4]), "lon": np.int64(2)}
    xr.testing.assert_equal(catalog.sst(isel=given).to_dask(), published_once.direct.isel(given))


def test_calls_of_a_call_keep_the_earlier_arguments(catalog):
    assert catalog.sst(time="2024-02")(variables="ice").to_dask().sizes["time"] == 20


def test_chunks_are_dask_chunks(catalog):
    assert catalog.sst(chunks={"time": 40, "lat": 6, "lon": 8}).to_dask().sst.chunks == ((40,), (6,), (8,))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tiem": "2024"}, r"no argument 'tiem'; did you mean 'time'\?"),
        ({"depth": 3}, r"no argument 'depth'; to select along a dimension, use sel="),
    ],
)
def test_an_unknown_keyword_is_an_error_before_anything_is_opened(catalog, arguments, message):
    with pytest.raises(ArgumentError, match=message):
        catalog.sst(**arguments)
    with pytest.raises(TypeError, match=message):
        VirtualZarrSource("nowhere.vzarr", **arguments)
    with pytest.raises(VirtualZarrError, match=message):
        VirtualZarrReader(VirtualZarrData("nowhere.vzarr"), **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"time": "2025"}, "time='2025' selects nothing; 'time' runs from 2024-01-01"),
        ({"time": "2025/.."}, "selects nothing; 'time' runs from 2024-01-01"),
        ({"variables": ["salt"]}, "has no variable 'salt'; there are sst, ice"),
        ({"sel": {"depth": 1}}, "sel names 'depth', and the dimensions are time, lat, lon"),
        ({"sel": {"lat": 0.5}}, "is not there; 'lat' runs from 50.0 to -50.0"),
        ({"isel": {"lon": {"begin": 1}}}, "a range has 'start', 'stop' and 'step', not 'begin'"),
        ({"isel": {"lon": "east"}}, "isel: 'east' is not a position; to select by labels use sel"),
        ({"isel": {"lon": [0, 1.5]}}, "isel: 1.5 is not a position"),
    ],
)
def test_what_is_not_there_is_an_error_that_says_what_is(catalog, arguments, message):
    with pytest.raises(CatalogError, match=message):
        catalog.sst(**arguments).to_dask()


def test_a_pickled_source_reads_the_same(catalog):
    source = pickle.loads(pickle.dumps(catalog.sst(time="2024-02")))
    assert source.name == "sst"
    assert source == catalog.sst(time="2024-02")
    xr.testing.assert_equal(source.to_dask(), catalog.sst(time="2024-02").to_dask())


def test_yaml_of_a_source_opens_as_the_same_source(catalog, tmp_path):
    source = catalog.sst(time="2024-02", variables=["sst"])
    path = tmp_path / "again.yaml"
    path.write_text(source.yaml())
    again = intake.open_catalog(path).sst
    xr.testing.assert_equal(again.to_dask(), source.to_dask())
    assert again.metadata["stac"] == source.metadata["stac"]


def test_the_catalog_can_be_moved_with_its_data(published):
    moved = published.root.parent / f"{published.root.name}-moved"
    published.root.rename(moved)
    dataset = intake.open_catalog(moved / "catalog" / "catalog.yaml").sst.to_dask()
    xr.testing.assert_equal(dataset, published.direct)


def test_the_catalog_opens_over_http(published_once, serve):
    server = serve(published_once.root)
    dataset = intake.open_catalog(f"{server.url}/catalog/catalog.yaml").sst.to_dask()
    xr.testing.assert_equal(dataset, published_once.direct)


# Intake warns so of every parameter whose default is a text, whether it holds a command or not
@pytest.mark.filterwarnings("ignore:Shell command not executed")
def test_a_user_parameter_in_a_template_works(published_once, tmp_path):
    parameters = {"month": {"type": "str", "default": "2024-01", "description": "which month"}}
    document = entry(published_once.catalog / "sst.vzarr", args={"time": "{{ month }}"}, parameters=parameters)
    catalog = intake.open_catalog(write_yaml(tmp_path / "c.yaml", document))
    assert catalog.sst.to_dask().sizes["time"] == 20
    later = catalog.sst(month="2024-02").to_dask()
    assert later.time.dt.month.values.tolist() == [2] * 20


@pytest.mark.filterwarnings("ignore:Shell command not executed")
@pytest.mark.parametrize(
    ("kind", "default", "given", "args", "expected"),
    [
        ("list", ["sst"], ["ice"], {"variables": "{{ p }}"}, lambda ds: ds[["ice"]]),
        ("str", "sst", "ice", {"variables": ["{{ p }}"]}, lambda ds: ds[["ice"]]),
        ("datetime", "2024-01-03", "2024-02-03", {"time": "{{ p }}"}, lambda ds: ds.sel(time=["2024-02-03"])),
        ("list", ["2024-01-03"], ["2024-02-03"], {"time": "{{ p }}"}, lambda ds: ds.sel(time=["2024-02-03"])),
        ("int", 0, 25, {"isel": {"time": "{{ p }}"}}, lambda ds: ds.isel(time=25)),
        ("int", 0, 25, {"isel": {"time": {"start": "{{ p }}"}}}, lambda ds: ds.isel(time=slice(25, None))),
        ("list", [0], [3, 4], {"isel": {"lon": "{{ p }}"}}, lambda ds: ds.isel(lon=[3, 4])),
        ("float", 50.0, 30.0, {"sel": {"lat": "{{ p }}"}}, lambda ds: ds.sel(lat=30.0)),
        ("bool", True, False, {"mask_and_scale": "{{ p }}"}, lambda ds: ds),
    ],
)
def test_user_parameters_of_every_type_work(published_once, tmp_path, kind, default, given, args, expected):
    parameters = {"p": {"type": kind, "default": default, "description": "any"}}
    document = entry(published_once.catalog / "sst.vzarr", args=args, parameters=parameters)
    catalog = intake.open_catalog(write_yaml(tmp_path / "c.yaml", document))
    assert catalog.sst.describe()["user_parameters"][0]["name"] == "p"
    xr.testing.assert_equal(catalog.sst(p=given).to_dask(), expected(published_once.direct))
    catalog.sst.to_dask()


def test_truth_values_that_templates_made_texts_are_read(published_once):
    source = VirtualZarrSource(str(published_once.catalog / "sst.vzarr"), decode_times="False")
    assert source.to_dask().time.dtype.kind == "i"
    with pytest.raises(ArgumentError, match="decode_times is 'maybe', expected true or false"):
        source(decode_times="maybe").to_dask()
    assert source(decode_times="true", chunks={"time": "40"}).to_dask().sst.chunks[0] == (40,)


@pytest.mark.parametrize("form", [str, lambda path: path, lambda path: str(path.parent), lambda path: [str(path)],
                                  lambda path: str(path.parent / "*.yaml"), lambda path: path.as_uri()])  # fmt: skip
def test_a_generated_catalog_opens_with_its_entries_in_every_form(published_once, form):
    catalog = intake.open_catalog(form(published_once.catalog / "catalog.yaml"))
    assert [name for name in catalog.walk() if "sst" in name]
    assert "sst" in [name.rpartition(".")[2] for name in catalog.walk()]


@pytest.mark.filterwarnings("ignore:Shell command not executed")
def test_a_declared_parameter_that_no_argument_uses_is_an_error_and_not_dropped(published_once, tmp_path):
    parameters = {"time": {"type": "str", "default": "2024-01", "description": "which month"}}
    document = entry(published_once.catalog / "sst.vzarr", parameters=parameters)
    catalog = intake.open_catalog(write_yaml(tmp_path / "c.yaml", document))
    with pytest.raises(CatalogError, match="declares the parameter 'time', but none of its arguments uses it"):
        catalog.sst(time="2024-02").to_dask()
    with pytest.raises(CatalogError, match="declares the parameter 'time'"):
        catalog.sst.read()


def test_an_unquoted_date_in_yaml_means_the_day(published_once, tmp_path):
    path = tmp_path / "c.yaml"
    store = published_once.catalog / "sst.vzarr"
    path.write_text(f"sources: {{sst: {{driver: virtualzarr, args: {{urlpath: {store}, time: 2024-02-03}}}}}}")
    found = intake.open_catalog(path).sst.to_dask()
    assert found.time.values.tolist() == [np.datetime64("2024-02-03", "ns").astype(int)]


def test_catalogs_nest(published_once, tmp_path):
    inner = published_once.catalog / "catalog.yaml"
    document = {"sources": {"ocean": {"driver": "yaml_file_cat", "args": {"path": str(inner)}}}}
    catalog = intake.open_catalog(write_yaml(tmp_path / "outer.yaml", document))
    assert catalog.ocean.sst.to_dask().sizes["time"] == 40
    assert catalog["ocean.sst"].to_dask().sizes["time"] == 40


def test_what_was_appended_meanwhile_is_there(published):
    catalog = intake.open_catalog(published.catalog / "catalog.yaml")
    assert catalog.sst.to_dask().sizes["time"] == catalog.sst.discover()["metadata"]["dims"]["time"] == 40
    path = write_sst(published.root / "data" / "sst_202403.nc", 3)
    assert main(["append", str(published.catalog / "sst.vzarr"), str(path)]) == 0
    assert catalog.sst.to_dask().sizes["time"] == 60
    assert catalog.sst.discover()["metadata"]["dims"]["time"] == 60


def test_what_is_done_to_one_dataset_is_not_done_to_the_next(catalog):
    catalog.sst.to_dask().attrs["title"] = "mine"
    assert catalog.sst.to_dask().attrs["title"] != "mine"


def test_an_archive_file_is_opened_like_a_store(published_once):
    dataset = intake.open_virtualzarr(str(published_once.paths[0])).to_dask()
    xr.testing.assert_equal(dataset, published_once.direct.isel(time=slice(0, 20)))


def test_a_reader_of_intake_2_goes_through_a_catalog_file(published_once, tmp_path):
    reader = VirtualZarrReader(VirtualZarrData(str(published_once.catalog / "sst.vzarr")), time="2024-02")
    path = tmp_path / "v2.yaml"
    reader.to_cat("sst").to_yaml_file(str(path))
    expected = published_once.direct.sel(time="2024-02")
    xr.testing.assert_equal(reader.to_dask(), expected)
    xr.testing.assert_equal(intake.from_yaml_file(str(path))["sst"].read(), expected)


def test_intake_2_recommends_the_reader_for_a_store(published_once):
    store = str(published_once.catalog / "sst.vzarr")
    assert VirtualZarrData in intake.datatypes.recommend(store, head=False)
    reader = VirtualZarrData(store).to_reader("xarray")
    assert isinstance(reader, VirtualZarrReader)


def test_html_escapes_text_and_shows_no_secrets():
    options = {"s3://b/": {"secret_access_key": "hush"}}
    source = VirtualZarrSource("x.vzarr", metadata={"title": "<script>alert(1)</script>"}, storage_options=options)
    html = source._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "hush" not in html


def test_import_intake_stays_light():
    code = "import intake, sys; print([m for m in ('xarray', 'zarr', 'h5py', 'obstore', 'pystac') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("options", "url", "rules"),
    [
        (None, "s3://b/x", None),
        ({"s3://b/": {"anon": True}}, "s3://c/x", {"s3://b/": {"anon": True}}),
        ({"anon": True}, "s3://b/x", {"s3://": {"skip_signature": True}}),
        ({"endpoint_url": "http://h"}, "s3://b/x", {"s3://": {"endpoint": "http://h"}}),
        ({"client_kwargs": {"headers": {"A": "b"}}}, "http://h:1/x", {"http://h:1/": {"headers": {"A": "b"}}}),
        ({"account_name": "a"}, "abfs://c/x", {"abfs://": {"account_name": "a"}}),
        ({"x": 1}, "/data/x", {"x": 1}),
    ],
)
def test_options_without_prefix_are_for_the_place_of_the_store(options, url, rules):
    assert access_rules(options, url) == rules


def test_headers_of_a_catalog_reach_its_own_server(published_once, serve, monkeypatch):
    from intake_virtualzarr.cli import http_server as serving

    seen = []
    real = serving._Handler.do_GET
    monkeypatch.setattr(serving._Handler, "do_GET", lambda self: (seen.append(self.headers.get("X-Key")), real(self))[1])
    server = serve(published_once.root)
    options = {"headers": {"X-Key": "hush"}}
    intake.open_virtualzarr(f"{server.url}/catalog/sst.vzarr", storage_options=options).read()
    assert set(seen) == {"hush"}


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("/data//sst.vzarr", "/data/sst.vzarr"),
        ("/data/./sst.vzarr", "/data/sst.vzarr"),
        ("sst.vzarr", "sst.vzarr"),
        ("../sst.vzarr", "../sst.vzarr"),
        ("file:///data//sst.vzarr", "file:///data/sst.vzarr"),
        ("https://host/a//sst.vzarr", "https://host/a/sst.vzarr"),
        ("simplecache::https://host/a//b.nc", "simplecache::https://host/a//b.nc"),
    ],
)
def test_doubled_slashes_of_catalog_templates_go(url, plain):
    assert plain_url(url) == plain


def test_the_arguments_of_both_drivers_stand_in_their_signatures_and_docstrings():
    entry = inspect.signature(open_entry).parameters
    for driver in (VirtualZarrSource, VirtualZarrReader):
        shown = inspect.signature(driver.__init__).parameters
        assert [name for name in entry if name not in shown] == (["urlpath"] if driver is VirtualZarrReader else [])
        assert [name for name in entry if name not in (driver.__doc__ or "")] == (
            ["urlpath"] if driver is VirtualZarrReader else []
        )


def test_a_reader_of_intake_2_refuses_unknown_arguments_where_they_are_given(published_once):
    data = VirtualZarrData(str(published_once.catalog / "sst.vzarr"))
    with pytest.raises(ArgumentError, match="no argument 'variabels'; did you mean 'variables'"):
        VirtualZarrReader(data, variabels=["sst"])
    with pytest.raises(ArgumentError, match="no argument 'variabels'; did you mean 'variables'"):
        VirtualZarrReader(data).read(variabels=["sst"])
    again = VirtualZarrReader(data, variables=["sst"])(time="2024-01-01")
    assert list(again.read().data_vars) == ["sst"]
