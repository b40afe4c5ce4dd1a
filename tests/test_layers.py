"""Imports point downwards, and each outside library has few doors."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import intake_virtualzarr
import stac_ext

ROOT = Path(intake_virtualzarr.__file__).parent

LAYERS = (
    (
        "values",
        "_version errors html progress threads cache grid codecs cf manifest sources segments fills selection indexing planning",
    ),
    ("bytes", "readers batching"),
    ("parsers", "formats scanning"),
    (
        "core",
        "array array_functions chunkmanager decoding fanout groups hierarchy inline joins masks merging pipeline points reading "
        "references transformers",
    ),
    ("datasets", "labels virtual_dataset opening store dataset xarray writing characters harmonize combine export"),
    ("actions", "stac virtualize preview_page publishing published ingest update catalog_file checking serving"),
    ("faces", "intake demo cli cli_commands"),
)
"""From the bottom to the top: the layers of the design, and the modules and packages of each."""

LEVELS = {name: level for level, (_, names) in enumerate(LAYERS) for name in names.split()}

DOORS = {
    "argparse": "cli cli_commands",
    "dask": "array chunkmanager",
    "distributed": "fanout",
    "fsspec": "combine readers.fsspec_reader",
    "h5py": "formats.hdf5.via_h5py",
    "fastparquet": "references.kerchunk_parquet",
    "icechunk": "export references.icechunk_open",
    "intake": "intake demo",
    "jinja2": "intake",
    "kerchunk": "export",
    "netCDF4": "",
    "h5netcdf": "",
    "obstore": "hierarchy.keys readers.objects",
    "pyarrow": "references.kerchunk_parquet",
    "pystac": "intake stac",
    "pystac_client": "stac",
    "requests": "stac",
    "rich": "cli_commands progress",
    "rustac": "stac",
    "shapely": "stac",
    "stac_ext": "stac",
    "yaml": "catalog_file",
}
"""Libraries, and the modules (or packages) that may import them. Those that are named nowhere are free."""


def modules(root: Path) -> list[tuple[str, Path]]:
    """Dotted name below the package, and file, of every module."""
    found = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found.append((".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return found


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Names of imported modules, those for type checking alone left out, and how many dots stand before each."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node.level
            if node.module == "intake_virtualzarr":
                yield from ((f"intake_virtualzarr.{alias.name}", 0) for alias in node.names)


MODULES = modules(ROOT)


def test_every_module_has_a_layer():
    tops = {name.split(".")[0] for name, _ in MODULES if name}
    assert tops - set(LEVELS) == set(), "name the layer of a new module in LAYERS"
    assert len(LEVELS) == sum(len(names.split()) for _, names in LAYERS)


@pytest.mark.parametrize(("name", "path"), MODULES, ids=[name or "__init__" for name, _ in MODULES])
def test_imports_point_downwards_and_are_absolute(name, path):
    own = LEVELS.get(name.split(".")[0], -1)
    for imported, dots in imports(path):
        assert dots == 0, f"{name}: relative import of {imported!r}"
        parts = imported.split(".")
        if name and parts[0] == "intake_virtualzarr" and len(parts) > 1:
            level = LEVELS.get(parts[1])
            assert level is None or level <= own, f"{name} ({LAYERS[own][0]}) imports {imported} ({LAYERS[level][0]})"


@pytest.mark.parametrize(("name", "path"), MODULES, ids=[name or "__init__" for name, _ in MODULES])
def test_outside_libraries_are_imported_at_their_doors(name, path):
    for imported, _ in imports(path):
        library = imported.split(".")[0]
        if library in DOORS:
            doors = DOORS[library].split()
            assert any(name == door or name.startswith(f"{door}.") for door in doors), f"{name} imports {imported}"


def test_the_extension_knows_only_pystac():
    allowed = {"stac_ext", "pystac", "jsonschema"}
    for name, path in modules(Path(stac_ext.__file__).parent):
        for imported, dots in imports(path):
            top = imported.split(".")[0]
            assert dots == 0
            assert top in allowed or top in STANDARD, f"stac_ext.{name} imports {imported}"


STANDARD = sys.stdlib_module_names
