"""Late, reprocessed and missing files change a store without a scan of the others; many appends become compact again."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import intake_virtualzarr as ivz
from intake_virtualzarr import VirtualZarrError
from intake_virtualzarr.catalog import cube, patch, update, update_done
from intake_virtualzarr.catalog.compact import compact
from intake_virtualzarr.datasets.join_options import JoinOptions


def write(path, day, *, value=None, packed=True, mask=1):
    """One day on a small grid, with a mask that all days share."""
    values = np.full((1, 3, 4), day if value is None else value, "f8") + np.arange(12.0).reshape(3, 4) / 16
    dataset = xr.Dataset(
        {"sst": (("time", "lat", "lon"), values), "mask": (("lat", "lon"), np.full((3, 4), mask, "i1"))},
        coords={
            "time": [np.datetime64("2024-01-01", "ns") + np.timedelta64(day, "D")],
            "lat": [0.0, 1.0, 2.0],
            "lon": np.arange(4.0),
        },
    )
    encoding = {"sst": {"dtype": "i2", "scale_factor": 1 / 16, "_FillValue": -1}} if packed else {}
    encoding["time"] = {"units": "hours since 2000-01-01", "dtype": "f8"}
    dataset.to_netcdf(path, engine="h5netcdf", encoding=encoding)
    return path


def direct(paths):
    options = {"combine": "by_coords", "data_vars": "minimal", "coords": "minimal", "compat": "override"}
    return xr.open_mfdataset(sorted(paths), engine="h5netcdf", **options).load()


def opened(tmp_path):
    return xr.open_dataset(tmp_path / "c" / "s.vzarr", engine="virtualzarr").load()


@pytest.fixture
def scanned(monkeypatch):
    """Sources that are scanned, in order."""
    found = []
    plain = cube.open_sources

    def counted(sources, *args, **kwargs):
        found.extend(one.href for one in sources)
        return plain(sources, *args, **kwargs)

    for module in (update, update_done):
        monkeypatch.setattr(module, "open_sources", counted)
    return found


def test_late_and_reprocessed_files_are_the_only_ones_that_are_scanned(tmp_path, scanned):
    paths = [write(tmp_path / f"{day:02}.nc", day) for day in range(12) if day != 5]
    ivz.ingest(paths, tmp_path / "c", name="s")
    late = write(tmp_path / "05.nc", 5)
    write(paths[3], 3, value=100)
    report = ivz.update([*paths, late], tmp_path / "c", conflicts="rewrite")
    assert report.action == "replace"
    assert sorted(str(one).rpartition("/")[2] for one in scanned) == ["03.nc", "05.nc"]
    xr.testing.assert_identical(opened(tmp_path).drop_attrs(), direct([*paths, late]).drop_attrs())
    assert ivz.update([*paths, late], tmp_path / "c").action == "nothing"


def test_what_all_files_share_is_compared_with_that_of_a_late_file(tmp_path):
    paths = [write(tmp_path / f"{day:02}.nc", day) for day in (0, 2, 3)]
    ivz.ingest(paths, tmp_path / "c", name="s")
    before = opened(tmp_path)
    late = write(tmp_path / "01.nc", 1, mask=7)
    with pytest.raises(VirtualZarrError, match="mask"):
        ivz.update([*paths, late], tmp_path / "c", conflicts="rewrite")
    xr.testing.assert_identical(opened(tmp_path), before)


def test_the_first_file_may_be_reprocessed_too(tmp_path):
    paths = [write(tmp_path / f"{day:02}.nc", day) for day in range(4)]
    ivz.ingest(paths, tmp_path / "c", name="s")
    write(paths[0], 0, value=50)
    ivz.update(paths, tmp_path / "c", conflicts="rewrite")
    xr.testing.assert_identical(opened(tmp_path).drop_attrs(), direct(paths).drop_attrs())


def test_a_file_of_other_packing_is_put_in_with_its_own(tmp_path):
    paths = [write(tmp_path / f"{day:02}.nc", day) for day in (0, 2, 3)]
    ivz.ingest(paths, tmp_path / "c", name="s")
    late = write(tmp_path / "01.nc", 1, packed=False)
    ivz.update([*paths, late], tmp_path / "c", conflicts="rewrite")
    np.testing.assert_array_equal(opened(tmp_path).sst.values, direct([*paths, late]).sst.values)


@settings(deadline=None, max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_order_of_arrival_ends_as_one_ingest_of_all(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("arrivals")
    order = data.draw(st.permutations(range(6)))
    first = data.draw(st.integers(1, 5))
    paths = {day: write(folder / f"{day:02}.nc", day) for day in order[:first]}
    ivz.ingest(sorted(paths.values()), folder / "c", name="s")
    for day in order[first:]:
        paths[day] = write(folder / f"{day:02}.nc", day)
        changed = data.draw(st.sampled_from([None, *sorted(paths)]))
        if changed is not None:
            write(paths[changed], changed, value=data.draw(st.integers(20, 90)))
        ivz.update(sorted(paths.values()), folder / "c", conflicts="rewrite")
        xr.testing.assert_identical(opened(folder).drop_attrs(), direct(paths.values()).drop_attrs())


def test_a_store_of_many_appends_becomes_one_manifest(tmp_path):
    paths = [write(tmp_path / f"{day:02}.nc", day) for day in range(8)]
    ivz.ingest(paths[:1], tmp_path / "c", name="s")
    for n in range(2, 9):
        ivz.update(paths[:n], tmp_path / "c", append_dim="time")
    expected = opened(tmp_path)
    report = compact(tmp_path / "c" / "s.vzarr")
    assert (report.segments_before, report.segments_after) == (8, 1)
    xr.testing.assert_identical(opened(tmp_path), expected)
    assert compact(tmp_path / "c" / "s.vzarr").nbytes == 0
    assert ivz.update(paths, tmp_path / "c").action == "nothing"


def test_an_update_makes_a_store_compact_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(update_done, "COMPACT_AFTER", 3)
    paths = [write(tmp_path / f"{day:02}.nc", day) for day in range(6)]
    ivz.ingest(paths[:2], tmp_path / "c", name="s")
    pieces = []
    for n in range(3, 7):
        ivz.update(paths[:n], tmp_path / "c")
        pieces.append(len(ivz.open_virtual_dataset(tmp_path / "c" / "s.vzarr").sst.data.segments))
    assert pieces == [2, 3, 1, 2]
    xr.testing.assert_identical(opened(tmp_path).drop_attrs(), direct(paths).drop_attrs())


def test_labels_that_are_not_sorted_are_refused_before_manifests_are_looked_through(tmp_path, monkeypatch):
    paths = [write(tmp_path / f"{day}.nc", day) for day in range(3)]
    store = ivz.open_virtual_mfdataset(paths).isel(time=[1, 0, 2])
    monkeypatch.setattr(patch, "uses_sources", None)
    assert patch.patched(store, [], {}, "time", JoinOptions()) is None
