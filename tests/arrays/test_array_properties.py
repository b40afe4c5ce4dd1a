"""Random sequences of NumPy calls on virtual arrays, against the same calls on the loaded values."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support import helpers, strategies

from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.chunk_grid import AxisGrid
from intake_virtualzarr.codecs.cf_packing import Packing
from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.hierarchy.reader import read_tree
from intake_virtualzarr.hierarchy.writer import NodeArray, NodeGroup, write_hierarchy
from intake_virtualzarr.storage.key_value import LocalKeys
from intake_virtualzarr.storage.readers import Access
from intake_virtualzarr.store.store import VirtualZarrStore

type Pair = tuple[VirtualZarrArray, np.ndarray]

relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
SIZE = 4000
"""Arrays that grow past this many elements are not used further."""


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> strategies.Factory:
    return strategies.Factory(tmp_path_factory.mktemp("chunks"))


# ---------------------------------------------------------------------- one random call


def axis_of(draw: Any, array: np.ndarray) -> int:
    return draw(st.integers(-array.ndim, array.ndim - 1))


def concatenate(draw: Any, pool: list[Pair]) -> Callable[[Any], Any]:
    (_, first), _ = pool[0], assume(pool[0][1].ndim > 0)
    axis = axis_of(draw, first)
    others = [
        i
        for i, (_, values) in enumerate(pool)
        if values.ndim == first.ndim and np.delete(values.shape, axis).tolist() == np.delete(first.shape, axis).tolist()
    ]
    chosen = [0, *draw(st.lists(st.sampled_from(others), max_size=3))]
    return lambda of: np.concatenate([of(i) for i in chosen], axis=axis)


def stack(draw: Any, pool: list[Pair]) -> Callable[[Any], Any]:
    shape = pool[0][1].shape
    others = [i for i, (_, values) in enumerate(pool) if values.shape == shape]
    chosen = [0, *draw(st.lists(st.sampled_from(others), max_size=2))]
    axis = draw(st.integers(-len(shape) - 1, len(shape)))
    return lambda of: np.stack([of(i) for i in chosen], axis=axis)


def broadcast_to(draw: Any, pool: list[Pair]) -> Callable[[Any], Any]:
    shape = pool[0][1].shape
    wanted = tuple(draw(st.integers(0, 3)) if n == 1 else n for n in shape)
    wanted = (*draw(st.lists(st.integers(1, 2), max_size=1)), *wanted)
    return lambda of: np.broadcast_to(of(0), wanted)


def expand_dims(draw: Any, pool: list[Pair]) -> Callable[[Any], Any]:
    axis = draw(st.integers(-pool[0][1].ndim - 1, pool[0][1].ndim))
    return lambda of: np.expand_dims(of(0), axis)


def transpose(draw: Any, pool: list[Pair]) -> Callable[[Any], Any]:
    axes = draw(st.one_of(st.none(), st.permutations(range(pool[0][1].ndim))))
    return lambda of: np.transpose(of(0), axes)


def moveaxis(draw: Any, pool: list[Pair]) -> Callable[[Any], Any]:
    ndim = pool[0][1].ndim
    source = draw(st.permutations(range(ndim)))[: draw(st.integers(0, ndim))]
    destination = draw(st.permutations(range(-ndim, 0)))[: len(source)]
    return lambda of: np.moveaxis(of(0), source, destination)


def swapaxes(draw: Any, pool: list[Pair]) -> Callable[[Any], Any]:
    assume(pool[0][1].ndim > 0)
    a, b = axis_of(draw, pool[0][1]), axis_of(draw, pool[0][1])
    return lambda of: np.swapaxes(of(0), a, b)


def squeeze(draw: Any, pool: list[Pair]) -> Callable[[Any], Any]:
    return lambda of: np.squeeze(of(0))


def where(draw: Any, pool: list[Pair]) -> Callable[[Any], Any]:
    shape = pool[0][1].shape
    mask = np.ones(shape, bool)
    for axis, n in enumerate(shape):
        if draw(st.booleans()):
            keep = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool)
            mask &= keep.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    other = draw(st.sampled_from([np.nan, 0, 7, np.float32(1.5), np.float64("nan")]))
    if draw(st.booleans()):
        return lambda of: np.where(mask, of(0), other)
    return lambda of: np.where(~mask, other, of(0))


def pad(draw: Any, pool: list[Pair]) -> Callable[[Any], Any]:
    shape = pool[0][1].shape
    mode = draw(st.sampled_from(["constant", "constant", "edge", "wrap", "reflect", "symmetric"]))
    width = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=len(shape), max_size=len(shape)))
    assume(mode == "constant" or 0 not in shape)
    assume(shape != ())
    if mode == "constant":
        value = draw(st.sampled_from([0, 7, 3, (1, 2)]))
        return lambda of: np.pad(of(0), width, mode, constant_values=value)
    return lambda of: np.pad(of(0), width, mode)


def roll(draw: Any, pool: list[Pair]) -> Callable[[Any], Any]:
    assume(pool[0][1].ndim > 0)
    axis, by = axis_of(draw, pool[0][1]), draw(st.integers(-7, 7))
    if draw(st.booleans()):
        every = tuple(range(pool[0][1].ndim))
        return lambda of: np.roll(of(0), by, every)
    return lambda of: np.roll(of(0), by, axis)


def flip(draw: Any, pool: list[Pair]) -> Callable[[Any], Any]:
    axis = draw(st.sampled_from([None, *range(pool[0][1].ndim)]))
    return lambda of: np.flip(of(0), axis)


def take(draw: Any, pool: list[Pair]) -> Callable[[Any], Any]:
    assume(pool[0][1].ndim > 0)
    axis = axis_of(draw, pool[0][1])
    n = pool[0][1].shape[axis]
    assume(n > 0)
    indices = draw(st.lists(st.integers(-n, n - 1), max_size=6).map(lambda x: np.array(x, np.int64)))
    if draw(st.booleans()):
        beyond = draw(st.lists(st.integers(-2 * n, 2 * n), max_size=4).map(lambda x: np.array(x, np.int64)))
        mode = draw(st.sampled_from(["clip", "wrap"]))
        return lambda of: np.take(of(0), beyond, axis=axis, mode=mode)
    return lambda of: np.take(of(0), indices, axis=axis)


def getitem(draw: Any, pool: list[Pair]) -> Callable[[Any], Any]:
    key = draw(strategies.keys(pool[0][1].shape))
    return lambda of: of(0)[key]


def astype(draw: Any, pool: list[Pair]) -> Callable[[Any], Any]:
    dtype = draw(st.sampled_from(["f4", "f8", "i2", "i4", "u1"]))
    # what NaN becomes as an integer depends on the machine
    assume(dtype in ("f4", "f8") or bool(np.isfinite(pool[0][1]).all()))
    return lambda of: of(0).astype(dtype)


def full_like(draw: Any, pool: list[Pair]) -> Callable[[Any], Any]:
    value = draw(st.sampled_from([0, 5, 7]))
    return lambda of: np.full_like(of(0), value)


def reshape(draw: Any, pool: list[Pair]) -> Callable[[Any], Any]:
    shape = [n for n in pool[0][1].shape if n != 1]
    for _ in range(draw(st.integers(0, 2))):
        shape.insert(draw(st.integers(0, len(shape))), 1)
    return lambda of: np.reshape(of(0), tuple(shape))


CALLS = [
    concatenate, concatenate, stack, broadcast_to, expand_dims, transpose, moveaxis, swapaxes, squeeze, where, where, pad, pad,
    roll, flip, take, getitem, getitem, getitem, astype, astype, full_like, reshape,
]  # fmt: skip


@st.composite
def results(draw: Any, factory: strategies.Factory, most: int = 5) -> Pair:
    """A virtual array after some calls, and its values."""
    shape = tuple(draw(st.lists(st.integers(1, 6), max_size=3)))
    pool: list[Pair] = [draw(strategies.virtual_arrays(factory, shape=shape)) for _ in range(draw(st.integers(1, 3)))]
    for _ in range(draw(st.integers(1, most))):
        pool.insert(0, pool.pop(draw(st.integers(0, len(pool) - 1))))
        call = draw(st.sampled_from(CALLS))(draw, pool)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            expected = call(lambda i: pool[i][1])
            if expected.size > SIZE or expected.ndim > 5:
                continue
            try:
                found = call(lambda i: pool[i][0])
            except VirtualZarrError:
                continue
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        if isinstance(found, VirtualZarrArray):
            pool.insert(0, (found, np.ascontiguousarray(expected).reshape(expected.shape)))
    return pool[0]


def assert_same(found: Any, expected: np.ndarray) -> None:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        values = np.asarray(found)
    assert values.dtype == expected.dtype
    assert values.shape == expected.shape
    np.testing.assert_array_equal(values, expected)


# ---------------------------------------------------------------------- what must hold


@given(data=st.data())
@settings(relaxed, max_examples=250)
def test_numpy_calls_give_what_they_give_on_the_values(data, factory):
    found, expected = data.draw(results(factory))
    assert_same(found, expected)


@given(data=st.data())
@settings(relaxed, max_examples=100)
def test_a_part_of_the_result_can_be_read_by_itself(data, factory):
    found, expected = data.draw(results(factory))
    key = data.draw(strategies.keys(expected.shape))
    try:
        part = found[key]
    except VirtualZarrError:
        return
    assert_same(part, expected[key])


@given(data=st.data(), fuse=st.booleans())
@settings(relaxed, max_examples=120)
def test_a_written_array_reads_the_same_in_every_way(data, fuse, factory):
    found, expected = data.draw(results(factory))
    directory = factory.path().with_suffix(".vzarr")
    dims = tuple(f"d{i}" for i in range(found.ndim))
    try:
        write_hierarchy(LocalKeys(directory), {"": NodeGroup({}, {"v": NodeArray(dims, found, {})})}, fuse=fuse)
    except VirtualZarrError as exc:
        assert "scalar" in str(exc)
        return
    try:
        again = read_tree(directory, Access()).groups["/"].variables["v"]
        assert again.dims == dims
        assert_same(again.data, expected)
        if again.data.ndim:
            assert_same(again.data[::-1][..., :1], expected[::-1][..., :1])
        for rectilinear in (True, False):
            with zarr.config.set({"array.rectilinear_chunks": rectilinear}):
                array = zarr.open_group(VirtualZarrStore(directory), mode="r")["v"]
                assert_same(array[...], expected)
    finally:
        shutil.rmtree(directory)


@given(data=st.data())
@settings(relaxed, max_examples=60)
def test_what_is_read_from_a_store_is_written_again_without_loss(data, factory):
    found, expected = data.draw(results(factory, 3))
    first, second = factory.path().with_suffix(".vzarr"), factory.path().with_suffix(".vzarr")
    dims = tuple(f"d{i}" for i in range(found.ndim))
    fuse = data.draw(st.booleans())
    try:
        write_hierarchy(LocalKeys(first), {"": NodeGroup({}, {"v": NodeArray(dims, found, {})})}, fuse=fuse)
    except VirtualZarrError as exc:
        assert "scalar" in str(exc)
        return
    reopened = read_tree(first, Access()).groups["/"].variables["v"].data
    if found.ndim:
        reopened, expected = np.concatenate([reopened, reopened[::-1]]), np.concatenate([expected, expected[::-1]])
        assume(isinstance(reopened, VirtualZarrArray))
    fuse = data.draw(st.booleans())
    write_hierarchy(LocalKeys(second), {"": NodeGroup({}, {"v": NodeArray(dims, reopened, {})})}, fuse=fuse)
    assert_same(read_tree(second, Access()).groups["/"].variables["v"].data, expected)
    for directory in (first, second):
        shutil.rmtree(directory)


def test_the_factory_makes_chunks_with_garbage_beyond_what_is_seen(tmp_path: Path):
    stored, values = helpers.store_array(tmp_path / "a.bin", np.arange(5, dtype="i2"), [AxisGrid.varying([2, 3], [4, 3])])
    assert (tmp_path / "a.bin").read_bytes().count(bytes([99, 0])) == 2
    assert np.asarray(helpers.virtual(stored)).tolist() == values.tolist() == [0, 1, 2, 3, 4]


# ---------------------------------------------------------------------- packing


PACKINGS: list[dict[str, Any]] = [
    {},
    {"scale_factor": 0.5, "add_offset": 10.0},
    {"scale_factor": np.float32(0.25), "_FillValue": np.int16(302)},
    {"_FillValue": np.int16(7)},
    {"_Unsigned": "true"},
    {"add_offset": np.float32(3)},
]


@st.composite
def packed_pairs(draw: Any, factory: strategies.Factory, count: int) -> list[tuple[VirtualZarrArray, np.ndarray]]:
    """Undecoded arrays of one shape, each with a packing of its own, and their decoded values."""
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=2)))
    pairs = []
    for _ in range(count):
        stored, raw = draw(strategies.stored_arrays(factory, shape=shape, dtype="i2"))
        packing = Packing.from_attrs(draw(st.sampled_from(PACKINGS)), stored.dtype)
        pairs.append((helpers.virtual(stored, packing), raw if packing is None else packing.decode(raw)))
    return pairs


def assert_decodes(found: VirtualZarrArray, expected: np.ndarray) -> None:
    values = np.asarray(found.decode())
    assert values.shape == expected.shape
    assert values.dtype.kind == expected.dtype.kind
    np.testing.assert_array_equal(values, expected)


def written_and_read(found: VirtualZarrArray, factory: strategies.Factory, *, fuse: bool) -> VirtualZarrArray:
    """What the writer of datasets does to a packed array without attributes."""
    directory = factory.path().with_suffix(".vzarr")
    dims = tuple(f"d{i}" for i in range(found.ndim))
    node = NodeArray(dims, found.decode(), {})
    write_hierarchy(LocalKeys(directory), {"": NodeGroup({}, {"v": node})}, fuse=fuse)
    return read_tree(directory, Access()).groups["/"].variables["v"].data


@given(data=st.data())
@settings(relaxed, max_examples=120)
def test_arrays_that_are_packed_differently_join_into_their_decoded_values(data, factory):
    pairs = data.draw(packed_pairs(factory, data.draw(st.integers(2, 3))))
    found = np.concatenate([array for array, _ in pairs])
    expected = np.concatenate([values for _, values in pairs])
    assert_decodes(found, expected)
    key = data.draw(strategies.slices(expected.shape[0]))
    if expected[key].size:
        assert_decodes(found[key], expected[key])
    again = written_and_read(found, factory, fuse=data.draw(st.booleans()))
    np.testing.assert_array_equal(np.asarray(again), expected)
    assert_decodes(np.concatenate([again, pairs[0][0]]), np.concatenate([expected, pairs[0][1]]))


@given(data=st.data())
@settings(relaxed, max_examples=120)
def test_what_is_missing_from_a_packed_array_is_missing_when_decoded(data, factory):
    [(array, values)] = data.draw(packed_pairs(factory, 1))
    shape = values.shape
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=shape[0], max_size=shape[0])))
    mask = np.broadcast_to(keep.reshape((-1,) + (1,) * (len(shape) - 1)), shape)
    masked = np.where(mask, array.astype("f4"), np.float32(np.nan))
    expected = np.where(mask, values.astype("f8"), np.nan)
    if data.draw(st.booleans()):  # a join with an array of zeros moves what is missing into segments
        masked = np.concatenate([masked, array])
        expected = np.concatenate([expected, values])
    np.testing.assert_array_equal(np.asarray(masked.decode()), expected)
    if masked.decode().ndim:
        again = written_and_read(masked, factory, fuse=data.draw(st.booleans()))
        np.testing.assert_array_equal(np.asarray(again), expected)


@given(data=st.data(), value=st.sampled_from([0, 7, 302]))
@settings(relaxed, max_examples=80)
def test_padding_of_an_undecoded_array_is_a_stored_number(data, value, factory):
    [(array, values)] = data.draw(packed_pairs(factory, 1))
    padded = np.pad(array, 1, constant_values=value)
    raw = np.pad(np.asarray(array), 1, constant_values=value)
    packing = array.packing
    expected = raw if packing is None else packing.decode(raw)
    np.testing.assert_array_equal(np.asarray(padded), raw)
    np.testing.assert_array_equal(np.asarray(padded.decode()), expected)
    again = written_and_read(padded, factory, fuse=data.draw(st.booleans()))
    np.testing.assert_array_equal(np.asarray(again), expected)
