"""A join never loses a file: equal coordinates are refused by name, or one is chosen; what went in is what is referenced."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.datasets.completeness import check_complete
from intake_virtualzarr.errors import JoinError, VirtualZarrError


def write(path: Path, days: list[int], value: float, depth: list[float] | None = None, name: str = "v") -> Path:
    """Daily fields of one value."""
    times = np.datetime64("2010-05-01", "ns") + np.array(days) * np.timedelta64(86_400 * 10**9, "ns")
    coords = {"time": times, "depth": [0.0, 5.0] if depth is None else depth}
    dataset = xr.Dataset({name: (("time", "depth"), np.full((len(days), 2), value, "f4"))}, coords)
    dataset.to_netcdf(path, engine="h5netcdf")
    return path


@pytest.fixture
def versions(tmp_path) -> list[Path]:
    return [
        write(tmp_path / f"{name}.nc", days, value) for name, days, value in (("p1", [0], 1), ("p2", [1], 2), ("p1_r2", [0], 3))
    ]


def test_two_versions_of_a_period_are_refused_and_both_are_named(versions, tmp_path):
    for call in (
        lambda: ivz.open_virtual_mfdataset(versions),
        lambda: ivz.virtualize(versions),
        lambda: ivz.ingest(versions, tmp_path / "cat", name="s"),
    ):
        with pytest.raises(
            JoinError, match=r"p1\.nc and .*p1_r2\.nc hold the same .*duplicates='last'.*combine='nested', concat_dim"
        ):
            call()


@pytest.mark.parametrize(("policy", "value"), [("first", 1), ("last", 3)])
def test_a_version_can_be_chosen(versions, policy, value, tmp_path):
    joined = ivz.open_virtual_mfdataset(versions, duplicates=policy)
    assert joined.vzarr.decode()["v"].values[:, 0].tolist() == [value, 2]
    assert ivz.virtualize(versions, duplicates=policy).vzarr.decode()["v"].values[:, 0].tolist() == [value, 2]
    assert ivz.ingest(versions, tmp_path / "cat", name="s", duplicates=policy).sources == 2


def test_an_unknown_policy_and_one_for_a_nested_join_are_refused(versions):
    with pytest.raises(VirtualZarrError, match="duplicates is 'newest', expected one of 'raise', 'first', 'last'"):
        ivz.open_virtual_mfdataset(versions, duplicates="newest")
    with pytest.raises(VirtualZarrError, match="goes with combine='by_coords'"):
        ivz.open_virtual_mfdataset(versions, duplicates="last", combine="nested", concat_dim="time")


def test_files_that_begin_alike_and_go_on_differently_are_refused_whatever_the_policy(tmp_path):
    paths = [write(tmp_path / "short.nc", [0], 1), write(tmp_path / "long.nc", [0, 1], 2), write(tmp_path / "next.nc", [2], 3)]
    for policy in ("raise", "last"):
        with pytest.raises(JoinError, match=r"short\.nc and .*long\.nc begin at the same labels"):
            ivz.open_virtual_mfdataset(paths, duplicates=policy)


def test_only_equal_coordinates_are_duplicates_as_all_orders_of_files_agree(tmp_path):
    paths = [write(tmp_path / f"{t}{z}.nc", [t], t + z, [z, z + 5.0]) for t in (0, 1) for z in (0.0, 10.0)]
    for order in itertools.permutations(paths):
        assert dict(ivz.open_virtual_mfdataset(list(order)).sizes) == {"time": 2, "depth": 4}
    with pytest.raises(JoinError, match=r"00\.0\.nc and .*00\.0\.nc"):
        ivz.open_virtual_mfdataset([*paths, paths[0]])


def test_members_of_an_ensemble_over_several_periods_want_a_nested_join(tmp_path):
    members = [[write(tmp_path / f"m{m}_{t}.nc", [t, t + 1], 10 * m + t) for t in (0, 2)] for m in (1, 2)]
    flat = [path for periods in members for path in periods]
    with pytest.raises(JoinError, match=r"m1_0\.nc and .*m2_0\.nc"):
        ivz.virtualize(flat)
    joined = ivz.open_virtual_mfdataset(members, combine="nested", concat_dim=["member", "time"])
    assert joined.vzarr.decode()["v"].isel(depth=0).values.tolist() == [[10, 10, 12, 12], [20, 20, 22, 22]]


def test_files_without_the_axis_of_the_join_are_stacked_though_their_coordinates_are_equal(tmp_path):
    paths = [write(tmp_path / f"{m}.nc", [0, 1], m) for m in range(3)]
    assert ivz.virtualize(paths, concat_dim="member", data_vars="all").sizes["member"] == 3


def test_a_file_of_which_nothing_is_left_is_named(tmp_path):
    datasets = [ivz.open_virtual_dataset(write(tmp_path / f"{m}.nc", [0], m)) for m in range(2)]
    joined = xr.merge(datasets, compat="override", join="outer")
    with pytest.raises(JoinError, match=r"1\.nc: the join has dropped 'v' of this file; .*0\.nc was taken instead"):
        check_complete(datasets, joined, join="outer", compat="override", along=["member"])
    check_complete(datasets, joined, join="outer", compat="no_conflicts", along=["member"])


def test_a_part_of_a_file_that_another_one_hides_is_named(tmp_path):
    one = ivz.open_virtual_dataset(write(tmp_path / "a.nc", [0], 1))
    other = ivz.open_virtual_dataset(write(tmp_path / "b.nc", [1], 2))
    with pytest.raises(JoinError, match=r"b\.nc: the join has dropped 'v'"):
        check_complete([one, other], xr.merge([one, other], compat="override", join="outer"), join="outer", compat="override")
    check_complete([one, other], xr.concat([one, other], "time"), join="outer", compat="override")
    check_complete([one, other], one, join="left", compat="override")
