"""Axes of one element, added or dropped, keep the chunks of a stored array where they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from support import helpers

import intake_virtualzarr as ivz
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.chunk_grid import AxisGrid
from intake_virtualzarr.arrays.concatenate import stack
from intake_virtualzarr.arrays.rank import RankedManifest, with_own_axes
from intake_virtualzarr.codecs.spec import CodecSpec
from intake_virtualzarr.hierarchy.write_plan import Concat, Leaf, plan_array


def field(path, first=0, *, shape=(4, 6), edges=(2, 3), **kwargs):
    values = np.arange(first, first + np.prod(shape), dtype="i4").reshape(shape)
    stored, _ = helpers.store_array(path, values, [AxisGrid.regular(n, e) for n, e in zip(shape, edges, strict=True)], **kwargs)
    return VirtualZarrArray.from_stored(stored)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_arrays_stacked_on_a_new_axis_are_one_manifest(tmp_path, axis):
    parts = [field(tmp_path / f"{k}.bin", 100 * k, missing=[(1, 0)] if k == 1 else ()) for k in range(3)]
    array = stack(parts, axis)
    plan = plan_array(array)
    assert isinstance(plan, Leaf)
    assert plan.is_plain
    assert np.array_equal(VirtualZarrArray.from_stored(plan.stored), np.stack([np.asarray(p) for p in parts], axis))
    assert isinstance(plan_array(array, fuse=False), Concat)


def test_members_over_several_periods_are_one_manifest(tmp_path):
    rows = [[field(tmp_path / f"{m}{t}.bin", 1000 * m + 100 * t) for t in range(2)] for m in range(3)]
    array = stack([np.concatenate(row) for row in rows])
    plan = plan_array(array)
    assert isinstance(plan, Leaf)
    want = np.stack([np.concatenate([np.asarray(a) for a in row]) for row in rows])
    assert np.array_equal(VirtualZarrArray.from_stored(plan.stored), want)


def test_one_level_with_chunks_of_one_level_is_a_manifest(tmp_path):
    cube = field(tmp_path / "a.bin", shape=(3, 4, 6), edges=(1, 2, 3))
    plan = plan_array(cube[1][:, np.newaxis])
    assert isinstance(plan, Leaf)
    assert plan.is_plain
    assert np.array_equal(VirtualZarrArray.from_stored(plan.stored), np.asarray(cube)[1][:, np.newaxis])


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.T[np.newaxis],  # elements of a chunk change their order
        lambda a: a.insert_axis(0, 3),  # values are repeated
        lambda a: a[1],  # a chunk holds two rows
    ],
)
def test_what_moves_bytes_keeps_its_own_axes(tmp_path, change):
    array = change(field(tmp_path / "a.bin"))
    assert with_own_axes(array.segments) == list(array.segments)
    assert not (isinstance(plan := plan_array(array), Leaf) and plan.is_plain)


def test_a_transposition_of_chunks_goes_on_with_new_axes(tmp_path):
    array = field(tmp_path / "a.bin")
    codecs = (CodecSpec.of("transpose", order=[1, 0]), *array.segments[0].stored.codecs)
    stored = replace(array.segments[0].stored, codecs=codecs)
    turned = VirtualZarrArray.from_stored(stored)
    (segment,) = with_own_axes(turned[:, np.newaxis].segments)
    assert segment.stored.codecs[0].configuration == {"order": [1, 2, 0]}
    again = VirtualZarrArray((4, 1, 6), "i4", 0, [segment])
    assert np.array_equal(np.asarray(again)[:, 0], np.asarray(turned))


def test_a_manifest_with_other_axes_gives_any_box(tmp_path):
    manifest = field(tmp_path / "a.bin").segments[0].stored.manifest
    ranked = RankedManifest(manifest, (0, None), ((1, 1),))
    assert ranked.shape == ranked.load().shape == (2, 1)
    assert ranked.load().offset[:, 0].tolist() == manifest.load().offset[:, 1].tolist()
    assert ranked.region((slice(1, 2), slice(0, 0))).shape == (1, 0)


def test_files_without_time_are_written_as_few_objects(tmp_path):
    for k in range(20):
        ds = xr.Dataset({"v": (("y", "x"), np.full((8, 8), k, "f4"))})
        ds.to_netcdf(tmp_path / f"{k:02}.nc", engine="h5netcdf", encoding={"v": {"chunksizes": (4, 8), "zlib": True}})
    paths = sorted(tmp_path.glob("*.nc"))
    stacked = ivz.open_virtual_mfdataset(paths, combine="nested", concat_dim="time")
    stacked.vzarr.to_zarr(tmp_path / "s.vzarr")
    assert sum(p.is_file() for p in (tmp_path / "s.vzarr").rglob("*")) <= 4
    with xr.open_mfdataset(paths, engine="h5netcdf", combine="nested", concat_dim="time") as want:
        xr.testing.assert_equal(xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr").load(), want.load())
