"""The page on HDF5 names what the code refuses and what the comparison with netCDF4 allows."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.netcdf_oracle import RULES

import intake_virtualzarr as ivz
from intake_virtualzarr.formats.hdf5.filter_pipeline import _CODECS, FILTER_NAMES

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "hdf5.md").read_text(encoding="utf-8").replace("\n  ", " ")


def _float(size: int, *fields: int) -> h5py.h5t.TypeFloatID:
    kind = h5py.h5t.IEEE_F64LE.copy() if size <= 8 else h5py.h5t.NATIVE_LDOUBLE.copy()
    if size == 2:
        kind.set_fields(*fields)
        kind.set_size(2)
        kind.set_ebias(127)
    return kind


def _sequences(file: h5py.File) -> None:
    file.create_dataset("v", (2,), h5py.vlen_dtype("i4"))


def _references(file: h5py.File) -> None:
    file.create_dataset("v", (2,), h5py.ref_dtype)


def _long_floats(file: h5py.File) -> None:
    h5py.h5d.create(file.id, b"v", _float(16), h5py.h5s.create_simple((2,)))


def _bfloat16(file: h5py.File) -> None:
    h5py.h5d.create(file.id, b"v", _float(2, 15, 7, 8, 0, 7), h5py.h5s.create_simple((2,)))


def _null(file: h5py.File) -> None:
    file["v"] = h5py.Empty("f4")


@pytest.mark.parametrize("make", [_sequences, _references, _long_floats, _bfloat16, _null])
def test_a_refusal_has_the_reason_that_the_page_lists(make, tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        make(file)
        file["fine"] = np.arange(3)
    scan = ivz.scan(path)
    assert list(scan.arrays) == ["/fine"]
    assert f"`{scan.left_out['/v'].removeprefix('/v: ')}`" in PAGE


def test_the_page_lists_every_filter_that_has_a_decoder():
    (line,) = re.findall(r"^\| filters \| (.*) \|$", PAGE, re.MULTILINE)
    assert {FILTER_NAMES[number] for number in _CODECS} == set(line.partition(", in any order")[0].split(", "))


@pytest.mark.parametrize("rule", RULES)
def test_the_page_tells_each_difference_to_netcdf4(rule):
    assert rule in PAGE
