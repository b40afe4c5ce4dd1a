"""What is published of a store beside its arrays."""

import json

import pytest
import xarray as xr
from conftest import sst_dataset

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import HierarchyError


@pytest.mark.parametrize(
    ("names", "media_type"),
    [(("a.nc", "b.nc4"), "application/x-netcdf"), (("a.h5", "b.he5"), "application/x-hdf5"), (("a.nc", "b.dat"), None)],
)
def test_the_kind_of_sources_is_told_by_their_names(tmp_path, names, media_type):
    for month, name in enumerate(names, 1):
        sst_dataset(month).to_netcdf(tmp_path / name, engine="h5netcdf")
    ivz.ingest([tmp_path / name for name in names], tmp_path / "c", name="sst")
    asset = json.loads((tmp_path / "c" / "collection.json").read_text())["assets"]["virtual"]
    assert asset["vzarr:sources"][0].get("type") == media_type


def test_what_items_say_of_their_files_goes_before_names(tmp_path):
    sst_dataset(1).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    item = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": "a",
        "geometry": None,
        "properties": {"datetime": "2024-01-01T00:00:00Z"},
        "links": [],
        "assets": {"data": {"href": str(tmp_path / "a.nc"), "type": "application/netcdf", "roles": ["data"]}},
    }
    ivz.ingest([item], tmp_path / "c", name="sst")
    asset = json.loads((tmp_path / "c" / "collection.json").read_text())["assets"]["virtual"]
    assert asset["vzarr:sources"][0]["type"] == "application/netcdf"


def test_a_store_made_from_other_files_is_replaced_only_when_asked(tmp_path):
    for month in (1, 2):
        sst_dataset(month).to_netcdf(tmp_path / f"{month}.nc", engine="h5netcdf")
    ivz.ingest([tmp_path / "1.nc"], tmp_path / "c", name="sst")
    with pytest.raises(HierarchyError, match=r"overwrite=True replaces it, update\(\) adds what is new"):
        ivz.ingest([tmp_path / "2.nc"], tmp_path / "c", name="sst")
    ivz.ingest([tmp_path / "2.nc"], tmp_path / "c", name="sst", overwrite=True)
    opened = xr.open_dataset(tmp_path / "c" / "sst.vzarr", engine="virtualzarr")
    xr.testing.assert_equal(opened.load(), sst_dataset(2))


def test_a_document_that_is_no_json_is_named(tmp_path):
    sst_dataset(1).to_netcdf(tmp_path / "1.nc", engine="h5netcdf")
    ivz.ingest([tmp_path / "1.nc"], tmp_path / "c", name="sst")
    (tmp_path / "c" / "collection.json").write_text("{")
    for call in (ivz.update, ivz.ingest):
        with pytest.raises(HierarchyError, match=r"collection.json: is not valid JSON"):
            call([tmp_path / "1.nc"], tmp_path / "c", name="sst")


def test_a_store_whose_ingest_was_interrupted_is_replaced_when_asked(tmp_path):
    sst_dataset(1).to_netcdf(tmp_path / "1.nc", engine="h5netcdf")
    ivz.open_virtual_dataset(tmp_path / "1.nc").vzarr.to_zarr(tmp_path / "c" / "sst.vzarr")
    with pytest.raises(HierarchyError, match=r"is there, and nothing tells that ingest made it; overwrite=True replaces it"):
        ivz.ingest([tmp_path / "1.nc"], tmp_path / "c", name="sst")
    with pytest.raises(HierarchyError, match="'sst' was not published there; ingest it first"):
        ivz.update([tmp_path / "1.nc"], tmp_path / "c")
    ivz.ingest([tmp_path / "1.nc"], tmp_path / "c", name="sst", overwrite=True)
    assert ivz.update([tmp_path / "1.nc"], tmp_path / "c").action == "nothing"


def test_a_name_that_ends_like_another_is_another(tmp_path):
    for month in (1, 2):
        sst_dataset(month).to_netcdf(tmp_path / f"{month}.nc", engine="h5netcdf")
    ivz.ingest([tmp_path / "1.nc"], tmp_path / "c", name="sst", publish="item")
    ivz.ingest([tmp_path / "2.nc"], tmp_path / "c", name="st", publish="item")
    with pytest.raises(HierarchyError, match="holds 'sst', 'st'; name the one"):
        ivz.update([tmp_path / "1.nc"], tmp_path / "c")
    for name, month in (("sst", 1), ("st", 2)):
        assert ivz.update([tmp_path / f"{month}.nc"], tmp_path / "c", name=name).action == "nothing"
        assert ivz.ingest([tmp_path / f"{month}.nc"], tmp_path / "c", name=name, publish="item").written == ()
