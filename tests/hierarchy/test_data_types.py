"""Data types, fill values and attributes in Zarr metadata, there and back through real JSON."""

import json
import warnings
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from xarray.backends.zarr import FillValueCoder

from intake_virtualzarr.errors import HierarchyError
from intake_virtualzarr.hierarchy.data_types import (
    attributes_from_json,
    attributes_to_json,
    data_type_from_json,
    data_type_to_json,
    fill_value_from_json,
    fill_value_to_json,
)
from intake_virtualzarr.hierarchy.documents import dump

NUMBERS = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
DTYPES = (*NUMBERS, "c8", "c16", "?", "S1", "S7", [("a", "<i4"), ("b", "<f8")])


def numbers(kind: str) -> st.SearchStrategy[Any]:
    dtype = np.dtype(kind)
    if dtype.kind == "f":
        return st.floats(width=8 * dtype.itemsize).map(dtype.type)
    info = np.iinfo(dtype)
    return st.integers(int(info.min), int(info.max)).map(dtype.type)


SCALARS = st.sampled_from(NUMBERS).flatmap(numbers)
ARRAYS = st.sampled_from(NUMBERS).flatmap(lambda k: st.lists(numbers(k), max_size=4).map(lambda v: np.array(v, k)))
VALUES = st.one_of(st.text(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), SCALARS, ARRAYS)


def there_and_back(attrs: dict[str, Any], dtype: Any = None) -> dict[str, Any]:
    return attributes_from_json(json.loads(dump(attributes_to_json(attrs, dtype))), dtype)


@given(st.dictionaries(st.text(min_size=1, max_size=8), VALUES, max_size=4), st.sampled_from([None, "i2", "f4", "f8"]))
@settings(deadline=None, max_examples=300)
def test_attributes_keep_their_values_and_types(attrs, kind):
    found = there_and_back(attrs, None if kind is None else np.dtype(kind))
    assert list(found) == list(attrs)
    for name, value in attrs.items():
        assert type(found[name]) is type(value) or isinstance(value, float | int)
        np.testing.assert_array_equal(np.asarray(found[name]), np.asarray(value))
        if isinstance(value, np.generic | np.ndarray):
            assert found[name].dtype == value.dtype
            assert np.shape(found[name]) == np.shape(value)


@given(st.sampled_from(NUMBERS).flatmap(lambda k: st.tuples(st.just(k), numbers(k))))
@settings(deadline=None, max_examples=100)
def test_a_fill_attribute_keeps_its_value_and_type(case):
    kind, value = case
    for form in (value, np.array([value], kind)):
        found = there_and_back({"_FillValue": form}, np.dtype(kind))["_FillValue"]
        assert np.asarray(found).dtype == np.dtype(kind)
        np.testing.assert_array_equal(np.ravel(found), np.ravel(value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1, 2], [1, 2]),
        (["a", "b"], ["a", "b"]),
        (np.array(["a", "ä"], object), ["a", "ä"]),
        (np.array([b"a", b"b"]), ["a", "b"]),
        (b"abc", "abc"),
        (np.bytes_(b"abc"), "abc"),
        (np.str_("abc"), "abc"),
        ([[1.0, float("nan")], [2.0, 3.0]], [[1.0, float("nan")], [2.0, 3.0]]),
        (np.array([[1.0, np.nan]]), [[1.0, float("nan")]]),
        (np.bool_(True), True),
        (np.array([True, False]), [True, False]),
        (np.longdouble(2.5), 2.5),
        (np.array([2.5, 3.5], np.longdouble), [2.5, 3.5]),
        (None, None),
        ({"a": [1, {"b": 2.5}]}, {"a": [1, {"b": 2.5}]}),
        ("NaN", "NaN"),
    ],
)
def test_attributes_of_other_kinds_are_written_readably(value, expected):
    found = there_and_back({"a": value})["a"]
    if isinstance(expected, str | dict | None):
        assert found == expected
    else:
        np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


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


@given(st.sampled_from(NUMBERS).flatmap(lambda k: st.tuples(st.just(k), numbers(k))))
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


@pytest.mark.parametrize(
    ("dtype", "fill"),
    [("f4", np.float32(-999.5)), ("f8", np.nan), ("i2", np.int16(-1)), ("u8", np.uint64(2**64 - 1))],
)
def test_xarray_reads_the_fill_attribute_from_plain_metadata(dtype, fill):
    document = attributes_to_json({"_FillValue": fill}, np.dtype(dtype))["_FillValue"]
    found = FillValueCoder.decode(document, np.dtype(dtype))
    np.testing.assert_array_equal(np.asarray(found, dtype), np.asarray(fill, dtype))


@pytest.mark.parametrize("fill", ["text", b"x", np.array([1.5, 2.5]), [1.5, "a"]])
def test_a_fill_attribute_that_is_no_number_is_an_attribute_like_others(fill):
    found = there_and_back({"_FillValue": fill}, np.dtype("f4"))["_FillValue"]
    assert np.asarray(found).astype(str).tolist() == np.asarray(fill).astype(str).tolist()
