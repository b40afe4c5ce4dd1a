"""Packing that means nothing is refused or applied as plain xarray does it; no packed number is taken for a value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import UnsupportedError, VirtualZarrError

ODD: dict[str, Any] = {
    "text": "0.5",
    "bytes": b"2",
    "vector": np.array([0.5, 2.0]),
    "empty": np.array([]),
    "null": h5py.Empty("f4"),
    "complex": np.complex64(1 + 1j),
    "nan": np.float64("nan"),
    "one": np.array([0.5]),
    "words": np.array(["a", "b"], object),
}
ATTRIBUTES = ["scale_factor", "add_offset", "_FillValue", "missing_value"]

pytestmark = [
    pytest.mark.filterwarnings("ignore::xarray.SerializationWarning"),
    pytest.mark.filterwarnings("ignore:Casting complex values"),
    pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning"),
]


def write(path: Path, start: int, dtype: str, attrs: dict[str, Any]) -> Path:
    with h5py.File(path, "w") as file:
        labels = file.create_dataset("k", data=np.arange(start, start + 3))
        labels.make_scale("k")
        made = file.create_dataset("v", data=np.array([4, 5, 6], dtype))
        made.dims[0].attach_scale(labels)
        made.attrs.update(attrs)
    return path


def values(call: Any) -> Any:
    """What a call gives, or None if it refuses."""
    try:
        return call()["v"].load().values
    except Exception:
        return None


@pytest.mark.parametrize("dtype", ["i2", "f4"])
@pytest.mark.parametrize("attribute", ATTRIBUTES)
@pytest.mark.parametrize("odd", ODD)
def test_an_odd_attribute_is_refused_or_gives_the_values_of_xarray(tmp_path, odd, attribute, dtype):
    path = write(tmp_path / "odd.nc", 0, dtype, {attribute: ODD[odd]})
    plain = write(tmp_path / "plain.nc", 3, dtype, {})
    alone = values(lambda: xr.open_dataset(path, engine="h5netcdf"))
    joined = values(lambda: xr.open_mfdataset([path, plain], engine="h5netcdf"))
    stored = tmp_path / "s.vzarr"
    ivz.open_virtual_dataset(path).vzarr.to_zarr(stored)
    doors = {
        "engine": (lambda: xr.open_dataset(path, engine="virtualzarr"), alone),
        "decode": (lambda: ivz.open_virtual_dataset(path).vzarr.decode(), alone),
        "written": (lambda: xr.open_dataset(stored, engine="virtualzarr"), alone),
        "zarr": (lambda: xr.open_zarr(ivz.VirtualZarrStore(path), consolidated=False, chunks=None), alone),
        "joined": (lambda: ivz.open_virtual_mfdataset([path, plain]).vzarr.decode(), joined),
    }
    for door, (call, expected) in doors.items():
        found = values(call)
        if found is None and (door == "zarr" or odd == "complex"):  # JSON has no such numbers; refusing is right, too
            continue
        if odd == "complex" and attribute in ("_FillValue", "missing_value"):
            continue
        assert (found is None) == (expected is None), door
        if found is not None:
            np.testing.assert_array_equal(found, expected, err_msg=door)


def test_a_refusal_names_file_variable_and_attribute(tmp_path):
    paths = [write(tmp_path / "odd.nc", 0, "i2", {"scale_factor": "0.5"}), write(tmp_path / "plain.nc", 3, "i2", {})]
    with pytest.raises(VirtualZarrError, match=r"odd\.nc: v: scale_factor is '0\.5', expected one real number.*drop_variables"):
        ivz.open_virtual_mfdataset(paths)


def test_plain_calls_do_not_drop_an_odd_factor_either(tmp_path):
    paths = [write(tmp_path / "odd.nc", 0, "i2", {"scale_factor": "0.5"}), write(tmp_path / "plain.nc", 3, "i2", {})]
    with pytest.raises(UnsupportedError, match=r"scale_factor is '0\.5'"):
        xr.concat([ivz.open_virtual_dataset(path) for path in paths], "k")


@pytest.fixture
def packed(tmp_path) -> xr.Dataset:
    encoding = {"t": {"dtype": "i2", "scale_factor": 0.01, "add_offset": 280.0, "_FillValue": -1}}
    dataset = xr.Dataset({"t": (("y", "x"), np.full((4, 6), 281.0))}, {"y": np.arange(4.0), "x": np.arange(6.0)})
    dataset.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding=encoding)
    return ivz.open_virtual_dataset(tmp_path / "a.nc")


CALCULATIONS = {
    "mean": lambda ds: ds.t.mean(),
    "sum": lambda ds: ds.t.sum("x"),
    "max": lambda ds: ds.max(),
    "std": lambda ds: ds.t.std(),
    "median": lambda ds: ds.t.median(),
    "quantile": lambda ds: ds.t.quantile(0.5).load(),
    "plus": lambda ds: ds.t + 1,
    "minus": lambda ds: 1 - ds.t,
    "less": lambda ds: ds.t < 5,
    "sine": lambda ds: np.sin(ds.t),
    "interp": lambda ds: ds.interp(x=0.5).t.load(),
    "groupby": lambda ds: ds.groupby("y").mean().t.load(),
    "rolling": lambda ds: ds.t.rolling(x=2).mean().load(),
    "coarsen": lambda ds: ds.t.coarsen(x=2).mean().load(),
    "weighted": lambda ds: ds.t.weighted(ds.x).mean().load(),
    "cumsum": lambda ds: ds.t.cumsum("x").load(),
    "diff": lambda ds: ds.t.diff("x").load(),
    "differentiate": lambda ds: ds.t.differentiate("x").load(),
    "clip": lambda ds: ds.t.clip(0, 300).load(),
    "polyfit": lambda ds: ds.t.polyfit("x", 1).load(),
    "dot": lambda ds: ds.t.dot(ds.x).load(),
    "map_blocks": lambda ds: xr.apply_ufunc(np.square, ds.t, dask="parallelized").load(),
}


@pytest.mark.parametrize("name", CALCULATIONS)
def test_a_calculation_with_packed_numbers_is_refused_and_names_the_way(packed, name):
    with pytest.raises(UnsupportedError, match=r"\.vzarr\.decode\(\)") as caught:
        CALCULATIONS[name](packed)
    assert ".load()" not in str(caught.value)
    CALCULATIONS[name](packed.vzarr.decode())


def test_xarrays_own_decoding_of_a_virtual_dataset_is_no_calculation(packed):
    assert xr.decode_cf(packed).t.mean().load().item() == pytest.approx(281.0)


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize("method", ["to_zarr", "to_netcdf"])
def test_writing_without_the_accessor_names_the_ways_to_write(packed, method, tmp_path):
    with pytest.raises(UnsupportedError, match=r"ds\.vzarr\.to_zarr.*ds\.vzarr\.decode\(\)"):
        getattr(packed, method)(tmp_path / "out")


@pytest.mark.parametrize("way", ["append", "region"])
@pytest.mark.parametrize("first", ["plain", "odd"])
@pytest.mark.parametrize("dtype", ["i2", "f4"])
@pytest.mark.parametrize("attribute", ["scale_factor", "add_offset"])
@pytest.mark.parametrize("odd", ["text", "vector", "empty", "complex"])
def test_an_odd_attribute_is_never_dropped_by_an_append_or_a_region(tmp_path, odd, attribute, dtype, first, way):
    files = {
        "odd": write(tmp_path / "odd.nc", 0 if first == "odd" else 3, dtype, {attribute: ODD[odd]}),
        "plain": write(tmp_path / "plain.nc", 0 if first == "plain" else 3, dtype, {}),
    }
    second = files["plain" if first == "odd" else "odd"]
    there = ivz.open_virtual_dataset(files[first])
    store = tmp_path / "s.vzarr"
    if way == "append":
        there.vzarr.to_zarr(store)
        target = {"append_dim": "k"}
    else:
        xr.concat([there, there.assign_coords(k=there.k + 3)], dim="k").vzarr.to_zarr(store)
        target = {"region": {"k": slice(3, 6)}}
    with pytest.raises(VirtualZarrError):
        ivz.open_virtual_dataset(second).vzarr.to_zarr(store, **target)
    assert xr.open_dataset(store, engine="virtualzarr", decode_cf=False).sizes["k"] == (3 if way == "append" else 6)
