"""Conditional writes whose answer is lost: the client sends them again, and the server says that somebody was there already."""

import obstore
import pytest
from obstore.store import MemoryStore

from intake_virtualzarr.storage.key_value import ObjectKeys, Seen
from intake_virtualzarr.storage.readers import Access

OPTIONS = {"skip_signature": True, "region": "us-east-1"}


@pytest.fixture
def keys(monkeypatch):
    found = ObjectKeys("s3://bucket/store", Access({"s3://": OPTIONS}))
    monkeypatch.setattr(found, "_store", MemoryStore())
    return found


@pytest.fixture
def lost(monkeypatch):
    """The first put is done, its answer is lost, and it is sent once more, as an HTTP client does."""
    real = obstore.put
    sent = []

    def put(*args, **kwargs):
        if not sent:
            sent.append(real(*args, **kwargs))
        return real(*args, **kwargs)

    monkeypatch.setattr(obstore, "put", put)
    return sent


def test_a_new_root_that_meets_itself_is_written(keys, lost):
    assert keys.switch("zarr.json", b"mine", Seen(None))
    assert lost
    assert keys.look("zarr.json").value == b"mine"


def test_a_replaced_root_that_meets_itself_is_written(keys, request):
    keys.set("zarr.json", b"old")
    seen = keys.look("zarr.json")
    lost = request.getfixturevalue("lost")
    assert keys.switch("zarr.json", b"mine", seen)
    assert lost
    assert keys.look("zarr.json").value == b"mine"


def test_an_answer_that_never_came_is_looked_up(keys, monkeypatch):
    real = obstore.put

    def put(*args, **kwargs):
        real(*args, **kwargs)
        raise OSError("connection reset")

    monkeypatch.setattr(obstore, "put", put)
    assert keys.switch("zarr.json", b"mine", Seen(None))


def test_the_root_of_another_writer_stays(keys, monkeypatch):
    real = obstore.put
    seen = keys.look("zarr.json")

    def put(store, path, value, **kwargs):
        real(store, path, b"theirs")  # between the look and the put
        return real(store, path, value, **kwargs)

    monkeypatch.setattr(obstore, "put", put)
    assert not keys.switch("zarr.json", b"mine", seen)
    assert keys.look("zarr.json").value == b"theirs"
