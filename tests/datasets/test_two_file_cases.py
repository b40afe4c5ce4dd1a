"""Two files that differ in one thing: joined as plain xarray joins them, or refused by name. None silently wrong."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import VirtualZarrError

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("IVZ_SHARED", ROOT.parent / "shared"))
FILE = SHARED / "cases" / "hdf5_cases.py"
TABLE = ROOT / "docs" / "reference" / "two-file-cases.md"

pytestmark = [
    pytest.mark.skipif(not FILE.exists(), reason="the generator of cases is not here"),
    pytest.mark.filterwarnings("ignore"),
]


def cases():
    if not FILE.exists():
        return {}
    spec = importlib.util.spec_from_file_location("hdf5_cases", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.COMBINE


CASES = cases()


def arguments(how: dict) -> dict:
    """How the files of a case are joined."""
    return {} if how["op"] == "merge" else {"combine": "nested", "concat_dim": how["dim"]}


def doors(virtual: xr.Dataset, store: Path):
    """All ways to the decoded values."""
    yield "decode", virtual.vzarr.decode()
    virtual.vzarr.to_zarr(store)
    yield "engine", xr.open_dataset(store, engine="virtualzarr")
    yield "store", xr.open_zarr(ivz.VirtualZarrStore(store), chunks=None)
    parts = store.with_suffix(".parts")
    virtual.vzarr.to_zarr(parts, fuse=False)
    yield "concatenation", xr.open_dataset(parts, engine="virtualzarr")


def outcome(name: str, directory: Path) -> str:
    """What becomes of a case: ``identical``, or ``refused`` with the reason."""
    paths, how, _ = CASES[name](directory)
    expected = xr.open_mfdataset(paths, engine="netcdf4", **arguments(how)).load()
    try:
        virtual = ivz.open_virtual_mfdataset(paths, **arguments(how))
        opened = dict(doors(virtual, directory / f"{name}.vzarr"))
    except VirtualZarrError as exc:
        return f"refused: {exc}"
    for door, dataset in opened.items():
        with dataset:
            xr.testing.assert_equal(dataset.load(), expected)
            assert all(dataset[v].dtype == expected[v].dtype for v in expected.data_vars), door
    return "identical"


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_case_is_joined_as_plain_xarray_joins_it(name, tmp_path):
    assert outcome(name, tmp_path) == "identical"


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_case_is_joined_by_plain_calls_on_virtual_datasets(name, tmp_path):
    paths, how, _ = CASES[name](tmp_path)
    expected = xr.open_mfdataset(paths, engine="netcdf4", **arguments(how)).load()
    datasets = [ivz.open_virtual_dataset(path) for path in paths]
    joined = xr.merge(datasets) if how["op"] == "merge" else xr.concat(datasets, dim=how["dim"])
    xr.testing.assert_equal(joined.vzarr.decode().load(), expected)


def test_the_table_in_the_docs_lists_every_case():
    listed = {line.split("|")[1].strip().strip("`") for line in TABLE.read_text().splitlines() if line.startswith("| `")}
    assert listed == set(CASES)
    assert "32 identical, 0 refused, 0 different" in TABLE.read_text()


def test_a_mismatch_can_be_an_error_that_names_both_values(tmp_path):
    paths, how, _ = CASES["cat_scale_factor"](tmp_path)
    with pytest.raises(VirtualZarrError, match=r"v: scale_factor is .*0\.1.* in .*_0\.nc and .*0\.2.* in .*_1\.nc"):
        ivz.open_virtual_mfdataset(paths, **arguments(how), encoding_mismatch="raise")


def test_values_of_a_mixed_array_are_refused_until_they_are_decoded(tmp_path):
    paths, _, expected = CASES["cat_scale_factor"](tmp_path)
    joined = xr.concat([ivz.open_virtual_dataset(path) for path in paths], dim="time")
    with pytest.raises(VirtualZarrError, match="decode"):
        np.asarray(joined["v"].variable._data)
    np.testing.assert_allclose(joined.vzarr.decode()["v"].values, expected["v"], rtol=1e-6)
