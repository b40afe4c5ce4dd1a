"""The whole way on real servers: pgstac, S3 with signatures and without, nginx."""

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import intake
import numpy as np
import obstore
import pytest
import xarray as xr
from conftest import sst_dataset, write_sst
from pystac.validation import validate_dict
from pystac_client import Client
from support.helpers import serving
from support.local_schemas import validator
from support.servers.nginx import nginx
from support.servers.pgstac import pgstac_api
from support.servers.s3 import PRIVATE, PUBLIC, s3_server

import intake_virtualzarr as ivz
from intake_virtualzarr.catalog.preview import page_directory
from intake_virtualzarr.errors import NothingFoundError, SourceError
from intake_virtualzarr.stac.client import open_client, search
from intake_virtualzarr.stac.find_sources import find_sources

DAYS = 11
"""Files: with a paging of 4, three pages."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Daily files, of which every third is flagged."""
    root = tmp_path_factory.mktemp("archive")
    paths = []
    for day in range(DAYS):
        path = root / f"sst_202401{day + 1:02}.nc"
        encoding = {"sst": {"zlib": True, "chunksizes": (1, 3, 8)}}
        sst_dataset(1, DAYS).isel(time=[day]).to_netcdf(path, engine="h5netcdf", encoding=encoding, unlimited_dims=["time"])
        paths.append(path)
    return paths


def direct(paths):
    with xr.open_mfdataset(paths, engine="h5netcdf") as found:
        return found.load()


COLLECTION = {
    "type": "Collection",
    "stac_version": "1.1.0",
    "id": "sst",
    "description": "Daily fields.",
    "license": "other",
    "links": [],
    "extent": {
        "spatial": {"bbox": [[-180, -90, 180, 90]]},
        "temporal": {"interval": [["2024-01-01T00:00:00Z", None]]},
    },
}


def item(day, href, size):
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": f"sst-{day:02}",
        "collection": "sst",
        "bbox": [-180, -50, 180, 50],
        "geometry": {"type": "Polygon", "coordinates": [[[-180, -50], [180, -50], [180, 50], [-180, 50], [-180, -50]]]},
        "properties": {"datetime": f"2024-01-{day:02}T00:00:00Z", "quality": "bad" if day % 3 == 0 else "good"},
        "links": [],
        "assets": {"data": {"href": href, "type": "application/x-netcdf", "roles": ["data"], "file:size": size}},
    }


# S3


@pytest.fixture(scope="module")
def s3():
    with s3_server() as server:
        yield server


@pytest.fixture(scope="module")
def items(s3, archive):
    """Items of all files, which lie in the bucket that anybody may read."""
    hrefs = [s3.upload(PUBLIC, f"data/{path.name}", path) for path in archive]
    return [item(day, href, path.stat().st_size) for day, (href, path) in enumerate(zip(hrefs, archive, strict=True), 1)]


@pytest.fixture(scope="module")
def api(items):
    """pgstac with all items but the last two, and what loads more."""
    with pgstac_api([COLLECTION], items[:-2]) as (url, load):
        yield url, load


@pytest.mark.s3
@pytest.mark.pgstac
def test_a_search_of_pgstac_is_ingested_to_s3_opened_anonymously_and_updated(api, s3, items, archive):
    url, load = api
    asked = {
        "collections": ["sst"],
        "filter": {"op": "=", "args": [{"property": "quality"}, "good"]},
        "filter_lang": "cql2-json",
        "limit": 4,
    }
    found = Client.open(url).search(**asked)
    pages = [[one["id"] for one in page["features"]] for page in found.pages_as_dicts()]
    assert pages == [["sst-08", "sst-07", "sst-05", "sst-04"], ["sst-02", "sst-01"]]  # newest first, filtered, by four

    keys = {"storage_options": s3.with_keys, "allow": f"s3://{PUBLIC}/data/"}  # the API and the catalog name files elsewhere
    report = ivz.ingest(Client.open(url).search(**asked), f"s3://{PUBLIC}/catalog", name="sst", **keys)
    assert (report.sources, report.references) == (6, 6 * 3)
    good = [path for day, path in enumerate(archive, 1) if day % 3]
    expected = direct(good[:6])

    anonymous = intake.open_catalog(f"{s3.endpoint}/{PUBLIC}/catalog/catalog.yaml").sst.to_dask()
    assert anonymous.sst.chunks is not None
    xr.testing.assert_equal(anonymous.compute(), expected)
    store = f"s3://{PUBLIC}/catalog/sst.vzarr"
    for options in (s3.anonymous, s3.with_keys):
        opened = xr.open_dataset(store, engine="virtualzarr", allow=keys["allow"], storage_options=options)
        xr.testing.assert_equal(opened.load(), expected)

    load(items[-2:])
    again = search(open_client(url), **asked)
    report = ivz.update(again, f"s3://{PUBLIC}/catalog", **keys)
    assert (report.action, report.before, report.after, report.unchanged, report.differences) == ("append", 6, 8, 6, ())
    assert [one.item_id for one in report.appended] == ["sst-10", "sst-11"]
    updated = intake.open_catalog(f"{s3.endpoint}/{PUBLIC}/catalog/collection.json", driver="virtualzarr_stac").sst.to_dask()
    xr.testing.assert_equal(updated.compute(), direct(good))
    assert ivz.update(search(open_client(url), **asked), report.directory, **keys).action == "nothing"


