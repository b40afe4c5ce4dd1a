"""Chunk manifests: columns, joins, new source rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intake_virtualzarr.arrays.manifest import ChunkManifest, ChunkRef, concatenate_manifests
from intake_virtualzarr.errors import ManifestError

relaxed = settings(deadline=None, max_examples=100)


@st.composite
def manifests(draw, shape=None, sources=3, pipelines=3):
    if shape is None:
        shape = tuple(draw(st.lists(st.integers(0, 4), min_size=1, max_size=3)))
    size = int(np.prod(shape))

    def column(largest):
        return np.array(draw(st.lists(st.integers(0, largest), min_size=size, max_size=size))).reshape(shape)

    length = column(5)
    source = np.where(length > 0, column(sources - 1), 0)
    codec = np.where(length > 0, column(pipelines - 1), 0)
    return ChunkManifest.from_columns(shape, column(2**53), length, source, codec)


def references(manifest):
    return {at: manifest.get(at) for at in np.ndindex(manifest.shape)}


@given(manifests())
@relaxed
def test_only_chunks_of_some_length_are_listed(manifest):
    listed = {at: ref for at, ref in references(manifest).items() if ref is not None}
    assert len(listed) == manifest.count
    assert all(ref.length >= 1 for ref in listed.values())


@given(st.data())
@relaxed
def test_joined_manifests_list_the_chunks_of_all_in_order(data):
    shape = data.draw(st.tuples(st.integers(0, 3), st.integers(1, 3)))
    axis = data.draw(st.integers(0, 1))
    parts, mappings, numbers = [], [], []
    for _ in range(data.draw(st.integers(1, 3))):
        size = list(shape)
        size[axis] = data.draw(st.integers(0, 3))
        parts.append(data.draw(manifests(tuple(size))))
        mappings.append(data.draw(st.permutations(range(3))))
        numbers.append(data.draw(st.permutations(range(3))))
    joined = concatenate_manifests(parts, axis, mappings, numbers)
    assert joined.shape == tuple(sum(p.shape[i] for p in parts) if i == axis else parts[0].shape[i] for i in range(2))
    start = 0
    for part, rows, codecs in zip(parts, mappings, numbers, strict=True):
        for at, ref in references(part).items():
            moved = tuple(i + start if n == axis else i for n, i in enumerate(at))
            expected = ref and ChunkRef(rows[ref.source], ref.offset, ref.length, codecs[ref.codec])
            assert joined.get(moved) == expected
        start += part.shape[axis]


def test_rows_outside_the_source_table_are_refused_by_a_join():
    manifest = ChunkManifest.from_columns((2,), [0, 9], [1, 1], [0, 5])
    with pytest.raises(ManifestError, match="manifest names source 5, the table has 1 rows"):
        concatenate_manifests([manifest, manifest], 0, [[0], [0]], [[0], [0]])


def test_the_row_of_a_missing_chunk_means_nothing():
    manifest = ChunkManifest.from_columns((2,), [0, 9], [1, 0], [0, 5])
    joined = concatenate_manifests([manifest, manifest], 0, [[0], [1]], [[0], [0]])
    assert joined.source.tolist() == [0, 0, 1, 0]


@given(manifests(), st.data())
@relaxed
def test_a_region_is_a_part_without_a_copy(manifest, data):
    box = tuple(slice(a := data.draw(st.integers(0, n)), data.draw(st.integers(a, n))) for n in manifest.shape)
    part = manifest.region(box)
    for at, ref in references(part).items():
        assert manifest.get([s.start + i for s, i in zip(box, at, strict=True)]) == ref
    assert part.length.base is not None or part.length.size == 0


def test_an_empty_manifest_takes_no_memory_worth_mentioning():
    manifest = ChunkManifest.empty((10**4, 10**4))
    assert manifest.count == 0
    assert manifest.source.strides == (0, 0)


@pytest.mark.parametrize("at", [(2,), (-1,), (0, 0)])
def test_a_chunk_outside_the_grid_is_an_error(at):
    with pytest.raises(ManifestError, match=r"lies outside chunk grid \(2,\)"):
        ChunkManifest.empty((2,)).get(at)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"offset": [0], "length": [2**32]}, "longer than 4294967295"),
        ({"offset": [-1], "length": [1]}, "column 'offset' holds -1"),
        ({"offset": [0], "length": [-4]}, "column 'length' holds -4"),
    ],
)
def test_numbers_that_no_file_can_have_are_refused(columns, message):
    with pytest.raises(ManifestError, match=message):
        ChunkManifest.from_columns((1,), **columns)


def test_columns_of_other_types_or_shapes_are_refused():
    zeros = np.zeros(2, np.uint32)
    with pytest.raises(ManifestError, match="'offset' has dtype int64"):
        ChunkManifest(zeros, np.zeros(2, np.int64), zeros)
    with pytest.raises(ManifestError, match=r"'source' has shape \(3,\)"):
        ChunkManifest(np.zeros(3, np.uint32), np.zeros(2, np.uint64), zeros)
