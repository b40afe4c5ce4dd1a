"""A search of rasters with many assets an item becomes one cube."""

import intake
import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import JoinError, StacError

rasterio = pytest.importorskip("rasterio", reason="rasterio is not installed")
pytest.importorskip("tifffile", reason="tifffile is not installed")

from rasterio.transform import from_origin  # noqa: E402
from support.tiff_files import TILES, image, write_with_gdal  # noqa: E402

COG = "image/tiff; application=geotiff; profile=cloud-optimized"
STEPS = {"red": 10, "nir": 10, "swir": 20}


def scene(folder, day, crs="EPSG:32633", steps=STEPS, west=5e5):
    """An item like those of Sentinel-2: an asset for each band, some of them coarser."""
    assets = {}
    for number, (key, step) in enumerate(steps.items()):
        path = folder / f"{day}-{key}-{crs[-5:]}.tif"
        size = 1300 // step
        values = image(1, "uint16", size, size, seed=100 * day + number)
        options = {"compress": "deflate", "predictor": 2, "nodata": 0, **TILES}
        write_with_gdal(path, values, crs=crs, transform=from_origin(west, 5e6, step, step), **options)
        assets[key] = {"href": str(path), "type": COG, "roles": ["data"], "eo:bands": [{"name": f"B{number}", "common_name": key}]}
    west, south, east, north = 15.0, 45.0, 15.02, 45.02
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": f"S2_{day}_{crs[-5:]}",
        "collection": "s2",
        "bbox": [west, south, east, north],
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"datetime": f"2024-05-{day:02}T10:00:00Z"},
        "links": [],
        "assets": assets,
    }


@pytest.fixture
def scenes(tmp_path):
    return [scene(tmp_path, day) for day in (1, 3, 6)]


def values_of(items, key):
    found = []
    for item in items:
        with rasterio.open(item["assets"][key]["href"]) as file:
            found.append(file.read(1))
    return np.stack(found)


def test_variables_have_the_names_of_assets_and_the_times_of_items(scenes):
    cube = ivz.virtualize(scenes, asset=["red", "nir"])
    assert {name: variable.dims for name, variable in cube.data_vars.items()} == dict.fromkeys(("red", "nir"), ("time", "y", "x"))
    assert cube.time.values.tolist() == [np.datetime64(f"2024-05-{day:02}T10:00:00", "ns").item() for day in (1, 3, 6)]
    for key in ("red", "nir"):
        assert np.array_equal(cube[key].values, values_of(scenes, key))
    assert cube.spatial_ref.attrs["spatial_ref"] == "EPSG:32633"


def test_assets_of_several_grids_are_refused_with_those_that_fit(scenes):
    with pytest.raises(JoinError, match="its assets lie on 2 grids") as caught:
        ivz.virtualize(scenes, asset=["red", "nir", "swir"])
    assert "asset=['nir', 'red']: EPSG:32633, cells of 10 × 10, 130 × 130 of them" in str(caught.value)
    assert "asset=['swir']: EPSG:32633, cells of 20 × 20, 65 × 65" in str(caught.value)


def test_items_of_several_zones_are_refused_by_name(scenes, tmp_path):
    items = [*scenes, scene(tmp_path, 8, "EPSG:32634")]
    with pytest.raises(JoinError, match="items lie on 2 grids that do not fit together") as caught:
        ivz.virtualize(items, asset=["red"])
    assert "EPSG:32634, cells of 10 × 10: 'S2_8_32634'" in str(caught.value)


def test_without_a_choice_the_rasters_of_an_item_are_named(scenes):
    with pytest.raises(StacError, match="3 assets could be meant: 'red', 'nir', 'swir'"):
        ivz.virtualize(scenes)


def test_bands_of_one_asset_become_variables(tmp_path):
    items = []
    for day in (1, 2):
        write_with_gdal(tmp_path / f"{day}.tif", image(3, "uint8", seed=day), compress="deflate", interleave="pixel", **TILES)
        one = scene(tmp_path, day, steps={})
        one["assets"]["visual"] = {"href": str(tmp_path / f"{day}.tif"), "type": COG, "roles": ["data"]}
        one["assets"]["visual"]["bands"] = [{"name": name} for name in ("red", "green", "blue")]
        items.append(one)
    cube = ivz.virtualize(items)
    assert {name: variable.dims for name, variable in cube.data_vars.items()} == dict.fromkeys(
        ("red", "green", "blue"), ("time", "y", "x")
    )
    for day in (0, 1):
        with rasterio.open(items[day]["assets"]["visual"]["href"]) as file:
            assert np.array_equal(cube[["red", "green", "blue"]].isel(time=day).to_array().values, file.read())
    del items[0]["assets"]["visual"]["bands"], items[1]["assets"]["visual"]["bands"]
    assert ivz.virtualize(items)["visual"].dims == ("time", "band", "y", "x")


def test_a_cube_is_published_appended_and_opened_by_intake(scenes, tmp_path):
    out = tmp_path / "published"
    result = ivz.ingest(scenes[:2], out, name="s2", asset=["red", "nir"])
    assert result is not None
    catalog = intake.open_catalog(str(out / "catalog.yaml"))
    assert np.array_equal(catalog["s2"].read()["red"].values, values_of(scenes[:2], "red"))
    ivz.update(scenes, out, asset=["red", "nir"])
    store = next(out.rglob("*.vzarr"))
    found = xr.open_dataset(store, engine="virtualzarr")
    for key in ("red", "nir"):
        assert np.array_equal(found[key].fillna(0).values, values_of(scenes, key))
