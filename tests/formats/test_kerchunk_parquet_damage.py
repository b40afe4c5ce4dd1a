"""Damaged files of rows end in errors of ours, whatever the bytes."""

import random
import shutil

import pytest
import xarray as xr
from conftest import write_sst

import intake_virtualzarr as ivz

pytest.importorskip("pyarrow", reason="fastparquet does not survive damage")
pytest.importorskip("fastparquet", reason="the extra 'kerchunk' is not installed")


@pytest.fixture(scope="module")
def references(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parquet")
    ivz.open_virtual_dataset(write_sst(folder / "a.nc", 1)).vzarr.to_kerchunk(folder / "a.parq", format="parquet")
    return folder


def test_damaged_bytes_end_in_an_error_of_ours_or_are_read(references):
    (rows, *_) = references.glob("a.parq/sst/*.parq")
    whole, rng, refused = rows.read_bytes(), random.Random(5), 0
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(rng.choice((1, 1, 2, 5))):
            damaged[rng.randrange(len(damaged))] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
        if rng.random() < 0.2:
            del damaged[rng.randrange(len(damaged)) :]
        rows.write_bytes(damaged)
        try:
            ivz.open_virtual_dataset(references / "a.parq").sst.load()
        except ivz.VirtualZarrError:
            refused += 1
    rows.write_bytes(whole)
    assert refused > 50


def test_more_rows_than_the_record_size_are_refused(references):
    copy = references / "b.parq"
    shutil.copytree(references / "a.parq", copy)
    document = (copy / ".zmetadata").read_text()
    (copy / ".zmetadata").write_text(document.replace('"record_size": 6', '"record_size": 2'))
    assert (copy / ".zmetadata").read_text() != document
    with pytest.raises(ivz.FormatError, match="rows, expected at most 2"):
        ivz.open_virtual_dataset(copy).sst.load()


def test_whole_files_read_as_the_files_they_name(references):
    with xr.open_dataset(references / "a.nc", engine="h5netcdf") as expected:
        xr.testing.assert_equal(ivz.open_virtual_dataset(references / "a.parq").vzarr.decode().load(), expected)


def test_a_path_that_is_no_utf_8_is_damage(references, tmp_path):
    """Found by the fuzzer of documents: pandas decodes text when it is touched, outside of what reads the file."""
    from pyarrow import parquet

    copy = tmp_path / "c.parq"
    shutil.copytree(references / "a.parq", copy)
    (rows, *_) = copy.glob("sst/*.parq")
    parquet.write_table(parquet.read_table(rows), rows, compression="none")
    whole = rows.read_bytes()
    assert b"a.nc" in whole
    rows.write_bytes(whole.replace(b"a.nc", b"a.n\xff"))
    with pytest.raises(ivz.FormatError, match=r"sst/refs\.0\.parq: is not a Parquet file, or damaged"):
        ivz.open_virtual_dataset(copy).sst.load()
