"""The documents that are written hold to the schemas of the specifications, and so do the examples in their text."""

import json
import re
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from jsonschema import Draft202012Validator

import intake_virtualzarr as ivz

SPECS = Path(__file__).parents[2] / "docs" / "specs"
NAMES = ("chunk-manifest", "virtual-concatenation", "virtual")
EXAMPLE = re.compile(r"^```json\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def validator(name):
    schema = json.loads((SPECS / name / "schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


SCHEMAS = {name: validator(name) for name in NAMES}


def virtual_documents(node):
    """All documents of virtual arrays below a piece of JSON, members in place included."""
    if isinstance(node, dict):
        if node.get("storage_transformers"):
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from virtual_documents(part)


def check(document):
    """Validate a virtual array; gives the name of its transformer."""
    SCHEMAS["virtual"].validate(document["chunk_key_encoding"])
    (transformer,) = document["storage_transformers"]
    SCHEMAS[transformer["name"]].validate(transformer)
    return transformer["name"]


def write_file(path, start, count, **encoding):
    time = np.datetime64(start, "ns") + np.arange(count) * np.timedelta64(1, "D")
    values = np.arange(count * 60.0).reshape(count, 6, 10)
    lat = np.linspace(-60, 60, 60).reshape(6, 10)
    sst = xr.DataArray(values, {"time": time, "lat2d": (("y", "x"), lat)}, ("time", "y", "x"), "sst")
    sst.to_netcdf(path, engine="h5netcdf", encoding={"sst": {"zlib": True, "chunksizes": (10, 3, 5), **encoding}})
    return str(path)


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("specs")
    packed = {"dtype": "int16", "_FillValue": -1, "scale_factor": 0.5}
    january = write_file(folder / "1.nc", "2024-01-01", 31, **packed)
    february = write_file(folder / "2.nc", "2024-02-01", 29, **{**packed, "scale_factor": 0.25})
    march = write_file(folder / "3.nc", "2024-03-01", 31, **packed)
    vds = ivz.open_virtual_mfdataset([january, february, march])
    vds.vzarr.to_zarr(folder / "joined.vzarr")
    vds.isel(time=slice(5, 50), y=slice(None, None, -1)).pad(x=(0, 2)).vzarr.to_zarr(folder / "parts.vzarr", fuse=False)
    ivz.open_virtual_mfdataset([january, march]).vzarr.to_zarr(folder / "fused.vzarr")
    ivz.open_virtual_dataset(january).vzarr.to_zarr(folder / "grown.vzarr")
    ivz.open_virtual_dataset(march).vzarr.to_zarr(folder / "grown.vzarr", append_dim="time")
    many = xr.concat([ivz.open_virtual_dataset(january)] * 300, dim="member")
    many.vzarr.to_zarr(folder / "many.vzarr")
    return folder


def test_written_documents_hold_to_the_schemas(stores):
    found = set()
    for path in stores.glob("*.vzarr/**/zarr.json"):
        for document in virtual_documents(json.loads(path.read_text(encoding="utf-8"))):
            (transformer,) = document["storage_transformers"]
            found |= {check(document), *transformer["configuration"]}
            for member in transformer["configuration"].get("members", ()):
                found |= set(member)
    assert found >= {"chunk-manifest", "sources", "chunks", "manifest", "holds_values", "stored_chunk_shapes"}
    assert found >= {"virtual-concatenation", "members", "array", "length", "select", "decode"}


@pytest.mark.parametrize("name", NAMES)
def test_examples_of_a_specification_hold_to_its_schema(name):
    examples = EXAMPLE.findall((SPECS / name / "README.md").read_text(encoding="utf-8"))
    assert examples
    for text in examples:
        document = json.loads(text)
        SCHEMAS[name].validate(document["chunk_key_encoding"] if name == "virtual" else document["storage_transformers"][0])


def spoilt(name, change):
    text = EXAMPLE.search((SPECS / name / "README.md").read_text(encoding="utf-8")).group(1)
    document = deepcopy(json.loads(text)["storage_transformers"][0])
    change(document["configuration"])
    return document


SPOILT = {
    "CM-1 neither": ("chunk-manifest", lambda c: c.pop("chunks")),
    "CM-1 both": ("chunk-manifest", lambda c: c.update(manifest={"zarr.json": {}})),
    "CM-2": ("chunk-manifest", lambda c: c["chunks"].update({"0/0": {"inline": ""}})),
    "CM-3": ("chunk-manifest", lambda c: c["chunks"].update({"0.0": {"source": 0, "offset": 1}})),
    "CM-6": ("chunk-manifest", lambda c: c["chunks"]["0.0"].update(offset=2**53)),
    "CM-14": ("chunk-manifest", lambda c: c["sources"]["list"][0].update(sha256="12")),
    "CM-15": ("chunk-manifest", lambda c: c["sources"]["list"][0].update(url="https://me:secret@example.org/a.nc")),
    "CM-18": ("chunk-manifest", lambda c: c.update(stored_chunk_shapes=[0, 1])),
    "VC-1": ("virtual-concatenation", lambda c: c.update(axis=-1)),
    "VC-2": ("virtual-concatenation", lambda c: c["members"][0].update(array={})),
    "VC-5": ("virtual-concatenation", lambda c: c["members"][0].update(check="XwIA")),
    "VC-7": ("virtual-concatenation", lambda c: c["members"][3].update(select=[[0, 1]])),
    "VC-8": ("virtual-concatenation", lambda c: c["members"][1]["decode"].pop("dtype")),
}


@pytest.mark.parametrize("rule", SPOILT)
def test_a_document_that_breaks_a_rule_fails(rule):
    name, change = SPOILT[rule]
    assert not SCHEMAS[name].is_valid(spoilt(name, change))
