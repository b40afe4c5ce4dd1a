"""kerchunk's references of real files, array by array, against what zarr-python reads through them."""

from __future__ import annotations

import csv
import json
import os
import signal
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.formats.scanned_tree import tree_of_scan

SHARED = Path(os.environ.get("IVZ_SHARED", Path(__file__).parents[3] / "shared"))
CORPUS = SHARED / "corpus"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CORPUS / "INDEX.tsv").exists(), reason=f"{CORPUS} is absent; set IVZ_SHARED"),
]

LARGEST = 300_000
"""Larger files are left out [bytes]."""
SECONDS = 10
"""kerchunk goes in circles in some damaged files."""


def sample() -> list[str]:
    """The first small files of every repository of the corpus."""
    with open(CORPUS / "INDEX.tsv", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["kind"].startswith("hdf5")]
    found: dict[str, list[str]] = {}
    for row in rows:
        if int(row["bytes"]) <= LARGEST:
            found.setdefault(row["repo"], []).append(row["path"])
    return [path for paths in found.values() for path in paths[:5]]


class TooLong(BaseException):
    """Raised by the alarm: kerchunk catches every `Exception`."""


def too_long(*_):
    raise TooLong


def references(path):
    """What kerchunk makes of a file; None if it fails."""
    from kerchunk.hdf import SingleHdf5ToZarr

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    try:
        return SingleHdf5ToZarr(str(path), inline_threshold=0, error="ignore").translate()
    except (Exception, TooLong):
        return None
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def with_zarr(refs):
    """The group that zarr-python opens."""
    import fsspec
    import zarr

    system = fsspec.filesystem("reference", fo=refs, remote_protocol="file", asynchronous=True)
    return zarr.open_group(zarr.storage.FsspecStore(system, read_only=True), mode="r", zarr_format=2)


def outcome(ours, theirs, path):
    """How reading one array ends here and in zarr-python."""
    try:
        expected = np.asarray(theirs[path.strip("/")][...])
    except Exception:
        expected = None
    parent, _, name = path.rpartition("/")
    try:
        found = np.asarray(ours[parent or "/"][name])
    except VirtualZarrError:
        return "refused by both" if expected is None else "refused here"
    if expected is None:
        return "read here only"
    if found.dtype.kind in "OUT":
        found, expected = found.astype(object), expected.astype(object)
    equal = found.shape == expected.shape and np.array_equal(found, expected, equal_nan=found.dtype.kind in "fc")
    return "equal" if equal else "differs"


def test_references_of_real_files_read_as_zarr_reads_them(tmp_path):
    pytest.importorskip("kerchunk.hdf", reason="the extra 'kerchunk' is not installed")
    pytest.importorskip("hdf5plugin")
    counts: Counter[str] = Counter()
    wrong = []
    for name in sample():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            refs = references(CORPUS / name)
            if refs is None:
                counts["no references"] += 1
                continue
            (tmp_path / "refs.json").write_text(json.dumps(refs))
            scan = ivz.scan(tmp_path / "refs.json")
            ours = {path: {n: v.data for n, v in group.variables.items()} for path, group in tree_of_scan(scan).groups.items()}
            theirs = with_zarr(refs)
            for path in scan.arrays:
                end = outcome(ours, theirs, path)
                counts[end] += 1
                if end in ("differs", "refused here"):
                    wrong.append(f"{name}{path}: {end}")
    print(dict(counts))
    assert wrong == []
    assert counts["equal"] > 300, counts
