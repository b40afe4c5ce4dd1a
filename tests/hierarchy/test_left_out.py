"""One array of a store that cannot be read is refused with a reason; the others open."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
import zarr
from support.helpers import write_root

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import HierarchyError, UnsupportedError


@pytest.fixture
def damaged(tmp_path):
    """A store in which ``bad`` is of a format version that is not known here."""
    ds = xr.Dataset({n: (("t", "x"), np.arange(12.0).reshape(3, 4)) for n in ("good", "bad")})
    ds.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    store = tmp_path / "s.vzarr"
    ivz.open_virtual_dataset(tmp_path / "a.nc").vzarr.to_zarr(store)
    root = json.loads((store / "zarr.json").read_text())
    document = root["consolidated_metadata"]["metadata"]["bad"]
    document["storage_transformers"][0]["configuration"]["version"] = "9.0"
    write_root(store / "zarr.json", root)
    return store


def test_the_engine_warns_and_opens_the_rest(damaged):
    with pytest.warns(UserWarning, match=r"/bad: .*format version '9.0'"):
        opened = xr.open_dataset(damaged, engine="virtualzarr")
    assert list(opened.data_vars) == ["good"]
    assert float(opened["good"].sum()) == 66


def test_the_engine_raises_on_request(damaged):
    with pytest.raises(UnsupportedError, match=r"/bad: .*upgrade"):
        ivz.open_virtual_dataset(damaged, on_unsupported="raise")


def test_the_store_refuses_the_array_with_the_reason(damaged):
    store = ivz.VirtualZarrStore(damaged)
    group = zarr.open_group(store, mode="r", use_consolidated=False)
    assert group["good"][:].sum() == 66
    with pytest.raises(HierarchyError, match=r"/bad: .*format version"):
        group["bad"]
