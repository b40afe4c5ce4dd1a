"""The codec of evenly spaced numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake_virtualzarr.codecs.linear import LINEAR, as_linear, linear_chunk, linear_values
from intake_virtualzarr.codecs.pipeline import compile_pipeline
from intake_virtualzarr.errors import CodecError

FLOATS = st.floats(-1e9, 1e9, allow_nan=False)


def decoded(chunk, count, dtype):
    return compile_pipeline((LINEAR,), np.dtype(dtype))(chunk, (count,))


@given(first=FLOATS, step=FLOATS, count=st.integers(2, 300), dtype=st.sampled_from(["f4", "f8"]))
def test_what_is_taken_for_linear_comes_back_bit_by_bit(first, step, count, dtype):
    values = linear_values(first, step, count, np.dtype(dtype))
    chunk = as_linear(values)
    if chunk is not None:
        assert decoded(chunk, count, dtype).tobytes() == values.tobytes()


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "i4", "i8", "u1", "u8"])
def test_coordinates_as_files_have_them_are_linear(dtype):
    values = (100 + 1 * np.arange(100)).astype(dtype)
    chunk = as_linear(values)
    assert chunk is not None
    assert len(chunk) == 16
    assert decoded(chunk, 100, dtype).tobytes() == values.tobytes()


@pytest.mark.parametrize(("first", "step"), [(600000 + 5.0, 10.0), (-179.875, 0.25), (89.95, -0.1), (399960 + 30.0, 60.0)])
def test_coordinates_of_rasters_are_linear(first, step):
    values = first + np.arange(5000) * step
    assert as_linear(values) is not None


def test_what_is_not_evenly_spaced_is_not_linear():
    uneven = np.arange(100.0)
    uneven[50] = np.nextafter(50.0, 51)
    for values in (
        uneven,
        np.array([1.0]),
        np.array([0.0, np.nan, 2.0]),
        np.ones((3, 3)),
        np.array([-0.0, 0.0]),
        np.array(["a", "b"]),
    ):
        assert as_linear(values) is None


def test_a_chunk_of_another_length_or_shape_is_refused():
    with pytest.raises(CodecError, match="has 16 bytes, this one 15"):
        decoded(bytes(15), 3, "f8")
    with pytest.raises(CodecError, match="along one axis"):
        compile_pipeline((LINEAR,), np.dtype("f8"))(linear_chunk(0, 1, np.dtype("f8")), (3, 3))
    with pytest.raises(CodecError, match="at most"):
        decoded(linear_chunk(0, 1, np.dtype("f8")), 2**40, "f8")
