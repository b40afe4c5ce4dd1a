"""The page that shows a store: linked by what is published, served with it."""

from __future__ import annotations

import json
import re
import urllib.request
from urllib.parse import urljoin

import obstore
import obstore.store
import pytest

import intake_virtualzarr as ivz
from intake_virtualzarr.catalog.preview import page_directory, write_page
from intake_virtualzarr.cli.http_server import serve_directory
from intake_virtualzarr.cli.serve import addresses
from intake_virtualzarr.storage.key_value import ObjectKeys
from intake_virtualzarr.storage.readers import Access


def fetched(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()


def preview_link(path):
    (link,) = [link for link in json.loads(path.read_text())["links"] if link["rel"] == "preview"]
    return link["href"]


@pytest.mark.parametrize(("kind", "document"), [("collection", "collection.json"), ("item", "sst.json")])
def test_a_published_store_is_linked_to_a_page_that_lies_beside_it(published_once, tmp_path, kind, document):
    report = ivz.ingest(published_once.paths, tmp_path / "c", name="sst", publish=kind)
    assert {"preview.html", "preview.js"} <= set(report.written)
    with serve_directory(tmp_path) as server:
        here = f"{server.url}/c/{document}"
        (link,) = [link for link in json.loads(fetched(here))["links"] if link["rel"] == "preview"]
        assert (link["type"], link["href"]) == ("text/html", "./preview.html?store=sst.vzarr")
        page = urljoin(here, link["href"])
        assert fetched(page) == (page_directory() / "preview.html").read_bytes()
        assert fetched(urljoin(page, "preview.js")) == (page_directory() / "preview.js").read_bytes()
        # the page resolves the store against its own address
        assert json.loads(fetched(urljoin(page, "sst.vzarr/zarr.json")))["node_type"] == "group"


@pytest.mark.parametrize("base", [None, "https://example.org/catalog"])
def test_an_update_keeps_the_link_and_brings_the_page_up_to_date(published_once, tmp_path, base):
    first, second = published_once.paths
    ivz.ingest([first], tmp_path / "c", name="sst", base_href=base)
    before = preview_link(tmp_path / "c/collection.json")
    (tmp_path / "c/preview.js").write_text("older")
    assert ivz.update([first, second], tmp_path / "c").action == "append"
    assert preview_link(tmp_path / "c/collection.json") == before
    assert (tmp_path / "c/preview.js").read_bytes() == (page_directory() / "preview.js").read_bytes()


def test_an_address_of_a_page_elsewhere_is_linked_instead(published_once, tmp_path):
    page = "https://example.org/view?store=https://example.org/sst.vzarr"
    ivz.ingest(published_once.paths, tmp_path, name="sst", preview_href=page)
    assert preview_link(tmp_path / "collection.json") == page
    assert not (tmp_path / "preview.html").exists()


def test_in_a_bucket_the_page_has_its_media_type():
    keys = ObjectKeys("s3://bucket/catalog", Access.of({"s3://": {"region": "r", "access_key_id": "a", "secret_access_key": "b"}}))
    keys._store = obstore.store.MemoryStore()
    for key in ("preview.html", "preview.js", "sst.vzarr/sst/manifest/refs/c/0/0"):
        keys.set(key, b"content")
    kinds = {entry["path"]: obstore.get(keys._store, entry["path"]).attributes for entry in obstore.list(keys._store).collect()}
    assert kinds == {
        "catalog/preview.html": {"Content-Type": "text/html"},
        "catalog/preview.js": {"Content-Type": "text/javascript"},
        "catalog/sst.vzarr/sst/manifest/refs/c/0/0": {},
    }


def test_a_page_of_another_version_is_replaced(tmp_path):
    assert write_page(tmp_path) == ["preview.html", "preview.js"]
    assert write_page(tmp_path) == []
    (tmp_path / "preview.js").write_text("older")
    assert write_page(tmp_path) == ["preview.js"]


def test_the_page_loads_nothing_but_its_script():
    html = (page_directory() / "preview.html").read_text()
    assert re.findall(r"(?:src|href)=\"([^\"]*)\"", html) == ["data:,", "preview.js"]


def test_serve_names_stores_and_catalogs(published_once):
    assert addresses(published_once.root, "http://h:1") == [
        "  catalog/sst.vzarr: http://h:1/_preview/?store=/catalog/sst.vzarr",
        "  catalog/catalog.yaml: http://h:1/catalog/catalog.yaml",
        "  catalog/collection.json: http://h:1/catalog/collection.json",
    ]
