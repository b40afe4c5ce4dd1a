"""Zarr stores in zip files: odd zip files, compressed members, damage."""

from __future__ import annotations

import random
import struct
import zipfile

import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.storage import ZipStore

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import FormatError, UnsupportedError, VirtualZarrError
from intake_virtualzarr.formats.scan import scan
from intake_virtualzarr.formats.zarr.zip_directory import read_directory

VALUES = np.random.default_rng(0).integers(0, 1000, (12, 50)).astype("i4")


@pytest.fixture(params=["chunks", "shards"])
def plain(request, tmp_path):
    """A store in a directory."""
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=3)
    options = {"shards": (6, 50)} if request.param == "shards" else {}
    array = group.create_array("v", shape=(12, 50), chunks=(3, 50), dtype="i4", dimension_names=("t", "x"), **options)
    array[:] = VALUES
    return tmp_path / "a.zarr"


def packed(folder, path, *, method=zipfile.ZIP_STORED, metadata=None, **options):
    """The files of a folder in a zip file."""
    with zipfile.ZipFile(path, "w", **options) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                used = metadata if metadata is not None and file.name == "zarr.json" else method
                archive.write(file, file.relative_to(folder).as_posix(), compress_type=used)
    return path


def read(path):
    return ivz.open_virtual_dataset(path, loadable_variables=[], on_unsupported="raise").v.values


def test_a_store_that_somebody_else_packed_is_read(plain, tmp_path):
    np.testing.assert_array_equal(read(packed(plain, tmp_path / "a.zip")), VALUES)


def test_metadata_may_be_compressed_and_chunks_may_not(plain, tmp_path):
    np.testing.assert_array_equal(read(packed(plain, tmp_path / "a.zip", metadata=zipfile.ZIP_DEFLATED)), VALUES)
    path = packed(plain, tmp_path / "b.zip", method=zipfile.ZIP_DEFLATED)
    with pytest.raises(UnsupportedError, match=r"chunk v/c/\d/0 is compressed once more \(zip method 8\).*ZipStore.*unpack"):
        read(path)
    with pytest.warns(UserWarning, match="zip -0"):
        assert not ivz.open_virtual_dataset(path).variables


def test_headers_that_differ_from_the_directory_are_read(plain, tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(plain.rglob("*")):
            if file.is_file():
                with archive.open(file.relative_to(plain).as_posix(), "w", force_zip64=True) as member:
                    member.write(file.read_bytes())
    np.testing.assert_array_equal(read(path), VALUES)


class Unseekable:
    """A stream: sizes then stand behind the members."""

    def __init__(self, file):
        self.file = file

    def write(self, data):
        return self.file.write(data)

    def flush(self):
        self.file.flush()


def test_members_whose_sizes_stand_behind_them_are_read(plain, tmp_path):
    with (tmp_path / "a.zip").open("wb") as file:
        packed(plain, Unseekable(file))
    np.testing.assert_array_equal(read(tmp_path / "a.zip"), VALUES)


def test_what_stands_before_a_zip_file_and_its_comment_do_not_matter(plain, tmp_path):
    path = packed(plain, tmp_path / "a.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"PK\5\6 no end record " * 20
    np.testing.assert_array_equal(read(path), VALUES)
    shifted = tmp_path / "b.zip"
    shifted.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
    found = scan(shifted, format="zarr").arrays["/v"]
    assert found.references == 4


def test_of_members_of_one_name_the_last_counts(plain, tmp_path):
    path = packed(plain, tmp_path / "a.zip")
    other = tmp_path / "b.zarr"
    array = zarr.open_group(other, mode="w").create_array("v", shape=(12, 50), chunks=(3, 50), dtype="i4")
    if not zarr.open_array(plain / "v").shards:
        array[:3] = 7
        with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
            archive.write(other / "v/c/0/0", "v/c/0/0")
        assert (read(path)[:3] == 7).all()
        np.testing.assert_array_equal(read(path)[3:], VALUES[3:])


def zip64(path):
    """The same zip file with its sizes and places in ZIP64 fields."""
    raw = path.read_bytes()
    at = raw.rfind(b"PK\5\6")
    count, length, offset = struct.unpack_from("<HII", raw, at + 10)
    entries, place = b"", offset
    for _ in range(count):
        head = bytearray(raw[place : place + 46])
        name, extra, comment = struct.unpack_from("<HHH", head, 28)
        size, full = struct.unpack_from("<II", head, 20)
        (where,) = struct.unpack_from("<I", head, 42)
        struct.pack_into("<II", head, 20, 2**32 - 1, 2**32 - 1)
        struct.pack_into("<I", head, 42, 2**32 - 1)
        struct.pack_into("<H", head, 30, 28)
        field = struct.pack("<HHQQQ", 1, 24, full, size, where)
        entries += bytes(head) + raw[place + 46 : place + 46 + name] + field
        place += 46 + name + extra + comment
    record = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(entries), offset)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, offset + len(entries), 1)
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 2**16 - 1, 2**16 - 1, 2**32 - 1, 2**32 - 1, 0)
    return raw[:offset] + entries + record + locator + end


