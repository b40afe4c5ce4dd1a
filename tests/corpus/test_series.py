"""Real series of files: joined by reference, each equals what plain xarray gives, by every door."""

from __future__ import annotations

import os
import re
from pathlib import Path

import intake
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import JoinError, UnsupportedError

SHARED = Path(os.environ.get("IVZ_SHARED", Path(__file__).parents[3] / "shared"))
SERIES = sorted(d for d in (SHARED / "corpus" / "series").glob("*/*") if d.is_dir())

pytestmark = [
    pytest.mark.skipif(not SERIES, reason="the corpus of real files is not here"),
    # what real files make xarray and NumPy say, for both sides alike
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::xarray.SerializationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]

WAYS = {
    "by coordinates": {"combine": "by_coords"},
    "along time": {"combine": "nested", "concat_dim": "time"},
    "as members": {"combine": "nested", "concat_dim": "member"},
}


def plain(paths: list[str], how: dict) -> xr.Dataset:
    """The join by plain xarray; skips what it cannot join."""
    if "etopo" in paths[0]:
        pytest.skip("plain xarray cannot join it: the files have different grids, 70 GiB together")
    try:
        return xr.open_mfdataset(paths, engine="netcdf4", **how).load()
    except (ValueError, MemoryError) as exc:
        pytest.skip(f"plain xarray cannot join it so: {str(exc)[:60]}")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("directory", SERIES, ids=lambda d: d.name[:24])
def test_a_joined_series_equals_plain_xarray_by_every_door(directory, way, tmp_path):
    paths = sorted(str(p) for p in directory.iterdir())
    expected = plain(paths, WAYS[way])
    try:
        virtual = ivz.open_virtual_mfdataset(paths, **WAYS[way])
    except JoinError as exc:
        assert "would keep only one of them" in str(exc)
        # plain xarray has lost files: its axis is shorter than those of the files together, without a word
        dim = re.search(r"\('(\w+)' from", str(exc)).group(1)
        lengths = [xr.open_dataset(path, engine="netcdf4").sizes[dim] for path in paths]
        assert expected.sizes[dim] < sum(lengths)
        return
    xr.testing.assert_equal(virtual.vzarr.decode().load(), expected)
    store = tmp_path / "s.vzarr"
    try:
        virtual.vzarr.to_zarr(store)
    except UnsupportedError as exc:
        # xarray itself writes no gap between dates of such a calendar
        gap = str(exc).split(":")[0]
        assert "has gaps between dates" in str(exc)
        virtual, expected = virtual.drop_vars(gap), expected.drop_vars(gap)
        virtual.vzarr.to_zarr(store)
    with xr.open_dataset(store, engine="virtualzarr", chunks={}) as opened:
        xr.testing.assert_equal(opened.load(), expected)
    with xr.open_zarr(ivz.VirtualZarrStore(store), chunks=None) as opened:
        xr.testing.assert_equal(opened.load(), expected)
    (tmp_path / "catalog.yaml").write_text(
        "sources:\n  s:\n    driver: virtualzarr\n    args:\n      urlpath: '{{ CATALOG_DIR }}/s.vzarr'\n"
    )
    xr.testing.assert_equal(intake.open_catalog(str(tmp_path / "catalog.yaml")).s.to_dask().load(), expected)