@pytest.mark.s3
@pytest.mark.pgstac
def test_pages_of_pgstac_are_complete_and_ordered(api):
    client = open_client(api[0])
    found = find_sources(search(client, collections=["sst"], datetime="2024-01-02/2024-01-04", limit=2))
    assert [one.item_id for one in found] == ["sst-02", "sst-03", "sst-04"]
    with pytest.raises(NothingFoundError, match="1999"):
        find_sources(search(client, collections=["sst"], datetime="1999"))


@pytest.mark.s3
def test_nothing_that_is_published_holds_keys(s3, items, archive):
    directory = f"s3://{PRIVATE}/catalog"
    ivz.ingest(items[:2], directory, name="sst", storage_options=s3.with_keys)
    bucket = s3.bucket(PRIVATE)
    names = [entry["path"] for batch in obstore.list(bucket, prefix="catalog") for entry in batch]
    assert {"catalog/catalog.yaml", "catalog/collection.json", "catalog/items.json", "catalog/sst.vzarr/zarr.json"} <= set(names)
    for name in names:
        content = bytes(obstore.get(bucket, name).bytes())
        assert b"not-so-secret" not in content, name
        assert b"writer" not in content, name
    document = json.loads(bytes(obstore.get(bucket, "catalog/collection.json").bytes()))
    size = sum(len(bytes(obstore.get(bucket, name).bytes())) for name in names if "/sst.vzarr/" in name)
    asset = document["assets"]["virtual"]
    assert asset["file:size"] == size
    bucket_scheme = {"type": "custom-s3", "platform": s3.endpoint, "bucket": PRIVATE, "region": "us-east-1"}
    assert document["storage:schemes"]["s3-private"] == bucket_scheme
    assert asset["storage:refs"] == ["s3-private"]
    assert asset["vzarr:sources"][0]["storage:refs"] == ["s3-public"]
    assert validate_dict(document, validator=validator())


@pytest.mark.s3
def test_who_has_no_keys_is_told_the_bucket_and_the_way_out(s3, archive):
    s3.upload(PRIVATE, "data/a.nc", archive[0])
    with pytest.raises(SourceError, match=f"s3://{PRIVATE}/data/a.nc: .*storage_options"):
        ivz.scan(f"s3://{PRIVATE}/data/a.nc", storage_options=s3.anonymous)
    assert ivz.scan(f"s3://{PRIVATE}/data/a.nc", storage_options=s3.with_keys).arrays
    wrong = {"s3://": {**s3.with_keys["s3://"], "secret_access_key": "guessed"}}
    with pytest.raises(SourceError, match=f"s3://{PRIVATE}/data/a.nc: ") as caught:
        ivz.scan(f"s3://{PRIVATE}/data/a.nc", storage_options=wrong)
    assert "guessed" not in str(caught.value)


@pytest.mark.s3
@pytest.mark.parametrize("who", ["anonymous", "reading"])
def test_who_may_not_write_is_told_so_and_leaves_nothing_behind(s3, items, who):
    with pytest.raises(SourceError, match=f"s3://{PUBLIC}/other.*: access denied"):
        ivz.ingest(items[:2], f"s3://{PUBLIC}/other", name="sst", storage_options=getattr(s3, who))
    assert not [entry for batch in obstore.list(s3.bucket(PUBLIC), prefix="other") for entry in batch]


@pytest.mark.s3
def test_a_changed_object_is_noticed_by_its_etag(s3, archive, tmp_path):
    href = s3.upload(PUBLIC, "changing/a.nc", archive[0])
    other = s3.upload(PUBLIC, "changing/b.nc", archive[1])
    directory = f"s3://{PUBLIC}/changing/catalog"
    first = [item(1, href, None), item(2, other, None)]
    ivz.ingest(first, directory, name="sst", storage_options=s3.with_keys)
    content = bytearray(archive[0].read_bytes())
    content[-1] ^= 1  # of the same size
    (tmp_path / "a.nc").write_bytes(content)
    s3.upload(PUBLIC, "changing/a.nc", tmp_path / "a.nc")
    report = ivz.update(first, directory, storage_options=s3.with_keys, allow=f"s3://{PUBLIC}/changing/", dry_run=True)
    assert [(one.source.item_id, one.state) for one in report.differences] == [("sst-01", "changed")]
    assert report.differences[0].reason.startswith("ETag was")


