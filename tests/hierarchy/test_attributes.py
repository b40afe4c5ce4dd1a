"""Attributes in Zarr metadata, there and back through real JSON."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import strategies
from xarray.backends.zarr import FillValueCoder

from intake_virtualzarr.hierarchy.attributes import attributes_from_json, attributes_to_json
from intake_virtualzarr.hierarchy.documents import dump

SCALARS = st.sampled_from(strategies.NUMBERS).flatmap(strategies.scalars)
ARRAYS = st.sampled_from(strategies.NUMBERS).flatmap(
    lambda k: st.lists(strategies.scalars(k), max_size=4).map(lambda v: np.array(v, k))
)
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


@given(st.sampled_from(strategies.NUMBERS).flatmap(lambda k: st.tuples(st.just(k), strategies.scalars(k))))
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
