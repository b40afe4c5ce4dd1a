"""Documents from a network that name local files, other servers or chains: through no entry point does a byte of these come out."""

from __future__ import annotations

import json
import warnings
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import pystac
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import NotAllowedError, VirtualZarrError
from intake_virtualzarr.storage.policy import ENVIRONMENT
from tests.support.helpers import serving
from tests.support.hostile import ENTRIES, SECRET, Place, documents, holds_secret, quiet, write_secret

pytest.importorskip("fastparquet")
pytest.importorskip("aiohttp")

REFUSALS = (VirtualZarrError,)


@dataclass
class Hostile:
    """The documents, what was asked of the other server, and where all lies."""

    place: Place
    documents: list
    far_requests: dict


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    root = tmp_path_factory.mktemp("hostile")
    raw, archive = write_secret(root)
    with zipfile.ZipFile(root / "secret.zip", "w") as held:
        held.write(raw, raw.name)
        held.write(archive, archive.name)
    www = root / "www/public"
    www.mkdir(parents=True)
    with serving(www) as near, serving(root) as far:
        place = Place(raw, archive, www, near.url, far.url)
        yield Hostile(place, documents(place), far.requests)


CASES = [(kind, name) for kind, entries in ENTRIES.items() for name in entries]


@pytest.mark.parametrize(("kind", "entry"), CASES, ids=[name for _, name in CASES])
def test_no_hostile_document_lets_a_secret_out(hostile, kind, entry, tmp_path):
    chosen = [one for one in hostile.documents if one.kind == kind and "redirect" not in one.name]
    assert len(chosen) >= 14
    hostile.far_requests.clear()
    for number, one in enumerate(chosen):
        out = tmp_path / str(number)
        out.mkdir()
        try:
            content = quiet(lambda one=one, out=out: ENTRIES[kind][entry](one.url, out))
        except REFUSALS:
            continue
        assert not holds_secret(content), one.name
        assert b"PATH=" not in content, one.name
    assert not hostile.far_requests, "the other server was asked"


def test_there_are_enough_hostile_documents(hostile):
    assert len(hostile.documents) >= 60


def test_the_same_references_are_read_if_they_are_allowed(hostile):
    for name in ("kerchunk: file URL", "store: file URL", "parquet: file URL", "kerchunk: other port", "store: other port"):
        url = next((one.url for one in hostile.documents if one.name == name), None)
        if url is None and name.startswith("parquet") and find_spec("pyarrow") is None:
            continue
        with pytest.raises(NotAllowedError) as caught:
            ivz.open_virtual_dataset(url).load()
        allow = eval(str(caught.value).partition("allow=")[2])
        np.testing.assert_array_equal(ivz.open_virtual_dataset(url, allow=allow)["v"].load(), SECRET)
        np.testing.assert_array_equal(xr.open_dataset(url, engine="virtualzarr", allow=allow)["v"].load(), SECRET)


def test_administrators_allow_for_all_by_the_environment(hostile, monkeypatch):
    url = next(one.url for one in hostile.documents if one.name == "kerchunk: file URL")
    monkeypatch.setenv(ENVIRONMENT, f"s3://bucket/ {hostile.place.secret.parent.as_uri()}/")
    np.testing.assert_array_equal(ivz.open_virtual_dataset(url)["v"].load(), SECRET)


def test_the_refusal_names_document_target_and_way_out(hostile):
    url = next(one.url for one in hostile.documents if one.name == "kerchunk: file URL")
    target = hostile.place.secret.as_uri()
    with pytest.raises(NotAllowedError) as caught:
        ivz.open_virtual_dataset(url)
    text = str(caught.value)
    assert url in text
    assert target in text
    assert f"allow=['{target}']" in text


def test_items_of_an_api_are_its_word_and_items_that_were_made_here_the_users(hostile, tmp_path):
    """The same files, named by the same item: what counts is where the item says that it comes from."""
    item = json.loads((hostile.place.www / "i0.json").read_text())
    item["assets"] = {"data": {**item["assets"]["data"], "href": hostile.place.archive.as_uri()}}
    of_an_api = {**item, "links": [{"rel": "self", "href": "https://stac.example/items/1"}]}
    for one in (of_an_api, pystac.Item.from_dict(of_an_api), {"type": "FeatureCollection", "features": [of_an_api]}):
        with pytest.raises(NotAllowedError, match=r"stac\.example/items/1: names .*allow=\['file:"):
            ivz.virtualize(one)
        found = ivz.virtualize(one, allow=hostile.place.archive)
        np.testing.assert_array_equal(found["v"].values.ravel(), SECRET)
    for one in (item, pystac.Item.from_dict(item)):
        np.testing.assert_array_equal(ivz.virtualize(one)["v"].values.ravel(), SECRET)


@pytest.mark.parametrize("how", ["absolute", "proc", "relative"])
def test_external_storage_of_a_remote_file_is_refused_by_name(hostile, how):
    name = {"absolute": "secret.bin", "proc": "/proc/self/environ", "relative": "secret.bin"}[how]
    for declined in (False, True):
        url = f"{hostile.place.near}/external-{how}-{declined}.h5"
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                found = ivz.open_virtual_dataset(url)
                if "v" in found:
                    found["v"].load()
                reasons = " ".join(str(one.message) for one in caught)
            except VirtualZarrError as exc:
                reasons = str(exc)
        assert name in reasons, reasons
