"""The rule by which a coordinate goes on, in the library, the command and the search: one for all."""

import cftime
import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.cli.main import main
from intake_virtualzarr.datasets.append_checks import continues

DAYS = np.array(["2024-01-04", "2024-01-05", "2024-01-06"], "M8[ns]")
NOLEAP = np.array([cftime.DatetimeNoLeap(2024, 1, day) for day in (4, 5, 6)])


@pytest.mark.parametrize(
    ("there", "new", "expected"),
    [
        ([1, 2], [3], True),
        ([2, 1], [0], True),
        ([2, 1], [3], False),
        ([1, 2], [2], False),
        ([1, 2], [4, 3], False),
        ([1], [0], True),
        ([1], [2], True),
        ([1], [1], False),
        ([1], [0, -1], True),
        ([1], [], True),
        ([], [2, 1], True),
        (DAYS[:2], DAYS[2:], True),
        (DAYS[:0:-1], DAYS[:1], True),
        (DAYS[1:2], DAYS[:1], False),
        (NOLEAP[:2], NOLEAP[2:], True),
        (NOLEAP[1:2], NOLEAP[:1], False),
    ],
)
def test_a_coordinate_goes_on_in_one_direction(there, new, expected):
    assert continues(there, new) is expected


@pytest.fixture
def falling(tmp_path):
    paths = [tmp_path / f"{day}.nc" for day in range(3)]
    for day, path in enumerate(paths):
        one = xr.Dataset({"x": ("depth", np.arange(3.0) + day)}, coords={"depth": -3.0 * day - np.arange(3.0)})
        one.to_netcdf(path, engine="h5netcdf")
    ivz.open_virtual_dataset(paths[0]).vzarr.to_zarr(tmp_path / "x.vzarr")
    return paths, tmp_path / "x.vzarr"


def by_library(store, path):
    ivz.open_virtual_dataset(path).vzarr.to_zarr(store, append_dim="depth")


def by_command(store, path):
    assert main(["append", str(store), str(path), "--dim", "depth"]) == 0


@pytest.mark.parametrize("append", [by_library, by_command])
def test_a_falling_coordinate_goes_on_downwards(append, falling):
    paths, store = falling
    for path in paths[1:]:
        append(store, path)
    opened = xr.open_dataset(store, engine="virtualzarr")
    np.testing.assert_array_equal(opened.depth, -np.arange(9.0))


@pytest.mark.parametrize("append", [by_library, by_command])
def test_a_falling_coordinate_that_turns_is_refused(append, falling):
    paths, store = falling
    append(store, paths[2])
    with pytest.raises((ivz.VirtualZarrError, AssertionError)):
        append(store, paths[1])
    assert xr.open_dataset(store, engine="virtualzarr").sizes == {"depth": 6}
