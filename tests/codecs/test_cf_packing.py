"""CF packing against xarray's own decoding."""

import warnings
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from intake_virtualzarr.codecs.cf_packing import Packing, is_time_units
from intake_virtualzarr.errors import UnsupportedError
from intake_virtualzarr.hierarchy.manifest_writer import packing_to_json
from intake_virtualzarr.hierarchy.virtual_concatenation import packing_from_json

INTEGERS = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
FLOATS = ("f2", "f4", "f8")


def decoded_by_xarray(raw: np.ndarray, attrs: dict[str, Any]) -> np.ndarray:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        variable = xr.Variable("x", raw, attrs)
        return np.asarray(xr.conventions.decode_cf_variable("v", variable, decode_times=False).values)


def decoded_here(raw: np.ndarray, attrs: dict[str, Any]) -> np.ndarray:
    packing = Packing.from_attrs(attrs, raw.dtype)
    with np.errstate(all="ignore"):
        return raw if packing is None else packing.decode(raw)


def stored_values(dtype: np.dtype) -> st.SearchStrategy[Any]:
    if dtype.kind == "f":
        return st.floats(width=8 * dtype.itemsize).map(dtype.type)
    info = np.iinfo(dtype)
    # beyond 2**53 xarray compares markers with values that a cast to float64 has already rounded
    low, high = max(int(info.min), -(2**53)), min(int(info.max), 2**53)
    return st.one_of(st.integers(low, high), st.sampled_from([low, high, 0, min(high, 7)])).map(dtype.type)


@st.composite
def factors(draw: Any) -> Any:
    dtype = np.dtype(draw(st.sampled_from(["f4", "f8", "f8", "i4"])))
    if dtype.kind == "i":
        return dtype.type(draw(st.integers(-20, 20)))
    return dtype.type(draw(st.sampled_from([0.1, 0.01, 5.0, 273.15, -1.5, 1.0, 0.0, 1e-6])))


@st.composite
def packed_variables(draw: Any) -> tuple[np.ndarray, dict[str, Any]]:
    dtype = np.dtype(draw(st.sampled_from(INTEGERS + FLOATS)))
    raw = np.array(draw(st.lists(stored_values(dtype), min_size=1, max_size=8)), dtype)
    attrs: dict[str, Any] = {}
    if draw(st.booleans()):
        attrs["scale_factor"] = draw(factors())
    if draw(st.booleans()):
        attrs["add_offset"] = draw(factors())
    marker = st.one_of(st.sampled_from(list(raw)), stored_values(dtype))
    if draw(st.booleans()):
        fill = draw(marker)
        if dtype.kind == "f" and draw(st.booleans()):
            fill = dtype.type(np.nan)
        attrs["_FillValue"] = draw(st.sampled_from([fill, np.array([fill], dtype)]))
    if draw(st.booleans()):
        values = draw(st.lists(marker, min_size=1, max_size=3))
        attrs["missing_value"] = values[0] if len(values) == 1 else np.array(values, dtype)
    if draw(st.booleans()):
        attrs["_Unsigned"] = draw(st.sampled_from(["true", "false"]))
    return raw, attrs


def is_exact(raw: np.ndarray, attrs: dict[str, Any], to: np.dtype) -> bool:
    """Whether no value or marker changes by the cast after which xarray compares them (we compare before it)."""
    markers = [m for name in ("_FillValue", "missing_value") if name in attrs for m in np.ravel(attrs[name])]
    numbers = [*markers, *raw]
    if raw.dtype.kind in "iu":
        other = np.dtype(f"{'u' if raw.dtype.kind == 'i' else 'i'}{raw.dtype.itemsize}")
        numbers += [np.asarray(x).astype(raw.dtype).view(other)[()] for x in numbers]
    with np.errstate(all="ignore"):
        return all(float(to.type(x)) == x.item() for x in numbers if np.isfinite(x))


