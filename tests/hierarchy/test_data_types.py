"""Data types and fill values in Zarr metadata, there and back through real JSON."""

import json
import warnings

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from support import strategies

from intake_virtualzarr.errors import HierarchyError
from intake_virtualzarr.hierarchy.data_types import (
    data_type_from_json,
    data_type_to_json,
    fill_value_from_json,
    fill_value_to_json,
)
from intake_virtualzarr.hierarchy.documents import dump

DTYPES = (*strategies.NUMBERS, "c8", "c16", "?", "S1", "S7", [("a", "<i4"), ("b", "<f8")])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_data_types_survive_and_zarr_reads_them(dtype):
    dtype = np.dtype(dtype)
    document = json.loads(dump({"t": data_type_to_json(dtype)}))["t"]
    assert data_type_from_json(document) == dtype
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert zarr.dtype.parse_dtype(document, zarr_format=3).to_native_dtype() == dtype


def test_strings_are_objects_here():
    assert data_type_from_json(data_type_to_json(np.dtype(object))) == np.dtype(object)


@pytest.mark.parametrize("document", ["float1024", {"name": "secret"}, 3, None])
def test_unknown_data_types_are_refused(document):
    with pytest.raises(HierarchyError, match=r"data_type .* is unknown"):
        data_type_from_json(document)


@given(st.sampled_from(strategies.NUMBERS).flatmap(lambda k: st.tuples(st.just(k), strategies.scalars(k))))
@settings(deadline=None, max_examples=200)
def test_fill_values_survive(case):
    kind, value = case
    document = json.loads(dump({"f": fill_value_to_json(value, np.dtype(kind))}))["f"]
    np.testing.assert_array_equal(fill_value_from_json(document, np.dtype(kind)), value)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("c8", 1 - 2j), ("?", True), ("S4", b"ab"), ("O", "text"), ([("a", "<i4"), ("b", "<f8")], (3, 2.5))],
    ids=str,
)
def test_fill_values_of_other_kinds_survive(dtype, value):
    dtype = np.dtype(dtype)
    scalar = value if dtype.kind == "O" else np.array(value, dtype)[()]
    document = json.loads(dump({"f": fill_value_to_json(scalar, dtype)}))["f"]
    assert fill_value_from_json(document, dtype) == scalar


def test_a_fill_value_that_does_not_fit_is_refused():
    with pytest.raises(HierarchyError, match="fill_value 'x' does not fit data type int16"):
        fill_value_from_json("x", np.dtype("i2"))
