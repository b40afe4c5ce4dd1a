"""Every single-file case of the shared collection, against h5py."""

from __future__ import annotations

import importlib.util
import os
import warnings
from pathlib import Path
from types import ModuleType

import pytest
from support import hdf5_oracle

SHARED = Path(os.environ.get("IVZ_SHARED", Path(__file__).parents[3] / "shared"))
CASES = SHARED / "cases" / "hdf5_cases.py"

REFUSED = {
    "float16_and_longdouble": "floats of 80 bits",
    "vlen_int": "variable-length sequences",
    "object_refs": "references into the file",
}
"""Cases whose variable has no form in Zarr, and what the reason must say."""


def _load() -> ModuleType | None:
    if not CASES.exists():
        return None
    spec = importlib.util.spec_from_file_location("hdf5_cases", CASES)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cases = _load()
pytestmark = pytest.mark.skipif(cases is None, reason=f"{CASES} is absent; set IVZ_SHARED")
NAMES = sorted(cases.SINGLE) if cases is not None else []


@pytest.mark.parametrize("name", NAMES)
def test_a_case_reads_as_h5py_reads_it_or_is_refused_with_its_reason(name, tmp_path):
    pytest.importorskip("hdf5plugin")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the generator, not of ours
        path = cases.SINGLE[name](tmp_path)
    outcomes = hdf5_oracle.compare(path)
    assert outcomes
    bad = [o for o in outcomes if o[1] in ("differs", "missing", "crashed", "ours only")]
    assert not bad
    refused = [o for o in outcomes if o[1] == "refused"]
    if name in REFUSED:
        assert [REFUSED[name] in detail for _, _, detail in refused] == [True]
    else:
        assert not refused


@pytest.mark.parametrize("name", sorted(REFUSED) if cases is not None else [])
def test_a_refused_variable_leaves_the_rest_of_the_file_open(name, tmp_path):
    path = cases.SINGLE[name](tmp_path)
    scan, _ = hdf5_oracle.scan_path(path)
    assert set(scan.left_out) == {"/v"}
    assert scan.left_out["/v"].startswith("/v: ")
