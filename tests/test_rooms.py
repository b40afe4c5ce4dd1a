"""The house: rooms in their order, imports downwards only, no circle, and few doors for each outside library."""

from __future__ import annotations

import ast
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import intake_virtualzarr
import stac_ext

PACKAGE = "intake_virtualzarr"
ROOT = Path(intake_virtualzarr.__file__).parent

ROOMS = ("storage", "codecs", "arrays", "hierarchy", "formats", "store", "datasets", "stac", "catalog", "drivers", "cli")
"""From the bottom to the top."""

GROUND = ("_version", "_typing", "errors", "progress")
"""Modules beside the rooms, which every room may import; they import one another only in this order."""

DOORS = {
    "argparse": "cli",
    "dask": "arrays.array datasets.chunk_manager",
    "distributed": "formats.scan_batches",
    "aiohttp": "storage.fsspec_files storage.http_exchange",
    "eccodes": "codecs.grib_library",
    "fsspec": "storage.fsspec_files",
    "gribberish": "codecs.grib_library",
    "h5py": "formats.hdf5.h5py_reader",
    "fastparquet": "datasets.to_kerchunk_parquet formats.kerchunk_parquet",
    "icechunk": "datasets.to_icechunk datasets.icechunk_repository formats.icechunk_session",
    "intake": "drivers cli.demo_run",
    "jinja2": "drivers",
    "kerchunk": "datasets.to_kerchunk datasets.plain_references",
    "netCDF4": "",
    "h5netcdf": "",
    "obstore": "storage.key_value storage.obstore_reader",
    "pyarrow": "datasets.to_kerchunk_parquet formats.kerchunk_parquet",
    "pystac": "drivers stac",
    "pystac_client": "stac",
    "requests": "stac",
    "rich": "cli progress",
    "rustac": "stac",
    "shapely": "stac",
    "stac_ext": "stac",
    "yaml": "catalog.intake_yaml",
}
"""Libraries, and the modules (or rooms) that may import them. Those that are named nowhere are free."""

SAME_NAME = {
    "compact": "the command, and the function behind it",
    "registry": "decoders, and archive formats, by name",
    "open": "a source as a tree, and as a dataset",
    "reader": "bytes of a file, and a hierarchy of ours",
    "documents": "JSON of hierarchies, and of STAC",
    "__init__": "Python's",
    "clean": "the command, and what it does to a hierarchy",
    "append": "the command, and what it does to a hierarchy",
    "ingest": "the command, and the function behind it",
    "update": "the command, and the function behind it",
    "scan": "the command, and the function behind it",
    "publish": "STAC objects, and what is published beside them",
    "parser": "one of each archive format",
    "pipeline": "codecs",
}
"""Basenames that stand in several rooms, and why."""


@dataclass(frozen=True)
class Import:
    """One import statement of a module: of the package (a module), or of a library."""

    module: str
    dots: int


def dotted(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(root: Path) -> dict[str, Path]:
    """File of every module, by dotted name below the package."""
    return {dotted(path, root): path for path in sorted(root.rglob("*.py"))}


MODULES = modules(ROOT)


def imports(source: str, known: dict[str, Path]) -> Iterator[Import]:
    """All imports of a module: those inside functions and those for type checking included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if module.split(".")[0] != PACKAGE:
                yield Import(module, node.level)
                continue
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                yield Import(inner if inner.removeprefix(f"{PACKAGE}.") in known else module, node.level)


def graph(sources: dict[str, str], known: dict[str, Path]) -> dict[str, set[str]]:
    """Modules of the package that each module imports."""
    arrows: dict[str, set[str]] = defaultdict(set)
    for name, source in sources.items():
        for one in imports(source, known):
            if one.module.split(".")[0] == PACKAGE and one.module != PACKAGE:
                arrows[name].add(one.module.removeprefix(f"{PACKAGE}."))
    return arrows


def room(module: str) -> str:
    return module.split(".")[0]


def upward(arrows: dict[str, set[str]]) -> list[str]:
    """Arrows from a room to one above it."""
    wrong = []
    for module, targets in arrows.items():
        for target in targets:
            if module in ("", "__main__"):  # the package hands out public names, the program starts the command line
                continue
            if room(target) in ROOMS and (room(module) in GROUND or floor(target) > floor(module)):
                wrong.append(f"{module} imports {target}")
    return sorted(wrong)


def floor(module: str) -> int:
    return ROOMS.index(room(module)) if room(module) in ROOMS else -1


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Modules that import one another in a circle (strongly connected components of several)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for target in sorted(arrows.get(name, ())):
            if target not in order:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], order[target])
        if low[name] == order[name]:
            members = []
            while not members or members[-1] != name:
                members.append(stack.pop())
            if len(members) > 1 or name in arrows.get(name, ()):
                found.append(sorted(members))

    for name in sorted(arrows):
        if name not in order:
            visit(name)
    return found


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    # the top package hands public names up on demand: it is the front door, not a floor
    return {name: path.read_text(encoding="utf-8") for name, path in MODULES.items() if name}


def test_the_top_folder_holds_the_rooms_and_little_else():
    found = {p.name for p in ROOT.iterdir() if p.name != "__pycache__"}
    assert found == {*ROOMS, "__init__.py", "__main__.py", "py.typed", *(f"{name}.py" for name in GROUND)}


def test_imports_point_downwards(sources):
    assert upward(graph(sources, MODULES)) == []


def test_no_modules_import_one_another_in_a_circle(sources):
    assert circles(graph(sources, MODULES)) == []


def test_an_import_upwards_is_found(sources):
    moved = {**sources, "storage.urls": sources["storage.urls"] + "\n\ndef f():\n    from intake_virtualzarr.arrays import array\n"}
    assert upward(graph(moved, MODULES)) == ["storage.urls imports arrays.array"]


def test_a_circle_is_found_even_if_it_is_for_type_checking_only(sources):
    line = "\nif TYPE_CHECKING:\n    from intake_virtualzarr.arrays.concatenate import join\n"
    found = circles(graph({**sources, "arrays.array": sources["arrays.array"] + line}, MODULES))
    assert any({"arrays.array", "arrays.concatenate"} <= set(one) for one in found)


def test_imports_are_absolute(sources):
    for name, source in sources.items():
        assert not [one.module for one in imports(source, MODULES) if one.dots], name


def test_basenames_are_unique_unless_there_is_a_reason():
    packages = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    counts = Counter(name.rpartition(".")[2] for name in MODULES if name and name not in packages)
    assert {name for name, n in counts.items() if n > 1} - set(SAME_NAME) == set()


@pytest.mark.parametrize("name", sorted(MODULES), ids=lambda name: name or "__init__")
def test_outside_libraries_are_imported_at_their_doors(name):
    for one in imports(MODULES[name].read_text(encoding="utf-8"), MODULES):
        library = one.module.split(".")[0]
        if library in DOORS:
            doors = DOORS[library].split()
            assert any(name == door or name.startswith(f"{door}.") for door in doors), f"{name} imports {one.module}"


def test_the_extension_knows_only_pystac():
    allowed = {"stac_ext", "pystac", "jsonschema"}
    for name, path in modules(Path(stac_ext.__file__).parent).items():
        for one in imports(path.read_text(encoding="utf-8"), {}):
            top = one.module.split(".")[0]
            assert not one.dots
            assert top in allowed or top in sys.stdlib_module_names, f"stac_ext.{name} imports {one.module}"
