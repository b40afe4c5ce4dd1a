"""xarray's ordinary calls on virtual datasets, against the same calls on what h5netcdf opens."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.errors import UnsupportedError, VirtualZarrError

pytestmark = pytest.mark.filterwarnings("ignore:In a future version of xarray:FutureWarning")


def write_file(path: Path, *, first: int = 0, days: int = 5, west: int = 0, **changes: Any) -> Path:
    """A file with floats, packed integers, characters, a two-dimensional coordinate, bounds, and a scalar."""
    options = {"scale": 0.01, "units": "days since 2000-01-01", "reverse": False, "fill": -9.0, **changes}
    random = np.random.default_rng(first)
    with netCDF4.Dataset(path, "w") as file:
        file.title = "a title"
        for name, size in (("time", None), ("lat", 4), ("lon", 6), ("nv", 2), ("n", 3)):
            file.createDimension(name, size)
        time = file.createVariable("time", "i4", "time")
        time.setncatts({"units": options["units"], "calendar": "standard", "bounds": "time_bnds"})
        start = 0 if "2000-01-01" not in options["units"] else first
        time[:] = start + np.arange(days)
        bounds = file.createVariable("time_bnds", "f8", ("time", "nv"))
        bounds[:] = start + np.arange(days)[:, None] + [0, 1]
        lat = file.createVariable("lat", "f8", "lat")
        lat.units = "degrees_north"
        lat[:] = np.arange(4.0)[:: -1 if options["reverse"] else 1] * 10
        lon = file.createVariable("lon", "f8", "lon")
        lon[:] = west + np.arange(6.0)
        t = file.createVariable("t", "f4", ("time", "lat", "lon"), chunksizes=(2, 3, 4), zlib=True, fill_value=options["fill"])
        t.setncatts({"units": "K", "coordinates": "area height"})
        values = random.normal(size=(days, 4, 6)).astype("f4")
        values[0, 0, 0] = options["fill"]
        t[:] = values
        packed = file.createVariable("p", "i2", ("time", "lat", "lon"), chunksizes=(3, 4, 6), zlib=True, fill_value=-32768)
        packed.setncatts({"scale_factor": options["scale"], "add_offset": 5.0, "valid_range": np.array([-30000, 30000], "i2")})
        packed.set_auto_maskandscale(False)
        numbers = random.integers(-30000, 30000, (days, 4, 6)).astype("i2")
        numbers[-1, -1] = -32768
        packed[:] = numbers
        counts = file.createVariable("c", "u1", ("lat", "time"), chunksizes=(4, 2))
        counts[:] = random.integers(0, 255, (4, days)).astype("u1")
        area = file.createVariable("area", "f8", ("lat", "lon"))
        area[:] = random.normal(size=(4, 6)) if first < 0 else np.arange(24.0).reshape(4, 6)
        file.createVariable("height", "f4", ())[...] = 2.0
        names = file.createVariable("names", "S1", ("lat", "n"))
        names._Encoding = "ascii"
        names[:] = np.array(["ab", "cde", "f", ""], "S3")
    return path


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("files")
    write_file(directory / "a.nc")
    write_file(directory / "b.nc", first=5, days=4)
    write_file(directory / "east.nc", west=6)
    write_file(directory / "wide.nc", first=5, west=2)
    write_file(directory / "scale.nc", first=5, scale=0.5)
    write_file(directory / "since.nc", first=5, units="days since 2000-01-06")
    write_file(directory / "reverse.nc", first=5, reverse=True)
    return directory


def opened(directory: Path, *names: str) -> tuple[list[xr.Dataset], list[xr.Dataset]]:
    """Virtual and direct datasets."""
    paths = [directory / f"{name}.nc" for name in names]
    return [ivz.open_virtual_dataset(p) for p in paths], [xr.open_dataset(p, engine="h5netcdf") for p in paths]


def doors(virtual: xr.Dataset, store: Path) -> dict[str, xr.Dataset]:
    """All ways to the decoded values of a virtual dataset."""
    virtual.vzarr.to_zarr(store)
    parts = store.with_suffix(".parts.vzarr")
    virtual.vzarr.to_zarr(parts, fuse=False)
    return {
        "decode": virtual.vzarr.decode(),
        "engine": xr.open_dataset(store, engine="virtualzarr"),
        "chunks": xr.open_dataset(store, engine="virtualzarr", chunks={}),
        "parts": xr.open_dataset(parts, engine="virtualzarr"),
        "store": xr.open_zarr(ivz.VirtualZarrStore(store), chunks=None),
        "reopened": ivz.open_virtual_dataset(store).vzarr.decode(),
        "reopened parts": ivz.open_virtual_dataset(parts).vzarr.decode(),
    }


def assert_all_equal(virtual: xr.Dataset, expected: xr.Dataset, store: Path) -> None:
    expected = expected.load()
    for door, found in doors(virtual, store).items():
        found = found.load()
        xr.testing.assert_equal(found, expected)
        assert set(found.coords) == set(expected.coords), door
        for name in expected.variables:
            assert found[name].dtype == expected[name].dtype, (door, name)
            known = {k: v for k, v in expected[name].attrs.items() if k != "valid_range"}
            for key, value in known.items():
                np.testing.assert_array_equal(found[name].attrs.get(key), value, err_msg=f"{door} {name} {key}")


ONE: dict[str, Callable[[xr.Dataset], xr.Dataset]] = {
    "nothing": lambda ds: ds,
    "isel slices": lambda ds: ds.isel(time=slice(1, 4), lon=slice(None, None, -2)),
    "isel inside a chunk": lambda ds: ds.isel(time=slice(1, 2), lat=slice(1, 2), lon=slice(1, 3)),
    "isel integer": lambda ds: ds.isel(time=2, drop=False),
    "isel list": lambda ds: ds.isel(lon=[5, 0, 3, 3]),
    "isel mask": lambda ds: ds.isel(time=np.array([True, False, True, True, False])),
    "isel nothing": lambda ds: ds.isel(time=slice(0, 0)),
    "sel nearest": lambda ds: ds.sel(lat=[12, 29], method="nearest"),
    "sel times": lambda ds: ds.sel(time=slice("2000-01-02", "2000-01-03")),
    "head": lambda ds: ds.head(time=2, lon=3),
    "tail": lambda ds: ds.tail(time=2),
    "thin": lambda ds: ds.thin(time=2, lon=4),
    "transpose": lambda ds: ds.transpose("lon", "lat", "time", ...),
    "expand_dims": lambda ds: ds.expand_dims(member=[1, 2]),
    "expand_dims unnamed": lambda ds: ds.expand_dims("member", axis=1),
    "squeeze": lambda ds: ds.isel(time=[0]).squeeze("time"),
    "assign_coords": lambda ds: ds.assign_coords(lon=ds["lon"] + 100, run=7),
    "rename": lambda ds: ds.rename(t="temperature", lon="x", time="day"),
    "swap_dims": lambda ds: ds.assign_coords(k=("lon", np.arange(6))).swap_dims(lon="k"),
    "drop_vars": lambda ds: ds.drop_vars(["c", "area"]),
    "drop_dims": lambda ds: ds.drop_dims("nv"),
    "reindex": lambda ds: ds.drop_vars("names").reindex(lat=[0.0, 5, 20, 30, 40]),
    "reindex nearest": lambda ds: ds.reindex(lat=[1.0, 11, 29], method="nearest"),
    "reindex twice": lambda ds: ds.drop_vars("names").reindex(lat=[0, 10, 99.0], lon=[5.0, 99, 1]),
    "reindex to nothing": lambda ds: ds.drop_vars("names").reindex(lat=[77.0, 88]),
    "sortby": lambda ds: ds.sortby("lat", ascending=False),
    "roll": lambda ds: ds.roll(lon=2, roll_coords=True),
    "broadcast_like": lambda ds: ds.drop_vars("names").broadcast_like(xr.DataArray(np.zeros(2), dims="new")),
    "set_coords": lambda ds: ds.set_coords("c"),
    "copy": lambda ds: ds.copy(deep=True),
    "drop_isel": lambda ds: ds.drop_isel(time=[1]),
    "set_index": lambda ds: ds.drop_indexes("lon"),
    "coarse selection": lambda ds: ds[["t"]].isel(time=slice(None, None, 3)).transpose("lat", ...),
}


@pytest.mark.parametrize("call", ONE)
def test_a_call_on_a_virtual_dataset_gives_what_it_gives_on_values(call, directory, tmp_path):
    [virtual], [direct] = opened(directory, "a")
    changed = ONE[call](virtual)
    if call != "isel nothing":
        names = {"t", "temperature"} & set(changed.variables)
        assert all(isinstance(changed[n].variable._data, VirtualZarrArray) for n in names), "was loaded on the way"
    assert_all_equal(changed, ONE[call](direct), tmp_path / "s.vzarr")


# what fills is a stored number before decoding, a value after it; NaN is NaN in both
FILLING: dict[str, Callable[[xr.Dataset], xr.Dataset]] = {
    "pad": lambda ds: ds[["t", "p"]].pad(lon=(2, 1)),
    "pad edge": lambda ds: ds[["t", "p"]].pad(lon=(2, 1), mode="edge"),
    "pad wrap": lambda ds: ds[["t", "p"]].pad(lon=(2, 1), mode="wrap"),
    "pad reflect": lambda ds: ds[["t", "p"]].pad(lon=(2, 1), mode="reflect"),
    "pad symmetric": lambda ds: ds[["t", "p"]].pad(lon=(2, 1), mode="symmetric"),
    "shift": lambda ds: ds[["t", "p"]].shift(time=2),
    "shift back": lambda ds: ds[["t", "p"]].shift(time=-1, lon=1),
}


@pytest.mark.parametrize("call", FILLING)
def test_calls_that_fill_give_missing_values(call, directory, tmp_path):
    [virtual], [direct] = opened(directory, "a")
    changed, expected = FILLING[call](virtual), FILLING[call](direct)
    assert isinstance(changed["t"].variable._data, VirtualZarrArray)
    assert_all_equal(changed, expected, tmp_path / "s.vzarr")


LEAST: dict[str, Any] = {"data_vars": "minimal", "coords": "minimal", "compat": "override"}
"""What does not vary is taken from the first dataset."""
ALL: dict[str, Any] = LEAST | {"data_vars": "all"}


def part(datasets: list[xr.Dataset], *names: str) -> list[xr.Dataset]:
    """Some variables of each."""
    return [dataset[list(names)] for dataset in datasets]


def nested(d: list[xr.Dataset]) -> xr.Dataset:
    north, south = part(d[:2], "t", "p"), part(d[2:], "t", "p")
    south = [below.assign_coords(lon=above["lon"]) for below, above in zip(south, north, strict=True)]
    return xr.combine_nested([north, south], concat_dim=["time", "lon"], join="outer")


def by_run(d: list[xr.Dataset]) -> xr.Dataset:
    runs = xr.DataArray([3, 4], dims="run", name="run")
    return xr.concat([x.isel(time=slice(2)) for x in d], runs, join="override", **ALL)


def joined_twice(d: list[xr.Dataset]) -> xr.Dataset:
    both = xr.concat(part(d, "t"), "time")
    return xr.concat([both.isel(time=slice(1, 6)), d[0][["t"]].shift(lat=1)], "time")


def aligned(d: list[xr.Dataset]) -> xr.Dataset:
    moved, _ = xr.align(d[0], d[1], join="right")
    return xr.merge([d[0][["t"]], moved[["p"]].rename(p="q")], join="outer", compat="override")


JOINS: dict[str, tuple[tuple[str, ...], Callable[[list[xr.Dataset]], xr.Dataset]]] = {
    "concat": (("a", "b"), lambda d: xr.concat(d, "time", **LEAST)),
    "concat all": (("a", "b"), lambda d: xr.concat(d, "time", data_vars="all", coords="all", compat="equals")),
    "concat defaults": (("a", "b"), lambda d: xr.concat(d, "time")),
    "concat new": (("a", "east"), lambda d: xr.concat(part(d, "t", "c"), "member", data_vars="all", join="outer")),
    "concat index": (("a", "b"), by_run),
    "concat scale": (("a", "scale"), lambda d: xr.concat(d, "time", **LEAST)),
    "concat since": (("a", "since"), lambda d: xr.concat(d, "time", **LEAST)),
    "concat reverse": (("a", "reverse"), lambda d: xr.concat(d, "time", join="outer", **LEAST)),
    "concat outer": (("a", "wide"), lambda d: xr.concat(d, "time", join="outer", **LEAST)),
    "concat inner": (("a", "wide"), lambda d: xr.concat(d, "time", join="inner", **LEAST)),
    "concat lon": (("a", "east"), lambda d: xr.concat(part(d, "t", "p"), "lon")),
    "concat missing": (("a", "b"), lambda d: xr.concat([d[0], d[1].drop_vars(["p", "c"])], "time", **ALL)),
    "concat three": (("a", "b", "a"), lambda d: xr.concat(part(d, "t", "p", "c"), "time")),
    "by_coords": (("b", "a"), lambda d: xr.combine_by_coords(d, join="exact", combine_attrs="override", **LEAST)),
    "nested": (("a", "east", "b", "wide"), nested),
    "merge": (("a", "a"), lambda d: xr.merge([d[0][["t"]], d[1][["p", "c"]]], compat="no_conflicts", join="exact")),
    "merge outer": (("a", "wide"), lambda d: xr.merge([d[0][["t"]], d[1][["p"]]], join="outer", compat="override")),
    "merge override": (("a", "a"), lambda d: xr.merge(d, compat="override", join="exact")),
    "align": (("a", "wide"), aligned),
    "joined and sliced": (("a", "b"), lambda d: xr.concat(part(d, "t", "p"), "time").isel(time=slice(3, 7), lat=[3, 1])),
    "joined of joined": (("a", "b"), joined_twice),
}


@pytest.mark.parametrize("join", JOINS)
def test_a_join_of_virtual_datasets_gives_what_it_gives_on_values(join, directory, tmp_path):
    names, call = JOINS[join]
    virtual, direct = opened(directory, *names)
    joined, expected = call(virtual), call(direct)
    assert isinstance(joined["t"].variable._data, VirtualZarrArray), "was loaded on the way"
    assert_all_equal(joined, expected, tmp_path / "s.vzarr")


# ---------------------------------------------------------------------- loading


def test_load_reads_the_stored_numbers(directory):
    [virtual], _ = opened(directory, "a")
    with xr.open_dataset(directory / "a.nc", engine="h5netcdf", mask_and_scale=False) as raw:
        for loaded in (virtual.load(), virtual.compute(), virtual.chunk().compute()):
            for name in ("t", "p", "c", "area"):
                np.testing.assert_array_equal(loaded[name], raw[name])


def test_a_loaded_or_chunked_dataset_decodes_like_any_other(directory):
    virtual, [direct] = opened(directory, "a")
    expected = direct.load()
    for form in (virtual[0].load(), virtual[0].chunk(), virtual[0].chunk({"time": 2, "lat": 1})):
        xr.testing.assert_equal(xr.decode_cf(form)[["t", "p", "c"]].compute(), expected[["t", "p", "c"]])


def test_decode_cf_of_a_virtual_dataset_is_lazy_and_right(directory):
    virtual, [direct] = opened(directory, "a")
    decoded = xr.decode_cf(virtual[0])
    for name in ("t", "p", "c"):
        np.testing.assert_array_equal(decoded[name].values, direct[name].values)
    # xarray computes no dataset that holds arrays of two kinds at once; `.vzarr.decode()` has no such limit
    with pytest.raises(TypeError, match="Mixing chunked array types"):
        decoded[["t", "c"]].compute()


def test_decoded_engine_is_like_any_engine(directory):
    _, [direct] = opened(directory, "a")
    with xr.open_dataset(directory / "a.nc", engine="virtualzarr") as found:
        assert set(found.coords) == set(direct.coords)
        xr.testing.assert_identical(found.load(), direct.load())
        for name, variable in direct.variables.items():
            for key in ("scale_factor", "add_offset", "_FillValue", "units", "calendar", "coordinates"):
                np.testing.assert_array_equal(found[name].encoding.get(key), variable.encoding.get(key))


@pytest.mark.parametrize(
    "options",
    [
        {"mask_and_scale": False},
        {"decode_times": False},
        {"decode_coords": False},
        {"decode_coords": "all"},
        {"concat_characters": False},
        {"drop_variables": ["t"]},
        {"drop_variables": "t"},
        {"chunks": {}},
        {"chunks": {"time": 1}},
        {"cache": False},
        {"mask_and_scale": {"t": False}},
    ],
)
@pytest.mark.filterwarnings("ignore:The specified chunks separate")
def test_options_of_open_dataset_mean_what_they_mean(directory, options):
    with (
        xr.open_dataset(directory / "a.nc", engine="virtualzarr", **options) as found,
        xr.open_dataset(directory / "a.nc", engine="h5netcdf", **options) as direct,
    ):
        assert set(found.coords) == set(direct.coords)
        xr.testing.assert_identical(found.load(), direct.load())


def test_undecoded_opening_gives_virtual_arrays(directory):
    found = xr.open_dataset(directory / "a.nc", engine="virtualzarr", decode_cf=False)
    assert isinstance(found["t"].variable._data, VirtualZarrArray)
    assert not isinstance(found["lat"].variable._data, VirtualZarrArray)
    xr.testing.assert_identical(found.load(), ivz.open_virtual_dataset(directory / "a.nc").load())


def test_loadable_variables_are_loaded_and_others_are_not(directory):
    found = ivz.open_virtual_dataset(directory / "a.nc", loadable_variables=["p", "time"])
    assert not isinstance(found["p"].variable._data, VirtualZarrArray)
    assert isinstance(found["t"].variable._data, VirtualZarrArray)
    assert found["p"].dtype.kind == "f"


def test_xarray_writes_its_own_files_from_decoded_virtual_datasets(directory, tmp_path):
    virtual, [direct] = opened(directory, "a")
    virtual[0].vzarr.decode()[["t", "p"]].to_netcdf(tmp_path / "copy.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "copy.nc", engine="h5netcdf") as copy:
        xr.testing.assert_equal(copy.load(), direct[["t", "p"]].load())


def test_arithmetic_on_virtual_arrays_is_refused_with_the_way_out(directory):
    [virtual], _ = opened(directory, "a")
    for call in (lambda v: v + 1, lambda v: 2 * v, lambda v: v.mean("time"), lambda v: np.sqrt(v), lambda v: -v):
        with pytest.raises(UnsupportedError, match=r"ds\.vzarr\.decode\(\)"):
            call(virtual["t"])
    assert virtual["t"].isnull().dtype == bool  # null tests may read small arrays


def test_text_with_gaps_is_refused_with_the_way_out(directory):
    [virtual], _ = opened(directory, "a")
    with pytest.raises(UnsupportedError, match=r"text|bytes|cast"):
        virtual["names"].reindex(lat=[0.0, 99])


def test_packing_is_not_lost_with_the_attributes(directory, tmp_path):
    [virtual], [direct] = opened(directory, "a")
    bare = virtual[["t", "p"]].drop_attrs()
    assert_all_equal(bare, direct[["t", "p"]].drop_attrs(), tmp_path / "s.vzarr")


def test_vectorized_indexing_is_refused_with_the_way_out(directory):
    [virtual], _ = opened(directory, "a")
    points = {"lat": xr.DataArray([0, 1], dims="p"), "lon": xr.DataArray([2, 3], dims="p")}
    with pytest.raises((VirtualZarrError, IndexError, TypeError), match=r"[Vv]ectorized"):
        virtual["t"].isel(points).load()


def test_times_of_a_calendar_of_their_own_are_kept(tmp_path):
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        file.createDimension("time", 3)
        time = file.createVariable("time", "f8", "time")
        time.setncatts({"units": "days since 2000-02-28", "calendar": "noleap"})
        time[:] = np.arange(3)
        file.createVariable("v", "f4", "time")[:] = np.arange(3)
    virtual = ivz.open_virtual_dataset(tmp_path / "a.nc")
    virtual.vzarr.to_zarr(tmp_path / "s.vzarr")
    with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as direct:
        for found in (
            virtual.vzarr.decode(),
            xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr"),
            xr.open_zarr(ivz.VirtualZarrStore(tmp_path / "s.vzarr"), chunks=None),
        ):
            xr.testing.assert_equal(found.load(), direct)
            assert found["time"].encoding["calendar"] == "noleap"


@pytest.mark.parametrize("scale", [np.float32(0.1), np.float64(0.1), np.int16(3)])
@pytest.mark.parametrize("offset", [None, np.float32(0.3), np.float64(0.3)])
def test_the_type_of_a_scale_factor_survives_the_store(tmp_path, scale, offset):
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        file.createDimension("x", 100)
        made = file.createVariable("v", "i2", "x")
        made.set_auto_maskandscale(False)
        made.scale_factor = scale
        if offset is not None:
            made.add_offset = offset
        made[:] = np.arange(100) * 97
    ivz.open_virtual_dataset(tmp_path / "a.nc").vzarr.to_zarr(tmp_path / "s.vzarr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as direct:
            with xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr") as found:
                xr.testing.assert_equal(found.load(), direct.load())
                # xarray decodes into the type of an integer, in which numbers may wrap around
                integer = offset is None and scale.dtype.kind == "i"
                assert found["v"].dtype == (np.float64 if integer else direct["v"].dtype)
            # JSON has one kind of number: through plain Zarr xarray may calculate in double precision
            with xr.open_zarr(ivz.VirtualZarrStore(tmp_path / "s.vzarr"), chunks=None) as plain:
                np.testing.assert_allclose(plain["v"], direct["v"], rtol=1e-6)


@pytest.mark.parametrize(
    "attrs", [{"units": "days since 2000-01-01"}, {"units": "hours"}, {"dtype": "bool"}, {"dtype": "bool", "_Unsigned": "true"}]
)
def test_labels_with_a_packing_of_integers_are_written_as_they_decode(tmp_path, attrs):
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        file.createDimension("x", 3)
        made = file.createVariable("x", "i4", "x")
        made.set_auto_maskandscale(False)
        made.setncatts({"scale_factor": np.int16(2), **attrs})
        made[:] = [0, 1, 3]
    ivz.open_virtual_dataset(tmp_path / "a.nc").vzarr.to_zarr(tmp_path / "s.vzarr")
    with (
        xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf", decode_timedelta=True) as direct,
        xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr", decode_timedelta=True) as found,
    ):
        xr.testing.assert_equal(found.load(), direct.load())


def test_encoding_says_how_a_file_stores_chunks_and_which_dimensions_of_the_group_are_unlimited(tmp_path):
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w") as nc:
        nc.createDimension("time", None)
        nc.createVariable("time", "f8", ("time",))[:] = np.arange(3)
        group = nc.createGroup("inner")
        group.createDimension("x", 4)
        group.createVariable("v", "i4", ("time", "x"), chunksizes=(2, 4))[:] = np.arange(12).reshape(3, 4)
    for name in "/", "inner":
        ours, theirs = (xr.open_dataset(path, engine=engine, group=name) for engine in ("virtualzarr", "netcdf4"))
        assert list(ours.variables) == list(theirs.variables)
        assert ours.encoding.get("unlimited_dims", set()) == theirs.encoding["unlimited_dims"]
        for variable in theirs.variables:
            assert ours[variable].encoding["chunksizes"] == theirs[variable].encoding["chunksizes"]


def test_the_order_of_variables_is_that_of_other_engines(tmp_path):
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w") as nc:
        nc.createDimension("t", 3)
        nc.createVariable("station", "i4", ())[...] = 7
        nc.createVariable("t", "i4", ("t",))[:] = np.arange(3)
        nc.createVariable("v", "i4", ("t",))[:] = np.arange(3)
        nc["v"].coordinates = "station"
    ours, theirs = (xr.open_dataset(path, engine=engine) for engine in ("virtualzarr", "netcdf4"))
    assert list(ours.variables) == list(theirs.variables)
    assert list(xr.open_dataset(path, engine="virtualzarr", create_default_indexes=False).indexes) == []


def write_scaled(path: Path, factor: Any, fill: int | None = None) -> Path:
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("x", 3)
        for name, dims in (("v", ("x",)), ("s", ())):
            made = file.createVariable(name, "i4", dims, fill_value=fill)
            made.set_auto_maskandscale(False)
            made.scale_factor = factor
            made[...] = [1, 99, 120] if dims else 120
    return path


@pytest.mark.parametrize("fill", [None, 99])
def test_integers_as_scale_factors_neither_wrap_around_nor_lose_gaps(tmp_path, fill):
    """Plain xarray gives -56 for 2 * 100 in int8, and refuses to put NaN into integers."""
    paths = [write_scaled(tmp_path / f"{n}.nc", factor, fill) for n, factor in enumerate([np.int8(100), np.int16(2)])]
    values = np.array([1, 99 if fill is None else np.nan, 120])
    virtual = [ivz.open_virtual_dataset(path) for path in paths]
    both = xr.concat(virtual, "x", data_vars="minimal", coords="minimal", compat="override")
    both.vzarr.to_zarr(tmp_path / "both.vzarr")
    xr.concat([virtual[0], virtual[0]], "x", data_vars="minimal").vzarr.to_zarr(tmp_path / "alike.vzarr", fuse=False)
    expected = {
        "one": (xr.open_dataset(paths[0], engine="virtualzarr"), [100]),
        "decode": (virtual[0].vzarr.decode(), [100]),
        "joined": (both.vzarr.decode(), [100, 2]),
        "written": (xr.open_dataset(tmp_path / "both.vzarr", engine="virtualzarr"), [100, 2]),
        "members": (xr.open_dataset(tmp_path / "alike.vzarr", engine="virtualzarr"), [100, 100]),
    }
    for door, (found, factors) in expected.items():
        np.testing.assert_array_equal(found["v"], np.concatenate([values * n for n in factors]), err_msg=door)
        assert found["s"] == 12000, door


def test_gaps_alone_stay_gaps_whatever_the_attributes_say(tmp_path):
    virtual = ivz.open_virtual_dataset(write_scaled(tmp_path / "a.nc", np.int64(2)))
    for number, gaps in enumerate([virtual.shift(x=3), virtual.shift(x=1).isel(x=[0])]):
        assert np.isnan(gaps.vzarr.decode()["v"]).all()
        gaps.vzarr.to_zarr(tmp_path / f"{number}.vzarr")
        assert np.isnan(xr.open_dataset(tmp_path / f"{number}.vzarr", engine="virtualzarr")["v"]).all()


@pytest.mark.parametrize("values", [[None, None], [b"a", "b"], [1, 2.5]], ids=str)
def test_objects_that_are_no_text_are_refused_with_the_way_out(values, tmp_path):
    dataset = xr.Dataset({"v": ("n", np.array(values, object))})
    with pytest.raises(UnsupportedError, match=r"v: holds objects of type .*expected text only; fill gaps"):
        dataset.vzarr.to_zarr(tmp_path / "s.vzarr")


def test_a_multiindex_is_refused_and_its_levels_are_written(tmp_path):
    stacked = xr.Dataset({"v": (("a", "b"), np.arange(6.0).reshape(2, 3))}, {"a": [1, 2], "b": [3, 4, 5]}).stack(s=("a", "b"))
    with pytest.raises(UnsupportedError, match=r"MultiIndex.*reset_index\('s'\)"):
        stacked.vzarr.to_zarr(tmp_path / "s.vzarr")
    stacked.reset_index("s").vzarr.to_zarr(tmp_path / "s.vzarr")
    found = xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr")
    xr.testing.assert_equal(found.load(), stacked.reset_index("s"))