def test_zip64_is_read(plain, tmp_path):
    path = packed(plain, tmp_path / "a.zip")
    path.write_bytes(zip64(path))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    np.testing.assert_array_equal(read(path), VALUES)


def test_a_store_in_a_folder_of_the_zip_file_is_a_group(plain, tmp_path):
    path = packed(tmp_path, tmp_path / "x" / "a.zip") if (tmp_path / "x").mkdir() else packed(plain.parent, tmp_path / "a.zip")
    np.testing.assert_array_equal(ivz.open_virtual_dataset(path, group="a.zarr").v.values, VALUES)


def test_a_zip_store_of_zarr_is_the_file_that_it_reads(plain, tmp_path):
    path = packed(plain, tmp_path / "a.zip")
    opened = ivz.open_virtual_dataset(ZipStore(path, mode="r"))
    opened.vzarr.to_zarr(tmp_path / "s.vzarr")
    assert {one.url for one in ivz.open_virtual_dataset(tmp_path / "s.vzarr").v.data.segments[0].stored.sources} == {path.as_uri()}


# ---------------------------------------------------------------------- no store, and damage


def test_a_zip_file_without_a_store_says_so(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", "text")
    with pytest.raises(FormatError, match=r"a zip file without Zarr metadata"):
        ivz.open_virtual_dataset(tmp_path / "a.zip")


def test_a_virtual_store_in_a_zip_file_is_refused_with_the_way_out(tmp_path):
    xr.Dataset({"v": ("x", np.arange(3.0))}).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    ivz.open_virtual_dataset(tmp_path / "a.nc").vzarr.to_zarr(tmp_path / "s.vzarr")
    with pytest.raises(UnsupportedError, match=r"virtual store in a zip file"):
        ivz.open_virtual_dataset(packed(tmp_path / "s.vzarr", tmp_path / "s.zip"))


def test_a_damaged_index_of_a_shard_is_refused_by_name(tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("v", shape=(12, 50), chunks=(3, 50), shards=(6, 50), dtype="i4")[:] = VALUES
    group.create_array("w", shape=(3,), dtype="i4")[:] = 1
    shard = tmp_path / "a.zarr/v/c/1/0"
    raw = bytearray(shard.read_bytes())
    raw[-10] ^= 1
    shard.write_bytes(raw)
    path = packed(tmp_path / "a.zarr", tmp_path / "a.zip")
    with pytest.warns(UserWarning, match=r"index of shard v/c/1/0 is damaged"):
        assert set(ivz.open_virtual_dataset(path).variables) == {"w"}


@pytest.mark.parametrize("cut", [0, 1, 21, 22, 60, 200, 1000])
def test_a_zip_file_that_is_cut_short_is_damaged(plain, tmp_path, cut):
    raw = packed(plain, tmp_path / "a.zip").read_bytes()
    (tmp_path / "b.zip").write_bytes(raw[: len(raw) - 1 - cut])
    with pytest.raises(FormatError, match=r"b\.zip: is damaged: a zip file without its directory"):
        ivz.open_virtual_dataset(tmp_path / "b.zip")


def mutated(raw, random):
    """A zip file with some changed bytes, most of them where the directory is."""
    out = bytearray(raw)
    start = raw.rfind(b"PK\1\2") if random.random() < 0.5 else raw.find(b"PK\1\2")
    for _ in range(random.randint(1, 6)):
        at = random.randrange(start, len(out)) if random.random() < 0.8 else random.randrange(len(out))
        out[at] = random.choice([0, 255, out[at] ^ (1 << random.randrange(8)), random.randrange(256)])
    return bytes(out[: random.randrange(len(out))] if random.random() < 0.05 else out)


def outcome(raw):
    """What a scan of bytes gives; every range is cut at the end of the file, as the loop does."""
    from intake_virtualzarr.formats.zarr import FORMAT
    from intake_virtualzarr.storage.source import Source

    parse = FORMAT.parse(Source("file:///a.zip", size=len(raw)))
    try:
        wanted = next(parse)
        while True:
            total = sum(length for _, length in wanted)
            assert total <= 4 * len(raw) + 2**16, "asks for more than there is"
            wanted = parse.send([raw[max(start, 0) : max(start, 0) + max(length, 0)] for start, length in wanted])
    except StopIteration as stop:
        return stop.value
    except VirtualZarrError as exc:
        return exc


def test_damage_anywhere_is_one_of_our_errors(plain, tmp_path):
    raw = packed(plain, tmp_path / "a.zip").read_bytes()
    source = random.Random(1)
    for _ in range(300):
        outcome(mutated(raw, source))


def test_the_directory_is_read_in_one_round_of_most_files(plain, tmp_path):
    raw = packed(plain, tmp_path / "a.zip").read_bytes()
    steps = read_directory(len(raw), "a.zip")
    ((start, length),) = next(steps)
    with pytest.raises(StopIteration) as stop:
        steps.send([raw[start : start + length]])
    assert all(one.start for one in stop.value.value), "no header has to be read"
