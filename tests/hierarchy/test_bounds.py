"""Documents that claim more than can be: each cap has its own error, and one array's damage leaves the others open."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from support.helpers import write_root

from intake_virtualzarr import open_virtual_dataset
from intake_virtualzarr.errors import FormatError, HierarchyError, UnsupportedError, VirtualZarrError
from intake_virtualzarr.formats.kerchunk_templates import render
from intake_virtualzarr.hierarchy.chunk_grid_json import grid_from_json, shape_from_json
from intake_virtualzarr.hierarchy.data_types import data_type_from_json
from intake_virtualzarr.storage.limits import MAX_JSON_DEPTH, MAX_NESTING
from intake_virtualzarr.storage.parsing import parse_json


def rectilinear(*shapes: Any) -> dict[str, Any]:
    return {"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": list(shapes)}}


def regular(*shape: int) -> dict[str, Any]:
    return {"name": "regular", "configuration": {"chunk_shape": list(shape)}}


def nested(depth: int) -> Any:
    """A structured data type of types within types."""
    inner: Any = "int8"
    for _ in range(depth):
        inner = {"name": "structured", "configuration": {"fields": [["a", inner]]}}
    return inner


GRIDS: dict[str, tuple[Callable[[], object], str]] = {
    "a run of 2**40 chunks": (lambda: grid_from_json(rectilinear([[1, 2**40]]), (2**40,), None, "v"), "expected 0 to"),
    "many runs": (
        lambda: grid_from_json(rectilinear([[1, 2**26], [1, 2**26]]), (2**27,), None, "v"),
        "more than 67108864 chunks along an axis",
    ),
    "a grid of 2**60 chunks": (lambda: grid_from_json(regular(1, 1), (2**30, 2**30), None, "v"), "at most 281474976710656 chunks"),
    "33 axes": (lambda: grid_from_json(regular(*[1] * 33), (1,) * 33, None, "v"), "33 axes"),
    "stored shapes of 2**40 chunks": (lambda: grid_from_json(regular(1), (2**40,), [2], "v"), "expected 0 to"),
    "a shape beyond 64 bits": (lambda: shape_from_json([10**30], "v"), "beyond 64 bits"),
    "a negative shape": (lambda: shape_from_json([-1], "v"), "is -1, expected 0"),
    "a shape of 100 axes": (lambda: shape_from_json([1] * 100, "v"), "100 entries; at most 32"),
    "a type of 5000 fields": (
        lambda: data_type_from_json({"name": "structured", "configuration": {"fields": [[f"f{i}", "int8"] for i in range(5000)]}}),
        "more than 4096 fields",
    ),
    "types within types": (lambda: data_type_from_json(nested(MAX_NESTING + 8)), "nested deeper than 32"),
}


@pytest.mark.parametrize("case", GRIDS)
def test_grids_shapes_and_types_end_at_their_caps(case):
    make, message = GRIDS[case]
    with pytest.raises(HierarchyError, match=message):
        make()


@pytest.mark.parametrize("depth", [MAX_JSON_DEPTH + 8, 3000, 200_000])
def test_json_nested_deeper_than_any_document_is_refused(depth):
    with pytest.raises(FormatError, match=r"nested deeper|cannot be parsed"):
        parse_json(b"[" * depth + b"]" * depth, "a.json")


TEMPLATES: dict[str, tuple[str, dict[str, Any], str]] = {
    "templates that double": ("{{a}}", {"a": "{{b}}" * 100, "b": "{{c}}" * 100, "c": "x"}, "1024 fields"),
    "text that grows": ("{{a}}", {"a": "{{b}}" * 100, "b": "x" * 1000}, "65536 characters"),
    "long fields": ("{{" + "1+" * 1000 + "1}}", {}, "2001 characters"),
    "brackets": ("{{" + "(" * 500 + "1" + ")" * 500 + "}}", {}, "cannot be read"),
}


@pytest.mark.parametrize("case", TEMPLATES)
def test_templates_of_kerchunk_have_a_budget(case):
    text, values, message = TEMPLATES[case]
    with pytest.raises(UnsupportedError, match=message):
        render(text, values)


def test_generators_share_one_cap(tmp_path):
    one = {"key": "v/{{i}}", "url": "a", "dimensions": {"i": {"stop": 2**24}}}
    small = {"key": "v/{{i}}", "url": "a", "dimensions": {"i": {"stop": 0}}}
    document = {"version": 1, "refs": {".zgroup": '{"zarr_format":2}'}, "gen": [small, one, one]}
    (tmp_path / "r.json").write_text(json.dumps(document))
    with pytest.raises(VirtualZarrError, match="of one document") as caught:
        open_virtual_dataset(tmp_path / "r.json")
    assert "r.json" in str(caught.value)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    data = {"v": ("x", np.arange(10.0)), "w": ("x", np.arange(10))}
    chunks = {name: {"chunksizes": (5,)} for name in data}
    xr.Dataset(data).to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding=chunks)
    open_virtual_dataset(tmp_path / "a.nc").vzarr.to_zarr(tmp_path / "s.vzarr")
    return tmp_path / "s.vzarr"


def edit(store: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the document of ``v``."""
    root = store / "zarr.json"
    document = json.loads(root.read_text())
    change(document["consolidated_metadata"]["metadata"]["v"])
    write_root(root, document)
    alone = store / "v/zarr.json"
    if alone.exists():
        one = json.loads(alone.read_text())
        change(one)
        alone.write_text(json.dumps(one))


DAMAGE: dict[str, Callable[[dict[str, Any]], None]] = {
    "a shape that overflows": lambda d: d.update(shape=[10**25]),
    "a shape that is text": lambda d: d.update(shape=["ten"]),
    "an endless type": lambda d: d.update(data_type=nested(60)),
    "a run of 2**50": lambda d: d.update(chunk_grid=rectilinear([[1, 2**50]]), shape=[2**50]),
    "a fill value that overflows": lambda d: d.update(fill_value=10**400),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_of_one_array_leaves_the_others_open(store, case):
    edit(store, DAMAGE[case])
    with pytest.warns(UserWarning, match="/v"):
        found = open_virtual_dataset(store)
    assert list(found.data_vars) == ["w"]
    np.testing.assert_array_equal(found.w, np.arange(10))
