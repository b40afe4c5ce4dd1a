"""Scans as workers send them: few objects, and the same scans on the other side."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))

import hdf5_pairs
from formats.test_hdf5_twins import write_day

from intake_virtualzarr.formats.hdf5 import TWINS
from intake_virtualzarr.formats.labels import LabelChoice
from intake_virtualzarr.formats.packed_scans import pack, unpack
from intake_virtualzarr.formats.scan import scan_many


def described(scan):
    if isinstance(scan, Exception):
        return str(scan)
    return hdf5_pairs.described(scan), {path: (values.dtype, values.tolist()) for path, values in scan.labels.items()}


@pytest.fixture
def scans(tmp_path):
    """Days of a series, with one that is odd and one that is damaged."""
    paths = [tmp_path / f"{day:02}.nc" for day in range(12)]
    for day, path in enumerate(paths):
        write_day(path, day, **({"scale": 0.02} if day == 7 else {}))
    paths[4].write_bytes(b"no file of any format")
    TWINS.forget()
    return scan_many(list(map(str, paths)), labels=LabelChoice())


def test_scans_come_back_as_they_were(scans):
    sent = pickle.loads(pickle.dumps(pack(scans)))
    assert [described(one) for one in unpack(sent)] == [described(one) for one in scans]


def test_alike_files_are_sent_as_columns(scans):
    assert len(pack(scans)) <= 6  # the first, the damaged and the odd one stand alone
    alike = [scans[1]] * 200
    assert len(pack(alike)) == 1
    assert len(pickle.dumps(pack(alike))) < 200 * 400
