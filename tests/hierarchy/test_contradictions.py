"""A root document that contradicts itself is an error that says where, and no dataset."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from support.helpers import write_root

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import VirtualZarrError


@pytest.fixture
def store(tmp_path) -> Path:
    data = xr.Dataset({"v": (("y", "x"), np.arange(1, 25.0).reshape(4, 6)), "w": ("y", np.arange(4.0))}, {"x": np.arange(6.0)})
    data.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding={"v": {"chunksizes": (2, 6)}})
    ivz.open_virtual_dataset(tmp_path / "a.nc").vzarr.to_zarr(tmp_path / "s.vzarr")
    return tmp_path / "s.vzarr"


def changed(store: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    root = store / "zarr.json"
    document = json.loads(root.read_text())
    change(document["consolidated_metadata"]["metadata"])
    write_root(root, document)
    return store


def opened(store: Path) -> list[Callable[[], object]]:
    return [
        lambda: ivz.open_virtual_dataset(store).load(),
        lambda: xr.open_dataset(store, engine="virtualzarr").load(),
        lambda: ivz.open_virtual_mfdataset([store]).load(),
    ]


@pytest.mark.parametrize("name", ["w", "x", "v"])
@pytest.mark.parametrize("by", [1, -1])
def test_arrays_that_disagree_about_the_length_of_a_dimension_are_refused(store, name, by):
    def change(arrays: dict[str, Any]) -> None:
        arrays[name]["shape"][-1] += by

    for read in opened(changed(store, change)):
        with pytest.raises(
            VirtualZarrError, match=r"s\.vzarr: contradicts itself: dimension '[xy]' has \d elements in|variables left out"
        ):
            read()


def test_the_others_open_without_the_one_that_disagrees(store):
    def change(arrays: dict[str, Any]) -> None:
        arrays["w"]["shape"] = [5]

    found = ivz.open_virtual_dataset(changed(store, change), drop_variables=["w"])
    assert found["v"].values[-1, -1] == 24
    assert xr.open_dataset(store, engine="virtualzarr", drop_variables=["w"])["v"].shape == (4, 6)


def test_a_chunk_that_is_listed_with_no_bytes_is_damage_and_no_fill(store):
    def change(arrays: dict[str, Any]) -> None:
        chunks = arrays["v"]["storage_transformers"][0]["configuration"]["chunks"]
        next(iter(chunks.values()))["length"] = 0

    changed(store, change)
    with pytest.warns(UserWarning, match=r"chunk '\d\.0': is listed with no bytes"):
        found = ivz.open_virtual_dataset(store)
    assert "v" not in found
    with pytest.raises(VirtualZarrError, match="is listed with no bytes"):
        ivz.open_virtual_dataset(store, on_unsupported="raise")
