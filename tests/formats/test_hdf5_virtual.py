"""HDF5 virtual datasets, external links and external storage against h5py, near and far."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from support import hdf5_oracle
from support.helpers import serving

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import SourceError
from intake_virtualzarr.formats.base import ScannedFile

UNLIMITED = h5py.h5s.UNLIMITED


def ramp(*shape: int) -> np.ndarray[Any, Any]:
    return np.arange(int(np.prod(shape)), dtype="i4").reshape(shape) + 1


def slab(shape: tuple[int, ...], start: Any, stride: Any, count: Any, block: Any) -> h5py.h5s.SpaceID:
    largest = tuple(UNLIMITED if UNLIMITED in (c, b) else n for n, c, b in zip(shape, count, block, strict=True))
    space = h5py.h5s.create_simple(shape, largest)
    space.select_hyperslab(start, count, stride, block)
    return space


def virtual(
    path: Path, shape: tuple[int, ...], *mappings: tuple[Any, str, str, Any], maxshape: Any = None, name: str = "v"
) -> None:
    """A virtual dataset of low-level mappings: place, file, dataset, selection in the source."""
    with h5py.File(path, "a", libver="latest") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_fill_value(np.array(-1, "i4"))
        for place, filename, dataset, shown in mappings:
            plist.set_virtual(place, filename.encode(), dataset.encode(), shown)
        space = h5py.h5s.create_simple(shape, maxshape)
        h5py.h5d.create(file.id, b"v", h5py.h5t.NATIVE_INT32, space, dcpl=plist)


def check(path: Path) -> ScannedFile:
    outcomes = hdf5_oracle.compare(path)
    assert {(outcome, detail) for _, outcome, detail in outcomes} == {("identical", "h5py")}, outcomes
    return hdf5_oracle.scan_path(path)[0]


@pytest.mark.parametrize("missing", [(), (1,), (0, 3)])
@pytest.mark.parametrize("stride", [2, 3])
def test_numbered_files_are_found_by_their_numbers(tmp_path, stride, missing):
    for number in range(4):
        if number not in missing:
            with h5py.File(tmp_path / f"part-{number}.h5", "w") as file:
                file.create_dataset("x", data=ramp(2, 3) * (number + 1), chunks=(1, 3), compression="gzip")
    place = slab((4 * stride, 3), (0, 0), (stride, 1), (UNLIMITED, 1), (2, 3))
    path = tmp_path / "v.h5"
    virtual(path, (4 * stride, 3), (place, "part-%b.h5", "x", h5py.h5s.create_simple((2, 3))), maxshape=(UNLIMITED, 3))
    scan = check(path)
    assert scan.references == 2 * len([n for n in range(4) if n not in missing and n * stride < scan.arrays["/v"].shape[0]])


def test_numbered_datasets_of_one_file_and_names_with_a_percent_sign(tmp_path):
    path = tmp_path / "v.h5"
    with h5py.File(path, "w", libver="latest") as file:
        for number in range(3):
            file[f"100%_{number}"] = ramp(5) * (number + 1)
    place = slab((3, 5), (0, 0), (1, 1), (UNLIMITED, 1), (1, 5))
    virtual(path, (3, 5), (place, ".", "100%%_%b", h5py.h5s.create_simple((5,))), maxshape=(UNLIMITED, 5))
    assert {outcome for _, outcome, _ in hdf5_oracle.compare(path)} == {"identical"}


@pytest.mark.parametrize("length", [0, 1, 5, 12])
@pytest.mark.parametrize("unlimited", ["block", "count"])
def test_an_unlimited_mapping_goes_as_far_as_its_source(tmp_path, length, unlimited):
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file.create_dataset("x", data=ramp(length, 4), chunks=(2, 4), maxshape=(None, 4))
    count, block = ((1, 1), (UNLIMITED, 4)) if unlimited == "block" else ((UNLIMITED, 1), (1, 4))
    place = slab((0, 4), (0, 0), (1, 1), count, block)
    shown = slab((length, 4), (0, 0), (1, 1), count, block)
    path = tmp_path / "v.h5"
    virtual(path, (0, 4), (place, "s.h5", "x", shown), maxshape=(UNLIMITED, 4))
    assert check(path).arrays["/v"].shape == (length, 4)


def test_two_unlimited_mappings_take_turns(tmp_path):
    for name, length in (("a", 4), ("b", 3)):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file.create_dataset("x", data=ramp(length) * (1 if name == "a" else 100), chunks=(2,), maxshape=(None,))
    path = tmp_path / "v.h5"
    mappings = [
        (slab((8,), (i,), (2,), (UNLIMITED,), (1,)), f"{name}.h5", "x", slab((length,), (0,), (1,), (UNLIMITED,), (1,)))
        for i, (name, length) in enumerate((("a", 4), ("b", 3)))
    ]
    virtual(path, (0,), *mappings, maxshape=(UNLIMITED,))
    check(path)


def test_every_second_row_of_a_growing_source_is_shown(tmp_path):
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file.create_dataset("x", data=ramp(9, 2), chunks=(4, 2), maxshape=(None, 2))
    path = tmp_path / "v.h5"
    place = slab((0, 2), (1, 0), (1, 1), (UNLIMITED, 1), (1, 2))
    virtual(path, (0, 2), (place, "s.h5", "x", slab((9, 2), (0, 0), (2, 1), (UNLIMITED, 1), (1, 2))), maxshape=(UNLIMITED, 2))
    check(path)


@pytest.fixture
def published(tmp_path):
    """A folder with a virtual dataset, an external link and external storage, and what they show."""
    folder = tmp_path / "public" / "deep"
    folder.mkdir(parents=True)
    with h5py.File(folder / "source.h5", "w") as file:
        file.create_dataset("x", data=ramp(6, 4), chunks=(3, 4), compression="gzip")
    ramp(2, 4).tofile(folder / "raw.bin")
    layout = h5py.VirtualLayout((6, 4), "i4")
    layout[:] = h5py.VirtualSource("source.h5", "x", (6, 4))
    with h5py.File(folder / "v.h5", "w", libver="latest") as file:
        file.create_virtual_dataset("v", layout)
        file["link"] = h5py.ExternalLink("source.h5", "/x")
        file["own"] = ramp(3)
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_external(b"raw.bin", 0, h5py.h5f.UNLIMITED)
        h5py.h5d.create(file.id, b"raw", h5py.h5t.NATIVE_INT32, h5py.h5s.create_simple((2, 4)), dcpl=plist)
    return folder, {"v": ramp(6, 4), "link": ramp(6, 4), "own": ramp(3), "raw": ramp(2, 4)}


def test_sources_are_found_where_hdf5_finds_them(tmp_path, monkeypatch):
    real, elsewhere = tmp_path / "real", tmp_path / "elsewhere"
    real.mkdir()
    elsewhere.mkdir()
    for place, name in ((real, "a"), (real, "b"), (elsewhere, "c")):
        with h5py.File(place / f"{name}.h5", "w") as file:
            file["x"] = ramp(2)
    names = ["/gone/a.h5", "b.h5", "c.h5", "nowhere.h5"]
    layout = h5py.VirtualLayout((4, 2), "i4")
    for row, name in enumerate(names):
        layout[row] = h5py.VirtualSource(name, "x", (2,))
    with h5py.File(real / "v.h5", "w", libver="latest") as file:
        file.create_virtual_dataset("v", layout, fillvalue=-1)
        file["link"] = h5py.ExternalLink("/gone/a.h5", "/x")
    (tmp_path / "link.h5").symlink_to(real / "v.h5")
    monkeypatch.chdir(elsewhere)
    for path in (real / "v.h5", tmp_path / "link.h5"):
        opened = ivz.open_virtual_dataset(path)
        with h5py.File(path) as file:
            np.testing.assert_array_equal(opened.v.values, file["v"][:])
            np.testing.assert_array_equal(opened.link.values, file["link"][:])
        assert opened.v.values.tolist() == [[1, 2]] * 3 + [[-1, -1]]


def test_files_that_a_remote_file_names_are_read_beside_it(published):
    folder, expected = published
    with serving(folder.parent) as server:
        opened = ivz.open_virtual_dataset(f"{server.url}/deep/v.h5")
        assert set(opened.variables) == set(expected)
        for name, values in expected.items():
            np.testing.assert_array_equal(opened[name].values, values)
        source = opened.v.data.segments[0].stored.sources[0]
        assert source.url == f"{server.url}/deep/source.h5"
        assert source.size == (folder / "source.h5").stat().st_size


def test_an_absent_source_of_a_remote_virtual_dataset_is_a_reason_not_fill(published):
    folder, _ = published
    (folder / "source.h5").unlink()
    with serving(folder.parent) as server:
        with pytest.warns(UserWarning, match=r"/v: .*source\.h5"):
            opened = ivz.open_virtual_dataset(f"{server.url}/deep/v.h5")
        assert set(opened.variables) == {"own", "raw"}


def test_a_remote_virtual_dataset_without_limit_is_refused_by_name(tmp_path):
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file.create_dataset("x", data=ramp(4), chunks=(2,), maxshape=(None,))
    one = slab((4,), (0,), (1,), (UNLIMITED,), (1,))
    virtual(tmp_path / "v.h5", (0,), (one, "s.h5", "x", one), maxshape=(UNLIMITED,))
    with serving(tmp_path) as server:
        assert "/v: is a virtual dataset without limit" in ivz.scan(f"{server.url}/v.h5").left_out["/v"]


def test_a_changed_source_of_a_virtual_dataset_is_noticed(published):
    folder, _ = published
    opened = ivz.open_virtual_dataset(folder / "v.h5")
    with h5py.File(folder / "source.h5", "w") as file:
        file.create_dataset("x", data=ramp(60, 4), chunks=(3, 4), compression="gzip")
    with pytest.raises(SourceError, match=r"source\.h5: changed since it was scanned"):
        opened.v.load()
