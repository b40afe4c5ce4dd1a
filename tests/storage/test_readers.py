"""Readers: local files, http, fsspec; ranges, states, refusals, credentials by prefix."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.helpers import serving

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import SourceChangedError, SourceError, VirtualZarrError
from intake_virtualzarr.storage.coalesce import merge_ranges, split_merged
from intake_virtualzarr.storage.file_object import SourceFile
from intake_virtualzarr.storage.fsspec_reader import FsspecReader
from intake_virtualzarr.storage.http_reader import HttpReader
from intake_virtualzarr.storage.local_reader import LocalReader
from intake_virtualzarr.storage.readers import Access, ReaderPool, open_reader
from intake_virtualzarr.storage.source import Source
from intake_virtualzarr.storage.urls import absolute_url

DATA = np.random.default_rng(3).bytes(300_000)
RANGES = st.lists(
    st.tuples(st.integers(0, len(DATA) - 1), st.integers(1, 5000)).map(lambda r: (r[0], min(r[1], len(DATA) - r[0]))),
    min_size=1,
    max_size=12,
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("served")
    (directory / "a.bin").write_bytes(DATA)
    return directory


@pytest.fixture(scope="module")
def server(directory):
    with serving(directory) as server:
        yield server


@pytest.fixture(params=["file", "http", "fsspec", "chained"])
def url(request, directory, server) -> str:
    return {
        "file": (directory / "a.bin").as_uri(),
        "http": f"{server.url}/a.bin",
        "fsspec": f"local://{directory}/a.bin",
        "chained": f"simplecache::{server.url}/a.bin",
    }[request.param]


# ---------------------------------------------------------------------- ranges


@given(ranges=st.lists(st.tuples(st.integers(0, 100), st.integers(1, 30)), max_size=10), gap=st.integers(0, 20))
@settings(deadline=None, max_examples=150)
def test_merged_ranges_hold_every_range(ranges, gap):
    merged, places = merge_ranges(ranges, gap=gap)
    blocks = [DATA[start : start + length] for start, length in merged]
    assert [bytes(b) for b in split_merged(ranges, places, blocks)] == [DATA[s : s + n] for s, n in ranges]
    assert all(a + n + gap < b for (a, n), (b, _) in pairwise(merged))


def test_merged_ranges_grow_no_larger_than_allowed():
    ranges = [(i * 10, 10) for i in range(20)]
    merged, _ = merge_ranges(ranges, gap=5, largest=40)
    assert max(length for _, length in merged) <= 40
    assert sum(length for _, length in merged) == 200


@given(ranges=RANGES)
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ranges_hold_the_bytes_of_the_file(url, ranges):
    reader = open_reader(url)
    found = [bytes(block) for block in reader.read(ranges, reader.describe())]
    assert found == [DATA[start : start + length] for start, length in ranges]


def test_the_head_is_the_state_and_the_first_bytes(url):
    for size in (100, 10**6):
        source, head = open_reader(url).head(size)
        assert bytes(head) == DATA[:size]
        assert source.size == len(DATA)
        assert source.url == url


def test_urls_choose_their_reader(url):
    expected = LocalReader if url.startswith("file:") else HttpReader if url.startswith("http:") else FsspecReader
    assert isinstance(open_reader(url), expected)


def test_a_range_past_the_end_is_an_error(url):
    with pytest.raises(SourceError, match=r"a\.bin"):
        open_reader(url).read([(len(DATA) - 5, 10)])
    with pytest.raises(SourceError, match=r"a\.bin"):
        open_reader(url).read([(len(DATA) + 5, 10)])


def test_another_state_is_an_error(url):
    with pytest.raises(SourceChangedError, match="size was 7 bytes, is 300000 bytes"):
        open_reader(url).read([(0, 10)], Source(url, size=7))


def test_an_absent_file_is_an_error_with_its_name(url):
    with pytest.raises(SourceError, match=r"b\.bin: (no such file|not found)"):
        open_reader(url.replace("a.bin", "b.bin")).read([(0, 1)])


def test_a_source_is_a_file_for_libraries_that_want_one(url):
    reader = open_reader(url)
    file = SourceFile(reader, reader.describe())
    file.seek(-10, 2)
    assert file.read() == DATA[-10:]
    assert file.read() == b""
    file.seek(262_140)
    assert file.read(10) == DATA[262_140:262_150]
    assert file.tell() == 262_150


# ---------------------------------------------------------------------- http


def test_near_ranges_are_one_request(server):
    server.requests.clear()
    open_reader(f"{server.url}/a.bin").read([(i * 1000, 100) for i in range(50)])
    assert server.requests == {("GET", "a.bin"): 1}


def test_a_server_that_answers_with_the_whole_file_is_found_out(directory):
    with serving(directory, ranges=False) as server, pytest.raises(SourceError, match="whole file") as caught:
        open_reader(f"{server.url}/a.bin").read([(10, 20)])
    assert "byte ranges" in str(caught.value)


def test_a_scan_of_a_server_without_ranges_says_so(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["v"] = np.arange(5)
    with serving(tmp_path, ranges=False) as server, pytest.raises(SourceError, match=r"whole file|byte ranges"):
        ivz.scan(f"{server.url}/a.h5")


@pytest.mark.parametrize(("status", "message"), [(404, r"not found \(404\)"), (403, "access denied"), (401, "access denied")])
def test_a_refusal_names_the_url_and_the_way_out(server, status, message):
    server.refuse["secret.bin"] = status
    url = f"{server.url}/secret.bin"
    with pytest.raises(SourceError, match=f"{re.escape(url)}: {message}") as caught:
        open_reader(url, Access({server.url: {"headers": {"a": "b"}}})).read([(0, 1)])
    if status != 404:
        assert repr(server.url) in str(caught.value)
        assert "storage_options" in str(caught.value)


def test_a_server_that_is_not_there_is_an_error_with_the_url():
    with serving(Path()) as server:
        url = server.url
    options = {"http://": {"retry_config": {"max_retries": 0}}}
    with pytest.raises(SourceError, match=re.escape(url)):
        open_reader(f"{url}/a.bin", Access(options)).read([(0, 1)])


def test_a_file_that_changes_on_the_server_is_an_error(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"1234567890")
    with serving(tmp_path) as server:
        reader = open_reader(f"{server.url}/a.bin")
        seen = reader.describe()
        (tmp_path / "a.bin").write_bytes(b"0987654321")
        with pytest.raises(SourceChangedError, match="ETag was"):
            reader.read([(0, 3)], seen)


def test_without_an_etag_the_time_is_compared(tmp_path):
    import os

    path = tmp_path / "a.bin"
    path.write_bytes(b"1234567890")
    with serving(tmp_path, etags=False) as server:
        reader = open_reader(f"{server.url}/a.bin")
        seen = reader.describe()
        assert bytes(reader.read([(2, 3)], seen)[0]) == b"345"
        os.utime(path, (1, 1))
        with pytest.raises(SourceChangedError, match="modification time was"):
            reader.read([(0, 3)], seen)


# ---------------------------------------------------------------------- access


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://podaac/a.nc", {"region": "us-west-2"}),
        ("s3://other/a.nc", {"anon": True}),
        ("https://host/a.nc", {}),
    ],
)
def test_the_longest_prefix_wins(url, expected):
    access = Access.of({"s3://": {"anon": True}, "s3://podaac/": {"region": "us-west-2"}})
    assert access.options(url) == expected


def test_options_without_a_prefix_are_for_all_urls():
    assert Access.of({"anon": True}).options("s3://any/a.nc") == {"anon": True}
    assert Access.of(None) == Access.of({}) == Access()
    access = Access({"a://": {}})
    assert Access.of(access) is access


def test_a_modifier_signs_what_is_opened_and_stays_out_of_names(directory, server):
    asked = []

    def sign(url: str) -> str:
        asked.append(url)
        return url.replace("unsigned", "a")

    reader = open_reader(f"{server.url}/unsigned.bin", Access(modifier=sign))
    assert bytes(reader.read([(0, 4)])[0]) == DATA[:4]
    assert reader.describe().url == f"{server.url}/unsigned.bin"
    assert set(asked) == {f"{server.url}/unsigned.bin"}


def test_a_pool_keeps_readers_and_drops_the_oldest(directory):
    pool = ReaderPool(limit=2)
    urls = [f"file:///{name}" for name in "abc"]
    first = pool.get(urls[0])
    assert pool.get(urls[0]) is first
    pool.get(urls[1])
    pool.get(urls[2])
    assert pool.get(urls[0]) is not first


def test_a_replaced_file_is_opened_anew(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    reader = LocalReader(path.as_uri())
    assert bytes(reader.read([(0, 3)])[0]) == b"old"
    (tmp_path / "b.bin").write_bytes(b"new")
    (tmp_path / "b.bin").replace(path)
    assert bytes(reader.read([(0, 3)])[0]) == b"new"
    reader.close()
    assert bytes(reader.read([(0, 3)])[0]) == b"new"


@pytest.mark.parametrize("content", [b"", b"not a data file of any kind", b"\x89HDF\r\n\x1a\n" + bytes(50)])
def test_a_file_of_no_known_format_is_an_error_with_its_name(tmp_path, content):
    path = tmp_path / "a.nc"
    path.write_bytes(content)
    with pytest.raises(VirtualZarrError, match=r"a\.nc"):
        ivz.scan(path)
    with serving(tmp_path) as server, pytest.raises(VirtualZarrError, match=r"a\.nc"):
        ivz.scan(f"{server.url}/a.nc")


@pytest.mark.parametrize(
    "path",
    [
        "/a/b.nc",
        "/a//b",
        "/a/./b",
        "/a/../b",
        "/a/b/",
        "/",
        "/..",
        "/a/.b",
        "/a/..b",
        "/a/%41",
        "/é",
        "/a/b~",
        "/a#b?c",
        "~/x",
        "x/y",
        "/a/b:c",
        "/a b",
    ],
)
def test_a_path_becomes_the_url_that_pathlib_gives(path):
    assert absolute_url(path) == Path(path).expanduser().absolute().as_uri()
