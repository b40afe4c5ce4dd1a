"""Appending, replacing regions, adding variables: the values of a join, and a store that a failure leaves as it was."""

from __future__ import annotations

import json
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
import zarr
from support import helpers

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import EncodingMismatchError, HierarchyError, VirtualZarrError
from intake_virtualzarr.storage.key_value import LocalKeys


def write_file(path: Path, first: int, days: int = 3, **changes) -> Path:
    """Daily fields: floats, packed integers, one that does not vary, bounds of times."""
    options = {"scale": 0.5, "units": "days since 2000-01-01", "dtype": "f4", "lon": 4, "static": 1.0, **changes}
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("time", None), ("lon", options["lon"]), ("nv", 2)):
            file.createDimension(name, size)
        time = file.createVariable("time", "i4", "time")
        time.setncatts({"units": options["units"], "bounds": "time_bnds"})
        start = first if options["units"] == "days since 2000-01-01" else 0
        time[:] = start + np.arange(days)
        file.createVariable("time_bnds", "f8", ("time", "nv"))[:] = start + np.arange(days)[:, None] + [0, 1]
        file.createVariable("lon", "f8", "lon")[:] = np.arange(options["lon"])
        v = file.createVariable("v", options["dtype"], ("time", "lon"), chunksizes=(2, options["lon"]), zlib=True)
        v[:] = 100 * first + np.arange(days * options["lon"]).reshape(days, -1)
        p = file.createVariable("p", "i2", ("lon", "time"), chunksizes=(options["lon"], 1), fill_value=-1)
        p.setncatts({"scale_factor": options["scale"], "units": "K"})
        p.set_auto_maskandscale(False)
        p[:] = first + np.arange(days * options["lon"]).reshape(-1, days)
        p[0, 0] = -1
        file.createVariable("static", "f4", "lon")[:] = options["static"]
    return path


SERIES = {
    "combine": "nested",
    "concat_dim": "time",
    "data_vars": "minimal",
    "coords": "minimal",
    "compat": "override",
}


def direct(*paths: Path) -> xr.Dataset:
    with xr.open_mfdataset(paths, engine="h5netcdf", **SERIES) as found:
        return found.load()


def joined_virtually(paths: list[Path]) -> xr.Dataset:
    return ivz.open_virtual_mfdataset(paths, **SERIES)


def found(store: Path) -> dict[str, xr.Dataset]:
    return {
        "engine": xr.open_dataset(store, engine="virtualzarr"),
        "store": xr.open_zarr(ivz.VirtualZarrStore(store), chunks=None),
        "reopened": ivz.open_virtual_dataset(store).vzarr.decode(),
    }


def assert_holds(store: Path, expected: xr.Dataset) -> None:
    for dataset in found(store).values():
        xr.testing.assert_equal(dataset.load(), expected)


@pytest.fixture
def files(tmp_path) -> list[Path]:
    return [write_file(tmp_path / f"{n}.nc", 3 * n) for n in range(4)]


@pytest.fixture
def store(files, tmp_path) -> Path:
    ivz.open_virtual_dataset(files[0]).vzarr.to_zarr(tmp_path / "s.vzarr")
    return tmp_path / "s.vzarr"


def append(path: Path, store: Path, **options) -> None:
    ivz.open_virtual_dataset(path).vzarr.to_zarr(store, append_dim="time", **options)


def content(store: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in store.rglob("*") if p.is_file()}


def test_appended_files_read_like_joined_ones(files, store):
    for count in (2, 3, 4):
        append(files[count - 1], store)
        assert_holds(store, direct(*files[:count]))


def test_an_append_to_a_joined_store_reads_like_one_join(files, tmp_path):
    for fuse in (True, False):
        store = tmp_path / f"{fuse}.vzarr"
        joined = joined_virtually(files[:2])
        joined.vzarr.to_zarr(store, fuse=fuse)
        joined = joined_virtually(files[2:])
        joined.vzarr.to_zarr(store, append_dim="time")
        assert_holds(store, direct(*files))


