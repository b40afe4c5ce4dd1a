"""VirtualZarrArray: what it checks, refuses and says; data types of every kind."""

from __future__ import annotations

import copy
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import helpers, strategies

import intake_virtualzarr as ivz
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.chunk_grid import AxisGrid
from intake_virtualzarr.arrays.fill_value import fill_segment
from intake_virtualzarr.arrays.indexing import MAX_RUNS, runs_of
from intake_virtualzarr.errors import ManifestError, SourceChangedError, UnsupportedError, UnsupportedIndexError


@pytest.fixture
def pair(tmp_path: Path) -> tuple[VirtualZarrArray, np.ndarray]:
    """An array of uneven chunks, and its values."""
    axes = [AxisGrid.varying([3, 1, 2], [4, 4, 4]), AxisGrid.regular(5, 2)]
    stored, values = helpers.store_array(tmp_path / "a.bin", np.arange(30.0).reshape(6, 5) / 4, axes, missing=[(1, 1)])
    return helpers.virtual(stored), values


# ---------------------------------------------------------------------- what is checked


def test_segments_may_not_overlap_or_leave_the_array():
    one = fill_segment((2, 3), np.dtype("i4"), 0)
    VirtualZarrArray((4, 3), "i4", 0, [one, one.moved((2, 0))])
    with pytest.raises(ManifestError, match=r"segments at \(1, 0\) .* and at \(0, 0\) .* overlap"):
        VirtualZarrArray((4, 3), "i4", 0, [one, one.moved((1, 0))])
    with pytest.raises(ManifestError, match=r"segment at \(3, 0\) of shape \(2, 3\) leaves the array \(4, 3\)"):
        VirtualZarrArray((4, 3), "i4", 0, [one.moved((3, 0))])
    with pytest.raises(ManifestError, match="segment of 2 axes in an array of 1"):
        VirtualZarrArray((4,), "i4", 0, [one])


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3), st.integers(0, 3)), max_size=5))
@settings(deadline=None, max_examples=100)
def test_overlaps_are_found_wherever_they_are(boxes):
    covered = np.zeros((8, 8), int)
    segments = []
    for row, column, height, width in boxes:
        covered[row : row + height, column : column + width] += 1
        segments.append(fill_segment((height, width), np.dtype("i4"), 0).moved((row, column)))
    if covered.max(initial=0) > 1:
        with pytest.raises(ManifestError, match="overlap"):
            VirtualZarrArray((8, 8), "i4", 0, segments)
    else:
        VirtualZarrArray((8, 8), "i4", 0, segments)


def test_joining_a_file_in_two_states_is_refused_when_it_is_written(tmp_path):
    path = tmp_path / "a.h5"
    opened = []
    for count in (4, 5):
        with h5py.File(path, "w") as file:
            file["v"] = np.arange(count)
        opened.append(ivz.open_virtual_dataset(path))
    import xarray as xr

    with pytest.raises(SourceChangedError, match=r"a\.h5: changed since it was scanned"):
        xr.concat(opened, opened[0]["v"].dims[0]).vzarr.to_zarr(tmp_path / "s.vzarr")


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "call",
    [
        np.sum, np.mean, np.isnan, np.sqrt, np.sort, np.cumsum, np.argmax, np.unique, np.diff, np.negative,
        lambda a: a + 1, lambda a: 1 - a, lambda a: a < 3, lambda a: abs(a), lambda a: np.add(a, a, out=np.zeros((6, 5))),
        lambda a: np.pad(a, 1, mode="mean"), lambda a: np.pad(a, 1, mode="reflect", reflect_type="odd"),
        lambda a: np.where(a > 1), lambda a: np.take(a, [1]), lambda a: np.roll(a, 1), lambda a: np.reshape(a, (5, 6)),
        lambda a: np.concatenate([a, a], axis=None), lambda a: a.astype("S3"), lambda a: a.astype("M8[ns]"),
        lambda a: np.where(np.eye(6, 5, dtype=bool), a, 0), lambda a: np.where(np.ones((6, 5), bool), a, a),
        lambda a: np.full_like(a, np.arange(5)), lambda a: a.astype("i2").astype("f8"),
        lambda a: np.take(a, [9], axis=0, mode="clip"), lambda a: np.concatenate([a, a], out=np.zeros((12, 5))),
        lambda a: np.concatenate([a, np.array([["x"] * 5])]),
    ],
)  # fmt: skip
def test_what_needs_values_is_refused_by_name(pair, call):
    with pytest.raises(UnsupportedError):
        call(pair[0])


