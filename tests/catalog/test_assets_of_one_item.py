"""Items whose data are spread over several files: put side by side, or refused by name."""

import intake
import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import JoinError, StacError

LAT, LON = np.linspace(50.0, -50.0, 6), np.arange(8.0) * 45


def field(seed, days=5, month=1, lat=LAT):
    """A field with coordinates; without a time axis if ``days`` is None."""
    shape = (lat.size, LON.size) if days is None else (days, lat.size, LON.size)
    coords = {"lat": lat, "lon": LON}
    dims = ("time", "lat", "lon")[-len(shape) :]
    if days is not None:
        coords["time"] = np.datetime64(f"2024-{month:02}-01", "ns") + np.arange(days) * np.timedelta64(1, "D")
    return xr.DataArray(np.random.default_rng(seed).normal(size=shape).astype("float32"), dims=dims, coords=coords)


def write(path, **fields):
    path.parent.mkdir(parents=True, exist_ok=True)
    xr.Dataset(fields).to_netcdf(path, engine="h5netcdf")
    return path


def item(number, **paths):
    """An item with an asset for each file."""
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": f"item-{number}",
        "collection": "x",
        "geometry": None,
        "properties": {"datetime": f"2024-{number:02}-01T00:00:00Z"},
        "links": [],
        "assets": {key: {"href": str(path), "type": "application/x-netcdf", "roles": ["data"]} for key, path in paths.items()},
    }


@pytest.fixture
def months(tmp_path):
    """Items of three months, temperature and ice in a file each; what xarray makes of them."""
    items, sets = [], []
    for month in (1, 2, 3):
        temperature = write(tmp_path / f"t{month}.nc", sst=field(month, month=month))
        ice = write(tmp_path / f"i{month}.nc", ice=field(10 + month, month=month))
        items.append(item(month, temperature=temperature, ice=ice))
        with xr.open_dataset(temperature) as one, xr.open_dataset(ice) as other:
            sets.append(xr.merge([one.load(), other.load()], compat="no_conflicts", join="exact"))
    return items, sets


def joined(sets):
    return xr.concat(sets, "time", data_vars="minimal", coords="minimal", compat="no_conflicts", join="exact")


def test_files_of_one_item_are_put_side_by_side(months):
    items, sets = months
    cube = ivz.virtualize(items, asset=["temperature", "ice"])
    assert {name: variable.dims for name, variable in cube.data_vars.items()} == dict.fromkeys(
        ("sst", "ice"), ("time", "lat", "lon")
    )
    xr.testing.assert_equal(cube.vzarr.decode().load(), joined(sets))


def test_without_a_choice_several_files_are_refused_with_their_keys(months):
    with pytest.raises(StacError, match=r"item 'item-1': 2 assets could be meant: 'temperature', 'ice'.*a list to take several"):
        ivz.virtualize(months[0])


def test_an_item_without_one_of_the_files_is_named(months):
    items, _ = months
    del items[1]["assets"]["ice"]
    with pytest.raises(StacError, match=r"item 'item-2': no asset 'ice'"):
        ivz.virtualize(items, asset=["temperature", "ice"])


def test_such_items_are_ingested_and_updated(months, tmp_path):
    items, sets = months
    asset = ["temperature", "ice"]
    ivz.ingest(items[:2], tmp_path / "c", name="x", asset=asset)
    report = ivz.update(items, tmp_path / "c", asset=asset)
    assert (report.after, report.unchanged, [one.asset_key for one in report.appended]) == (15, 4, asset[::-1])
    assert ivz.update(items, tmp_path / "c", asset=asset).action == "nothing"
    opened = intake.open_catalog(tmp_path / "c" / "catalog.yaml").x.to_dask()
    xr.testing.assert_equal(opened.load(), joined(sets))