def test_an_appended_store_can_be_joined_and_written_again(files, store, tmp_path):
    append(files[1], store)
    again = ivz.open_virtual_dataset(store)
    more = ivz.open_virtual_dataset(files[2])
    joined = xr.concat([again, more], "time", data_vars="minimal", coords="minimal", compat="override")
    for fuse in (True, False):
        joined.vzarr.to_zarr(tmp_path / f"again{fuse}.vzarr", fuse=fuse)
        assert_holds(tmp_path / f"again{fuse}.vzarr", direct(*files[:3]))


def test_times_are_counted_from_the_date_of_the_store(files, store, tmp_path):
    other = write_file(tmp_path / "since.nc", 3, units="days since 2000-01-04")
    append(other, store)
    assert_holds(store, direct(files[0], other))
    with xr.open_dataset(store, engine="virtualzarr") as dataset:
        assert dataset["time"].encoding["units"].startswith("days since 2000-01-01")


def test_times_that_the_unit_of_the_store_cannot_count_make_it_finer(store, tmp_path):
    other = write_file(tmp_path / "since.nc", 3, units="days since 2000-01-04 06:00:00")
    append(other, store)
    assert_holds(store, direct(tmp_path / "0.nc", other))


def test_an_append_along_the_second_axis(tmp_path):
    paths = [write_file(tmp_path / f"{n}.nc", 3 * n) for n in range(3)]
    datasets = [ivz.open_virtual_dataset(p)[["p"]] for p in paths]
    datasets[0].vzarr.to_zarr(tmp_path / "s.vzarr")
    for dataset in datasets[1:]:
        dataset.vzarr.to_zarr(tmp_path / "s.vzarr", append_dim="time")
    assert_holds(tmp_path / "s.vzarr", direct(*paths)[["p"]])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"first": 1}, HierarchyError, "is there already; overlapping steps are not joined"),
        ({"first": -9}, HierarchyError, "coordinates must go on in one direction"),
        ({"first": 3, "lon": 5}, HierarchyError, "lon"),
        ({"first": 3, "scale": 0.25}, EncodingMismatchError, "p: "),
        ({"first": 3, "dtype": "f8"}, EncodingMismatchError, "v: is float32 .* and float64"),
        ({"first": 3, "static": 2.0}, HierarchyError, "static: is there already with other values"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(files, store, tmp_path, changes, error, message):
    before = (store / "zarr.json").read_bytes()
    other = write_file(tmp_path / "other.nc", **changes)
    with pytest.raises(error, match=message):
        append(other, store)
    assert (store / "zarr.json").read_bytes() == before
    assert_holds(store, direct(files[0]))


def test_variables_must_grow_together(files, store):
    dataset = ivz.open_virtual_dataset(files[1])
    with pytest.raises(HierarchyError, match="p would not grow with the others"):
        dataset.drop_vars("p").vzarr.to_zarr(store, append_dim="time")
    with pytest.raises(HierarchyError, match="w is not there yet"):
        dataset.assign(w=dataset["v"]).vzarr.to_zarr(store, append_dim="time")
    with pytest.raises(HierarchyError, match="no variable of group '/' has a dimension 'depth'"):
        dataset.vzarr.to_zarr(store, append_dim="depth")


def test_another_order_of_dimensions_is_refused(files, store):
    dataset = ivz.open_virtual_dataset(files[1]).transpose("lon", "time", ...)
    with pytest.raises(HierarchyError, match="transpose it first"):
        dataset.vzarr.to_zarr(store, append_dim="time")


def test_a_store_that_is_not_there_cannot_be_appended_to(files, tmp_path):
    with pytest.raises(VirtualZarrError, match=r"has no zarr\.json"):
        append(files[0], tmp_path / "none.vzarr")


def test_options_that_contradict_each_other_are_refused(files, store):
    dataset = ivz.open_virtual_dataset(files[1])
    with pytest.raises(HierarchyError, match="contradict each other"):
        dataset.vzarr.to_zarr(store, append_dim="time", mode="w")
    with pytest.raises(HierarchyError, match="only one can be meant"):
        dataset.vzarr.to_zarr(store, append_dim="time", region={"time": slice(0, 3)})
    with pytest.raises(HierarchyError, match="mode is 'x'"):
        dataset.vzarr.to_zarr(store, mode="x")


class KilledError(Exception):
    """Raised while writing."""


def kill_at(monkeypatch, after):
    """Raise in place of the write with this number; the list grows with each write."""
    done = []

    def counting(name):
        real = getattr(LocalKeys, name)

        def failing(self, key, *values):
            if len(done) == after:
                raise KilledError
            done.append(key)
            return real(self, key, *values)

        monkeypatch.setattr(LocalKeys, name, failing)

    for name in ("create", "switch", "set"):
        counting(name)
    return done


def writes_of_an_append(files, store, monkeypatch):
    done = kill_at(monkeypatch, None)
    append(files[1], store)
    monkeypatch.undo()
    return done


@pytest.mark.parametrize("after", range(12))
def test_an_append_that_is_killed_leaves_the_old_state_or_the_new_one(files, store, monkeypatch, after):
    names = writes_of_an_append(files, store, monkeypatch)
    if after >= len(names):
        pytest.skip("an append writes fewer objects")
    kill_at(monkeypatch, after)
    with pytest.raises(KilledError):
        append(files[2], store)
    monkeypatch.undo()
    if after <= names.index("zarr.json"):
        assert_holds(store, direct(*files[:2]))
        append(files[2], store)
    assert_holds(store, direct(*files[:3]))


def test_old_pages_are_not_touched(tmp_path):
    paths = [tmp_path / "a.nc", tmp_path / "b.nc"]
    for number, path in enumerate(paths):
        with netCDF4.Dataset(path, "w") as file:
            file.createDimension("time", 400)
            file.createVariable("time", "i4", "time")[:] = 400 * number + np.arange(400)
            file.createVariable("v", "f4", "time", chunksizes=(1,))[:] = 400 * number + np.arange(400)
    store = tmp_path / "s.vzarr"
    ivz.open_virtual_dataset(paths[0]).vzarr.to_zarr(store)
    pages = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in store.glob("generations/*/v/refs/c/*/*")}
    assert pages
    append(paths[1], store)
    assert all((p.read_bytes(), p.stat().st_mtime_ns) == state for p, state in pages.items())
    np.testing.assert_array_equal(xr.open_dataset(store, engine="virtualzarr")["v"], np.arange(800))


