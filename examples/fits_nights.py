"""Frames of a telescope, compressed by tiles: from files to one series that copies nothing, and a picture of what changes.

Needs astropy (of the extra ``test``) to make the frames, imagecodecs (``fits``) to read them, and pillow (``thumbnail``) to paint.
"""

import tempfile
from pathlib import Path

import numpy as np
import xarray as xr
from astropy.io import fits
from PIL import Image

import intake_virtualzarr as ivz

SIZE, NIGHTS = 512, 6


def write_night(path: Path, night: int) -> None:
    """A field of stars, one of which grows faint and bright; hot pixels are flagged."""
    rng, places = np.random.default_rng(night), np.random.default_rng(99).integers(10, SIZE - 10, (30, 2))
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    sky = rng.normal(100, 3, (SIZE, SIZE))
    for number, (row, column) in enumerate(places):
        brightness = 4000 * (1 + 0.8 * np.sin(night)) if number == 0 else 300 + 40 * number
        sky += brightness * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 6)
    flags = rng.random((SIZE, SIZE)) < 0.001
    sky[flags] = 30000
    science = fits.CompImageHDU(sky.astype("u2"), name="SCI", compression_type="RICE_1", tile_shape=(64, SIZE))
    science.header.update(CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRVAL1=150.1, CRVAL2=2.2, CRPIX1=256, CRPIX2=256)
    science.header.update(CDELT1=-1e-4, CDELT2=1e-4, BUNIT="electron")
    fits.HDUList([fits.PrimaryHDU(), science, fits.ImageHDU(flags.astype("u1"), name="DQ")]).writeto(path)


with tempfile.TemporaryDirectory() as folder:
    root = Path(folder)
    paths = [root / f"{night}.fits" for night in range(NIGHTS)]
    for night, path in enumerate(paths):
        write_night(path, night)

    series = ivz.open_virtual_mfdataset(paths, combine="nested", concat_dim="night").assign_coords(night=np.arange(NIGHTS))
    written = series.vzarr.to_zarr(root / "nights.vzarr")
    size = sum(path.stat().st_size for path in paths)
    print(dict(series.sizes), f"{written.nbytes} bytes for {written.references} tiles in {size} bytes of files")

    stored = xr.open_dataset(root / "nights.vzarr", engine="virtualzarr", chunks={})
    with fits.open(paths[3]) as parts:
        assert np.array_equal(stored.SCI.isel(night=3), parts["SCI"].data)

    clean = stored.SCI.where(stored.DQ == 0)
    median, change = clean.median("night").compute(), clean.std("night").compute()
    print("the star that varies is at", *np.unravel_index(np.nanargmax(change.values), change.shape))
    picture = np.hstack([np.log(median.values.clip(90)) / 9, change.values / 1500])
    Image.fromarray((255 * np.clip(np.nan_to_num(picture), 0, 1)).astype("uint8")).save(root / "nights.png")
    print("painted", (root / "nights.png").stat().st_size, "bytes")
