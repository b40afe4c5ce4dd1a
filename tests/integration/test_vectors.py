"""The vectors that every reader of the format reads, in Python: through zarr, through xarray, as a whole and in parts.

`conformance/README.md` describes them. They are written byte by byte without this package, and read in Node and Chromium
by the tests of ``js/``.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from intake_virtualzarr import VirtualZarrStore, open_virtual_dataset
from intake_virtualzarr.cli.http_server import RangeServer, serve_directory
from intake_virtualzarr.errors import VirtualZarrError

SUITE = Path(__file__).parents[2] / "conformance"
sys.path.insert(0, str(SUITE / "readers"))
from python_reader import in_json, messages  # noqa: E402

GENERATOR = SUITE / "make_vectors.py"
NOT_LOCAL = {"places/absolute_path"}
"""Names sources by a path from the root of a host, which no directory is."""


@dataclass(frozen=True)
class Vectors:
    """Test vectors, served from two ports."""

    root: Path
    """Holds ``store/``, ``data/`` and ``other/``."""
    main: RangeServer
    """Serves the directory."""
    other: RangeServer
    """Serves it once more."""
    arrays: dict[str, dict[str, Any]]
    """What each array must be, by path."""
    roots: dict[str, dict[str, Any]]
    """What each hierarchy in ``roots/`` must be."""

    @property
    def url(self) -> str:
        """URL of the hierarchy."""
        return f"{self.main.url}/store"

    def readable(self) -> dict[str, dict[str, Any]]:
        """Arrays with values."""
        return {path: want for path, want in self.arrays.items() if "error" not in want}

    def failing(self) -> dict[str, str]:
        """Arrays that cannot be read, and what must be said of each."""
        return {path: want["error"] for path, want in self.arrays.items() if "error" in want}


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    root = tmp_path_factory.mktemp("vectors")
    subprocess.run([sys.executable, str(GENERATOR), str(root)], check=True)
    with ExitStack() as stack:
        main, other = (stack.enter_context(serve_directory(root)) for _ in range(2))
        for path in root.rglob("*.json"):
            text = path.read_text()
            if "{{OTHER}}" in text:
                path.write_text(text.replace("{{OTHER}}", other.url))
        told = json.loads((root / "expected.json").read_text())
        yield Vectors(root, main, other, told["arrays"], told["roots"])


def found(values: Any) -> dict[str, Any]:
    """Shape, type and values as ``expected.json`` holds them."""
    array = np.asarray(values)
    dtype = "string" if array.dtype.kind in "OUT" else array.dtype.name
    return {"shape": list(array.shape), "dtype": dtype, "values": in_json(array)}


def expected(want: dict[str, Any]) -> dict[str, Any]:
    return {key: want[key] for key in ("shape", "dtype", "values")}


@pytest.mark.parametrize("rectilinear", [False, True], ids=["regular views", "rectilinear grids"])
@pytest.mark.parametrize("place", ["http", "directory"])
def test_every_array_reads_through_zarr(vectors, place, rectilinear):
    with zarr.config.set({"array.rectilinear_chunks": rectilinear}):
        store = VirtualZarrStore(vectors.url if place == "http" else vectors.root / "store", allow=vectors.other.url)
        group = zarr.open_group(store, mode="r")
        compared = 0
        for path, want in vectors.readable().items():
            if place == "directory" and path in NOT_LOCAL:
                continue
            assert found(group[path][...]) == expected(want), path
            compared += 1
    assert compared > 110


def test_the_view_without_rectilinear_grids_is_regular_and_with_them_exact(vectors):
    for rectilinear in (False, True):
        with zarr.config.set({"array.rectilinear_chunks": rectilinear}):
            store = VirtualZarrStore(vectors.url, allow=vectors.other.url)
        document = json.loads(store.documents["uneven/zarr.json"])
        assert document["chunk_grid"]["name"] == ("rectilinear" if rectilinear else "regular")


@pytest.mark.parametrize("group", ["", "types", "codecs", "grids", "places", "texts", "fills", "select", "decode", "h", "sharded"])
def test_every_array_reads_through_xarray(vectors, group):
    arrays = {path: want for path, want in vectors.readable().items() if path.rpartition("/")[0] == group}
    assert arrays
    dataset = open_virtual_dataset(vectors.url, group=group or None, loadable_variables=[], allow=vectors.other.url)
    for path, want in arrays.items():
        variable = dataset[path.rpartition("/")[2]]
        assert found(variable.values) == expected(want), path


def test_parts_equal_the_same_parts_of_the_whole(vectors):
    for path in ("regular", "refs", "masked", "grids/cropped_refs", "uneven", "view_elsewhere", "sharded/refs"):
        array = zarr.open_array(VirtualZarrStore(vectors.url, allow=vectors.other.url), path=path, mode="r")
        whole = np.array([float(value) for value in vectors.arrays[path]["values"]]).reshape(array.shape)
        np.testing.assert_array_equal(array[8:33:4, 3, 1:6], whole[8:33:4, 3, 1:6], err_msg=path)
        np.testing.assert_array_equal(array[array.shape[0] - 1, ::2], whole[-1, ::2], err_msg=path)


@pytest.mark.parametrize("place", ["http", "directory"])
def test_every_array_that_must_fail_does_and_says_why(vectors, place):
    failing = vectors.failing()
    if place == "directory":  # a file has no ETag
        failing = {path: text for path, text in failing.items() if "stale_etag" not in path}
    store = VirtualZarrStore(vectors.url if place == "http" else vectors.root / "store", allow=vectors.other.url)
    for path, text in failing.items():
        with pytest.raises(VirtualZarrError) as caught:
            zarr.open_array(store, path=path, mode="r")[...]
        assert text.lower() in messages(caught.value).lower(), path
    assert len(failing) > 25


def test_a_root_that_tells_its_own_checksum_is_read_as_it_was_written_or_not_at_all(vectors):
    for name, want in vectors.roots.items():
        where = vectors.root / "roots" / name
        if "error" in want:
            for opened in (VirtualZarrStore, open_virtual_dataset):
                with pytest.raises(VirtualZarrError, match=want["error"]):
                    opened(where)
            continue
        dataset = open_virtual_dataset(where)
        assert {path: found(dataset[path].values) for path in want} == want, name
        assert "_vzarr" not in dataset.attrs
    assert len(vectors.roots) >= 8


def test_members_and_sources_on_the_other_host_are_asked_there(vectors):
    array = zarr.open_array(VirtualZarrStore(vectors.url, allow=vectors.other.url), path="places/bare", mode="r")
    vectors.other.reset()
    assert in_json(array[...]) == vectors.arrays["places/bare"]["values"]
    assert vectors.other.requests > 3
    array = zarr.open_array(VirtualZarrStore(vectors.url, allow=vectors.other.url), path="uneven", mode="r")
    vectors.other.reset()
    array[:31]
    assert vectors.other.requests == 0, "a member that is not touched is not opened"


def test_arrays_read_the_same_after_a_journey_by_pickle(vectors):
    dataset = pickle.loads(
        pickle.dumps(open_virtual_dataset(vectors.url, group="sharded", loadable_variables=[], allow=vectors.other.url))
    )
    for name in dataset.variables:
        assert found(dataset[name].values) == expected(vectors.arrays[f"sharded/{name}"]), name
