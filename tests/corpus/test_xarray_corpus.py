"""Every netCDF and HDF5 file of the shared corpus that netCDF4 opens, group by group, decoded, against xarray.

Writes a table (``path, group, outcome, detail``) to ``IVZ_XARRAY_TABLE`` if that is set.
"""

from __future__ import annotations

import csv
import os
import traceback
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from support import netcdf_oracle

SHARED = Path(os.environ.get("IVZ_SHARED", Path(__file__).parents[3] / "shared"))
CORPUS = SHARED / "corpus"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not (CORPUS / "INDEX.tsv").exists(), reason=f"{CORPUS} is absent; set IVZ_SHARED"),
]


def netcdf_files() -> list[str]:
    with open(CORPUS / "INDEX.tsv", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [row["path"] for row in rows if row["kind"].startswith(("hdf5", "nc1", "nc2", "nc5"))]


def compare_one(path: str) -> list[tuple[str, str, str, str]]:
    import hdf5plugin  # noqa: F401 - before netCDF4, which brings a blosc of its own

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return [(path, *row) for row in netcdf_oracle.compare(CORPUS / path)]
        except Exception:
            return [(path, "/", "crashed", traceback.format_exc())]


@pytest.fixture(scope="module")
def table() -> list[tuple[str, str, str, str]]:
    pytest.importorskip("hdf5plugin")
    pytest.importorskip("netCDF4")
    context = get_context("spawn")
    # processes without threads of their own may fork
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTAKE_VIRTUALZARR_THREADS", "1")
        with ProcessPoolExecutor(max_workers=os.cpu_count(), mp_context=context) as pool:
            rows = [row for rows in pool.map(compare_one, netcdf_files(), chunksize=4) for row in rows]
    target = os.environ.get("IVZ_XARRAY_TABLE")
    if target:
        with open(target, "w", newline="") as file:
            writer = csv.writer(file, delimiter="\t", lineterminator="\n")
            writer.writerow(("path", "group", "outcome", "detail"))
            writer.writerows(rows)
    print("groups:", dict(Counter(row[2] for row in rows)))
    return rows


def test_every_group_is_what_netcdf4_gives_or_differs_for_a_named_reason(table):
    assert not [row for row in table if row[2] in ("differs", "ours fails", "crashed")]


def test_most_groups_are_identical(table):
    counts = Counter(row[2] for row in table)
    opened = sum(counts[outcome] for outcome in ("identical", "on purpose", "refused", "differs", "ours fails"))
    assert counts["identical"] >= 0.8 * opened
    assert counts["refused"] <= 0.05 * opened
