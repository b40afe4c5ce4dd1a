"""Sources that are read with signed URLs only, and no signature in anything that is written."""

import pickle
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
import xarray as xr
from conftest import write_sst
from support.helpers import FileServer, _Ranged

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import SourceError
from intake_virtualzarr.stac.find_sources import find_sources
from intake_virtualzarr.stac.signing import Signer, signing_access
from intake_virtualzarr.storage.readers import Access

SIGNATURE = "sig=hush-hush"


class Guarded(_Ranged):
    """A server that gives data files to nobody without a signature."""

    def _answer(self, *, body):
        if not self.path.endswith(SIGNATURE):
            self._send(403, b"", {})
        else:
            super()._answer(body=body)


@pytest.fixture
def server(tmp_path):
    for month in (1, 2, 3):
        write_sst(tmp_path / "data" / f"{month}.nc", month)
    server = FileServer(tmp_path / "data", Guarded)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def item(server, month):
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": f"m{month}",
        "geometry": None,
        "properties": {"datetime": f"2024-{month:02}-01T00:00:00Z"},
        "links": [],
        "assets": {"data": {"href": f"{server.url}/{month}.nc", "type": "application/x-netcdf", "roles": ["data"]}},
    }


def signed(item):
    """As a client with a modifier gives it."""
    asset = item["assets"]["data"]
    return {**item, "assets": {"data": {**asset, "href": f"{asset['href']}?{SIGNATURE}"}}}


def sign_url(url):
    return f"{url}?{SIGNATURE}"


def sign_item(item):
    """In place, as planetary_computer.sign_inplace does."""
    item["assets"]["data"]["href"] += f"?{SIGNATURE}"


def direct(tmp_path, *months):
    with xr.open_mfdataset([tmp_path / "data" / f"{month}.nc" for month in months], engine="h5netcdf") as found:
        return found.load()


WAYS = {
    "items that come signed": (signed, {}),
    "a modifier of URLs": (dict, {"modifier": sign_url}),
    "a modifier of items": (dict, {"modifier": sign_item}),
}


@pytest.mark.parametrize("way", WAYS)
def test_signatures_are_used_for_reading_and_never_written(server, tmp_path, way):
    prepare, options = WAYS[way]
    items = [prepare(item(server, month)) for month in (1, 2, 3)]
    ivz.ingest(items[:2], tmp_path / "c", name="sst", **options)
    assert ivz.update(items, tmp_path / "c", dry_run=True, **options).after == 60
    report = ivz.update(items, tmp_path / "c", **options)
    assert (report.after, report.differences) == (60, ())
    assert ivz.update(items, tmp_path / "c", **options).action == "nothing"
    for path in Path(tmp_path / "c").rglob("*"):
        assert path.is_dir() or b"hush" not in path.read_bytes(), path
    opened = xr.open_dataset(
        tmp_path / "c" / "sst.vzarr",
        engine="virtualzarr",
        backend_kwargs={"storage_options": Access(modifier=lambda url: sign_url(url) if url.endswith(".nc") else url)},
    )
    xr.testing.assert_equal(opened.load(), direct(tmp_path, 1, 2, 3))


@pytest.mark.parametrize("way", ["a modifier of URLs", "a modifier of items"])
def test_coordinates_that_are_kept_by_reference_are_read_signed(server, tmp_path, way):
    prepare, options = WAYS[way]
    items = [prepare(item(server, month)) for month in (1, 2, 3)]
    ivz.ingest(items[:2], tmp_path / "c", name="sst", loadable_variables=["time"], **options)
    assert ivz.update(items, tmp_path / "c", **options).after == 60


@pytest.mark.parametrize("way", WAYS)
def test_a_virtual_dataset_reads_signed(server, tmp_path, way):
    prepare, options = WAYS[way]
    dataset = ivz.virtualize([prepare(item(server, month)) for month in (1, 2)], **options)
    xr.testing.assert_equal(dataset.vzarr.decode().load(), direct(tmp_path, 1, 2))


def test_without_a_signature_the_refusal_names_the_file(server, tmp_path):
    with pytest.raises(SourceError, match=r"/1.nc: access denied"):
        ivz.ingest([item(server, 1)], tmp_path / "c", name="sst")
    assert not (tmp_path / "c").exists()


def test_only_sources_are_signed_and_what_signs_can_be_pickled():
    sources = find_sources(
        [
            {
                "type": "Feature",
                "stac_version": "1.1.0",
                "id": "a",
                "geometry": None,
                "links": [],
                "properties": {"datetime": datetime(2024, 1, 1, tzinfo=UTC).isoformat()},
                "assets": {"data": {"href": "https://h/a.nc?sig=1"}},
            }
        ]
    )
    access = signing_access(Access(modifier=str.upper), sources, None)
    assert access.signed("https://h/a.nc") == "https://h/a.nc?sig=1"
    assert access.signed("https://h/b.nc") == "HTTPS://H/B.NC"
    assert signing_access(Access(), [], None) == Access()
    assert pickle.loads(pickle.dumps(access.modifier)) == Signer({"https://h/a.nc": "https://h/a.nc?sig=1"}, None, str.upper)