def test_a_store_in_memory_and_a_group_can_grow(files):
    memory = zarr.storage.MemoryStore()
    ivz.open_virtual_dataset(files[0]).vzarr.to_zarr(memory, group="a/b")
    ivz.open_virtual_dataset(files[1]).vzarr.to_zarr(memory, group="a/b", append_dim="time")
    grown = ivz.open_virtual_dataset(memory, group="a/b").vzarr.decode()
    xr.testing.assert_equal(grown.load(), direct(*files[:2]))


# ---------------------------------------------------------------------- regions and variables


@pytest.mark.parametrize("days", [(0, 3), (3, 6), (6, 9)])
def test_a_region_shows_other_files(files, tmp_path, days):
    joined = joined_virtually(files[:3])
    joined.vzarr.to_zarr(tmp_path / "s.vzarr")
    number = days[0] // 3
    other = write_file(tmp_path / "other.nc", days[0], dtype="f4")
    with netCDF4.Dataset(other, "a") as file:
        file["v"][:] = -1.5
    region = ivz.open_virtual_dataset(other)[["v"]]
    region.vzarr.to_zarr(tmp_path / "s.vzarr", region={"time": slice(*days)})
    replaced = [other if n == number else path for n, path in enumerate(files[:3])]
    expected = direct(*files[:3]).assign(v=direct(*replaced)["v"])
    assert_holds(tmp_path / "s.vzarr", expected)


