"""Files of a forecast as one cube: joined by what tells them apart, written, appended, published, and read by another process."""

from __future__ import annotations

import subprocess
import sys
from itertools import product

import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.codecs import grib_library
from intake_virtualzarr.errors import JoinError, UnsupportedError
from tests.support.grib_files import field, some_values

if grib_library.no_eccodes() or grib_library.gribberish() is None:
    pytest.skip("the extra grib is not installed", allow_module_level=True)
ec = grib_library.eccodes("a test")

DAYS, STEPS, MEMBERS = (5, 6), (0, 6, 12), (0, 1)
KEYS = {"productDefinitionTemplateNumber": 1, "numberOfForecastsInEnsemble": 2, "shortName": "2t"}


def values_of(day: int, step: int, member: int) -> np.ndarray:
    return some_values(100 * day + 2 * step + member)


@pytest.fixture(scope="module")
def forecast(tmp_path_factory):
    """A file for each reference time, step and member; by these."""
    folder = tmp_path_factory.mktemp("forecast")
    paths = {}
    for day, step, member in product(DAYS, STEPS, MEMBERS):
        path = folder / f"{day}-{step:03}-{member}.grib2"
        message = field(ec, values_of(day, step, member), **KEYS, number=member, forecastTime=step, dataDate=20240100 + day)
        path.write_bytes(message)
        paths[day, step, member] = path
    return paths


def items_of(forecast, days=DAYS):
    for (day, _, _), path in forecast.items():
        if day in days:
            yield {
                "type": "Feature", "stac_version": "1.1.0", "id": path.stem, "geometry": None, "links": [],
                "properties": {"datetime": f"2024-01-{day:02}T06:00:00Z"},
                "assets": {"data": {"href": str(path), "type": "application/wmo-GRIB2", "roles": ["data"]},
                           "index": {"href": f"{path}.index", "type": "application/x-ndjson", "roles": ["index"]}},
            }  # fmt: skip


def assert_whole(cube: xr.Dataset, days=DAYS) -> None:
    assert cube.t2m.dims == ("number", "time", "step", "latitude", "longitude")
    assert set(cube.valid_time.dims) == {"time", "step"}
    for day, step, member in product(days, STEPS, MEMBERS):
        time, ahead = np.datetime64(f"2024-01-{day:02}T06"), np.timedelta64(step, "h")
        np.testing.assert_allclose(cube.t2m.sel(time=time, step=ahead, number=member), values_of(day, step, member), atol=0.05)
        assert cube.valid_time.sel(time=time, step=ahead) == time + ahead


def test_what_tells_files_apart_is_an_axis(forecast):
    cube = ivz.open_virtual_mfdataset(list(forecast.values()))
    assert_whole(cube.vzarr.decode().load())
    assert cube.t2m.attrs["GRIB_shortName"] == "2t"


def test_steps_alone_make_no_axis_of_time(forecast):
    cube = ivz.open_virtual_mfdataset([forecast[5, step, 0] for step in STEPS])
    assert cube.t2m.dims == ("step", "latitude", "longitude")
    assert cube.time.ndim == 0
    assert cube.valid_time.dims == ("step",)


def test_a_file_of_several_steps_is_continued_by_one_of_a_single_step(forecast, tmp_path):
    both = tmp_path / "both.grib2"
    both.write_bytes(forecast[5, 0, 0].read_bytes() + forecast[5, 6, 0].read_bytes())
    cube = ivz.open_virtual_mfdataset([both, forecast[5, 12, 0]]).vzarr.decode().load()
    assert list(cube.step.values / np.timedelta64(1, "h")) == list(STEPS)
    for k, step in enumerate(STEPS):
        np.testing.assert_allclose(cube.t2m[k], values_of(5, step, 0), atol=0.05)


def test_two_files_of_one_step_are_refused_with_their_names(forecast, tmp_path):
    again = tmp_path / "again.grib2"
    again.write_bytes(forecast[5, 6, 0].read_bytes())
    with pytest.raises(JoinError, match=r"again\.grib2"):
        ivz.open_virtual_mfdataset([forecast[5, 0, 0], forecast[5, 6, 0], again])


def test_a_field_of_which_there_is_no_file_is_missing(forecast):
    lacking = [path for key, path in forecast.items() if key != (6, 12, 1)]
    cube = ivz.open_virtual_mfdataset(lacking).vzarr.decode().load()
    there = np.isfinite(cube.t2m).all(["latitude", "longitude"])
    assert int((~there).sum()) == 1
    assert not there.sel(number=1, time="2024-01-06T06", step=np.timedelta64(12, "h")).any()
    np.testing.assert_array_equal(cube.valid_time.transpose("time", "step"), cube.time.values[:, None] + cube.step.values)


READER = """
import sys
import numpy as np
store, catalog = sys.argv[1:]
import intake
import xarray as xr
for cube in (xr.open_dataset(store, engine="virtualzarr"), intake.open_catalog(catalog)["forecast"].read()):
    print(cube.t2m.dims, float(cube.t2m.sum()), *np.asarray(cube.latitude)[:2])
"""


def test_a_forecast_is_published_updated_and_read_by_another_process(forecast, tmp_path):
    assert_whole(ivz.virtualize(list(items_of(forecast))).vzarr.decode().load())
    report = ivz.ingest(list(items_of(forecast, DAYS[:1])), tmp_path, name="forecast")
    assert report.sources == len(STEPS) * len(MEMBERS)
    ivz.update(list(items_of(forecast)), tmp_path, append_dim="time", conflicts="skip")
    store = tmp_path / "forecast.vzarr"
    with xr.open_dataset(store, engine="virtualzarr") as cube:
        assert_whole(cube)
        total = float(cube.t2m.sum())
    command = [sys.executable, "-c", READER, str(store), str(tmp_path / "catalog.yaml")]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    lines = said.splitlines()
    assert lines[0] == lines[1] == f"{('number', 'time', 'step', 'latitude', 'longitude')} {total} 60.0 59.0"


@pytest.mark.parametrize("way", ["kerchunk", "parquet", "icechunk"])
def test_what_other_formats_cannot_say_is_refused_by_name(forecast, tmp_path, way):
    cube = ivz.open_virtual_dataset(forecast[5, 0, 0])
    options = {"format": "parquet"} if way == "parquet" else {}
    export = cube.vzarr.to_icechunk if way == "icechunk" else cube.vzarr.to_kerchunk
    with pytest.raises(UnsupportedError, match="t2m: codec 'grib'"):
        export(tmp_path / f"refs.{way}", **options)
