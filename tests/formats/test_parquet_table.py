"""Our reader of flat Parquet tables, against fastparquet's; and damage, which ends in errors of ours."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest

from intake_virtualzarr.errors import FormatError, UnsupportedError, VirtualZarrError
from intake_virtualzarr.formats.parquet_table import read_table

fastparquet = pytest.importorskip("fastparquet", reason="the extra 'kerchunk' is not installed")
pd = pytest.importorskip("pandas")


def table(rows: int, *, categories: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(rows)
    path = np.array([f"s3://bucket/{i % 5}/é.nc" for i in range(rows)], object)
    path[rng.random(rows) < 0.2] = None
    raw = np.full(rows, None, object)
    raw[rows // 2] = b"base64:AAAA"
    found = pd.DataFrame(
        {"path": path, "offset": rng.integers(0, 2**40, rows), "size": rng.integers(0, 2**31, rows).astype("i4"), "raw": raw}
    )
    return found.astype({"path": "category"}) if categories else found


def written(frame: pd.DataFrame, compression: str | None = "ZSTD", **options) -> bytes:
    out = io.BytesIO()
    out.close = lambda: None  # fastparquet closes what it wrote
    kinds = {one: "bytes" if one == "raw" else "utf8" for one in frame if frame[one].dtype.kind == "O"}
    fastparquet.write(
        "x", frame, open_with=lambda *_: out, compression=compression, write_index=False, stats=False, object_encoding=kinds,
        **options,
    )  # fmt: skip
    return out.getvalue()


@pytest.mark.parametrize("rows", [1, 7, 3000])
@pytest.mark.parametrize("categories", [False, True])
@pytest.mark.parametrize("compression", ["ZSTD", "GZIP", None])
def test_tables_read_as_fastparquet_reads_them(rows, categories, compression):
    raw = written(table(rows, categories=categories), compression, has_nulls=["path", "raw"])
    found, expected = read_table(raw, rows), fastparquet.ParquetFile(io.BytesIO(raw)).to_pandas()
    assert list(found) == list(expected)
    for name in ("offset", "size"):
        np.testing.assert_array_equal(found[name], expected[name].to_numpy())
    for name in ("path", "raw"):
        theirs = [None if pd.isna(one) else one for one in expected[name].astype(object)]
        ours = [one.decode() if name == "path" and one is not None else one for one in found[name].tolist()]
        assert ours == theirs


def test_several_groups_of_rows_are_one_table():
    raw = written(table(3000), row_group_offsets=[0, 1000, 2500])
    expected = fastparquet.ParquetFile(io.BytesIO(raw)).to_pandas()
    np.testing.assert_array_equal(read_table(raw, 3000)["offset"], expected["offset"].to_numpy())


def test_more_rows_than_expected_are_refused_before_they_are_read():
    with pytest.raises(FormatError, match="has 3000 rows, expected at most 1000"):
        read_table(written(table(3000)), 1000)


def test_what_is_no_flat_table_of_numbers_and_texts_is_refused_by_name():
    with pytest.raises(UnsupportedError, match="compressed by number"):
        read_table(written(table(7), "SNAPPY"), 7)
    with pytest.raises(UnsupportedError, match="type 0"):
        read_table(written(pd.DataFrame({"a": [True, False]})), 2)


@pytest.mark.parametrize("raw", [b"", b"PAR1", b"PAR1" + bytes(20) + b"PAR1", b"PAR1" + b"\xff" * 30 + b"PAR1"])
def test_what_is_no_parquet_file_is_an_error(raw):
    with pytest.raises(FormatError):
        read_table(raw, 10)


def test_damaged_bytes_end_in_an_error_of_ours_or_are_read():
    """The same inputs end the process with fastparquet."""
    whole = [written(table(200, categories=one), has_nulls=["path", "raw"]) for one in (False, True)]
    rng = random.Random(5)
    refused = 0
    for _ in range(3000):
        damaged = bytearray(rng.choice(whole))
        for _ in range(rng.choice((1, 1, 2, 5))):
            damaged[rng.randrange(len(damaged))] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
        if rng.random() < 0.2:
            del damaged[rng.randrange(len(damaged)) :]
        try:
            read_table(bytes(damaged), 200)
        except VirtualZarrError:
            refused += 1
    assert refused > 1000