def test_regions_that_do_not_fit_are_refused(files, store):
    region = ivz.open_virtual_dataset(files[0])[["v"]]
    for where, message in (
        ({"time": slice(0, 2)}, "the region has dimensions"),
        ({"depth": slice(0, 2)}, "there is no dimension 'depth'"),
        ({"time": slice(0, 3, 2)}, "only whole runs"),
        ({"time": slice(0, 3), "lon": slice(0, 2)}, "the region has dimensions"),
    ):
        before = content(store)
        with pytest.raises(HierarchyError, match=message):
            region.vzarr.to_zarr(store, region=where)
        assert content(store)[store / "zarr.json"] == before[store / "zarr.json"]


def patch(path: Path, days: int, lon: int) -> xr.Dataset:
    """Other values for a box of ``v`` and ``p``."""
    write_file(path, 50, days, lon=lon)
    return ivz.open_virtual_dataset(path)[["v", "p"]].drop_vars(["time", "lon"], errors="ignore")


def test_regions_along_two_dimensions_appends_and_regions_again(files, tmp_path):
    store = tmp_path / "s.vzarr"
    joined_virtually(files[:2]).vzarr.to_zarr(store)
    expected = direct(*files[:2])
    rng = np.random.default_rng(4)
    for turn in range(8):
        if turn in (3, 5):
            count = 2 + turn // 4
            append(files[count], store)
            more = direct(files[count])
            grown = {n: (expected[n].dims, np.concatenate([expected[n], more[n]], axis)) for n, axis in (("v", 0), ("p", 1))}
            expected = direct(*files[: count + 1]).assign(grown)
        days, lon = int(rng.integers(1, 4)), int(rng.integers(1, 5))
        region = {
            "time": slice(start := int(rng.integers(0, expected.sizes["time"] - days + 1)), start + days),
            "lon": slice(west := int(rng.integers(0, 5 - lon)), west + lon),
        }
        other = patch(tmp_path / f"patch{turn}.nc", days, lon)
        other.vzarr.to_zarr(store, region=region)
        with xr.open_dataset(tmp_path / f"patch{turn}.nc") as values:
            expected = expected.copy(deep=True)
            for name in ("v", "p"):
                expected[name][region] = values[name].values
        assert_holds(store, expected)


def test_a_tree_is_appended_to_group_by_group(files, tmp_path):
    def tree(path: Path) -> xr.DataTree:
        daily = ivz.open_virtual_dataset(path)
        nodes = {"/a": daily, "/a/b": daily[["p"]], "/fixed": daily[["static"]]}
        return xr.DataTree.from_dict({"/": xr.Dataset(attrs={"title": "t"}), **nodes})

    store = tmp_path / "t.vzarr"
    tree(files[0]).vzarr.to_zarr(store)
    tree(files[1]).vzarr.to_zarr(store, append_dim="time")
    expected = direct(*files[:2])
    for group, names in {"a": list(expected.variables), "a/b": ["p"], "fixed": ["static"]}.items():
        with xr.open_dataset(store, engine="virtualzarr", group=group) as grown:
            for name in names:
                xr.testing.assert_equal(grown[name].variable.load(), expected[name].variable)
    before = content(store)
    with pytest.raises(HierarchyError, match="a/static: is there already with other values"):
        tree(write_file(tmp_path / "wrong.nc", 6, static=2.0)).vzarr.to_zarr(store, append_dim="time")
    with pytest.raises(HierarchyError, match="no group of the tree has that dimension"):
        tree(files[1]).vzarr.to_zarr(store, append_dim="member")
    with pytest.raises(HierarchyError, match="contradict each other"):
        tree(files[1]).vzarr.to_zarr(store, append_dim="time", mode="w")
    assert {path: data for path, data in content(store).items() if path in before} == before


