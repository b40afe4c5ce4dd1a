"""What files of a series repeat is kept once; what differs, if only in its type or the bits of a number, is not mixed up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from intake_virtualzarr.formats.labels import LabelChoice
from intake_virtualzarr.formats.scan import scan_many
from intake_virtualzarr.formats.shared_values import SharedValues


def write(path: Path, **attrs: Any) -> Path:
    with h5py.File(path, "w") as file:
        scale = file.create_dataset("x", data=np.arange(5.0))
        scale.make_scale("x")
        values = file.create_dataset("v", data=np.arange(5), chunks=(2,))
        values.dims[0].attach_scale(scale)
        values.attrs.update(attrs)
    return path


def scans(*paths: Path) -> list[Any]:
    return scan_many(paths, labels=LabelChoice())


def test_scans_of_alike_files_share_attributes_names_and_labels(tmp_path):
    one, other = scans(
        write(tmp_path / "a.h5", units="K", flags=np.arange(3)), write(tmp_path / "b.h5", units="K", flags=np.arange(3))
    )
    assert one.arrays["/v"].attrs is other.arrays["/v"].attrs
    assert one.arrays["/v"].dims is other.arrays["/v"].dims
    assert one.labels["/x"] is other.labels["/x"]
    assert one.groups["/"].attrs is other.groups["/"].attrs


def test_values_that_compare_equal_and_differ_stay_apart(tmp_path):
    values = [
        np.float32(1),
        np.float64(1),
        np.int32(1),
        "1",
        np.float64(0.0),
        np.float64(-0.0),
        np.float64("nan"),
    ]
    found = scans(*(write(tmp_path / f"{n}.h5", value=value) for n, value in enumerate(values)))
    for value, scan in zip(values, found, strict=True):
        kept = scan.arrays["/v"].attrs["value"]
        assert np.asarray(kept).dtype.kind == np.asarray(value).dtype.kind
        assert repr(kept) == repr(value)


def test_what_is_remembered_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("intake_virtualzarr.formats.shared_values.MOST", 3)
    paths = [write(tmp_path / f"{n}.h5", number=n) for n in range(6)]
    shared = SharedValues()
    found = [shared.scan(scan) for scan in scans(*paths)]
    assert [scan.arrays["/v"].attrs["number"] for scan in found] == list(range(6))
    assert len(shared._kept) <= 3
