"""Small chunks are decoded and placed many at a time: the values are h5py's, and what is damaged is named."""

from __future__ import annotations

import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import intake_virtualzarr as ivz
from intake_virtualzarr.arrays import read as reading
from intake_virtualzarr.arrays.read_plan import SegmentSelection, plan_read
from intake_virtualzarr.arrays.runs import runs
from intake_virtualzarr.arrays.segments import Window
from intake_virtualzarr.errors import CodecError

FILTERS = [{}, {"compression": 4}, {"compression": 1, "shuffle": True}, {"shuffle": True, "fletcher32": True}]


@st.composite
def stored(draw):
    """Shape, chunks, type and filters of a dataset, and a window of it."""
    shape = tuple(draw(st.lists(st.integers(1, 14), min_size=1, max_size=4)))
    chunks = tuple(draw(st.integers(1, n)) for n in shape)
    dtype = draw(st.sampled_from(["<i2", ">i2", "<f4", ">f4", "<f8", "u1", ">u4"]))
    filters = draw(
        st.sampled_from([{}, {"compression": 4}, {"compression": 1, "shuffle": True}, {"shuffle": True, "fletcher32": True}])
    )
    starts = [draw(st.integers(0, n - 1)) for n in shape]
    windows = [(a, draw(st.integers(a + 1, n)), draw(st.sampled_from([1, 1, 1, 2]))) for a, n in zip(starts, shape, strict=True)]
    return shape, chunks, dtype, filters, windows


