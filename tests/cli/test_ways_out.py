"""What an error of the command line suggests works: for files like those of GOES, SWOT and CESM."""

import re

import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.cli.main import main

HOUR = np.timedelta64(1, "h")
START = np.datetime64("2024-01-01", "ns")


def scene(number, *, time=True):
    """A picture: its time is a scalar, or not there."""
    coords = {"y": np.arange(4.0), "x": np.arange(5.0)}
    if time:
        coords["t"] = START + number * HOUR
    return xr.Dataset({"CMI": (("y", "x"), np.full((4, 5), float(number)))}, coords)


def bare_scene(number):
    return scene(number, time=False).drop_vars(["y", "x"])


def swath(number):
    """A pass: coordinates of two dimensions, and a length of its own."""
    lines = 5 + number
    shape = (lines, 3)
    coords = {name: (("num_lines", "num_pixels"), np.random.rand(*shape)) for name in ("latitude", "longitude")}
    coords["time"] = ("num_lines", START + number * HOUR + np.arange(lines) * np.timedelta64(1, "s"))
    return xr.Dataset({"ssha": (("num_lines", "num_pixels"), np.full(shape, float(number)))}, coords)


def member(number):
    """A member of an ensemble: the same times as the others."""
    time = xr.date_range("2000-01", periods=3, freq="MS")
    values = np.full((3, 2), float(number))
    return xr.Dataset({"T": (("time", "z_t"), values), "area": ("z_t", np.arange(2.0))}, {"time": time, "z_t": np.arange(2.0)})


KINDS = {
    "GOES": (scene, "t", {"t": 3, "y": 4, "x": 5}),
    "GOES without coordinates": (bare_scene, "time", {"time": 3, "y": 4, "x": 5}),
    "SWOT": (swath, "num_lines", {"num_lines": 18, "num_pixels": 3}),
    "CESM": (member, "member", {"member": 3, "time": 3, "z_t": 2}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_flags_that_an_error_suggests_work(kind, tmp_path, capsys):
    make, dim, sizes = KINDS[kind]
    paths = [str(tmp_path / f"{number}.nc") for number in range(3)]
    for number, path in enumerate(paths):
        make(number).to_netcdf(path, engine="h5netcdf")
    command = ["ingest", *paths, "--to", str(tmp_path / "catalog"), "--name", "s"]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert "0.nc and " in error
    flags = re.search(r"(--combine nested), (--concat-dim \w+)", error)
    assert flags, error
    assert main([*command, *flags[1].split(), *flags[2].split()]) == 0, capsys.readouterr().err
    with xr.open_dataset(tmp_path / "catalog/s.vzarr", engine="virtualzarr") as opened:
        assert dict(opened.sizes) == sizes
        parts = [xr.open_dataset(path, engine="h5netcdf") for path in paths]
        name = next(iter(parts[0].data_vars))
        expected = xr.concat([part[name] for part in parts], dim=dim, coords="minimal", compat="override")
        np.testing.assert_array_equal(opened[name].values, expected.values)


def test_the_same_stands_in_errors_of_the_library(tmp_path):
    for number in range(2):
        swath(number).to_netcdf(tmp_path / f"{number}.nc", engine="h5netcdf")
    with pytest.raises(ivz.JoinError, match=r"combine='nested', concat_dim='num_lines' joins them as they come"):
        ivz.virtualize(sorted(tmp_path.glob("*.nc")))
