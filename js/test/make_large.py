"""Write a store of an array of a million chunks over a thousand files, of which only one file exists.

Needs the Python package. Usage: make_large.py DIR
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.storage.source import Source

GRID = (100, 100, 100)
WHEN = datetime(2026, 1, 1, tzinfo=UTC)
THERE = (50, 7, 3)
"""The one chunk that exists."""


def main(root):
    lengths = np.random.default_rng(1).integers(2500, 4000, GRID, dtype="u8")
    chunk = np.arange(1000, dtype="<f4").tobytes()
    lengths[THERE] = len(chunk)
    per_file = lengths.reshape(1000, 1000)
    offsets = (4096 + np.cumsum(per_file, axis=1) - per_file).reshape(GRID)
    number = np.repeat(np.arange(1000), 1000).reshape(GRID)
    sizes = [int(n) for n in 4096 + per_file.sum(axis=1)]
    data = root / "data"
    data.mkdir(parents=True)
    sources = tuple(Source((data / f"{i:06d}.h5").as_uri(), size=size, last_modified=WHEN) for i, size in enumerate(sizes))
    array = ivz.VirtualZarrArray.from_references(
        (1000, 1000, 1000), (10, 10, 10), "<f4", sources, offsets, lengths, number, fill_value=np.float32(0)
    )
    big = xr.Dataset({"big": (("t", "y", "x"), array)})
    big.vzarr.to_zarr(root / "store")
    with open(data / f"{number[THERE]:06d}.h5", "wb") as file:
        file.truncate(sizes[number[THERE]])
        file.seek(int(offsets[THERE]))
        file.write(chunk)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
