"""Dimensions and attributes against xarray's engine h5netcdf."""

from __future__ import annotations

from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr
from support import hdf5_oracle

from intake_virtualzarr.formats.base import ScannedFile


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.nc"


def same_as_h5netcdf(path: Any) -> ScannedFile:
    scan = hdf5_oracle.drive(path)
    for name, group in scan.groups.items():
        with xr.open_dataset(path, engine="h5netcdf", group=name, phony_dims="sort", decode_cf=False) as theirs:
            ours = {p: a for p, a in scan.arrays.items() if (p.rpartition("/")[0] or "/") == name}
            assert {p.rpartition("/")[2] for p in ours} == set(theirs.variables)
            for p, array in ours.items():
                variable = theirs[p.rpartition("/")[2]]
                assert array.dims == variable.dims, p
                assert array.shape == variable.shape, p
                assert set(array.attrs) == set(variable.attrs), p
                for key, value in array.attrs.items():
                    assert np.array_equal(value, variable.attrs[key], equal_nan=np.asarray(value).dtype.kind == "f"), (p, key)
            assert set(group.attrs) == set(theirs.attrs)
    return scan


def test_dimensions_of_nested_groups_are_those_in_scope(path):
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("x", 4)
        file.createDimension("t", None)
        file.createVariable("x", "i4", "x")[:] = np.arange(4)
        inner = file.createGroup("a/b")
        inner.createVariable("v", "f4", ("t", "x"))[:3] = 1
        other = file.createGroup("c")
        other.createDimension("x", 2)
        other.createVariable("v", "f4", ("t", "x"))[:5] = 9
    scan = same_as_h5netcdf(path)
    assert scan.groups["/"].dims == {"x": 4, "t": 5}
    assert scan.groups["/"].unlimited == {"t"}
    assert scan.groups["/c"].dims == {"x": 2}
    assert scan.arrays["/a/b/v"].shape == (5, 4)


def test_a_variable_named_as_a_dimension_it_does_not_have_keeps_its_name(path):
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("x", 3)
        file.createDimension("y", 2)
        file.createVariable("x", "f4", ("y",))[:] = [5, 6]
        file.createVariable("v", "f4", ("x",))[:] = [1, 2, 3]
    scan = hdf5_oracle.drive(path)
    assert scan.arrays["/x"].dims == ("y",)
    assert scan.arrays["/v"].dims == ("x",)


def test_a_coordinate_of_several_dimensions_is_named_by_their_numbers(path):
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("name", 3)
        file.createDimension("length", 8)
        file.createVariable("name", "S1", ("name", "length"))[:] = b"a"
    assert same_as_h5netcdf(path).arrays["/name"].dims == ("name", "length")


def test_axes_without_a_scale_get_different_names_in_one_variable(path):
    with h5py.File(path, "w") as file:
        file["square"] = np.zeros((5, 5))
        file["line"] = np.zeros(5)
        file["other"] = np.zeros((3, 4))
        file.create_group("g")["v"] = np.zeros((4, 5))
    scan = same_as_h5netcdf(path)
    assert len(set(scan.arrays["/square"].dims)) == 2


def test_attributes_are_those_netcdf4_gives(path):
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("x", 3)
        v = file.createVariable("v", "i2", "x", fill_value=-1)
        v.text, v.one, v.many = "K", np.float32(0.1), np.arange(4, dtype="i8")
        v.texts = ["a", "bé"]
        v.empty = ""
        v[:] = 1
    attrs = same_as_h5netcdf(path).arrays["/v"].attrs
    with netCDF4.Dataset(path) as file:
        theirs = {name: file["v"].getncattr(name) for name in file["v"].ncattrs()}
    assert set(attrs) == set(theirs)
    for name, value in theirs.items():
        assert type(attrs[name]) is type(value), name
        assert np.array_equal(attrs[name], value), name
        assert getattr(attrs[name], "dtype", None) == getattr(value, "dtype", None), name


def test_a_reference_among_the_attributes_is_dropped_and_the_others_stay(path):
    with h5py.File(path, "w") as file:
        v = file.create_dataset("v", data=np.arange(3))
        v.attrs["ref"], v.attrs["units"] = file.ref, "K"
    assert dict(hdf5_oracle.drive(path).arrays["/v"].attrs) == {"units": "K"}


def test_the_fill_value_attribute_and_the_storage_fill_value_stay_apart(path):
    with h5py.File(path, "w") as file:
        v = file.create_dataset("v", shape=(8,), chunks=(4,), dtype="i4", fillvalue=7)
        v.attrs["_FillValue"] = np.array([-1], "i4")
        file.create_dataset("w", shape=(8,), chunks=(4,), dtype="i4", fillvalue=7)
    arrays = hdf5_oracle.drive(path).arrays
    assert (arrays["/v"].fill_value, arrays["/v"].attrs["_FillValue"]) == (7, -1)
    assert (arrays["/w"].fill_value, dict(arrays["/w"].attrs)) == (7, {})


def test_names_of_an_enumeration_become_cf_flags(path):
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("x", 2)
        kind = file.createEnumType("u1", "cloud_t", {"clear": 0, "cumulus cloud": 1})
        file.createVariable("v", kind, "x")[:] = [0, 1]
    attrs = hdf5_oracle.drive(path).arrays["/v"].attrs
    assert attrs["flag_values"].tolist() == [0, 1]
    assert attrs["flag_meanings"] == "clear cumulus_cloud"


def test_both_producers_give_the_same_scan(path):
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("t", None)
        file.createDimension("x", 4)
        file.title = "both"
        v = file.createVariable("v", "f4", ("t", "x"), zlib=True, chunksizes=(1, 4), fill_value=-9)
        v.units = "K"
        v[:3] = 1
        file.createVariable("x", "f8", "x")[:] = 2
        file.createVariable("s", str, "x")[:] = np.array(list("abcd"), object)
    from intake_virtualzarr.formats.hdf5 import FORMAT

    ours = hdf5_oracle.drive(path)
    with open(path, "rb") as file:
        theirs = FORMAT.fallback(hdf5_oracle.source_of(path), file, "a test")
    assert theirs is not None
    assert dict(ours.groups["/"].attrs) == dict(theirs.groups["/"].attrs)
    assert set(ours.arrays) == set(theirs.arrays)
    for name, array in ours.arrays.items():
        other = theirs.arrays[name]
        assert (array.dims, array.shape, array.dtype, array.references) == (
            other.dims,
            other.shape,
            other.dtype,
            other.references,
        )
        assert dict(array.attrs) == dict(other.attrs)
        assert hdf5_oracle.same_values(hdf5_oracle.read_array(array), hdf5_oracle.read_array(other)) is None
