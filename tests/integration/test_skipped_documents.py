"""``on_error="skip"``: a damaged document among good ones is named and left out; without it, it is an error that names it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import NotAllowedError, StacError, VirtualZarrError

DAMAGES: dict[str, Any] = {
    "no JSON": lambda item: json.dumps(item)[:-20],
    "empty": lambda item: "",
    "a list": lambda item: json.dumps([item]),
    "assets are a list": lambda item: json.dumps({**item, "assets": []}),
    "no asset": lambda item: json.dumps({**item, "assets": {}}),
    "href is a number": lambda item: json.dumps({**item, "assets": {"data": {"href": 7}}}),
    "datetime is no time": lambda item: json.dumps({**item, "properties": {"datetime": "yesterday"}}),
    "bbox of text": lambda item: json.dumps({**item, "bbox": ["a", "b", "c", "d"]}),
}


def day(path: Path, number: int) -> Path:
    times = np.array([f"2024-01-{number + 1:02}"], "M8[ns]")
    data = xr.Dataset({"v": (("time", "x"), np.full((1, 3), float(number)))}, {"time": times})
    data.to_netcdf(path, engine="h5netcdf", encoding={"v": {"chunksizes": (1, 3)}})
    return path


def item(number: int) -> dict[str, Any]:
    return {
        "type": "Feature", "stac_version": "1.1.0", "id": f"day-{number}", "bbox": [0, 0, 1, 1], "geometry": None, "links": [],
        "properties": {"datetime": f"2024-01-{number + 1:02}T00:00:00Z"},
        "assets": {"data": {"href": f"{number}.nc", "type": "application/x-netcdf", "roles": ["data"]}},
    }  # fmt: skip


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("archive")
    for number in range(3):
        day(root / f"{number}.nc", number)
        (root / f"{number}.json").write_text(json.dumps(item(number)))
    return root


def firsts(dataset: xr.Dataset) -> list[float]:
    return dataset["v"].values[:, 0].tolist()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_item_among_several_is_skipped_and_reported(archive, tmp_path, damage):
    bad = archive / "bad.json"
    bad.write_text(DAMAGES[damage](item(1)))
    catalog = archive / "catalog.json"
    links = [{"rel": "item", "href": f"./{name}.json"} for name in ("0", "bad", "2")]
    catalog.write_text(json.dumps({"type": "Catalog", "id": "c", "stac_version": "1.1.0", "description": "c", "links": links}))
    for items in ([archive / "0.json", bad, archive / "2.json"], catalog):
        with pytest.raises(VirtualZarrError, match=r"bad\.json|day-1"):
            ivz.virtualize(items)
        with pytest.warns(UserWarning, match=r"1 items skipped:\n.*(bad\.json|day-1)"):
            found = ivz.virtualize(items, on_error="skip")
        assert firsts(found) == [0.0, 2.0]
        with pytest.warns(UserWarning, match="1 items skipped"):
            report = ivz.ingest(items, tmp_path / Path(str(items)[-5:].strip("]')")).stem, name="s", on_error="skip")
        assert report.sources == 2
        assert len(report.skipped) == 1


def test_a_damaged_feature_is_skipped_and_the_others_are_read(archive):
    features = [{**item(n), "assets": {"data": {"href": str(archive / f"{n}.nc")}}} for n in range(3)]
    features[1]["bbox"] = "everywhere"
    for items in ({"type": "FeatureCollection", "features": features}, features):
        with pytest.raises(StacError):
            ivz.virtualize(items)
        with pytest.warns(UserWarning, match="1 items skipped"):
            assert firsts(ivz.virtualize(items, on_error="skip")) == [0.0, 2.0]


def test_items_that_are_all_damaged_are_an_error_with_the_reasons(archive):
    (archive / "bad.json").write_text("{")
    with pytest.raises(StacError, match=r"none of 2 items can be read:\n.*bad\.json"):
        ivz.virtualize([archive / "bad.json", {**item(0), "assets": {}}], on_error="skip")


def test_what_is_not_allowed_is_no_damage_and_is_not_skipped(archive):
    asked = {**item(0), "links": [{"rel": "self", "href": "https://h/items/0"}]}
    asked["assets"] = {"data": {"href": (archive / "0.nc").as_uri()}}
    with pytest.raises(NotAllowedError):
        ivz.virtualize([archive / "1.json", asked], on_error="skip")


@pytest.mark.parametrize(
    "kind", ["store, cut", "store, another node", "kerchunk, cut", "kerchunk, refs are a list", "archive file, cut"]
)
def test_a_damaged_store_or_kerchunk_document_among_archive_files_is_skipped_and_reported(archive, tmp_path, kind):
    whole = ivz.open_virtual_dataset(archive / "1.nc")
    bad = tmp_path / {"store": "s.vzarr", "kerchunk": "r.json", "archive file": "a.nc"}[kind.partition(",")[0]]
    if bad.suffix == ".vzarr":
        whole.vzarr.to_zarr(bad)
        root = bad / "zarr.json"
        text = root.read_text()
        root.write_text(text[:-9] if "cut" in kind else json.dumps({**json.loads(text), "attributes": {}, "node_type": "array"}))
    elif bad.suffix == ".json":
        whole.vzarr.to_kerchunk(bad)
        text = bad.read_text()
        bad.write_text(text[:-9] if "cut" in kind else json.dumps({**json.loads(text), "refs": []}))
    else:
        bad.write_bytes((archive / "1.nc").read_bytes()[:600])
    paths = [archive / "0.nc", bad, archive / "2.nc"]
    options = {"combine": "nested", "concat_dim": "time"}
    with pytest.raises(VirtualZarrError, match=bad.name):
        ivz.open_virtual_mfdataset(paths, **options)
    with pytest.warns(UserWarning, match=bad.name):
        found = ivz.open_virtual_mfdataset(paths, on_error="skip", **options)
    assert firsts(found) == [0.0, 2.0]
    assert [Path(name).name for name in found.encoding["skipped"]] == [bad.name]
