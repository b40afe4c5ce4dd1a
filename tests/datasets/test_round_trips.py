"""The round trip table: ours, exported, opened by kerchunk's, xarray's and Icechunk's own readers, equal to the files.

Over the two-file cases and a sample of the corpus. What a format cannot say is refused with the one reason.
"""

from __future__ import annotations

import csv
import re

import numpy as np
import pytest
import xarray as xr
from datasets.test_two_file_cases import CASES, SHARED, arguments
from support import round_trip

import intake_virtualzarr as ivz
from intake_virtualzarr.datasets.plain_references import plain_store, references_of
from intake_virtualzarr.errors import UnsupportedError

pytestmark = pytest.mark.filterwarnings("ignore")
pytest.importorskip("icechunk", reason="the extra 'icechunk' is not installed")
pytest.importorskip("kerchunk", reason="the extra 'kerchunk' is not installed")

REASONS = {
    "cat_chunk_mismatch": r"v: chunks along 'x' are 6 in \S+_0\.nc and 3, 3 in \S+_1\.nc\.",
    "cat_chunk_mismatch_concat_axis_only": r"v: chunk lengths along 'time' vary: 2, 2, 4\.",
    "cat_codec_differs": r"v: \S+_0\.nc and \S+_1\.nc have different codecs: bytes \+ numcodecs\.zlib, and bytes\.",
    "cat_contiguous_vs_chunked": r"v: chunk lengths along 'time' vary: 4, 2, 2\.",
    "cat_coord_not_close": r"v: chunks of 6 along 'x' are seen in part: the selection begins inside a chunk of \S+_0\.nc\.",
    "cat_dim_order": r"v: axes stand in another order than in \S+_1\.nc\.",
    "cat_dtype": r"v: \S+ holds float32 and the joined array float64, so values are cast\.",
    "cat_fill_value": r"v: _FillValue is -1\.0 in \S+_0\.nc and -2\.0 in \S+_1\.nc, so values are decoded\.",
    "cat_fill_value_unwritten": r"v: chunks that are not stored read as 0 in \S+_0\.nc and as 7 in \S+_1\.nc\.",
    "cat_filter_mask_second": r"v: \S+_0\.nc and \S+_1\.nc have different codecs: bytes \+ numcodecs\.zlib, and bytes\.",
    "cat_missing_var": r"w: a part along 'time' is in no file and reads as nan\.",
    "cat_ragged_middle": r"v: chunks are seen in part: chunk 1 along 'time' shows 1 of its 2 elements, and others follow\.",
    "cat_ragged_middle_gzip": r"v: chunks are seen in part: chunk 1 along 'time' shows 1 of its 2 elements, and others follow\.",
    "cat_reversed_lat": r"v: 'x' is reversed\.",
    "cat_scale_factor": r"v: scale_factor is 0\.1 in \S+_0\.nc and 0\.2 in \S+_1\.nc, so values are decoded\.",
    "cat_scale_missing_in_second": r"v: scale_factor is 0\.1 in \S+_0\.nc and absent in \S+_1\.nc, so values are decoded\.",
    "cat_shuffle_differs": r"v: .*different codecs: bytes \+ numcodecs\.shuffle \+ numcodecs\.zlib, and bytes \+ numcodecs\.zlib\.",
    "cat_uneven_lengths": r"v: chunk lengths along 'time' vary: 4, 3\.",
    "cat_x_outer": r"v: chunks along 'x' are 2, 2 in \S+_0\.nc and 2, 2, 2 in \S+_1\.nc\.",
    "merge_time_mismatch": r"v: a part along 'time' is in no file and reads as nan; w: a part along 'time' is in no file",
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_joined_case_is_equal_in_every_form_or_refused_for_its_reason(name, tmp_path):
    paths, how, _ = CASES[name](tmp_path)
    want = xr.open_mfdataset(paths, engine="netcdf4", **arguments(how)).load()
    virtual = ivz.open_virtual_mfdataset(paths, **arguments(how))
    found = {form: round_trip.outcome(virtual, want, form, tmp_path / form) for form in round_trip.FORMS}
    if name not in REASONS:
        assert set(found.values()) == {"equal"}, found
    for form, result in found.items() if name in REASONS else ():
        assert re.match("refused: " + REASONS[name], result), (form, result)


def sample() -> list[str]:
    index = SHARED / "corpus" / "INDEX.tsv"
    if not index.exists():
        return []
    with open(index, newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["kind"].startswith(("hdf5", "nc1", "nc2", "nc5"))]
    return [row["path"] for row in rows[::29] if int(row["bytes"]) < 300_000]


@pytest.mark.skipif(not sample(), reason="the corpus is not here")
@pytest.mark.parametrize("path", sample())
def test_a_file_of_the_corpus_is_equal_in_every_form(path, tmp_path):
    file = SHARED / "corpus" / path
    try:
        want = xr.open_dataset(file, engine="netcdf4").load()
    except Exception as exc:
        pytest.skip(f"netCDF4 does not open it: {exc}")
    virtual = ivz.open_virtual_dataset(file)
    names = [n for n, v in want.variables.items() if n in virtual.variables and len(set(v.dims)) == v.ndim]
    virtual, want = virtual[names], want[names]
    try:
        if sum(1 for _ in references_of(plain_store(virtual, "kerchunk"))) > 300:
            pytest.skip("its other readers fetch each of its many chunks by itself, which takes minutes")
    except UnsupportedError:
        pass
    for form in round_trip.FORMS:
        found = round_trip.outcome(virtual, want, form, tmp_path / form)
        assert found == "equal" or found.startswith("refused: "), (form, found)


# ---------------------------------------------------------------------- kinds of variables


@pytest.fixture
def every_kind(tmp_path):
    """A file with valid zeros, packing, missing numbers, text, times, bytes, booleans and compression."""
    ds = xr.Dataset(
        {
            "zeros": (("t", "x"), np.arange(12, dtype="f4").reshape(3, 4)),
            "whole": ("t", np.arange(3)),
            "packed": ("t", np.array([0.0, np.nan, 1.5], "f4")),
            "tenths": ("t", np.array([0.0, 0.1, 3276.7], "f4")),
            "unsigned": ("t", np.array([250.0, 0.0, np.nan])),
            "gaps": ("t", np.array([0.0, np.nan, 1.0])),
            "text": ("t", np.array(["a", "bc", ""], object)),
            "bytes": ("t", np.array([b"ab", b"c", b""], "S2")),
            "truth": ("t", np.array([True, False, True])),
            "when": ("t", np.array(["2000-01-01", "NaT", "2001-01-01"], "M8[ns]")),
            "deflated": (("t", "x"), np.arange(12.0).reshape(3, 4)),
            "one": ((), 5.0),
        },
        {"t": np.arange(0.0, 150.0, 50.0), "label": ("x", np.array(list("abcd"), object))},
        {"title": "every kind"},
    )
    encoding = {
        "packed": {"dtype": "i2", "scale_factor": np.float32(0.5), "_FillValue": -1},
        "tenths": {"dtype": "i2", "scale_factor": np.float32(0.1)},
        "unsigned": {"dtype": "i1", "_Unsigned": "true", "_FillValue": -1},
        "deflated": {"chunksizes": (2, 2), "zlib": True, "shuffle": True, "fletcher32": True},
    }
    ds.to_netcdf(tmp_path / "every.nc", engine="h5netcdf", encoding=encoding)
    return tmp_path / "every.nc"


@pytest.mark.parametrize("form", round_trip.FORMS)
def test_every_kind_of_variable_survives(every_kind, tmp_path, form):
    with xr.open_dataset(every_kind, engine="h5netcdf") as want:
        virtual = ivz.open_virtual_dataset(every_kind)
        assert round_trip.outcome(virtual, want.load(), form, tmp_path / form) == "equal"
        with round_trip.reopened(virtual, form, tmp_path / "again") as got:
            assert got.attrs == want.attrs
            assert set(got.coords) == set(want.coords)
            assert float(got.tenths.encoding["scale_factor"]) == float(np.float32(0.1))


def test_an_export_opens_here_again(every_kind, tmp_path):
    virtual = ivz.open_virtual_dataset(every_kind)
    virtual.vzarr.to_kerchunk(tmp_path / "refs.json")
    virtual.vzarr.to_kerchunk(tmp_path / "refs.parq", format="parquet")
    with xr.open_dataset(every_kind, engine="h5netcdf") as want:
        for place in ("refs.json", "refs.parq"):
            assert round_trip.difference(xr.open_dataset(tmp_path / place, engine="virtualzarr").load(), want.load()) is None


@pytest.mark.parametrize("folder", ["a+b", "a b", "a%41", "é", "a=b,c"])
def test_icechunk_finds_files_whatever_their_folders_are_called(tmp_path, folder):
    (tmp_path / folder).mkdir()
    ds = xr.Dataset({"v": ("x", np.arange(4.0))})
    ds.to_netcdf(tmp_path / folder / "a.nc", engine="h5netcdf")
    virtual = ivz.open_virtual_dataset(tmp_path / folder / "a.nc")
    assert round_trip.outcome(virtual, ds, "icechunk", tmp_path / "out") == "equal"


def test_one_field_for_two_fill_values_is_refused_by_version_2_only(tmp_path):
    import h5py

    with h5py.File(tmp_path / "a.h5", "w") as file:
        sparse = file.create_dataset("v", (8,), "i2", chunks=(2,), fillvalue=7)
        sparse[2:4] = 1
        sparse.attrs["_FillValue"] = np.int16(-1)
    virtual = ivz.open_virtual_dataset(tmp_path / "a.h5")
    with pytest.raises(UnsupportedError, match=r"v: some chunks are not stored and read as 7, while _FillValue is -1.*_format=3"):
        virtual.vzarr.to_kerchunk()
    assert virtual.vzarr.to_kerchunk(zarr_format=3) is not None


def test_forms_that_are_not_there_are_refused_with_those_that_are(every_kind, tmp_path):
    virtual = ivz.open_virtual_dataset(every_kind)
    with pytest.raises(UnsupportedError, match="'json' and 'parquet' are"):
        virtual.vzarr.to_kerchunk(format="yaml")
    with pytest.raises(UnsupportedError, match="expected 2 or 3"):
        virtual.vzarr.to_kerchunk(zarr_format=4)
    with pytest.raises(UnsupportedError, match="to a directory"):
        virtual.vzarr.to_kerchunk(format="parquet")
