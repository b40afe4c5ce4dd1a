"""While h5py reads through a file object, no thread collects garbage: its lock would be waited for crosswise."""

import gc
import threading

import pytest
from support.helpers import serving

import intake_virtualzarr as ivz
from intake_virtualzarr.formats.no_collection import no_collection
from intake_virtualzarr.storage.file_object import SourceFile


@pytest.mark.parametrize("options", [{}, {"fsspec": True}], ids=["own client", "fsspec"])
def test_garbage_is_left_while_h5py_reads_a_file_that_is_not_local(tmp_path, monkeypatch, options):
    (tmp_path / "a.nc").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(50))
    seen = set()
    read = SourceFile.readinto

    def watched(self, buffer):
        seen.add(gc.isenabled())
        return read(self, buffer)

    monkeypatch.setattr(SourceFile, "readinto", watched)
    with serving(tmp_path) as server:
        url = f"simplecache::{server.url}/a.nc" if options else f"{server.url}/a.nc"
        with pytest.raises(ivz.FormatError):
            ivz.scan(url)
    assert seen == {False}
    assert gc.isenabled()


def test_the_last_one_that_leaves_turns_collection_on_again_also_after_an_error():
    inside, go_on = threading.Event(), threading.Event()

    def other():
        with no_collection():
            inside.set()
            go_on.wait()

    def fails():
        with no_collection():
            thread.start()
            inside.wait()
            raise KeyError

    thread = threading.Thread(target=other)
    with pytest.raises(KeyError):
        fails()
    assert not gc.isenabled()
    go_on.set()
    thread.join()
    assert gc.isenabled()


def test_who_has_turned_collection_off_finds_it_off():
    gc.disable()
    try:
        with no_collection():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()