@pytest.mark.parametrize("key", [([0, 1], [0, 1]), np.ones((6, 5), bool), (np.array([[0, 1]]),), True])
def test_keys_without_a_virtual_form_are_refused_with_the_way_out(pair, key):
    with pytest.raises(UnsupportedIndexError):
        pair[0][key]


@pytest.mark.parametrize("key", [9, -7, (0, 5), [0, 9], (0, 0, 0), (..., ...), "a", 1.5, np.ones(4, bool)])
def test_keys_that_numpy_refuses_are_refused(pair, key):
    array, values = pair
    with pytest.raises(IndexError):
        values[key]
    with pytest.raises(IndexError):
        array[key]


def test_elements_in_no_order_are_refused_above_a_stated_number():
    scattered = np.random.default_rng(0).permutation(4 * MAX_RUNS)
    with pytest.raises(UnsupportedIndexError, match=f"more than {MAX_RUNS} regularly spaced runs.*sort them"):
        runs_of(scattered)
    assert len(runs_of(np.arange(10**6))) == 1


@given(st.lists(st.integers(0, 12), max_size=15))
@settings(deadline=None, max_examples=200)
def test_runs_are_the_listed_elements_in_order(listed):
    runs = runs_of(np.array(listed, dtype=np.int64))
    assert [element for run in runs for element in run.indices] == listed


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda a: np.squeeze(a, 0), ValueError),
        (lambda a: np.broadcast_to(a, (7, 5)), ValueError),
        (lambda a: np.concatenate([a, a[:, :4]]), ValueError),
        (lambda a: np.concatenate([]), ValueError),
        (lambda a: np.stack([a, a[1:]]), ValueError),
        (lambda a: np.transpose(a, (0, 0)), ValueError),
        (lambda a: np.swapaxes(a, 0, 2), np.exceptions.AxisError),
        (lambda a: np.pad(a, -1), ValueError),
        (lambda a: np.asarray(a, copy=False), ValueError),
    ],
)
def test_what_numpy_refuses_is_refused_alike(pair, call, error):
    for array in pair[:1] if error is ValueError and call.__code__.co_names == ("np", "asarray") else pair:
        with pytest.raises(error):
            call(array)


# ---------------------------------------------------------------------- what it says


def test_it_looks_like_an_array_and_reads_nothing(pair, tmp_path):
    array, values = pair
    (tmp_path / "a.bin").unlink()
    assert (array.shape, array.ndim, array.size, array.nbytes, len(array)) == ((6, 5), 2, 30, 240, 6)
    assert array.dtype == values.dtype
    assert array.chunks == ((3, 1, 2), (2, 2, 1))
    assert array.n_references == 8
    assert "VirtualZarrArray(shape=(6, 5), dtype=float64, segments=1" in repr(array)
    assert "VirtualZarrArray" in np.array_repr(array)
    assert len(array._repr_inline_(20)) <= 20
    assert copy.deepcopy(array) is array
    assert array.T.shape == (5, 6)


def test_equality_compares_values(pair):
    array, values = pair
    assert (array == values).all()
    assert not (array != values).any()
    assert (values == array).all()
    assert np.array_equal(array, array)


def test_single_values_become_numbers(pair):
    array, values = pair
    assert float(array[2, 3]) == values[2, 3]
    assert int(array[5, 0]) == int(values[5, 0])
    assert bool(array[2, 3]) is True
    with pytest.raises(TypeError, match="unsized"):
        len(array[2, 3])