def test_an_append_that_is_refused_changes_no_byte_of_what_is_there(files, store, tmp_path):
    before = content(store)
    write_file(tmp_path / "wrong.nc", 3, scale=0.25)
    with pytest.raises(EncodingMismatchError, match="p: is int16 packed as"):
        append(tmp_path / "wrong.nc", store)
    assert {path: data for path, data in content(store).items() if path in before} == before


def test_times_that_are_numbers_are_not_appended_to_times(files, store):
    raw = ivz.open_virtual_dataset(files[1]).drop_vars("time").assign_coords(time=[3, 4, 5])
    with pytest.raises(HierarchyError, match=r"the store holds datetime64\[.*\], what is appended is int64"):
        raw.vzarr.to_zarr(store, append_dim="time")


def test_one_value_of_a_larger_array_is_written_as_a_value(files, tmp_path):
    """A scalar needs no reference."""
    opened = ivz.open_virtual_dataset(files[0])
    opened[["v", "p"]].isel(time=1, lon=2).vzarr.to_zarr(tmp_path / "s.vzarr")
    expected = direct(files[0])[["v", "p"]].isel(time=1, lon=2)
    assert_holds(tmp_path / "s.vzarr", expected)


def test_variables_can_be_added(files, store):
    dataset = ivz.open_virtual_dataset(files[0])
    dataset[["v"]].rename(v="w").vzarr.to_zarr(store, mode="a")
    expected = direct(files[0])
    assert_holds(store, expected.assign(w=expected["v"]))


def test_a_variable_that_is_there_with_other_values_is_not_replaced(files, store):
    before = content(store)
    with pytest.raises(HierarchyError, match="is there already with other values"):
        ivz.open_virtual_dataset(files[1])[["v"]].drop_vars("time").vzarr.to_zarr(store, mode="a")
    assert content(store)[store / "zarr.json"] == before[store / "zarr.json"]


def test_times_kept_virtual_in_another_unit_are_refused(tmp_path):
    for number, units in enumerate(("hours since 2000-01-01", "hours since 2000-01-02")):
        with netCDF4.Dataset(tmp_path / f"{number}.nc", "w") as file:
            file.createDimension("run", 2)
            file.createDimension("step", 3)
            made = file.createVariable("valid", "i4", ("run", "step"))
            made.units = units
            made[:] = np.arange(6).reshape(2, 3)
    opened = [ivz.open_virtual_dataset(tmp_path / f"{n}.nc", loadable_variables=[]) for n in (0, 1)]
    opened[0].vzarr.to_zarr(tmp_path / "s.vzarr")
    with pytest.raises(EncodingMismatchError, match="valid: units is 'hours since 2000-01-01' in the store"):
        opened[1].vzarr.to_zarr(tmp_path / "s.vzarr", append_dim="run")


def test_documents_hold_what_is_needed_and_no_more(files, store):
    append(files[1], store)
    root = json.loads((store / "zarr.json").read_text())["consolidated_metadata"]["metadata"]
    assert set(root) == {"time", "time_bnds", "lon", "v", "p", "static"}
    members = root["v"]["storage_transformers"][0]["configuration"]["members"]
    assert [m["length"] for m in members] == [3, 3]


# ---------------------------------------------------------------------- values in memory


