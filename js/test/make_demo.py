"""Write a small hierarchy as people have them, for the tests of the preview page.

Sea surface temperature in packed files of uneven length, one of them with another scale; coordinates; a calendar of
360 days; names and attributes that try to be markup.

Usage: make_demo.py DIR
"""

import json
import sys
from pathlib import Path

import numpy as np
import zarr

sys.path.insert(0, str(Path(__file__).parents[2] / "conformance"))
from make_vectors import ZLIB, Vectors, little, ordinary, rectilinear, regular, shuffle, write_json

NT, NY, NX = 90, 36, 72
FILL = -32767


def field():
    lat = np.linspace(-87.5, 87.5, NY)
    lon = np.arange(2.5, 360, 5.0)
    time = np.arange(NT) + 0.5
    t, y, x = np.meshgrid(time, np.deg2rad(lat), np.deg2rad(lon), indexing="ij")
    sst = 28 * np.cos(y) ** 2 - 1 + 3 * np.sin(2 * np.pi * t / 90) * np.sin(y) + 1.5 * np.sin(3 * x + t / 9) * np.cos(y)
    land = (np.sin(x * 1.5 + 0.6) * np.cos(2 * y + np.sin(2 * x)) > 0.55) | (y < -1.3)
    sst[land] = np.nan
    return time, lat, lon, sst


def packed(values, scale, offset):
    out = np.round((values - offset) / scale)
    return np.where(np.isnan(values), FILL, out).astype("i2")


def coordinate(v, name, values, attributes):
    ordinary(v, name, values, values.shape, [little(), ZLIB])
    v.nodes[name]["attributes"] = attributes
    v.nodes[name]["dimension_names"] = [name.split("/")[-1]]
    v.document(name, v.nodes[name])


def main(root):
    v = Vectors(root)
    time, lat, lon, sst = field()
    coordinate(v, "time", time, {"units": "days since 2026-01-01", "calendar": "standard", "long_name": "Time"})
    coordinate(v, "lat", lat.astype("f4"), {"units": "degrees_north", "long_name": "Latitude"})
    coordinate(v, "lon", lon.astype("f4"), {"units": "degrees_east", "long_name": "Longitude"})
    pipeline = [little(), shuffle(2), ZLIB]
    starts, scales = [0, 31, 59, 90], [(0.01, 10.0), (0.002, 15.0), (0.01, 10.0)]
    parts, members = [], []
    for i, (scale, offset) in enumerate(scales):
        stored = packed(sst[starts[i] : starts[i + 1]], scale, offset)
        missing = ["1.1.0"] if i == 2 else []
        seen = v.manifest(f"sst/parts/{i}", stored, regular(10, 18, 72), pipeline, FILL, public=False, missing=missing)
        values = seen.astype("f4")
        values[seen == FILL] = np.nan
        parts.append(((values.astype("f8") * scale).astype("f4").astype("f8") + offset).astype("f4"))
        members.append({"array": f"parts/{i}", "length": len(stored), "decode": {"dtype": "float32", "mask": [FILL], "scale_factor": scale, "add_offset": offset}})
    whole = np.concatenate(parts)
    names = ["time", "lat", "lon"]
    attributes = {"long_name": "Sea surface temperature", "units": "degC", "comment": "<img src=x onerror=\"document.body.dataset.hacked='yes'\">"}
    view = rectilinear([[10, 3], 1, [10, 2], 8, [10, 3], 1], 18, 72)
    v.concatenate("sst", whole, view, 0, members, float("nan"))
    v.nodes["sst"] |= {"attributes": attributes, "dimension_names": names}
    v.document("sst", v.nodes["sst"])
    v.expect("sst", whole)
    raw = packed(sst[:31], 0.01, 10.0)
    packing = {"scale_factor": 0.01, "add_offset": 10.0, "_FillValue": FILL, "units": "degC", "long_name": "Packed temperature"}
    v.manifest("packed", raw, regular(10, 18, 72), pipeline, FILL, files=4, missing=["2.0.0"], inline=["3.1.0"], attributes=packing, names=["time31", "lat", "lon"])
    v.expect("packed", raw)
    coordinate(v, "model_time", np.arange(12) * 30.0 + 29, {"units": "days since 2000-01-01 06:00", "calendar": "360_day"})
    monthly = v.manifest("monthly", np.arange(12, dtype="f4") ** 2, regular(5), [little()], 0.0, attributes={"units": "1"}, names=["model_time"])
    v.expect("monthly", monthly)
    v.manifest("flag", np.float64(42.5), regular(), [little()], 0.0, attributes={"long_name": "A single <b>value</b>", "units": "K"})
    v.manifest("broken", raw, regular(10, 18, 72), pipeline, FILL, names=names)
    (v.root / "data/broken-0.h5").unlink()
    v.manifest("szip", raw, regular(10, 18, 72), pipeline, FILL, names=names)
    v.nodes["szip"]["codecs"] = [*pipeline, {"name": "hdf5.szip"}]
    v.document("szip", v.nodes["szip"])
    station = zarr.create_array(v.store / "station", shape=(3,), chunks=(2,), dtype=str)
    station[:] = np.array(["Bergen", "Cádiz", "<b>Nuuk</b>"])
    v.nodes["station"] = json.loads((v.store / "station/zarr.json").read_text())
    v.finish()
    root_document = json.loads((v.store / "zarr.json").read_text())
    root_document["attributes"] = {"title": "Daily sea surface temperature", "summary": "Made up for tests, <i>not measured</i>.", "institution": "nobody"}
    write_json(v.store / "zarr.json", root_document)


if __name__ == "__main__":
    main(sys.argv[1])
