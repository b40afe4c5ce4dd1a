"""Decoding while reading: the bits that xarray decodes after reading."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from support.helpers import store_array, virtual

from intake_virtualzarr.arrays.cf_decode import decoding_array
from intake_virtualzarr.arrays.chunk_grid import AxisGrid
from intake_virtualzarr.codecs.cf_packing import Packing

ATTRIBUTES = {
    "packed": ("i2", {"scale_factor": 0.01, "add_offset": 273.15, "_FillValue": np.int16(3)}),
    "packed float32": ("i2", {"scale_factor": np.float32(0.1), "add_offset": np.float32(5), "_FillValue": np.int16(3)}),
    "scaled": ("u1", {"scale_factor": 0.5}),
    "shifted": ("i4", {"add_offset": 10}),
    "masked": ("f4", {"_FillValue": np.float32(3)}),
    "masked twice": ("i2", {"_FillValue": np.int16(3), "missing_value": np.int16(4)}),
    "unsigned": ("i1", {"_Unsigned": "true", "_FillValue": np.int8(3)}),
}


@pytest.mark.filterwarnings("ignore::xarray.SerializationWarning")
@pytest.mark.parametrize("kind", ATTRIBUTES)
@pytest.mark.parametrize("codec", ["raw", "big", "zlib", "shuffle+zlib"])
def test_values_are_those_of_xarray(tmp_path, kind, codec):
    dtype, attrs = ATTRIBUTES[kind]
    values = np.random.default_rng(0).integers(0, 9, (17, 12)).astype(dtype)
    axes = (AxisGrid.regular(17, 5), AxisGrid.regular(12, 7))
    stored, values = store_array(tmp_path / "a.bin", values, axes, missing=[(1, 1)], fill_value=3, codec=codec)
    array = virtual(stored, Packing.from_attrs(attrs, stored.dtype))
    expected = xr.conventions.decode_cf_variable("v", xr.Variable(("y", "x"), values, attrs)).load()
    decoding = decoding_array(array, attrs, expected.dtype, True)
    assert decoding is not None
    got = np.asarray(decoding)
    assert got.dtype == expected.dtype
    assert got.tobytes() == expected.values.tobytes() or np.array_equal(got, expected.values, equal_nan=True)
    assert np.array_equal(np.asarray(decoding[3:, ::-2]), expected.values[3:, ::-2], equal_nan=True)


def test_what_xarray_decodes_otherwise_is_left_to_it(tmp_path):
    axes = (AxisGrid.regular(4, 2),)
    stored, _ = store_array(tmp_path / "a.bin", np.arange(4, dtype="i2"), axes)
    attrs = {"_FillValue": np.int16(3), "units": "days since 2000-01-01"}
    array = virtual(stored, Packing.from_attrs(attrs, stored.dtype))
    decoded = xr.conventions.decode_cf_variable("t", xr.Variable(("x",), np.arange(4, dtype="i2"), attrs))
    assert decoding_array(array, attrs, decoded.dtype, True) is None, "times"
    assert decoding_array(array, attrs, np.dtype("f4"), False) is None
    assert decoding_array(array, attrs, np.dtype("f4"), {"t": True}) is None
    assert decoding_array(array, {**attrs, "scale_factor": 2.0}, np.dtype("f8"), True) is None, "attributes were changed"
    assert decoding_array(virtual(stored), {}, np.dtype("i2"), True) is None, "nothing to decode"