def test_files_without_a_time_axis_get_that_of_their_item(tmp_path):
    items = []
    for month in (1, 2):
        paths = {name: write(tmp_path / f"{name}{month}.nc", **{name: field(month, None)}) for name in ("u", "v")}
        items.append(item(month, **paths))
    cube = ivz.virtualize(items, asset=["u", "v"]).vzarr.decode().load()
    assert cube.sizes == {"time": 2, "lat": 6, "lon": 8}
    np.testing.assert_array_equal(cube.u, np.stack([field(1, None), field(2, None)]))


def test_a_file_without_a_time_axis_holds_for_all_times_of_the_other(months, tmp_path):
    items, sets = months
    mask = field(99, None)
    for month, one in enumerate(items, 1):
        one["assets"]["mask"] = item(month, mask=write(tmp_path / f"m{month}.nc", mask=mask))["assets"]["mask"]
    cube = ivz.virtualize(items, asset=["temperature", "mask"]).vzarr.decode().load()
    assert cube["mask"].dims == ("lat", "lon")
    np.testing.assert_array_equal(cube["mask"], mask)
    xr.testing.assert_equal(cube.sst, joined(sets).sst)
    asset = ["temperature", "mask"]
    ivz.ingest(items[:2], tmp_path / "c", name="x", asset=asset)
    assert ivz.update(items, tmp_path / "c", asset=asset).after == 15
    opened = xr.open_dataset(tmp_path / "c" / "x.vzarr", engine="virtualzarr").load()
    xr.testing.assert_equal(opened, cube)
    late = {**items[0], "id": "late", "properties": {"datetime": "2023-01-01T00:00:00Z"}}
    late["assets"] = {key: {**one, "href": one["href"].replace("1.nc", "0.nc")} for key, one in late["assets"].items()}
    write(tmp_path / "t0.nc", sst=field(1, month=1))
    write(tmp_path / "m0.nc", mask=mask)
    report = ivz.update([late], tmp_path / "c", asset=asset, dry_run=True)
    assert [(one.source.asset_key, one.state) for one in report.differences] == [("mask", "earlier"), ("temperature", "earlier")]


def test_files_of_one_item_that_go_on_in_time_are_joined_along_it(tmp_path):
    halves = {f"part{month}": write(tmp_path / f"{month}.nc", sst=field(month, month=month)) for month in (1, 2)}
    cube = ivz.virtualize([item(1, **halves)], asset=["part2", "part1"]).vzarr.decode().load()
    np.testing.assert_array_equal(cube.sst, np.concatenate([field(1, month=1), field(2, month=2)]))


def test_the_same_variable_for_the_same_times_is_refused(tmp_path):
    paths = {key: write(tmp_path / f"{key}.nc", sst=field(1), quality=field(2)) for key in ("first", "second")}
    message = r"item 'item-1': assets 'first' and 'second' both hold 'sst' for the same 'time'; take one of them with asset="
    with pytest.raises(JoinError, match=message):
        ivz.virtualize([item(1, **paths)], asset=["first", "second"])


def test_another_grid_is_refused(tmp_path):
    paths = {"fine": write(tmp_path / "a.nc", sst=field(1)), "coarse": write(tmp_path / "b.nc", ice=field(1, lat=LAT[::2]))}
    with pytest.raises(JoinError, match=r"item 'item-1': assets .*cannot be put side by side: .*'lat'.*under another name"):
        ivz.virtualize([item(1, **paths)], asset=["fine", "coarse"])


@pytest.mark.parametrize("crs", [1, 2])
def test_what_both_files_hold_must_agree(tmp_path, crs):
    first = write(tmp_path / "a.nc", sst=field(1), crs=xr.DataArray(np.int32(1)))
    second = write(tmp_path / "b.nc", ice=field(2), crs=xr.DataArray(np.int32(crs)))
    items = [item(1, a=first, b=second)]
    if crs == 1:
        assert int(ivz.virtualize(items, asset=["a", "b"]).crs) == 1
    else:
        with pytest.raises(JoinError, match=r"item 'item-1': assets 'a', 'b' cannot be put side by side: .*crs"):
            ivz.virtualize(items, asset=["a", "b"])
