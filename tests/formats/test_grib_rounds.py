"""How many rounds a scan of GRIB takes, and which bytes: with and without a list of messages beside the file."""

from __future__ import annotations

import json

import numpy as np
import pytest

from intake_virtualzarr.codecs import grib_library
from intake_virtualzarr.errors import SourceError
from intake_virtualzarr.formats.grib import FORMAT
from intake_virtualzarr.formats.grib.sidecar import listed_offsets
from intake_virtualzarr.storage.source import Source
from tests.support.grib_files import field

if grib_library.no_eccodes():
    pytest.skip("the extra grib is not installed", allow_module_level=True)
ec = grib_library.eccodes("a test")

MESSAGES = 120


def message(rows: int, columns: int, k: int, *, gaps: bool) -> bytes:
    values = np.random.default_rng(k).normal(size=(rows, columns))
    if gaps:
        values[::3, ::4] = np.nan
    grid = {"Ni": columns, "Nj": rows, "iDirectionIncrementInDegrees": 0.1, "jDirectionIncrementInDegrees": 0.1}
    grid |= {"longitudeOfLastGridPointInDegrees": 0.1 * (columns - 1), "latitudeOfLastGridPointInDegrees": 60 - 0.1 * (rows - 1)}
    return field(ec, values, bitsPerValue=16, dataDate=20240101 + k % 28, dataTime=100 * (k // 28), **grid)


@pytest.fixture(scope="module")
def uneven():
    """Messages of many sizes, some with a bitmap; all over a megabyte together, and where they begin."""
    made = [message(100 + k * 37 % 90, 300, k, gaps=k % 5 == 0) for k in range(MESSAGES)]
    return b"".join(made), np.cumsum([0, *map(len, made)])[:-1].tolist()


def noaa(offsets) -> bytes:
    return "\n".join(f"{k + 1}:{at}:d=2024010106:TMP:2 m above ground:anl:" for k, at in enumerate(offsets)).encode()


def ecmwf(offsets) -> bytes:
    return "\n".join(json.dumps({"param": "2t", "_offset": at, "_length": 9}) for at in offsets).encode()


def scanned(raw: bytes, lists: dict[str, bytes], url: str = "https://data.example/f.grib2"):
    """Scan without I/O: the offsets found, rounds, bytes of the file asked for, and lists asked for."""
    parse = FORMAT.parse(Source(url, size=len(raw)))
    rounds = asked = 0
    named = []
    try:
        wanted = next(parse)
        while True:
            rounds += 1
            answers = []
            for start, length in wanted:
                if isinstance(start, str):
                    named.append(start)
                    answers.append(lists.get(start))
                else:
                    answers.append(raw[start : start + length])
                    asked += len(answers[-1])
            lacking = any(one is None for one in answers)
            wanted = parse.throw(SourceError("no such file")) if lacking else parse.send(answers)
    except StopIteration as stop:
        arrays = [one.segments[0].stored.manifest for one in stop.value.arrays.values() if one.dtype == np.float32]
        return sorted(at for one in arrays for at in one.offset.ravel().tolist()), rounds, asked, named


@pytest.mark.parametrize(("ending", "text"), [("f.grib2.idx", noaa), ("f.index", ecmwf)])
def test_a_list_beside_the_file_makes_a_round_of_all_headers(uneven, ending, text):
    raw, offsets = uneven
    url = f"https://data.example/{ending}"
    found, rounds, asked, named = scanned(raw, {url: text(offsets)})
    assert found == offsets
    assert rounds <= 8
    assert asked < 700 * MESSAGES
    assert named[-1] == url


@pytest.mark.parametrize(
    "wrong",
    [
        lambda at: [one + 7 for one in at],
        lambda at: at[:40] + [one + 1 for one in at[40:]],
        lambda at: at[::2],
        lambda at: list(range(0, at[-1], 50)),
        lambda at: [10**17],
    ],
)
def test_a_list_that_lies_changes_nothing_but_the_rounds(uneven, wrong):
    raw, offsets = uneven
    found, rounds, asked, _ = scanned(raw, {"https://data.example/f.grib2.idx": noaa(wrong(offsets))})
    assert found == offsets
    assert rounds < MESSAGES + 10
    assert asked < 2 * len(raw)


def test_without_a_list_uneven_messages_are_read_in_large_windows(uneven):
    raw, offsets = uneven
    found, rounds, _, named = scanned(raw, {})
    assert found == offsets
    assert rounds < 12
    assert len(named) == 2


def test_a_local_file_is_read_header_by_header_and_has_no_list(uneven):
    raw, offsets = uneven
    found, _, asked, named = scanned(raw, {}, url="file:///data/f.grib2")
    assert found == offsets
    assert asked < 1600 * MESSAGES
    assert not named


def test_what_is_no_list_has_no_offsets():
    for text in (b"", b"<html>404</html>", b"1:x:d=", b'{"_offset": -1}', bytes(range(256))):
        assert not listed_offsets(text, 100)
    assert listed_offsets(b"1:0:d=1:A:\n2.1:40:d=1\n2.2:40:d=1\n3:400:d=1\n", 100) == [0, 40]
