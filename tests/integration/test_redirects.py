"""Redirects: followed within their server and where they are allowed; no header or password goes along to another one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import xarray as xr
from pystac_client import ItemSearch
from pystac_client.stac_api_io import StacApiIO
from support.redirects import Redirecting, serving_redirects

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import NotAllowedError, SourceError, StacError, VirtualZarrError
from intake_virtualzarr.stac.client import patient_io
from intake_virtualzarr.stac.items import iter_items
from intake_virtualzarr.stac.pages import iter_pages
from intake_virtualzarr.storage.key_value import keys_of
from intake_virtualzarr.storage.obstore_reader import asks_for_http
from intake_virtualzarr.storage.options import Access
from intake_virtualzarr.storage.policy import ENVIRONMENT, Policy
from intake_virtualzarr.storage.readers import open_reader

SECRETS = {"X-Api-Key": "secret-key", "Authorization": "Bearer secret-token", "Cookie": "secret-cookie"}
VALUES = np.arange(24.0).reshape(4, 6)


@dataclass
class Servers:
    """One server that leads to the other."""

    first: Redirecting
    other: Redirecting


@pytest.fixture
def servers(tmp_path) -> Iterator[Servers]:
    root = tmp_path / "www"
    (root / "deep").mkdir(parents=True)
    ds = xr.Dataset({"v": (("y", "x"), VALUES)})
    ds.to_netcdf(root / "a.nc", engine="h5netcdf", encoding={"v": {"chunksizes": (2, 6)}})
    (root / "deep/a.nc").write_bytes((root / "a.nc").read_bytes())
    with serving_redirects(root) as first, serving_redirects(root) as other:
        first.rules = {
            "/same.nc": "/deep/a.nc",
            "/whole.nc": f"{first.url}/deep/a.nc",
            "/other.nc": f"{other.url}/deep/a.nc?signature=abc",
            "/network-path.nc": other.url.removeprefix("http:") + "/deep/a.nc",
            "/user.nc": other.url.replace("//", "//127.0.0.1@") + "/deep/a.nc",
            "/backslash.nc": f"{first.url}\\@{other.url.removeprefix('http://')}/deep/a.nc",
            "/file.nc": (root / "a.nc").as_uri(),
            "/ftp.nc": "ftp://127.0.0.1/a.nc",
            "/loop.nc": "/loop.nc?1",
            "/login.nc": f"{other.url}/login",
        }
        other.rules = {"/login": f"{first.url}/a.nc", "/further": f"{first.url}/other.nc"}
        yield Servers(first, other)


def values(url: str, **options) -> np.ndarray:
    return ivz.open_virtual_dataset(url, **options)["v"].values


@pytest.mark.parametrize("name", ["same", "whole"])
def test_a_redirect_within_a_server_is_followed_with_its_headers(servers, name):
    options = {servers.first.url: {"headers": SECRETS}}
    np.testing.assert_array_equal(values(f"{servers.first.url}/{name}.nc", storage_options=options), VALUES)
    assert all(headers["x-api-key"] == "secret-key" for _, _, headers in servers.first.asked)


@pytest.mark.parametrize("name", ["other", "network-path", "user"])
def test_a_redirect_to_another_port_is_refused_and_nothing_is_asked_there(servers, name):
    url = f"{servers.first.url}/{name}.nc"
    with pytest.raises(NotAllowedError) as caught:
        values(url)
    text = str(caught.value)
    assert url in text
    assert f"{servers.other.url}/deep/a.nc" in text
    assert f"allow=['{servers.other.url}/deep/']" in text
    assert not servers.other.asked


@pytest.mark.parametrize("name", ["file", "ftp", "backslash"])
def test_a_redirect_to_what_is_no_web_server_is_refused_whatever_is_allowed(servers, name):
    with pytest.raises(NotAllowedError, match=r"only redirects to http and https are ever followed"):
        values(f"{servers.first.url}/{name}.nc", allow=["file:///", "ftp://", "http://", servers.other.url])
    assert not servers.other.asked


def test_a_redirect_that_is_allowed_is_followed_without_any_header_or_password(servers):
    url = servers.first.url.replace("//", "//me:secret-password@") + "/other.nc"
    options = {servers.first.url: {"headers": SECRETS}}
    allow = [f"{servers.other.url}/deep/"]
    np.testing.assert_array_equal(values(url, storage_options=options, allow=allow), VALUES)
    assert servers.first.headers("x-api-key")
    assert servers.other.asked
    assert all(path.endswith("?signature=abc") for _, path, _ in servers.other.asked)
    assert "secret" not in repr(servers.other.asked)


def test_options_without_a_prefix_stay_with_the_first_server(servers):
    allow = [servers.other.url]
    np.testing.assert_array_equal(
        values(f"{servers.first.url}/other.nc", storage_options={"headers": SECRETS}, allow=allow), VALUES
    )
    assert servers.first.headers("x-api-key")
    assert "secret" not in repr(servers.other.asked)


def test_headers_that_were_given_for_the_other_server_are_sent_there(servers):
    options = {servers.first.url: {"headers": SECRETS}, servers.other.url: {"headers": {"X-Other": "theirs"}}}
    values(f"{servers.first.url}/other.nc", storage_options=options, allow=servers.other.url)
    assert set(servers.other.headers("x-other")) == {"theirs"}
    assert "secret" not in repr(servers.other.asked)


def test_a_login_elsewhere_leads_back_to_the_first_server_with_its_headers(servers):
    options = {servers.first.url: {"headers": SECRETS}}
    np.testing.assert_array_equal(
        values(f"{servers.first.url}/login.nc", storage_options=options, allow=f"{servers.other.url}/login"), VALUES
    )
    assert "secret" not in repr(servers.other.asked)
    assert {headers["x-api-key"] for _, path, headers in servers.first.asked if path == "/a.nc"} == {"secret-key"}


def test_administrators_allow_redirects_by_the_environment(servers, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, servers.other.url)
    np.testing.assert_array_equal(values(f"{servers.first.url}/other.nc"), VALUES)


def test_redirects_in_a_circle_end_in_an_error_that_says_so(servers):
    with pytest.raises(SourceError, match=r"loop\.nc: more than 10 redirects"):
        values(f"{servers.first.url}/loop.nc")
    assert len(servers.first.asked) <= 2 * 11


def test_a_redirect_of_a_later_request_is_refused_too(servers):
    url = f"{servers.first.url}/deep/a.nc"
    found = ivz.open_virtual_dataset(url)["v"]
    servers.first.rules["/deep/a.nc"] = f"{servers.other.url}/deep/a.nc"
    with pytest.raises(NotAllowedError, match=r"redirects to"):
        found.load()
    assert not servers.other.asked


def test_a_document_and_a_store_are_held_to_the_same_rule(servers, tmp_path):
    for kind in ("r.json", "s.vzarr/zarr.json"):
        servers.first.rules[f"/{kind}"] = f"{servers.other.url}/{kind}"
    for name in ("r.json", "s.vzarr"):
        with pytest.raises(NotAllowedError, match=r"redirects to"):
            ivz.open_virtual_dataset(f"{servers.first.url}/{name}")
    with pytest.raises(NotAllowedError, match=r"redirects to"):
        keys_of(f"{servers.first.url}/s.vzarr").get_many(["zarr.json"])
    assert not servers.other.asked


def test_what_a_document_of_the_target_names_itself_may_lead_there(servers):
    """A store on the other server names a file on the first one, which the user allows, and which leads back."""
    access = Access.of(None, allow=servers.first.url).asked_by(f"{servers.other.url}/s.vzarr")
    assert open_reader(f"{servers.first.url}/other.nc", access).describe().size
    access = Access.of(None, allow=servers.first.url).asked_by("http://127.0.0.1:9/s.vzarr")
    with pytest.raises(NotAllowedError, match=r"which http://127\.0\.0\.1:9/s\.vzarr names, redirects to"):
        open_reader(f"{servers.first.url}/other.nc", access).describe()


def test_chained_urls_are_held_to_the_same_rule(servers):
    pytest.importorskip("aiohttp")
    for name in ("other", "file", "ftp"):
        with pytest.raises(VirtualZarrError):
            open_reader(f"simplecache::{servers.first.url}/{name}.nc").head(10)
    assert not servers.other.asked
    with pytest.raises(NotAllowedError, match=r"redirects to"):
        open_reader(f"simplecache::{servers.first.url}/other.nc").head(10)
    assert len(open_reader(f"simplecache::{servers.first.url}/same.nc").head(10)[1]) == 10
    options = {f"simplecache::{servers.first.url}/": {"http": {"headers": SECRETS}}}
    access = Access.of(options, allow=servers.other.url)
    assert len(open_reader(f"simplecache::{servers.first.url}/other.nc", access).head(10)[1]) == 10
    assert servers.first.headers("x-api-key")
    assert "secret" not in repr(servers.other.asked)


# ---------------------------------------------------------------------- clients of others


def test_an_icechunk_repository_that_leads_elsewhere_is_refused_before_its_client_asks(servers, tmp_path):
    icechunk = pytest.importorskip("icechunk")
    repository = icechunk.Repository.create(icechunk.local_filesystem_storage(str(tmp_path / "www/r")))
    session = repository.writable_session("main")
    xr.Dataset({"v": (("y", "x"), VALUES)}).to_zarr(session.store, consolidated=False)
    session.commit("values")
    headers = {f"{servers.first.url}/": {"headers": SECRETS}}
    found = ivz.open_virtual_dataset(f"{servers.first.url}/r", format="icechunk", storage_options=headers)
    np.testing.assert_array_equal(found["v"].values, VALUES)
    files = [path.relative_to(tmp_path / "www").as_posix() for path in (tmp_path / "www/r").rglob("*") if path.is_file()]
    servers.first.rules |= {f"/{name}": f"{servers.other.url}/{name}" for name in files}
    with pytest.raises(NotAllowedError, match=r"/r/repo: redirects to .*allow=\['http"):
        ivz.open_virtual_dataset(f"{servers.first.url}/r", format="icechunk", storage_options=headers)
    assert not servers.other.asked


def test_object_stores_use_no_encryption_only_where_the_endpoint_says_so(servers, monkeypatch):
    options = {"skip_signature": True, "region": "us-east-1"}
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for given, is_plain in (
        ({}, False),
        ({"endpoint": "https://example.org"}, False),
        ({"endpoint": servers.first.url}, True),
        ({"use_emulator": True}, True),
    ):
        assert asks_for_http({**options, **given}) is is_plain, given
    monkeypatch.setenv("AWS_ENDPOINT_URL", servers.first.url)
    assert asks_for_http(options)


def test_options_of_a_client_in_an_object_store_may_be_nested(servers):
    options = {"endpoint": servers.first.url, "skip_signature": True, "region": "us-east-1"}
    nested = {**options, "client_options": {"default_headers": {"x-team": "ocean"}}}
    with pytest.raises(SourceError, match="not found"):
        open_reader("s3://bucket/none.nc", Access.of({"s3://bucket/": nested})).read([(0, 10)])
    assert servers.first.headers("x-team") == ["ocean"]


# ---------------------------------------------------------------------- STAC


def item(href: str) -> str:
    return json.dumps(
        {
            "type": "Feature", "stac_version": "1.1.0", "id": "i", "bbox": [0, 0, 1, 1], "geometry": None, "links": [],
            "properties": {"datetime": "2024-01-01T00:00:00Z"},
            "assets": {"data": {"href": href, "type": "application/x-netcdf", "roles": ["data"]}},
        }
    )  # fmt: skip


def test_stac_documents_are_not_led_elsewhere(servers, tmp_path):
    (tmp_path / "www/i.json").write_text(item("a.nc"))
    servers.first.rules |= {"/j.json": f"{servers.other.url}/i.json", "/k.json": "/i.json", "/l.json": "/l.json"}
    with pytest.raises(NotAllowedError, match=r"redirects to .*allow=\['http"):
        ivz.virtualize(f"{servers.first.url}/j.json", concat_dim=None)
    assert not servers.other.asked
    for name in ("i", "k"):
        assert ivz.virtualize(f"{servers.first.url}/{name}.json", concat_dim=None)["v"].shape == (1, 4, 6)
    with pytest.raises(StacError, match=r"l\.json"):
        ivz.virtualize(f"{servers.first.url}/l.json", concat_dim=None)


def page(url: str, following: str | None = None, number: int = 1) -> str:
    feature = {**json.loads(item(f"{url}/a.nc")), "id": f"i{number}"}
    links = [] if following is None else [{"rel": "next", "href": following}]
    return json.dumps({"type": "FeatureCollection", "features": [feature], "links": links})


def test_a_next_link_to_another_server_is_refused_unless_it_is_allowed_and_takes_no_header_along(servers, tmp_path):
    www = tmp_path / "www"
    (www / "items").write_text(page(servers.first.url, f"{servers.other.url}/more"))
    (www / "more").write_text(page(servers.first.url, number=2))
    url = f"{servers.first.url}/items"
    io = patient_io(headers=SECRETS)
    with pytest.raises(NotAllowedError, match=r"names 'http://127\.0\.0\.1:\d+/more', which is not allowed"):
        list(iter_pages(io, url))
    assert not servers.other.asked
    pages = list(iter_pages(io, url, policy=Policy((servers.other.url,))))
    assert [one["features"][0]["id"] for one in pages] == ["i1", "i2"]
    assert "secret-key" in servers.first.headers("x-api-key")
    assert "secret" not in repr(servers.other.asked)


def test_a_redirect_of_an_api_that_is_allowed_takes_no_header_along(servers, tmp_path):
    (tmp_path / "www/i.json").write_text(item("a.nc"))
    servers.first.rules["/j.json"] = f"{servers.other.url}/i.json"
    io = patient_io(headers=SECRETS, policy=Policy((servers.other.url,)))
    assert json.loads(io.read_text(f"{servers.first.url}/j.json"))["id"] == "i"
    assert servers.first.headers("x-api-key") == ["secret-key"]
    assert "secret" not in repr(servers.other.asked)


def test_a_client_of_somebody_else_is_guarded_too_and_stays_as_it_is(servers, tmp_path):
    (tmp_path / "www/items").write_text(page(servers.first.url))
    servers.first.rules["/search"] = f"{servers.other.url}/items"
    theirs = StacApiIO(headers=SECRETS)
    found = ItemSearch(f"{servers.first.url}/search", stac_io=theirs, method="GET")
    with pytest.raises(NotAllowedError, match=r"redirects to"):
        list(iter_items(found))
    assert not servers.other.asked
    assert len(list(iter_items(found, policy=Policy((servers.other.url,))))) == 1
    assert "secret" not in repr(servers.other.asked)
    assert theirs.session.headers["X-Api-Key"] == "secret-key"
    assert not theirs.session.hooks["response"]
