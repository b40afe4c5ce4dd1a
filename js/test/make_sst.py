"""Write the demo of the Python package (30 daily files, one in other chunks, one with another scale), and h5netcdf's values.

Needs the Python package. Usage: make_sst.py DIR
"""

import json
import sys
from pathlib import Path

import numpy as np
import xarray as xr

from intake_virtualzarr.cli.demo_run import run_demo

POINTS = [(100, 170), (45, 200), (135, 30)]
"""Row and column of the values that are compared."""


def main(directory):
    run_demo(directory, say=lambda _: None, progress=False)
    with xr.open_mfdataset(sorted((directory / "data").glob("*.nc")), engine="h5netcdf") as dataset:
        sst = dataset["sst"].load()
        expected = {
            "points": POINTS,
            # per day, at each point; float32 values are exact in JSON's numbers
            "values": np.stack([sst.values[:, y, x] for y, x in POINTS], axis=1).astype("f8").tolist(),
            "land": int(np.isnan(sst.values[0]).sum()),
            "time": [str(t)[:16] for t in sst["time"].values],
            "lat": sst["lat"].values.tolist(),
            "lon": sst["lon"].values.tolist(),
        }
    (directory / "expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
