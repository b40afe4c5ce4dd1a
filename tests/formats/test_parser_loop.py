"""The loop that runs parsers: several files, first requests, rounds."""

import numpy as np
import pytest
from support.helpers import serving

from intake_virtualzarr.arrays.inline import inline_stored
from intake_virtualzarr.arrays.segments import Segment
from intake_virtualzarr.errors import FormatError, NotAllowedError, SourceError
from intake_virtualzarr.formats import registry
from intake_virtualzarr.formats.base import ScannedArray, ScannedFile, ScannedGroup
from intake_virtualzarr.formats.scan import scan, scan_many


class Beside:
    """Files that begin with BESIDE and name another: what stands there becomes an attribute."""

    name = "beside"
    first_request = 100
    endings = (".bsd",)

    def sniff(self, head):
        return bytes(head[:6]) == b"BESIDE"

    def parse(self, source):
        (own,) = yield [(6, 200)]
        other = bytes(own).decode().strip()
        url = other if "://" in other else source.url.rpartition("/")[0] + "/" + other
        try:
            a, b, c = yield [(url, (0, 4)), (0, 6), (url, (4, 100))]
            said = f"{bytes(a).decode()}|{bytes(b).decode()}|{bytes(c).decode()}"
        except NotAllowedError:
            said = "not allowed"
        except SourceError:
            said = "absent"
        stored = inline_stored(np.int32(1).reshape(()))
        array = ScannedArray("/v", (), stored.dtype, (), stored.fill_value, (Segment.whole(stored),), {"said": said})
        return ScannedFile(source, "beside", {"/": ScannedGroup("/", {})}, {"/v": array}, {})

    def fallback(self, source, file, reason):
        return None


class Endless(Beside):
    name = "endless"

    def parse(self, source):
        while True:
            yield [(0, 1)]


@pytest.fixture(autouse=True)
def with_plugins(monkeypatch):
    known = {**registry.formats(), "beside": Beside(), "endless": Endless()}
    monkeypatch.setattr(registry, "formats", lambda: known)


def said(found):
    return found.arrays["/v"].attrs["said"]


def test_a_parser_reads_ranges_of_several_files(tmp_path):
    (tmp_path / "a.bsd").write_bytes(b"BESIDEother.txt")
    (tmp_path / "other.txt").write_bytes(b"abcdefgh")
    assert said(scan(tmp_path / "a.bsd")) == "abcd|BESIDE|efgh"
    with serving(tmp_path) as server:
        assert said(scan(f"{server.url}/a.bsd")) == "abcd|BESIDE|efgh"
        found = scan_many([f"{server.url}/a.bsd", tmp_path / "a.bsd"])
    assert [said(one) for one in found] == ["abcd|BESIDE|efgh"] * 2


def test_a_parser_hears_that_another_file_is_absent(tmp_path):
    (tmp_path / "a.bsd").write_bytes(b"BESIDEnothing.txt")
    assert said(scan(tmp_path / "a.bsd")) == "absent"
    with serving(tmp_path) as server:
        assert said(scan(f"{server.url}/a.bsd")) == "absent"


def test_a_file_of_a_network_names_other_places_only_where_that_is_allowed(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_bytes(b"topsecret")
    (tmp_path / "a.bsd").write_bytes(b"BESIDE" + secret.as_uri().encode())
    assert said(scan(tmp_path / "a.bsd")) == "tops|BESIDE|ecret"
    with serving(tmp_path) as server:
        assert said(scan(f"{server.url}/a.bsd")) == "not allowed"
        assert said(scan(f"{server.url}/a.bsd", allow=secret.as_uri())) == "tops|BESIDE|ecret"


def test_the_first_request_is_as_large_as_the_format_wants():
    assert registry.first_request("https://h/x.bsd?token=1", None) == 100
    assert registry.first_request("https://h/x.nc", None) == registry.HEAD
    assert registry.first_request("https://h/x.nc", "beside") == 100


def test_a_parser_that_never_ends_is_stopped(tmp_path):
    (tmp_path / "a").write_bytes(b"BESIDEx")
    with pytest.raises(FormatError, match="no result after 10000 rounds"):
        scan(tmp_path / "a", format="endless")
