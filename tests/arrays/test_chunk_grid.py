"""Chunk grids against brute force over every element."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.strategies import axis_grids

from intake_virtualzarr.arrays.chunk_grid import AxisGrid, ChunkGrid, concatenate_axes
from intake_virtualzarr.errors import ChunkGridError, HierarchyError
from intake_virtualzarr.hierarchy.chunk_grid_json import grid_from_json, grid_to_json, stored_shapes_to_json

relaxed = settings(deadline=None, max_examples=150)


def owner_of(axis: AxisGrid) -> list[int]:
    """The chunk of every element."""
    return [chunk for chunk, edge in enumerate(axis.visible.tolist()) for _ in range(edge)]


@given(axis_grids())
@relaxed
def test_visible_edges_sum_to_the_extent_and_stored_ones_cover_them(axis):
    assert int(axis.visible.sum()) == axis.extent
    assert axis.visible.shape == axis.stored.shape == (axis.count,)
    assert (axis.stored >= axis.visible).all()
    assert axis.starts.tolist() == [0, *np.cumsum(axis.visible).tolist()]


@given(axis_grids())
@relaxed
def test_every_element_is_found_in_its_chunk(axis):
    owners = owner_of(axis)
    assert [axis.chunk_of(i) for i in range(axis.extent)] == owners
    starts = {0, axis.extent, *(i for i in range(1, axis.extent) if owners[i] != owners[i - 1])}
    assert {i for i in range(axis.extent + 1) if axis.starts_at(i)} == starts


@given(axis_grids(), st.data())
@relaxed
def test_a_span_holds_exactly_the_chunks_of_its_elements(axis, data):
    start = data.draw(st.integers(0, axis.extent))
    stop = data.draw(st.integers(0, axis.extent))
    first, last = axis.span(start, stop)
    assert set(range(first, last)) == set(owner_of(axis)[start:stop])


@given(axis_grids(), st.data())
@relaxed
def test_a_crop_keeps_the_chunks_of_what_it_shows(axis, data):
    start = data.draw(st.sampled_from(sorted({int(s) for s in axis.starts})))
    stop = data.draw(st.integers(start, axis.extent))
    cropped = axis.crop(start, stop)
    owners = owner_of(axis)[start:stop]
    assert cropped.extent == stop - start
    assert owner_of(cropped) == [o - owners[0] for o in owners]
    assert cropped.stored.tolist() == [int(axis.stored[chunk]) for chunk in sorted(set(owners))]


@given(axis_grids())
@relaxed
def test_a_crop_that_starts_inside_a_chunk_is_refused(axis):
    for start in range(axis.extent):
        if not axis.starts_at(start):
            with pytest.raises(ChunkGridError, match=f"element {start} is not at a chunk edge"):
                axis.crop(start, axis.extent)


@given(st.lists(axis_grids(), min_size=1, max_size=4))
@relaxed
def test_concatenated_axes_have_the_chunks_of_all(axes):
    joined = concatenate_axes(axes)
    assert joined.extent == sum(axis.extent for axis in axes)
    assert joined.visible.tolist() == [edge for axis in axes for edge in axis.visible.tolist()]
    assert joined.stored.tolist() == [edge for axis in axes for edge in axis.stored.tolist()]


@given(axis_grids())
@relaxed
def test_a_grid_is_regular_only_if_regular_arithmetic_says_the_same(axis):
    if axis.is_regular and axis.count:
        edge = int(axis.stored[0])
        assert owner_of(axis) == [i // edge for i in range(axis.extent)]
        assert (axis.stored == edge).all()


@given(st.lists(axis_grids(), max_size=3))
@relaxed
def test_a_grid_survives_its_json(axes):
    grid = ChunkGrid(tuple(axes))
    again = grid_from_json(grid_to_json(grid), grid.shape, stored_shapes_to_json(grid), "a")
    assert again.same_as(grid)
    assert again.is_whole == grid.is_whole


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AxisGrid(-1, 3), "extent -1 of an axis is negative"),
        (lambda: AxisGrid(5, 0), "chunk edge 0 is below 1"),
        (lambda: AxisGrid(5, None), "an axis needs either one edge or the edges of all chunks"),
        (lambda: AxisGrid.varying([3, 2], [2, 2]), "chunk 0 shows 3 elements but stores 2"),
        (lambda: AxisGrid.varying([0, 2]), "chunk edge 0 is below 1"),
        (lambda: AxisGrid.varying([2, 2], [2]), "2 visible chunk edges for 1 stored ones"),
        (
            lambda: AxisGrid(6, None, np.array([2, 3]), np.array([2, 3])),
            "chunk edges sum to 5, the axis has 6 elements",
        ),
        (lambda: ChunkGrid.regular((2, 3), (1,)), "chunk shape .* does not fit shape"),
    ],
)
def test_edges_that_contradict_each_other_are_refused(make, message):
    with pytest.raises(ChunkGridError, match=message):
        make()


@pytest.mark.parametrize(
    ("document", "stored", "message"),
    [
        ({"name": "hexagonal", "configuration": {}}, None, "a: chunk_grid 'hexagonal' is unknown"),
        ({"name": "regular", "configuration": {"chunk_shape": [2, 2]}}, None, "chunk grid of 2 axes for an array of 1"),
        ({"name": "regular", "configuration": {"chunk_shape": [0]}}, None, "a: axis 0: chunk edge 0 is below 1"),
        (
            {"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": [[2, 2]]}},
            None,
            "a: axis 0: chunk edges sum to 4, the axis has 5 elements",
        ),
        (
            {"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": [[2, 3]]}},
            [[2, 2]],
            "a: axis 0: chunk 1 shows 3 elements but stores 2",
        ),
        (
            {"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": [[[2, 1, 1], 3]]}},
            None,
            r"a: run \[2, 1, 1\] is not \[edge, count\]",
        ),
    ],
)
def test_grids_in_documents_that_do_not_fit_are_refused_by_name(document, stored, message):
    with pytest.raises(HierarchyError, match=message):
        grid_from_json(document, (5,), stored, "a")


def test_a_rectilinear_grid_may_reach_past_the_extent():
    document = {"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": [[3, 3]]}}
    axis = grid_from_json(document, (5,), None, "a").axes[0]
    assert axis.visible.tolist() == [3, 2]
    assert axis.stored.tolist() == [3, 3]


def test_boxes_of_a_scalar_and_of_an_empty_axis():
    assert ChunkGrid(()).grid_shape == ()
    assert ChunkGrid(()).box(()) == ()
    assert ChunkGrid.regular((0, 4), (3, 2)).grid_shape == (0, 2)
