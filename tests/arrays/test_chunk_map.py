"""The picture of a chunk grid: files have colours, holes are empty, and it stays small."""

import re

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from intake_virtualzarr import VirtualZarrArray, VirtualZarrStore, ingest, open_virtual_dataset, scan, update
from intake_virtualzarr.arrays.chunk_map import COLUMNS, HUES, ROWS, chunk_map

MOST = 100_000
"""Length of HTML that a notebook is given [characters]."""


def picture(array):
    return chunk_map(array.shape, array.chunks, array.segments)


def cells(svg):
    """Cells by colour and opacity, as they are drawn."""
    drawn = {}
    for path, fill, opacity in re.findall(r"<path d='([^']*)' fill='([^']*)' opacity='([^']*)'/>", svg):
        drawn[fill, float(opacity)] = {
            (int(y), int(x) + k) for x, y, n in re.findall(r"M(\d+) (\d+)h(\d+)", path) for k in range(int(n))
        }
    return drawn


@pytest.fixture(scope="module")
def holes(tmp_path_factory):
    path = tmp_path_factory.mktemp("holes") / "holes.nc"
    with h5py.File(path, "w") as file:
        values = file.create_dataset("v", (480, 640), chunks=(10, 10), dtype="f4")
        values[:240, :320] = 1
    return path


def test_holes_are_empty_and_what_is_stored_has_the_colour_of_its_file(holes):
    drawn = cells(picture(open_virtual_dataset(holes).v.data))
    assert drawn == {(HUES[0], 1.0): {(y, x) for y in range(ROWS // 2) for x in range(COLUMNS // 2)}}


def test_a_flipped_array_is_drawn_flipped(holes):
    drawn = cells(picture(open_virtual_dataset(holes).v.isel(phony_dim_0=slice(None, None, -1)).data))
    assert drawn == {(HUES[0], 1.0): {(y, x) for y in range(4, 8) for x in range(COLUMNS // 2)}}


def test_a_cell_that_is_stored_in_part_is_paler(holes):
    shifted = open_virtual_dataset(holes).v.isel(phony_dim_0=slice(10, None)).data
    assert {opacity for _, opacity in cells(picture(shifted))} > {1.0}


def test_each_file_has_a_colour(published_once):
    first, second = (open_virtual_dataset(path) for path in published_once.paths[:2])
    joined = xr.concat([first, second], dim="time").sst.data
    assert {fill for fill, _ in cells(picture(joined))} == {HUES[0], HUES[1]}


@given(st.lists(st.integers(1, 40), min_size=0, max_size=4), st.integers(1, 7))
def test_a_picture_of_any_shape_is_small(shape, edge):
    array = VirtualZarrArray.full(tuple(shape), "int16", 0)
    grid = tuple((edge,) * (n // edge) + ((n % edge,) if n % edge else ()) for n in shape)
    svg = chunk_map(array.shape, grid, array.segments)
    assert len(svg) < MOST
    assert cells(svg) == {}


def test_a_million_chunks_and_a_thousand_files_are_small(holes):
    one = open_virtual_dataset(holes)
    array = xr.concat([one] * 1000, dim="phony_dim_0").v.data
    assert len(array._repr_html_()) < MOST


def test_nothing_has_a_script_and_all_is_small(published_once, tmp_path):
    first = published_once.paths[0]
    report = ingest([first], tmp_path / "catalog", name="sst")
    shown = [
        open_virtual_dataset(first).vzarr,
        VirtualZarrStore(published_once.catalog / "sst.vzarr"),
        scan(first),
        report,
        update([first], tmp_path / "catalog"),
    ]
    for one in shown:
        html = one._repr_html_()
        assert len(html) < MOST
        assert "<script" not in html
        assert "np." not in html


def test_values_are_written_without_numpys_types():
    assert "np.int16" not in VirtualZarrArray.full((3,), "int16", np.int16(-1))._repr_html_()
