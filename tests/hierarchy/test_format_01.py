"""Stores of format 0.1, as the first versions wrote them: read, appended to, and cleaned by today's code."""

import json

import numpy as np
import pytest
import xarray as xr
import zarr
from support.helpers import write_root

import intake_virtualzarr as ivz


def write(path, day):
    coords = {"time": np.datetime64("2024-01-01", "ns") + np.array([day], "m8[D]")}
    encoding = {
        "v": {"chunksizes": (1, 4), "zlib": False, "_FillValue": None},
        "time": {"units": "days since 2024-01-01", "dtype": "i8"},
    }
    xr.Dataset({"v": (("time", "x"), np.full((1, 4), day, "f4"))}, coords).to_netcdf(path, engine="h5netcdf", encoding=encoding)
    return path


@pytest.fixture
def store(tmp_path):
    """A store of two days: references in the document of the array, times as ordinary chunks."""
    files = [write(tmp_path / f"{day}.nc", day) for day in range(2)]
    place = tmp_path / "s.vzarr"
    chunks = {}
    for row, file in enumerate(files):
        manifest = ivz.open_virtual_dataset(file).v.data.segments[0].stored.manifest.load()
        chunks[f"{row}.0"] = {"source": row, "offset": int(manifest.offset[0, 0]), "length": int(manifest.length[0, 0])}
    group = zarr.open_group(place, mode="w")
    time = group.create_array("time", data=np.arange(2), chunks=(2,), dimension_names=["time"], compressors=None)
    time.attrs.update(units="days since 2024-01-01", calendar="proleptic_gregorian")
    sources = {"base": f"{tmp_path.as_uri()}/", "list": [{"url": file.name, "size": file.stat().st_size} for file in files]}
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [2, 4],
        "data_type": "float32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1, 4]}},
        "chunk_key_encoding": {"name": "virtual"},
        "fill_value": 0.0,
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "attributes": {},
        "dimension_names": ["time", "x"],
        "storage_transformers": [
            {"name": "chunk-manifest", "configuration": {"version": "0.1", "sources": sources, "chunks": chunks}}
        ],
    }
    (place / "v").mkdir()
    (place / "v" / "zarr.json").write_text(json.dumps(document))
    root = json.loads((place / "zarr.json").read_text())
    members = {"v": document, "time": json.loads((place / "time" / "zarr.json").read_text())}
    root["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": members}
    write_root(place / "zarr.json", root)
    return place


def days(dataset):
    return dataset.v.values[:, 0].tolist(), (dataset.time.values - np.datetime64("2024-01-01")).astype("m8[D]").astype(int).tolist()


def test_it_is_read(store):
    assert days(xr.open_dataset(store, engine="virtualzarr")) == ([0, 1], [0, 1])


def test_an_append_goes_on_as_todays_format_and_those_who_had_it_open_read_on(store, tmp_path):
    before = xr.open_dataset(store, engine="virtualzarr", chunks={})
    ivz.open_virtual_dataset(write(tmp_path / "2.nc", 2)).vzarr.to_zarr(store, append_dim="time")
    assert days(xr.open_dataset(store, engine="virtualzarr")) == ([0, 1, 2], [0, 1, 2])
    assert days(before) == ([0, 1], [0, 1])
    assert (store / "generations").is_dir()
    ivz.open_virtual_dataset(write(tmp_path / "3.nc", 3)).vzarr.to_zarr(store, append_dim="time")
    assert days(xr.open_dataset(store, engine="virtualzarr")) == ([0, 1, 2, 3], [0, 1, 2, 3])
