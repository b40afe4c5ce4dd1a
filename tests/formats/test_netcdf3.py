"""netCDF-3 files: values bit for bit as netCDF4-python gives them."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import FormatError, VirtualZarrError

SHARED = Path(os.environ.get("IVZ_SHARED", Path(__file__).parents[3] / "shared"))
INDEX = SHARED / "corpus" / "INDEX.tsv"


def real_files() -> list[Path]:
    if not INDEX.exists():
        return []
    with INDEX.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return [SHARED / "corpus" / row["path"] for row in rows if row["kind"].split()[0] in ("nc1", "nc2", "nc5")]


def assert_same_values(path: Path) -> None:
    """Every variable, stored values and data types."""
    scanned = ivz.scan(path)
    assert not scanned.left_out
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        file.set_auto_chartostring(False)
        assert {"/" + name.removesuffix("\0") for name in file.variables} == set(scanned.arrays)
        for name, variable in file.variables.items():
            array = scanned.arrays["/" + name.removesuffix("\0")]
            assert array.dims == variable.dimensions
            virtual = ivz.VirtualZarrArray(array.shape, array.dtype, array.fill_value, array.segments)
            expected = np.asarray(variable[...])
            assert array.dtype == expected.dtype.newbyteorder("=")
            np.testing.assert_array_equal(np.asarray(virtual), expected)


@pytest.mark.skipif(not INDEX.exists(), reason="the corpus of real files is not here")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("path", real_files(), ids=lambda p: p.name)
def test_a_real_file_reads_as_netcdf4_reads_it(path):
    try:
        netCDF4.Dataset(path).close()
    except OSError:
        with pytest.raises(FormatError):
            ivz.scan(path)
        return
    assert_same_values(path)


@pytest.mark.parametrize("kind", ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"])
@pytest.mark.parametrize("alone", [True, False], ids=["one record variable", "several"])
def test_records_lie_where_the_header_says(tmp_path, kind, alone):
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w", format=kind) as file:
        file.createDimension("t", None)
        file.createDimension("x", 3)
        file.createVariable("b", "i1", ("t", "x"))[:] = np.arange(15).reshape(5, 3)
        if not alone:
            file.createVariable("d", "f8", ("t",))[:] = np.arange(5) / 3
            file.createVariable("s", "i2", ("t", "x"))[:] = -np.arange(15).reshape(5, 3)
        file.createVariable("fixed", "f4", ("x",))[:] = [1.5, np.nan, -2]
        file.createVariable("scalar", "i4", ())[...] = 7
        file.long = "x" * 70_000  # a header longer than the first guess
    assert_same_values(path)


def test_a_file_without_records_has_empty_variables(tmp_path):
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as file:
        file.createDimension("t", None)
        file.createVariable("v", "f4", ("t",))
    assert ivz.open_virtual_dataset(path, loadable_variables=["v"])["v"].shape == (0,)


def test_decoded_values_are_those_of_xarray(tmp_path):
    paths = []
    for i in range(2):
        ds = xr.Dataset({"v": (("time", "x"), np.arange(6.0).reshape(2, 3) + i)}, coords={"time": [2 * i, 2 * i + 1]})
        encoding = {"v": {"dtype": "i2", "scale_factor": 0.25 * (i + 1), "_FillValue": -1}}
        ds.to_netcdf(tmp_path / f"{i}.nc", format="NETCDF3_CLASSIC", engine="netcdf4", encoding=encoding)
        paths.append(tmp_path / f"{i}.nc")
    with xr.open_mfdataset(paths, engine="netcdf4") as expected:
        xr.testing.assert_equal(ivz.open_virtual_mfdataset(paths).vzarr.decode().load(), expected.load())


def test_a_truncated_file_is_refused_by_name(tmp_path):
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as file:
        file.createDimension("x", 1000)
        file.createVariable("v", "f8", ("x",))[:] = np.arange(1000)
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(FormatError, match="v: its values reach to byte"):
        ivz.scan(path)


def test_damaged_headers_give_clean_errors(tmp_path):
    path = tmp_path / "a.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF3_64BIT_OFFSET") as file:
        file.createDimension("t", None)
        file.createDimension("x", 3)
        file.title = "a title"
        variable = file.createVariable("v", "i2", ("t", "x"))
        variable.units = "K"
        variable[:] = np.arange(12).reshape(4, 3)
    good = path.read_bytes()
    random = np.random.default_rng(7)
    for _ in range(400):
        data = bytearray(good)
        for _ in range(random.integers(1, 4)):
            data[random.integers(4, len(good))] = random.integers(0, 256)
        path.write_bytes(bytes(data))
        try:
            ivz.scan(path)
        except VirtualZarrError:
            continue
