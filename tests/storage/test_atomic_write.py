"""Files are written whole or not at all."""

import os
import stat

import pytest

from intake_virtualzarr.storage.atomic_write import write_atomically, write_if_changed


def test_a_file_and_its_directories_are_written(tmp_path):
    write_atomically(tmp_path / "a" / "b.json", b"1")
    assert (tmp_path / "a" / "b.json").read_bytes() == b"1"
    assert [one.name for one in (tmp_path / "a").iterdir()] == ["b.json"]


def test_what_cannot_be_put_in_place_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_bytes(b"old")

    def refuse(source, target):
        raise OSError("no")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="no"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]


def test_the_mode_is_that_of_other_new_files(tmp_path):
    write_atomically(tmp_path / "ours", b"")
    (tmp_path / "theirs").write_bytes(b"")
    ours, theirs = (stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "theirs"))
    assert ours == theirs


def test_a_file_that_holds_the_same_is_not_touched(tmp_path):
    path = tmp_path / "a.json"
    assert write_if_changed(path, b"1")
    before = path.stat().st_ino
    assert not write_if_changed(path, b"1")
    assert path.stat().st_ino == before
    assert write_if_changed(path, b"2")
