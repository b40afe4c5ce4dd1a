"""Three scenes of two bands, a COG each: from STAC items to one cube that copies nothing, and a picture of its vegetation index.

Needs rasterio (of the extra ``test``) to make the scenes, imagecodecs (``tiff``) to read LZW, and pillow (``thumbnail``) to paint.
"""

import tempfile
from pathlib import Path

import numpy as np
import rasterio
import xarray as xr
from PIL import Image
from rasterio.transform import from_origin

import intake_virtualzarr as ivz

SIZE, STEP = 512, 10


def write_cog(path: Path, values: np.ndarray) -> None:
    options = {"driver": "COG", "compress": "lzw", "predictor": "yes", "blocksize": 128, "nodata": 0}
    where = {"crs": "EPSG:32633", "transform": from_origin(500_000, 5_000_000, STEP, STEP)}
    with rasterio.open(path, "w", height=SIZE, width=SIZE, count=1, dtype="uint16", **where, **options) as file:
        file.write(values.astype("uint16"), 1)


def scene(folder: Path, month: int) -> dict[str, object]:
    """An item as catalogs of Sentinel-2 have them: an asset for each band."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    green = np.clip(np.sin(6 * x + month) * np.cos(5 * y) + 0.2 * month, 0, 1)
    assets = {}
    for key, values in {"red": 900 - 600 * green, "nir": 1200 + 2500 * green}.items():
        path = folder / f"{month:02}-{key}.tif"
        write_cog(path, values)
        assets[key] = {"href": str(path), "type": "image/tiff; application=geotiff; profile=cloud-optimized", "roles": ["data"]}
    properties = {"datetime": f"2024-{month:02}-15T10:00:00Z"}
    return {"type": "Feature", "stac_version": "1.1.0", "id": f"scene-{month:02}", "geometry": None, "properties": properties,
            "links": [], "assets": assets}  # fmt: skip


with tempfile.TemporaryDirectory() as folder:
    root = Path(folder)
    items = [scene(root, month) for month in (4, 6, 8)]

    cube = ivz.virtualize(items, asset=["red", "nir"])
    written = cube.vzarr.to_zarr(root / "scenes.vzarr")
    print(cube.sizes, f"{written.nbytes} bytes for {written.references} tiles of {len(items)} scenes")

    stored = xr.open_dataset(root / "scenes.vzarr", engine="virtualzarr", chunks={})
    index = ((stored.nir - stored.red) / (stored.nir + stored.red)).compute()
    with rasterio.open(root / "06-nir.tif") as file:
        assert np.array_equal(stored.nir.isel(time=1), file.read(1))

    picture = np.hstack([index.isel(time=i).values for i in range(3)])
    shades = np.stack([1 - picture, np.ones_like(picture) * 0.75, 0.3 * (1 - picture)], axis=-1)
    Image.fromarray((255 * np.clip(shades, 0, 1)).astype("uint8")).save(root / "index.png")
    print("painted", (root / "index.png").stat().st_size, "bytes; mean index", *index.mean(["x", "y"]).values.round(3))