def test_an_array_of_one_value_takes_no_memory_and_no_file():
    array = VirtualZarrArray.full((10**6, 10**6), "f4", np.nan, chunk_shape=(1000, 1000))
    assert array.n_references == 0
    assert np.isnan(np.asarray(array[5:7, :3])).all()
    assert VirtualZarrArray.full(3, "i2", 7)[:].shape == (3,)
    assert np.asarray(np.zeros_like(array[:2, :2])).tolist() == [[0, 0], [0, 0]]
    assert np.asarray(np.zeros_like(array, shape=3)).tolist() == [0, 0, 0]
    assert np.asarray(np.ones_like(array[:2, :2], dtype="i1")).dtype == np.dtype("i1")
    assert np.empty_like(array, shape=(2, 3)).shape == (2, 3)


def test_chunks_of_a_join_begin_where_those_of_its_parts_do(pair):
    joined = np.concatenate([pair[0], pair[0][1:]])
    assert joined.chunks == ((3, 1, 2, 2, 1, 2), (2, 2, 1))


def test_numpy_arrays_join_with_virtual_ones(pair):
    array, values = pair
    joined = np.concatenate([array, np.ones((2, 5), "f4"), array])
    assert isinstance(joined, VirtualZarrArray)
    np.testing.assert_array_equal(np.asarray(joined), np.concatenate([values, np.ones((2, 5)), values]))


@given(data=st.data())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_keys_mean_what_they_mean_to_numpy(pair, data):
    array, values = pair
    key = data.draw(strategies.keys(values.shape))
    np.testing.assert_array_equal(np.asarray(array[key]), values[key])


# ---------------------------------------------------------------------- data types

KINDS = {
    "flag": np.array([True, False, True, True]),
    "complex": np.array([1 + 2j, 3, -1j, 0]).astype("c16"),
    "half": np.array([1.5, np.nan, np.inf, 0], "f2"),
    "bytes": np.array([b"ab", b"c", b"", b"defg"], "S4"),
    "big": np.array([2**40, 1, 2, 3], ">i8"),
    "unsigned": np.array([2**64 - 1, 0, 1, 2], "u8"),
    "text": np.array(["a", "bcä", "", "d"], dtype=object),
    "pairs": np.array([(1, 2.5), (3, 4.5), (5, 6.5), (7, 8.5)], dtype=[("a", "<i4"), ("b", ">f8")]),
}


@pytest.mark.parametrize("name", KINDS)
def test_arrays_of_every_data_type_are_sliced_joined_and_read(name, tmp_path):
    values = KINDS[name]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("v", data=values, dtype=h5py.string_dtype() if name == "text" else None, chunks=(3,))
    array = ivz.open_virtual_dataset(tmp_path / "a.h5")["v"].variable._data
    expected = np.concatenate([values[::-1], values[1:3]])
    found = np.asarray(np.concatenate([array[::-1], array[1:3]]))
    if name == "half":
        np.testing.assert_array_equal(found, expected)
    else:
        assert found.tolist() == expected.tolist()


def test_scalars_and_empty_axes_are_arrays_too(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["s"] = 2.5
        file.create_dataset("e", (0, 4), "f4", maxshape=(None, 4), chunks=(2, 4))
    found = ivz.open_virtual_dataset(tmp_path / "a.h5", loadable_variables=[])
    scalar, empty = found["s"].variable._data, found["e"].variable._data
    assert float(scalar) == 2.5
    assert np.asarray(scalar[()]).shape == ()
    assert np.asarray(np.broadcast_to(scalar, (2, 3))).tolist() == [[2.5] * 3] * 2
    assert np.asarray(empty).shape == (0, 4)
    assert np.asarray(np.concatenate([empty, np.ones((1, 4), "f4")])).tolist() == [[1] * 4]


def test_logic_on_results_of_comparisons_reads_values(pair):
    """xarray's no_conflicts: equal, or missing in one of both; of integers none is missing, which is a virtual array."""
    array, values = pair
    none = np.full_like(array, False, dtype=bool)
    assert isinstance(none, VirtualZarrArray)
    assert np.array_equal((array == values) | none, values == values)
    assert np.array_equal(none | (array == 7.0), values == 7.0)
    assert np.array_equal(~none & (array != 7.0), values != 7.0)
    with pytest.raises(UnsupportedError, match=r"numpy.bitwise_or cannot be done by reference"):
        _ = array | none
