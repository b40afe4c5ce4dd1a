"""Windows, segments, and which elements of which chunks a request needs: against ranges and NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.strategies import axis_grids

from intake_virtualzarr.arrays.chunk_selection import assign, overlap, pick, picks_of, strided, take
from intake_virtualzarr.arrays.fill_value import fill_segment
from intake_virtualzarr.arrays.segments import Segment, Window
from intake_virtualzarr.errors import ManifestError

relaxed = settings(deadline=None, max_examples=200)
STEPS = st.sampled_from([1, 2, 3, -1, -2, -3])


@st.composite
def windows(draw, extent: int) -> Window:
    """A window of an axis of at least one element."""
    start, step = draw(st.integers(0, extent - 1)), draw(STEPS)
    most = (extent - 1 - start) // step + 1 if step > 0 else start // -step + 1
    return Window(start, draw(st.integers(0, most)), step)


@given(st.integers(1, 20).flatmap(windows), st.data())
@relaxed
def test_a_window_of_a_window_shows_elements_of_elements(window, data):
    elements = list(window.indices)
    assert len(elements) == window.count
    low, high = window.bounds()
    assert all(low <= e < high for e in elements)
    if elements:
        assert {min(elements), max(elements) + 1} == {low, high}
        inner = data.draw(windows(len(elements)))
        part = window.sub(inner.start, inner.count, inner.step)
        assert list(part.indices) == [elements[i] for i in inner.indices]


@given(st.integers(1, 20).flatmap(windows), st.integers(-3, 25), st.integers(-3, 25))
@relaxed
def test_an_overlap_is_the_run_of_elements_inside(window, start, stop):
    begin, end = overlap(window, start, stop)
    inside = [k for k, element in enumerate(window.indices) if start <= element < stop]
    assert list(range(begin, max(begin, end))) == inside


@given(st.integers(0, 9), st.integers(0, 6), STEPS)
@relaxed
def test_a_strided_slice_counts_down_to_element_0(start, count, step):
    stop = start + step * (count - 1)
    if count and not 0 <= stop < 30:
        return
    values = np.arange(30)
    assert values[strided(start, count, step)].tolist() == [start + step * k for k in range(count)]


@given(axis_grids(), st.data())
@relaxed
def test_picks_of_a_window_put_every_element_in_its_place(grid, data):
    if grid.extent == 0:
        return
    window, into = data.draw(windows(grid.extent)), data.draw(st.integers(0, 3))
    out = np.full(into + window.count, -1)
    for p in picks_of(grid, window, into):
        chunk = np.arange(int(grid.starts[p.chunk]), int(grid.starts[p.chunk + 1]))
        out[p.outside] = chunk[p.inside]
    assert out[into:].tolist() == list(window.indices)
    assert (out[:into] == -1).all()


@given(axis_grids(), st.data())
@relaxed
def test_picks_of_listed_elements_put_every_element_in_its_place(grid, data):
    if grid.extent == 0:
        return
    window, offset = data.draw(windows(grid.extent)), data.draw(st.integers(0, 3))
    stored = fill_segment((grid.extent,), np.dtype("i4"), 0, None).stored
    stored = type(stored)(stored.dtype, 0, type(stored.grid)((grid,)), stored.codecs, stored.manifest.empty((grid.count,)), ())
    segment = Segment(stored, (window,), (0,), (offset,), (window.count,))
    request = np.array(data.draw(st.lists(st.integers(0, offset + window.count + 3), max_size=8)), dtype=np.int64)
    out = np.full(request.size, -1)
    found = pick(segment, 0, request)
    for p in [] if found is None else found[1]:
        chunk = np.arange(int(grid.starts[p.chunk]), int(grid.starts[p.chunk + 1]))
        out[p.outside] = chunk[p.inside]
    whole = np.full(offset + window.count + 4, -1)
    whole[offset : offset + window.count] = list(window.indices)
    assert out.tolist() == whole[request].tolist()


def test_selectors_act_along_their_own_axes():
    values = np.arange(24).reshape(2, 3, 4)
    part = take(values, (slice(0, 1), np.array([2, 0]), slice(None, None, -2)))
    np.testing.assert_array_equal(part, values[:1, [2, 0]][:, :, ::-2])
    out = np.zeros((2, 3, 4), int)
    assign(out, (slice(1, 2), np.array([2, 0]), np.array([1, 3])), part)
    np.testing.assert_array_equal(out[1][[2, 0]][:, [1, 3]], part[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((Window(0, 4),), (0,), (0, 0), (4,)), "segment of 1 axes has offset"),
        (((), (0,), (0,), (4,)), "segment has 0 windows for 1 axes"),
        (((Window(1, 4),), (0,), (0,), (4,)), "leaves the stored axis of 4 elements"),
        (((Window(0, 3, -1),), (0,), (0,), (3,)), "leaves the stored axis of 4 elements"),
        (((Window(0, 3),), (0,), (0,), (4,)), "fills an extent of 4"),
        (((Window(0, 4),), (0, 0), (0, 0), (4, 4)), "shows one stored axis twice"),
        (((Window(0, 2),), (None,), (0,), (4,)), "stored axis 0 is dropped but 2 elements of it are shown"),
    ],
)
def test_segments_that_cannot_be_are_refused(arguments, message):
    stored = fill_segment((4,), np.dtype("i4"), 0).stored
    with pytest.raises(ManifestError, match=message):
        Segment(stored, *arguments)
