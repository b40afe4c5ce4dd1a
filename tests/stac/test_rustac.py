"""A search against a real STAC API server, which ignores sort orders."""

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.stac_api import make_item

from intake_virtualzarr.errors import NothingFoundError, StacError
from intake_virtualzarr.stac.client import open_client, search
from intake_virtualzarr.stac.find_sources import find_sources

COLLECTION = {
    "type": "Collection",
    "stac_version": "1.1.0",
    "id": "sst",
    "description": "SST",
    "license": "CC0-1.0",
    "links": [],
    "extent": {
        "spatial": {"bbox": [[-180, -90, 180, 90]]},
        "temporal": {"interval": [["2000-01-01T00:00:00Z", None]]},
    },
}


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """Address of `rustac serve` with 50 hourly items, latest first."""
    pytest.importorskip("rustac")
    program = shutil.which("rustac", path=str(Path(sys.executable).parent)) or shutil.which("rustac")
    if program is None:
        pytest.skip("the rustac program is not installed")
    directory = tmp_path_factory.mktemp("api")
    items = [make_item(number, "https://data.example.com") for number in reversed(range(50))]
    for one in items:
        one["links"] = [{"rel": "collection", "href": "./collections.json"}]
    (directory / "collections.json").write_text(json.dumps(COLLECTION))
    (directory / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [program, "serve", "-a", f"127.0.0.1:{port}", "collections.json", "items.json"]
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=directory, stdout=log, stderr=log)
    try:
        wait_for(port, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def wait_for(port, server):
    for _ in range(200):
        if server.poll() is not None:
            pytest.fail(f"rustac serve ended with {server.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("rustac serve does not answer")


def test_a_paged_search_on_rustac_is_complete_and_ordered(api):
    sources = find_sources(search(open_client(api), collections=["sst"], limit=7))
    assert [one.item_id for one in sources] == [f"sst-{number:06d}" for number in range(50)]


def test_a_search_in_time_on_rustac_finds_the_day(api):
    sources = find_sources(search(open_client(api), collections=["sst"], datetime="2000-01-02"))
    assert [one.item_id for one in sources] == [f"sst-{number:06d}" for number in range(24, 48)]


def test_a_search_elsewhere_on_rustac_finds_nothing(api):
    with pytest.raises(NothingFoundError, match="1999"):
        find_sources(search(open_client(api), collections=["sst"], datetime="1999"))


def test_a_filter_is_refused_before_rustac_returns_nothing_for_it(api):
    with pytest.raises(StacError, match="FILTER"):
        search(open_client(api), filter={"op": "=", "args": [{"property": "serial"}, 3]})