@given(stored(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_window_of_any_small_chunks_holds_the_values_of_h5py(tmp_path: Path, case, seed):
    shape, chunks, dtype, filters, windows = case
    path = tmp_path / f"{seed}.h5"
    with h5py.File(path, "w") as file:
        values = np.random.default_rng(seed).integers(0, 100, shape).astype(dtype)
        file.create_dataset("v", data=values, chunks=chunks, **filters)
        expected = file["v"][...]
    array = ivz.open_virtual_dataset(path, loadable_variables=[])["v"].variable._data
    box = tuple(slice(*window) for window in windows)
    np.testing.assert_array_equal(np.asarray(array[box]), expected[box], strict=False)
    path.unlink()


@pytest.fixture
def noisy(tmp_path: Path) -> tuple[Path, np.ndarray]:
    values = np.random.default_rng(0).integers(-300, 300, (6, 50, 70)).astype("i2")
    path = tmp_path / "a.nc"
    with h5py.File(path, "w") as file:
        file.create_dataset("v", data=values, chunks=(1, 20, 20), compression=1, shuffle=True)
        file["v"].attrs.update(scale_factor=0.5, add_offset=3.0, _FillValue=np.int16(7))
        file["v"].dims[0].label = "t"
    return path, values


def test_packed_values_are_those_of_xarray(noisy):
    path, _ = noisy
    with xr.open_dataset(path, engine="virtualzarr") as ours, xr.open_dataset(path, engine="h5netcdf", phony_dims="sort") as theirs:
        np.testing.assert_array_equal(ours["v"].values, theirs["v"].values, strict=True)
        np.testing.assert_array_equal(ours["v"][1:5, 3:44, 7:].values, theirs["v"][1:5, 3:44, 7:].values, strict=True)


def test_neighbours_along_the_last_axis_are_one_run(noisy):
    array = ivz.open_virtual_dataset(noisy[0], loadable_variables=[])["v"].variable._data
    out = np.empty((6, 50, 70), "i2")
    (chunks,) = plan_read(array.segments, [Window(0, n) for n in out.shape], out, 0, decoded=False)
    share, where = chunks.places(np.arange(len(chunks)))
    found = [(run.count, run.axis) for run in runs(share, where)]
    # 3 rows of chunks a step; the last chunk of a row reaches beyond the array
    assert found == [(3, 2), (1, 2)] * 18


def test_chunks_that_lie_in_no_order_are_placed_where_they_belong(tmp_path):
    path, values = tmp_path / "a.h5", np.arange(40 * 6, dtype="f4").reshape(40, 6)
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("v", (40, 6), "f4", chunks=(2, 6), compression=1, shuffle=True)
        for row in np.random.default_rng(3).permutation(20):
            dataset[2 * row : 2 * row + 2] = values[2 * row : 2 * row + 2]
    array = ivz.open_virtual_dataset(path, loadable_variables=[])["v"].variable._data
    np.testing.assert_array_equal(np.asarray(array), values)


def test_many_files_of_one_chunk_are_decoded_together(tmp_path, monkeypatch):
    calls = []
    plain = reading.Decoder.together

    def counted(self, blocks, shape):
        calls.append(len(blocks))
        return plain(self, blocks, shape)

    monkeypatch.setattr(reading.Decoder, "together", counted)
    for number in range(8):
        values = np.full((1, 4, 5), number, "i2")
        time = xr.DataArray([float(number)], dims="t")
        encoding = {"v": {"chunksizes": (1, 4, 5), "zlib": True, "shuffle": True}}
        ds = xr.Dataset({"v": (("t", "y", "x"), values)}, {"t": time})
        ds.to_netcdf(tmp_path / f"{number}.nc", engine="h5netcdf", encoding=encoding)
    joined = ivz.open_virtual_mfdataset(sorted(tmp_path.glob("*.nc")), combine="nested", concat_dim="t")
    joined.vzarr.to_zarr(tmp_path / "a.vzarr")
    joined = ivz.open_virtual_dataset(tmp_path / "a.vzarr")
    calls.clear()
    assert np.asarray(joined["v"].variable._data)[:, 0, 0].tolist() == list(range(8))
    assert calls == [8]


@pytest.mark.parametrize("damage", ["bytes", "length"])
def test_the_damaged_chunk_among_many_is_named(noisy, damage):
    path, _ = noisy
    with h5py.File(path, "r+") as file:
        dataset = file["v"]
        if damage == "length":  # inflates well, to the bytes of half a chunk
            dataset.id.write_direct_chunk((3, 20, 40), zlib.compress(bytes(400)))
        else:
            dataset.id.write_direct_chunk((3, 20, 40), b"\x78\x9c" + bytes(range(90)))
    array = ivz.open_virtual_dataset(path, loadable_variables=[])["v"].variable._data
    with pytest.raises(CodecError, match=r"chunk \(3, 1, 2\): .*a\.nc: .*(damaged|400 bytes, expected 800)"):
        np.asarray(array)


def test_a_chunk_that_would_inflate_to_more_is_named(noisy):
    path, _ = noisy
    with h5py.File(path, "r+") as file:
        file["v"].id.write_direct_chunk((0, 0, 20), zlib.compress(bytes(5_000_000)))
    array = ivz.open_virtual_dataset(path, loadable_variables=[])["v"].variable._data
    with pytest.raises(CodecError, match=r"chunk \(0, 0, 1\): .*more than the \d+ bytes that are expected"):
        np.asarray(array)


def test_without_libdeflate_the_values_are_the_same(noisy, monkeypatch):
    from intake_virtualzarr.codecs import bytes_to_bytes

    path, values = noisy
    monkeypatch.setattr(bytes_to_bytes, "_fast", None)
    assert bytes_to_bytes.inflates_by() == "zlib"
    array = ivz.open_virtual_dataset(path, loadable_variables=[])["v"].variable._data
    np.testing.assert_array_equal(np.asarray(array), values)


def test_slices_with_steps_take_the_long_way(noisy):
    array = ivz.open_virtual_dataset(noisy[0], loadable_variables=[])["v"].variable._data
    picked = np.asarray(array[::2, 1::3, ::-1])
    np.testing.assert_array_equal(picked, noisy[1][::2, 1::3, ::-1])
    out = np.empty((3, 50, 70), "i2")
    (chunks,) = plan_read(array.segments, [Window(0, 3, 2), Window(0, 50), Window(0, 70)], out, 0, decoded=False)
    assert isinstance(chunks.shares[0], SegmentSelection)
    assert not chunks.shares[0].is_unit
