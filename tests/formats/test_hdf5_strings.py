"""Variable-length strings against h5py: alone, in arrays, in compounds, and where nothing was written."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from support import hdf5_oracle

import intake_virtualzarr as ivz
from intake_virtualzarr.formats.hdf5.h5py_reader import read_with_h5py
from intake_virtualzarr.formats.hdf5.stored_arrays import scanned_file

TEXT = h5py.string_dtype()
PLACE = np.dtype([("n", "<i2"), ("name", TEXT), ("at", [("note", TEXT, (2,)), ("z", ">f8")]), ("code", "S3")])
ROWS = [(7, "one", (["x", "yé"], 2.5), b"abc"), (-1, "a longer name", (["", "zz"], 3.5), b"d")]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.h5"


def outcomes(path: Any) -> dict[str, str]:
    return {name: f"{outcome} {detail}" for name, outcome, detail in hdf5_oracle.compare(path)}


@pytest.mark.parametrize(
    "options",
    [{}, {"chunks": (2,)}, {"chunks": (2,), "compression": "gzip", "shuffle": True, "fletcher32": True}, {"maxshape": (None,)}],
)
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_strings_in_compounds_are_those_of_h5py(path, options, libver):
    with h5py.File(path, "w", libver=libver) as file:
        dataset = file.create_dataset("v", (7,), PLACE, **options)
        dataset[1], dataset[4] = ROWS
    assert outcomes(path) == {"/v": "identical parser"}
    values = ivz.open_virtual_dataset(path).v.values
    assert values.dtype == [("n", "<i2"), ("name", "S13"), ("at", [("note", "S3", (2,)), ("z", "<f8")]), ("code", "S3")]
    assert values[4]["name"] == b"a longer name"
    assert values[0]["name"] == b""


def test_both_producers_give_the_same_compounds(path):
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("v", (3,), PLACE)
        dataset[0], dataset[2] = ROWS
    ours = hdf5_oracle.drive(path)
    source = hdf5_oracle.source_of(path)
    with open(path, "rb") as file:
        theirs = scanned_file(read_with_h5py(source.url, file), source)
    a, b = (hdf5_oracle.read_array(scan.arrays["/v"]) for scan in (ours, theirs))
    assert a.dtype == b.dtype
    assert a.tobytes() == b.tobytes()


def test_arrays_of_strings_add_axes(path):
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("v", (2,), np.dtype((TEXT, (3,))))
        dataset[0] = np.array(["a", "bb", ""], object)
    assert outcomes(path) == {"/v": "identical parser"}
    assert ivz.open_virtual_dataset(path).v.values.tolist() == [["a", "bb", ""], ["", "", ""]]


def test_strings_that_were_never_written_are_the_fill_value(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("never", (3,), TEXT, fillvalue="none")
        file.create_dataset("part", (4,), TEXT, chunks=(2,), fillvalue="none")[0] = "x"
    assert outcomes(path)["/never"] == "identical parser"
    # HDF5 2.0.0 cannot read this one without write access
    opened = ivz.open_virtual_dataset(path)
    assert opened.part.values.tolist() == ["x", "none", "none", "none"]
    assert opened.never.values.tolist() == ["none"] * 3


def test_a_string_variable_shorter_than_its_unlimited_dimension_goes_on_with_its_fill_value(tmp_path):
    netCDF4 = pytest.importorskip("netCDF4")
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w") as nc:
        nc.createDimension("t", None)
        nc.createVariable("n", "i4", ("t",))[:] = np.arange(3)
        nc.createVariable("s", str, ("t",), fill_value="none", chunksizes=(1,))[0] = "x"
        nc.createVariable("plain", str, ("t",), chunksizes=(1,))[0] = "y"
    with netCDF4.Dataset(path) as nc:
        expected = [nc["s"][:].tolist(), nc["plain"][:].tolist()]
    opened = xr.open_dataset(path, engine="virtualzarr", decode_cf=False)
    assert [opened.s.values.tolist(), opened.plain.values.tolist()] == expected == [["x", "none", "none"], ["y", "", ""]]


def test_compounds_that_would_grow_beyond_a_bound_are_refused_with_their_size(path):
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("v", (6000,), np.dtype([("s", TEXT)]))
        dataset[0] = ("x" * 5000,)
    assert "/v: holds 6000 variable-length strings of up to 5000 bytes in compounds" in hdf5_oracle.drive(path).left_out["/v"]


def test_strings_that_are_all_one_object_of_the_heap_are_bounded(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("v", data=np.array(["x" * 100_000, "y"], object), dtype=TEXT)
        place = file["v"].id.get_offset()
        shared = h5py.h5d.create(file.id, b"many", h5py.h5t.py_create(TEXT, logical=True), h5py.h5s.create_simple((4000,)))
        shared.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([b"z"] * 4000, object), h5py.h5t.py_create(TEXT, logical=True))
        target = shared.get_offset()
    data = bytearray(path.read_bytes())
    data[target : target + 16 * 4000] = data[place : place + 16] * 4000
    path.write_bytes(data)
    assert "/many: holds variable-length strings of 400000000 bytes together" in hdf5_oracle.drive(path).left_out["/many"]
