"""How arrays of segments are laid out when they are written: one manifest where chunks allow it, and never other values."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import helpers, strategies

import intake_virtualzarr.datasets.accessor  # noqa: F401 - the accessor
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.chunk_grid import AxisGrid
from intake_virtualzarr.arrays.fill_value import fill_segment
from intake_virtualzarr.arrays.manifest import ChunkManifest, concatenate_manifests
from intake_virtualzarr.arrays.segments import Segment
from intake_virtualzarr.codecs.cf_packing import Packing
from intake_virtualzarr.codecs.spec import CodecSpec
from intake_virtualzarr.errors import ManifestError
from intake_virtualzarr.hierarchy.write_plan import Concat, Leaf, plan_array


def of_steps(path: Path, steps: int, first: int, *, width: int = 4, edge: int = 2, dtype: str = "i2", **kwargs) -> Segment:
    values = np.arange(first, first + steps * width, dtype=dtype).reshape(steps, width)
    stored, _ = helpers.store_array(path, values, [AxisGrid.regular(steps, edge), AxisGrid.regular(width, 3)], **kwargs)
    return Segment.whole(stored)


def test_whole_files_in_a_row_are_one_manifest(tmp_path):
    parts = [of_steps(tmp_path / f"{i}.bin", 4, 100 * i) for i in range(3)]
    placed = [part.moved((4 * i, 0)) for i, part in enumerate(parts)]
    plan = plan_array(VirtualZarrArray((12, 4), "i2", 0, placed))
    assert isinstance(plan, Leaf)
    assert plan.is_plain
    assert plan.shape == plan.stored.shape == (12, 4)
    assert [plan.stored.sources[row].url for row in plan.stored.manifest.load().source[:, 0]] == [
        part.stored.sources[0].url for part in parts for _ in range(2)
    ]


def test_files_that_are_packed_alike_are_one_member_of_what_is_decoded(tmp_path):
    packings = [Packing(np.dtype("f8"), None, (), scale, 1.0) for scale in (0.5, 0.5, 0.25, 0.25, 0.25, 0.5)]
    parts = [of_steps(tmp_path / f"{i}.bin", 4, 100 * i) for i in range(6)]
    placed = [replace(part.moved((4 * i, 0)), packing=packings[i]) for i, part in enumerate(parts)]
    array = VirtualZarrArray((24, 4), "f8", np.nan, placed, decoded=True)
    plan = plan_array(array)
    assert isinstance(plan, Concat)
    assert [(member.shape[0], member.decode.scale_factor) for member in plan.members] == [(8, 0.5), (12, 0.25), (4, 0.5)]
    xr.Dataset({"v": (("t", "x"), array)}).vzarr.to_zarr(str(tmp_path / "s.vzarr"))
    read = xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr").v.values
    assert np.array_equal(read, np.asarray(array))
    assert read[8:12].tolist() == (1 + 0.25 * np.arange(200, 216).reshape(4, 4)).tolist()


@pytest.mark.parametrize(
    ("shape", "offsets"),
    [
        ((9, 4), [(0, 0), (4, 0)]),  # nothing behind the last
        ((10, 4), [(0, 0), (6, 0)]),  # a gap between
        ((9, 4), [(1, 0), (5, 0)]),  # nothing in front
        ((8, 5), [(0, 0), (4, 0)]),  # nothing beside
        ((8, 4), [(4, 0), (0, 0)]),  # in another order
    ],
)
def test_a_row_that_does_not_fill_the_array_keeps_its_gaps(tmp_path, shape, offsets):
    parts = [of_steps(tmp_path / f"{i}.bin", 4, 100 * i) for i in range(2)]
    array = VirtualZarrArray(shape, "i2", -1, [p.moved(o) for p, o in zip(parts, offsets, strict=True)])
    assert plan_array(array).shape == shape
    xr.Dataset({"v": (("t", "x"), array)}).vzarr.to_zarr(str(tmp_path / "s.vzarr"))
    read = xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr", decode_cf=False).v.values
    assert read.tolist() == np.asarray(array).tolist()
    assert (read == -1).sum() == shape[0] * shape[1] - 32


@pytest.mark.parametrize(
    ("other", "fused"),
    [
        ({"fill_value": 7}, True),  # all chunks are stored, so that the fill value shows nowhere
        ({"fill_value": 7, "missing": [(1, 0)]}, False),
        ({"missing": [(1, 0)]}, True),
        ({"codec": helpers.ZLIB}, True),  # an alternative
        ({"edge": 3}, True),  # along the axis chunks may have any length
        ({"dtype": "i4"}, False),
    ],
)
def test_what_may_stand_in_one_manifest(tmp_path, other, fused):
    parts = [of_steps(tmp_path / "0.bin", 4, 0), of_steps(tmp_path / "1.bin", 4, 100, **other)]
    array = VirtualZarrArray((8, 4), "i4" if "dtype" in other else "i2", 0, [parts[0], parts[1].moved((4, 0))])
    assert isinstance(plan_array(array), Leaf if fused else Concat)
    xr.Dataset({"v": (("t", "x"), array)}).vzarr.to_zarr(str(tmp_path / "s.vzarr"))
    read = xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr", decode_cf=False).v.values
    assert read.tolist() == np.asarray(array).tolist()


@given(data=st.data())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_row_is_written_as_it_reads(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("plan")
    extents = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    gaps = data.draw(st.lists(st.sampled_from([0, 0, 0, 2]), min_size=len(extents) + 1, max_size=len(extents) + 1))
    factory = strategies.Factory(folder)
    segments, at = [], gaps[0]
    for extent, gap in zip(extents, gaps[1:], strict=True):
        filled = data.draw(st.sampled_from([False, False, True]))
        if filled:
            segment = fill_segment((extent, 3), np.dtype("i2"), data.draw(st.sampled_from([0, 5])))
        else:
            segment = Segment.whole(data.draw(strategies.stored_arrays(factory, (extent, 3), "i2"))[0])
        segments.append(segment.moved((at, 0)))
        at += extent + gap
    array = VirtualZarrArray((at, 3), "i2", 0, segments)
    values = np.asarray(array)
    xr.Dataset({"v": (("t", "x"), array)}).vzarr.to_zarr(str(folder / "s.vzarr"))
    with xr.open_dataset(folder / "s.vzarr", engine="virtualzarr", decode_cf=False) as ds:
        assert ds.v.values.tolist() == values.tolist()


# ---------------------------------------------------------------------- manifests joined


@given(data=st.data())
@settings(deadline=None, max_examples=100)
def test_joined_manifests_name_the_same_sources(data):
    axis = data.draw(st.integers(0, 1))
    across = data.draw(st.integers(1, 3))
    manifests, mappings, codecs, rows = [], [], [], []
    for _ in range(data.draw(st.integers(1, 4))):
        along, files = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
        shape = (along, across) if axis == 0 else (across, along)
        size = along * across
        low = 0 if files == 0 else data.draw(st.sampled_from([0, 1]))
        length = data.draw(st.lists(st.integers(low, 9 if files else 0), min_size=size, max_size=size))
        source = [data.draw(st.integers(0, files - 1)) if n else data.draw(st.integers(0, 99)) for n in length]
        codec = data.draw(st.none() | st.lists(st.integers(0, 1), min_size=size, max_size=size))
        manifests.append(
            ChunkManifest(
                np.array(source, np.uint32).reshape(shape),
                np.arange(size, dtype=np.uint64).reshape(shape),
                np.array(length, np.uint32).reshape(shape),
                None if codec is None else np.array(codec, np.uint8).reshape(shape),
            )
        )
        mappings.append(data.draw(st.lists(st.integers(0, 50), min_size=files, max_size=files)))
        codecs.append(data.draw(st.sampled_from([[0, 1], [1, 0], [2, 1]])))
    joined = concatenate_manifests(manifests, axis, mappings, codecs)
    edges = np.cumsum([0, *(m.shape[axis] for m in manifests)])
    for manifest, mapping, numbers, (start, _) in zip(manifests, mappings, codecs, pairwise(edges), strict=True):
        for coords in np.ndindex(manifest.shape):
            at = tuple(int(c + start) if n == axis else int(c) for n, c in enumerate(coords))
            rows.append(at)
            before, after = manifest.get(coords), joined.get(at)
            if before is None:
                assert after is None
                assert joined.source[at] == 0
                continue
            assert (after.source, after.offset, after.length) == (mapping[before.source], before.offset, before.length)
            assert after.codec == numbers[before.codec]
    assert len(rows) == joined.length.size


def test_more_pipelines_than_a_manifest_can_number_take_several(tmp_path):
    """A chunk names its pipeline in a byte; the 257th of a series must not be taken for the first."""
    parts = []
    for number in range(300):
        stored, _ = helpers.store_array(
            tmp_path / f"{number}.bin", np.zeros((1, 4), "i2"), [AxisGrid.regular(n, n) for n in (1, 4)]
        )
        shift = CodecSpec.of("numcodecs.fixedscaleoffset", offset=number, scale=1, dtype="<i2")
        parts.append(Segment.whole(replace(stored, codecs=(shift, *stored.codecs))).moved((number, 0)))
    array = VirtualZarrArray((300, 4), "i2", 0, parts)
    assert isinstance(plan_array(array), Concat)
    assert [len(member.stored.sources) for member in plan_array(array).members] == [256, 44]
    xr.Dataset({"v": (("t", "x"), array)}).vzarr.to_zarr(tmp_path / "s.vzarr")
    found = xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr")
    assert np.array_equal(found.v, np.repeat(np.arange(300), 4).reshape(300, 4))
    one = ChunkManifest.from_columns((1, 1), 0, 8)
    with pytest.raises(ManifestError, match="301 codec pipelines, at most 256"):
        concatenate_manifests([one, one], 0, [[0], [0]], [[0], [300]])


def test_a_row_beyond_its_table_is_an_error_that_names_both():
    manifest = ChunkManifest.from_columns((2,), [0, 9], 5, [0, 3])
    other = ChunkManifest.from_columns((1,), 0, 5)
    with pytest.raises(ManifestError, match="names source 3, the table has 2 rows"):
        concatenate_manifests([other, manifest], 0, [[0], [1, 2]], [[0], [0]])
