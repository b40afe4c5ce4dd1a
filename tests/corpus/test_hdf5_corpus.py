"""Every HDF5 file of the shared corpus, dataset by dataset, bit for bit against h5py.

Writes a table (``path, dataset, outcome, detail``) to ``IVZ_CORPUS_TABLE`` if that is set.
"""

from __future__ import annotations

import csv
import os
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from support import hdf5_oracle

SHARED = Path(os.environ.get("IVZ_SHARED", Path(__file__).parents[3] / "shared"))
CORPUS = SHARED / "corpus"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not (CORPUS / "INDEX.tsv").exists(), reason=f"{CORPUS} is absent; set IVZ_SHARED"),
]

BY_DESIGN = (
    "references into the file, which mean nothing outside of it",
    "variable-length sequences, which Zarr lacks",
    "floats of 80 bits, which Zarr lacks",
)
"""What is refused for a variable, as it has no data type in Zarr (docs/reference/hdf5.md names each)."""

KNOWN_DIFFERENCES: dict[tuple[str, str], str] = {}
"""(file, dataset) -> why h5py's answer is a conversion and ours is not."""

FATAL = ("differs", "missing", "crashed")


def hdf5_files() -> list[str]:
    with open(CORPUS / "INDEX.tsv", newline="") as file:
        return [row["path"] for row in csv.DictReader(file, delimiter="\t") if row["kind"].startswith("hdf5")]


def compare_one(path: str) -> list[tuple[str, str, str, str]]:
    import hdf5plugin  # noqa: F401 - teaches h5py the filters of the corpus

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # h5py's own, of odd files
        return [(path, *row) for row in hdf5_oracle.compare(CORPUS / path)]


@pytest.fixture(scope="module")
def table() -> list[tuple[str, str, str, str]]:
    pytest.importorskip("hdf5plugin")
    pytest.importorskip("imagecodecs")
    with ProcessPoolExecutor(max_workers=os.cpu_count(), mp_context=get_context("spawn")) as pool:
        rows = [row for rows in pool.map(compare_one, hdf5_files(), chunksize=8) for row in rows]
    target = os.environ.get("IVZ_CORPUS_TABLE")
    if target:
        with open(target, "w", newline="") as file:
            writer = csv.writer(file, delimiter="\t", lineterminator="\n")
            writer.writerow(("path", "dataset", "outcome", "detail"))
            writer.writerows(rows)
    print("datasets:", dict(Counter(row[2] for row in rows)))
    return rows


def test_no_value_differs_none_is_missing_nothing_crashes(table):
    bad = [row for row in table if row[2] in FATAL and (row[0], row[1]) not in KNOWN_DIFFERENCES]
    assert not bad


def test_every_refusal_has_a_reason_that_names_the_path(table):
    for path, dataset, outcome, detail in table:
        if outcome == "refused" and dataset:
            assert dataset in detail, (path, dataset, detail)
        elif outcome == "refused":
            assert Path(path).name.split("+")[0] in detail.replace("%2B", "+"), (path, detail)


def test_nearly_all_files_that_h5py_reads_are_identical(table):
    kinds: dict[str, set[str]] = {}
    for path, _, outcome, detail in table:
        if outcome == "refused":
            kinds.setdefault(path, set()).add("design" if any(reason in detail for reason in BY_DESIGN) else "other")
        elif outcome == "identical":
            kinds.setdefault(path, set())
    whole = sum(not found for found in kinds.values())
    design = sum(found == {"design"} for found in kinds.values())
    print(f"files that h5py reads: {len(kinds)}; identical throughout: {whole}; save for {', '.join(BY_DESIGN)}: {design} more")
    assert (whole + design) / len(kinds) >= 0.97, [path for path, found in kinds.items() if "other" in found]
    assert whole / len(kinds) >= 0.94, [path for path, found in kinds.items() if found]
