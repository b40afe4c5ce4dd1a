"""Write a store that has objects of every kind (pages, source tables, parts, values), and what is in it.

Needs the Python package. Usage: make_damage.py DIR
"""

import json
import sys
from pathlib import Path

import numpy as np
import xarray as xr

import intake_virtualzarr as ivz

sys.path.insert(0, str(Path(__file__).parents[2] / "conformance"))
from make_vectors import jsonable

STEPS = 300


def write_file(path, first):
    """More chunks than stand in a document, and an area that is too large for one."""
    values = np.arange(first, first + STEPS, dtype="f8")[:, None] * 10 + [1.0, 2.0]
    area = np.random.default_rng(0).random((60, 50))
    dataset = xr.Dataset({"v": (("time", "x"), values)}, {"time": np.arange(first, first + STEPS), "area": (("p", "q"), area)})
    dataset.to_netcdf(path, engine="h5netcdf", unlimited_dims=["time"], encoding={"v": {"chunksizes": (1, 2)}})
    return path


def main(root):
    root.mkdir(parents=True, exist_ok=True)
    paths = [write_file(root / f"{n}.nc", n * STEPS) for n in range(2)]
    first, second = (ivz.open_virtual_dataset(path, loadable_variables=["time", "area"]) for path in paths)
    first.vzarr.to_zarr(root / "s.vzarr")
    second.vzarr.to_zarr(root / "s.vzarr", append_dim="time")
    with xr.open_dataset(root / "s.vzarr", engine="virtualzarr", decode_cf=False) as found:
        arrays = {name: jsonable(found[name].values) for name in ("v", "time", "area")}
    (root / "expected.json").write_text(json.dumps(arrays))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
