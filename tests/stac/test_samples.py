"""Asset choice on real documents: the right one, or a refusal that tells what to do."""

import json
import os
from pathlib import Path

import pytest

from intake_virtualzarr.errors import StacError
from intake_virtualzarr.stac.assets import choose_assets
from intake_virtualzarr.stac.find_sources import find_sources
from intake_virtualzarr.stac.items import iter_items

SHARED = Path(os.environ.get("IVZ_SHARED") or Path(__file__).resolve().parents[3] / "shared")
SAMPLES = SHARED / "stac_samples"

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no {SAMPLES.name} beside the checkout; set IVZ_SHARED")

S5P = "S5P_NRTI_L2__NO2____20210827T012135_20210827T012635_20056_02_020200_20210827T021525"

# What is chosen from the first document of each file: an asset, or a refusal.
CHOSEN = {
    "bestpractice_cmip6_kerchunk_item.json": "source_data",
    "datacube_ext_item.json": "data",
    "goes_abi_l2_item.json": "CMIP_C02-nc",
    "nex_gddp_cmip6_item_xstac.json": "data",
    "noaa_cdr_seaice_item_1979.json": "netcdf",
    "noaa_cdr_seaice_item_1980.json": "netcdf",
    "nwm_kerchunk_in_datacube_itemcollection.json": "data",
    "pc_era5_pds_collection_template.json": "era5-static-var",
    "sentinel5p_no2_item.json": S5P,
}
REFUSED = {
    "datacube_ext_daymet_hi_annual.json": "no archive file .* 'data' .no type.",
    "nex_gddp_cmip6_collection_xstac.json": "no archive file .* is virtual already: open it",
    "nldas3_virtual_icechunk_collection.json": "no archive file .*vnd.zarr.icechunk.*is virtual already",
    "noaa_cdr_ohc_collection.json": "assets could be meant: 'heat_content_anomaly_0-700_monthly'.*asset=",
    "noaa_cdr_seaice_collection.json": "no archive file .*it has none",
    "pc_daymet_daily_hi_collection_template.json": "no archive file .*'zarr-https' .application/vnd.zarr.",
    "pc_goes_cmi_collection_template.json": "no archive file ",
    "pc_nex_gddp_cmip6_collection.json": "no archive file .* is virtual already: open it",
    "sentinel3_olci_wfr_item.json": "assets could be meant: 'oa01-reflectance'.*or a list to take several",
    "sentinel3_slstr_lst_item.json": "11 assets could be meant: 'lst-in'.*or a list to take several",
}
INVALID = {"bestpractice_cmip6_icechunk_collection_INVALIDJSON.json": "is not valid JSON: .*line 57"}


def document(name):
    one = json.loads((SAMPLES / name).read_text())
    return one["features"][0] if one["type"] == "FeatureCollection" else one


def test_the_table_covers_every_sample():
    assert {path.name for path in SAMPLES.glob("*.json")} == CHOSEN.keys() | REFUSED.keys() | INVALID.keys()


@pytest.mark.parametrize(("name", "key"), CHOSEN.items())
def test_the_archive_file_is_chosen(name, key):
    assert [chosen for chosen, _, _ in choose_assets(document(name))] == [key]


@pytest.mark.parametrize(("name", "message"), REFUSED.items())
def test_what_cannot_be_chosen_is_refused_with_the_way_out(name, message):
    one = document(name)
    with pytest.raises(StacError, match=message) as caught:
        choose_assets(one)
    assert repr(one["id"]) in str(caught.value)


@pytest.mark.parametrize(("name", "message"), INVALID.items())
def test_a_document_that_is_no_json_is_refused(name, message):
    with pytest.raises(StacError, match=f"{name}: {message}"):
        list(iter_items(SAMPLES / name))


@pytest.mark.parametrize("name", [name for name in CHOSEN if name != "pc_era5_pds_collection_template.json"])
def test_a_sample_gives_ordered_sources_with_absolute_hrefs(name):
    sources = find_sources(SAMPLES / name)
    assert all("://" in one.href or os.path.isabs(one.href) for one in sources)
    times = [one.time for one in sources]
    assert None not in times
    assert times == sorted(times)


def test_the_forecast_hours_of_the_water_model_are_one_series():
    sources = find_sources(SAMPLES / "nwm_kerchunk_in_datacube_itemcollection.json")
    assert len(sources) == 26
    assert len({one.time for one in sources}) == 26


def test_an_item_of_a_whole_year_keeps_its_interval():
    (source,) = find_sources(SAMPLES / "noaa_cdr_seaice_item_1979.json")
    assert source.datetime is None
    assert source.start_datetime.isoformat() == "1979-01-01T00:00:00+00:00"
    assert source.end_datetime.isoformat() == "1979-12-31T23:59:59+00:00"
    assert source.bbox == (-180.0, 31.35, 180.0, 90.0)


def test_two_years_come_in_order_whichever_is_named_first():
    names = ["noaa_cdr_seaice_item_1980.json", "noaa_cdr_seaice_item_1979.json"]
    found = find_sources([SAMPLES / name for name in names])
    assert [one.item_id for one in found] == [
        "seaice_conc_daily_nh_1979_v04r00",
        "seaice_conc_daily_nh_1980_v04r00",
    ]


def test_several_files_of_a_sentinel_3_item_are_taken_together_when_named():
    sources = find_sources(SAMPLES / "sentinel3_slstr_lst_item.json", asset=["lst-in", "slstr-geodetic-in"])
    assert [one.asset_key for one in sources] == ["lst-in", "slstr-geodetic-in"]
    assert all(one.size and one.checksum for one in sources)


def test_a_collection_of_single_files_gives_the_one_that_is_named():
    (source,) = find_sources(
        SAMPLES / "noaa_cdr_ohc_collection.json",
        asset="heat_content_anomaly_0-700_yearly",
        collection_assets=True,
    )
    assert source.href.endswith("/heat_content_anomaly_0-700_yearly.nc")