@given(packed_variables())
@example((np.array([1, -1], "i1"), {"_Unsigned": "true", "missing_value": np.int8(-1)}))
@example((np.array([1.5, 2.5], "f4"), {"scale_factor": np.float64(0.1), "_FillValue": np.float32(np.nan)}))
@example((np.array([0.1, 1], "f4"), {"missing_value": np.float64(0.1)}))
@settings(deadline=None, max_examples=400)
def test_decoded_values_have_the_bits_and_the_type_that_xarray_gives(case):
    raw, attrs = case
    theirs = dict(attrs)
    if "add_offset" not in attrs and np.asarray(attrs.get("scale_factor", 1.0)).dtype.kind in "iu":
        # xarray decodes into an integer scale_factor's type, which holds neither NaN nor all products
        theirs["scale_factor"] = np.float64(attrs["scale_factor"])
    try:
        expected = decoded_by_xarray(raw, theirs)
    except (ValueError, KeyError, OverflowError, TypeError):
        assume(False)  # it loses track of some _Unsigned markers
    if expected.dtype.kind == "f":
        assume(is_exact(raw, attrs, expected.dtype))
    found = decoded_here(raw, attrs)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    assert np.array_equal(np.signbit(found[found == 0]), np.signbit(expected[expected == 0]))


@given(packed_variables())
@settings(deadline=None, max_examples=100)
def test_a_packing_survives_its_json(case):
    raw, attrs = case
    packing = Packing.from_attrs(attrs, raw.dtype)
    if packing is not None:
        again = packing_from_json(packing_to_json(packing))
        assert again == packing
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(again.decode(raw), packing.decode(raw))


def test_markers_beyond_2_53_are_written_as_strings_and_read_back():
    packing = Packing.from_attrs({"_FillValue": np.int64(-(2**63))}, np.dtype("i8"))
    assert packing is not None
    assert packing_to_json(packing)["mask"] == [str(-(2**63))]
    assert packing_from_json(packing_to_json(packing)) == packing


def test_a_marker_is_found_though_the_cast_would_blur_it():
    # i4 with a float32 scale_factor decodes in float32, in which 2147483647 is 2147483648
    packing = Packing.from_attrs({"_FillValue": np.int32(2**31 - 1), "scale_factor": np.float32(1)}, np.dtype("i4"))
    assert packing is not None
    assert np.isnan(packing.decode(np.array([2**31 - 1, 5], "i4"))).tolist() == [True, False]


@pytest.mark.parametrize("dtype", ["S3", "O", "U2", "?", "c8"])
def test_data_types_that_cannot_be_packed_are_shown_as_stored_and_never_decoded(dtype):
    assert Packing.from_attrs({"_Unsigned": "true", "_FillValue": np.nan}, np.dtype(dtype)) is None
    packing = Packing.from_attrs({"_FillValue": "x", "scale_factor": 2.0}, np.dtype(dtype))
    with pytest.raises(UnsupportedError, match=r"scale_factor is 2\.0 beside values of type"):
        packing.decode(np.zeros(2, dtype))


@pytest.mark.parametrize("attrs", [{}, {"units": "K"}, {"_FillValue": np.nan}])
def test_no_packing_attribute_means_no_packing(attrs):
    assert Packing.from_attrs(attrs, np.dtype("i2")) is None


def test_a_marker_that_is_text_hits_nothing_and_makes_place_for_nan_as_in_xarray():
    assert Packing.from_attrs({"_FillValue": "not a number"}, np.dtype("i2")) == Packing(np.dtype("f4"))


def test_decoding_never_changes_the_stored_values():
    raw = np.array([1, 2, 3], "f4")
    packing = Packing.from_attrs({"scale_factor": np.float32(2), "_FillValue": np.float32(3)}, raw.dtype)
    assert packing is not None
    packing.decode(raw)
    assert raw.tolist() == [1, 2, 3]


@pytest.mark.parametrize(("units", "is_time"), [("days since 2000-01-01", True), ("K", False), (None, False), (3, False)])
def test_time_units_are_recognized(units, is_time):
    assert is_time_units(units) is is_time