# nginx


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Files and catalog in one directory."""
    root = tmp_path_factory.mktemp("www")
    root.chmod(0o755)
    paths = [write_sst(root / "data" / f"sst_2024{month:02}.nc", month) for month in (1, 2)]
    ivz.ingest(paths, root / "catalog", name="sst")
    return root, direct(paths)


def answer(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as found:
        return found.status, found.headers, found.read()


def test_a_catalog_behind_nginx_opens_by_every_door(published):
    root, expected = published
    with nginx(root) as (url, log):
        doors = {
            "intake": intake.open_catalog(f"{url}/catalog/catalog.yaml").sst.to_dask(),
            "stac": intake.open_catalog(f"{url}/catalog/collection.json", driver="virtualzarr_stac").sst.to_dask(),
            "xarray": xr.open_dataset(f"{url}/catalog/sst.vzarr", engine="virtualzarr"),
            "file": xr.open_dataset(f"{url}/data/sst_202401.nc", engine="virtualzarr"),
        }
        xr.testing.assert_equal(doors.pop("file").load(), expected.isel(time=slice(0, 20)))
        for name, dataset in doors.items():
            assert dataset.load().equals(expected), name
        rows = [line.split() for line in log.read_text().splitlines() if "/data/" in line]
    statuses = [row[8] for row in rows if row[5] == '"GET']
    assert statuses
    assert set(statuses) == {"206"}, "data files are read by ranges alone"


def test_nginx_lets_browsers_read_ranges_of_other_origins(published):
    root, _ = published
    with nginx(root) as (url, _):
        path = f"{url}/data/sst_202401.nc"
        status, headers, body = answer(path, Range="bytes=0-7", Origin="https://example.com")
        assert (status, body) == (206, b"\x89HDF\r\n\x1a\n")
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert "Content-Range" in headers["Access-Control-Expose-Headers"]
        request = urllib.request.Request(path, method="OPTIONS", headers={"Access-Control-Request-Headers": "range"})
        with urllib.request.urlopen(request, timeout=10) as found:
            assert found.status == 204
            assert found.headers["Access-Control-Allow-Headers"] == "Range"
        with pytest.raises(urllib.error.HTTPError, match="404") as caught:
            answer(f"{url}/catalog/absent.json", Origin="https://example.com")
        with caught.value as refusal:
            assert refusal.headers["Access-Control-Allow-Origin"] == "*"


JS = Path(__file__).parents[2] / "js"


def shown(url, places):
    """What the preview page shows in Chromium."""
    chromium, node = shutil.which("chromium"), shutil.which("node")
    if chromium is None or node is None or not (JS / "node_modules" / "playwright-core").is_dir():
        pytest.skip("Chromium, Node or playwright-core is not installed (apt-get install chromium nodejs; npm install in js/)")
    script = Path(__file__).parents[1] / "support" / "servers" / "page.mjs"
    command = [node, str(script), chromium, str(JS), url, json.dumps(places)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.browser
def test_a_page_of_another_origin_shows_what_nginx_serves(published):
    root, expected = published
    with nginx(page_directory()) as (site, _), nginx(root) as (url, log):
        page = shown(f"{site}/preview.html?store={url}/catalog/sst.vzarr&var=sst", [(1, 2), (3, 4), (5, 7)])
        requests = [line.split() for line in log.read_text().splitlines() if "/data/" in line]
    assert (page["state"], page["variable"]) == ("ready", "/sst")
    first = expected.sst.isel(time=0).values
    assert np.float32(page["values"]).tolist() == [first[at] for at in [(1, 2), (3, 4), (5, 7)]]
    assert {row[8] for row in requests if row[5] == '"GET'} == {"206"}


@pytest.mark.browser
def test_without_cors_the_page_says_that_it_may_not_read(published):
    root, _ = published
    with nginx(page_directory()) as (site, _), nginx(root, cors=False) as (url, _):
        page = shown(f"{site}/preview.html?store={url}/catalog/sst.vzarr", [])
    assert page["state"] == "error"
    assert "CORS" in page["text"]


@pytest.mark.parametrize("server", ["nginx", "python"])
def test_a_server_that_ignores_ranges_is_noticed_and_never_misread(published, server):
    root, _ = published
    if server == "nginx":
        with nginx(root, "max_ranges 0;") as (url, _):
            check_whole(url)
    else:
        with serving(root, ranges=False) as found:
            check_whole(found.url)


def check_whole(url):
    assert answer(f"{url}/data/sst_202401.nc", Range="bytes=0-7")[0] == 200
    dataset = xr.open_dataset(f"{url}/catalog/sst.vzarr", engine="virtualzarr", chunks={})  # metadata come whole anyhow
    with pytest.raises(SourceError, match=rf"{url}/data/sst_2024\d\d.nc: .*byte ranges"):
        dataset.sst.load()
    np.testing.assert_array_equal(dataset.lat, np.linspace(50.0, -50.0, 6))
    with pytest.raises(SourceError, match="byte ranges"):
        ivz.scan(f"{url}/data/sst_202401.nc")
