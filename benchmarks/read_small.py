"""Cost per small chunk through zarr-python: 20,000 chunks of 200 bytes, where all is overhead."""

from __future__ import annotations

import h5py
import numpy as np
import peers
import zarr
from bench import Row, agree, main, medians
from data import made

import intake_virtualzarr as ivz


def rows(quick: bool) -> list[Row]:
    side = 20 if quick else 140

    def make(path):
        with h5py.File(path, "w") as file:
            values = np.random.default_rng(0).integers(0, 50, (side * 10, side * 10)).astype("i2")
            file.create_dataset("v", data=values, chunks=(10, 10), compression="gzip", shuffle=True)

    path = made(f"tiny-{side}.h5", make)

    def direct():
        with h5py.File(path) as file:
            return file["v"][...]

    def ours():
        return array[...]

    def engine():
        return virtual.read([ivz_window(side * 10)] * 2)

    from intake_virtualzarr.arrays.segments import Window

    def ivz_window(n):
        return Window(0, n)

    array = zarr.open_group(ivz.open_virtual_store(path), mode="r")["v"]
    virtual = ivz.open_virtual_dataset(path, loadable_variables=[])["v"].variable._data
    agree(ours(), direct(), "small chunks through zarr")
    agree(engine(), direct(), "small chunks")
    if quick:
        return [Row("read, small chunks: values", "those of h5py")]
    vz = zarr.open_group(peers.virtualizarr_store(f"file://{path}"), mode="r", zarr_format=3)["v"]
    references = peers.kerchunk_references(path)
    count = side * side / 1e6
    fast = medians({"h5py": direct, "zarr": ours, "own": engine}, 7)
    slow = medians({"VirtualiZarr": lambda: vz[...], "kerchunk": lambda: peers.kerchunk_dataset(references).v.values}, 1)
    cost = fast["zarr"] / count
    others = {name: f"{took / count:.0f} us" for name, took in {**slow, "h5py": fast["h5py"]}.items()}
    return [
        Row("cost per small chunk through zarr-python", f"{cost:.0f} us", others, "<= 60 us", cost <= 60),
        Row("cost per small chunk, xarray engine", f"{fast['own'] / count:.0f} us", {"h5py": others["h5py"]}),
    ]


if __name__ == "__main__":
    main(rows, __doc__)