def test_values_that_do_not_fit_the_encoding_of_their_file_are_written_as_they_are(tmp_path):
    """xarray keeps the encoding of the first file through shifts and joins; cast to it, gaps and fractions would be lost."""
    for number, (dtype, scale) in enumerate((("i2", 0.25), ("i4", 0.5))):
        write_file(tmp_path / f"{number}.nc", 3 * number)
        with netCDF4.Dataset(tmp_path / f"{number}.nc", "a") as file:
            q = file.createVariable("q", dtype, ("time", "lon"))
            q.set_auto_maskandscale(False)
            q.scale_factor = scale
            q[:] = np.arange(12).reshape(3, 4) + number
            file.createVariable("count", "i2", ("time", "lon"))[:] = np.arange(12).reshape(3, 4)
    paths = [tmp_path / "0.nc", tmp_path / "1.nc"]
    expected = direct(*paths)
    decoded = joined_virtually(paths).vzarr.decode()
    assert decoded.q.encoding["dtype"] == "f8", "the encoding of one file is not that of all"
    assert "scale_factor" not in decoded.q.encoding
    changed = {
        "shifted": lambda ds: ds.shift(time=1),
        "gaps in dates": lambda ds: ds.assign(when=ds.time.variable.shift(time=1)).drop_vars("time"),
        "half days": lambda ds: ds.assign_coords(time=ds.time + np.timedelta64(12, "h")),
        "computed": lambda ds: ds[["p", "q", "count"]] * 1.1,
    }
    for name, change in changed.items():
        wanted = change(expected)
        change(decoded).load().vzarr.to_zarr(tmp_path / name)
        for found_there in found(tmp_path / name).values():
            xr.testing.assert_equal(found_there.load(), wanted)


def test_packed_coordinates_are_appended_as_they_are_packed_or_refused(tmp_path):
    def made(path: Path, times: list[float]) -> Path:
        with netCDF4.Dataset(path, "w") as file:
            file.createDimension("time", len(times))
            height = file.createVariable("time", "i2", "time")
            height.setncatts({"scale_factor": 0.5, "long_name": "packed"})
            height[:] = times
            file.createVariable("v", "f4", ("time",), chunksizes=(1,))[:] = times
        return path

    first = xr.open_dataset(made(tmp_path / "a.nc", [0, 0.5]), engine="h5netcdf", mask_and_scale=False)
    virtual = ivz.open_virtual_dataset(tmp_path / "a.nc").drop_vars("time").assign_coords(time=first.time.variable)
    virtual.vzarr.to_zarr(tmp_path / "s.vzarr")  # the store packs its coordinate
    assert json.loads((tmp_path / "s.vzarr" / "time" / "zarr.json").read_text())["data_type"] == "int16"
    append(made(tmp_path / "b.nc", [1.0, 1.5]), tmp_path / "s.vzarr")
    with xr.open_dataset(tmp_path / "s.vzarr", engine="virtualzarr") as grown:
        assert grown.time.values.tolist() == grown.v.values.tolist() == [0, 0.5, 1.0, 1.5]
    more = ivz.open_virtual_dataset(made(tmp_path / "c.nc", [2.0])).assign_coords(time=[2.25])
    with pytest.raises(HierarchyError, match="time: is packed as int16 in the store, in which these values have no exact number"):
        more.vzarr.to_zarr(tmp_path / "s.vzarr", append_dim="time")


# ---------------------------------------------------------------------- stores joined with files


def test_stores_and_files_are_joined_by_one_call(files, tmp_path):
    for number in (0, 2):
        ivz.open_virtual_dataset(files[number]).vzarr.to_zarr(tmp_path / f"{number}.vzarr", fuse=number == 0)
    joined = joined_virtually([tmp_path / "0.vzarr", files[1], tmp_path / "2.vzarr", files[3]])
    joined.vzarr.to_zarr(tmp_path / "all.vzarr")
    assert_holds(tmp_path / "all.vzarr", direct(*files))
    with helpers.serving(tmp_path) as server:
        remote = joined_virtually([f"{server.url}/0.vzarr", f"{server.url}/1.nc"])
        xr.testing.assert_equal(remote.vzarr.decode().load(), direct(*files[:2]))


def test_a_directory_without_a_store_is_refused_with_the_files_or_skipped(files, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(VirtualZarrError, match="empty: is a directory with neither a Zarr hierarchy"):
        joined_virtually([files[0], tmp_path / "empty"])
    with pytest.warns(UserWarning, match="1 of 2 files skipped"):
        joined = ivz.open_virtual_mfdataset([files[0], tmp_path / "empty"], on_error="skip", **SERIES)
    assert joined.sizes["time"] == 3
