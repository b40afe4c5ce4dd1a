"""What is published of odd datasets is true: swaths, points, files whose attributes say nothing."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
import shapely
import xarray as xr

from intake_virtualzarr.stac.datacube import cube_dimensions
from intake_virtualzarr.stac.description import dataset_title, said
from intake_virtualzarr.stac.extent import dataset_bbox, dataset_interval
from intake_virtualzarr.stac.query import bbox_geometry


@pytest.fixture
def swath():
    """Two lines of three pixels, in the layout of altimeters: times of lines are a data variable."""
    lat = np.array([[10.0, 11.0, 12.0], [20.0, 21.0, 22.0]])
    lon = np.array([[179.0, 180.0, 181.0], [179.5, 180.5, 181.5]])
    times = np.array(["2024-03-01T00:00:10", "2024-03-01T00:00:20"], "M8[ns]")
    return xr.Dataset(
        {"ssh": (("line", "pixel"), np.zeros((2, 3))), "time": ("line", times, {"standard_name": "time"})},
        coords={
            "latitude": (("line", "pixel"), lat, {"units": "degrees_north"}),
            "longitude": (("line", "pixel"), lon, {"units": "degrees_east"}),
        },
        attrs={"title": "UNSET"},
    )


def test_a_swath_has_the_box_of_its_pixels_and_the_times_of_its_lines(swath):
    assert dataset_bbox(swath) == (179.0, 10.0, -178.5, 22.0)
    first, last = dataset_interval(swath)
    assert (first, last) == (
        dt.datetime(2024, 3, 1, 0, 0, 10, tzinfo=dt.UTC),
        dt.datetime(2024, 3, 1, 0, 0, 20, tzinfo=dt.UTC),
    )


def test_a_title_that_says_nothing_is_none(swath):
    assert dataset_title(swath) is None
    assert [said(one) for one in ("", "n/a", None, "SST")] == [None, None, None, "SST"]


def test_missing_values_do_not_hide_the_extent_of_a_dimension():
    times = np.array(["2024-01-01", "NaT", "2024-01-03"], "M8[ns]")
    dataset = xr.Dataset(coords={"time": ("time", times), "lat": ("lat", [np.nan, 1.0, 3.0], {"units": "degrees_north"})})
    found = cube_dimensions(dataset)
    assert found["time"]["extent"] == ["2024-01-01T00:00:00Z", "2024-01-03T00:00:00Z"]
    assert found["lat"]["extent"] == [1, 3]


@pytest.mark.parametrize(
    ("bbox", "kind"),
    [((5, 6, 5, 6), "Point"), ((5, 6, 5, 7), "LineString"), ((5, 6, 7, 6), "LineString"), ((5, 6, 7, 8), "Polygon")],
)
def test_a_box_is_a_geometry_that_is_valid(bbox, kind):
    geometry = bbox_geometry(bbox)
    assert (geometry.geom_type, geometry.is_valid, geometry.bounds) == (kind, True, bbox)
    assert isinstance(geometry, shapely.Geometry)
