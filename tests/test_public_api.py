"""The public names, pinned: a change here is a change for users and belongs into the changelog."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import xarray as xr

import intake_virtualzarr as ivz

NAMES = [
    "Access",
    "ArgumentError",
    "CatalogError",
    "ChunkGridError",
    "ChunkManifest",
    "CodecError",
    "ConflictError",
    "EncodingMismatchError",
    "FormatError",
    "GroupNotFoundError",
    "HierarchyError",
    "IngestError",
    "JoinError",
    "ManifestError",
    "MissingExtraError",
    "NotAllowedError",
    "NothingFoundError",
    "SourceChangedError",
    "SourceError",
    "StacError",
    "StorageTransformer",
    "StoreChangedError",
    "TransformedStore",
    "UnsupportedError",
    "UnsupportedIndexError",
    "VirtualZarrArray",
    "VirtualZarrError",
    "VirtualZarrStore",
    "__version__",
    "asgi",
    "config",
    "ingest",
    "open_virtual_dataset",
    "open_virtual_datatree",
    "open_virtual_mfdataset",
    "open_virtual_store",
    "register_storage_transformer",
    "scan",
    "update",
    "virtualize",
]

OLD_NAMES = {
    "set_threads": "set_threads(…) is now config.set(threads=…); the old name goes in 0.2.0",
    "use_fast_pipeline": "use_fast_pipeline(…) is now config.set(fast_pipeline=…); the old name goes in 0.2.0",
}
"""Old names of functions, and what their calls say."""

ENTRY_POINTS = {
    ("intake.drivers", "virtualzarr"),
    ("intake.drivers", "virtualzarr_stac"),
    ("intake.imports", "virtualzarr"),
    ("xarray.backends", "virtualzarr"),
    ("xarray.chunkmanagers", "virtualzarr"),
    ("pystac.extensions", "vzarr"),
    ("console_scripts", "intake-virtualzarr"),
}

ACCESSOR = {"decode", "n_references", "nbytes", "references", "to_icechunk", "to_kerchunk", "to_zarr"}


def test_the_public_names_are_these():
    assert sorted(ivz.__all__) == NAMES


def test_an_editor_shows_the_public_names_only():
    importlib.import_module("intake_virtualzarr.cli.main")
    assert dir(ivz) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_there_and_says_what_it_is(name):
    value = getattr(ivz, name)
    if name != "__version__":
        assert inspect.getdoc(value)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'open_dataset'"):
        _ = ivz.open_dataset


@pytest.mark.parametrize("name", ["ingest", "update", "virtualize"])
def test_a_function_stays_a_function_when_its_module_is_imported(name):
    modules = "intake_virtualzarr.catalog.ingest, intake_virtualzarr.catalog.update, intake_virtualzarr.catalog.virtualize"
    code = f"import intake_virtualzarr as ivz, {modules}; print(callable(ivz.{name}))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True\n"


def test_importing_the_package_is_light():
    code = "import intake_virtualzarr, sys; print([m for m in ('numpy', 'xarray', 'zarr', 'intake') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(("group", "name"), sorted(ENTRY_POINTS))
def test_entry_points_load(group, name):
    (point,) = entry_points(group=group, name=name)
    # those of intake.imports name modules
    assert point.load() is not None


def test_the_accessor_has_these_members():
    from intake_virtualzarr.datasets.accessor import VirtualZarrAccessor

    assert {name for name in vars(VirtualZarrAccessor) if not name.startswith("_")} == ACCESSOR


def test_all_errors_have_one_base_and_are_listed():
    errors = importlib.import_module("intake_virtualzarr.errors")
    classes = {name for name, one in vars(errors).items() if inspect.isclass(one) and issubclass(one, Exception)}
    assert classes == set(errors.__all__) - {"own_error", "warn_renamed"}
    assert classes <= set(NAMES)
    assert all(issubclass(getattr(errors, name), errors.VirtualZarrError) for name in classes)


@pytest.mark.parametrize(("name", "message"), OLD_NAMES.items())
def test_an_old_name_warns_and_does_what_the_new_one_does(name, message):
    with ivz.config.set(threads=None, fast_pipeline=None):
        with pytest.warns(DeprecationWarning, match=re.escape(message)) as caught:
            getattr(ivz, name)(True)
        assert caught[0].filename == __file__
        assert {"set_threads": ivz.config.settings.threads, "use_fast_pipeline": ivz.config.settings.fast_pipeline}[name]


def test_the_old_name_of_a_count_of_references_warns():
    array = ivz.VirtualZarrArray.full((2, 3), "f8", 1.0)
    dataset = xr.Dataset({"v": ("x", array[0])})
    with pytest.warns(DeprecationWarning, match=re.escape("VirtualZarrArray.references is now VirtualZarrArray.n_references;")):
        assert array.references == array.n_references
    with pytest.warns(DeprecationWarning, match=re.escape(".vzarr.references is now .vzarr.n_references;")):
        assert dataset.vzarr.references == dataset.vzarr.n_references


# ---------------------------------------------------------------------- what modules give to others

PACKAGES = ("intake_virtualzarr", "stac_ext")


def sources() -> dict[str, ast.Module]:
    """Every module, by dotted name, parsed."""
    root = Path(ivz.__file__).parent.parent
    paths = {path for package in PACKAGES for path in (root / package).rglob("*.py")}
    names = {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}
    return {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in sorted(names.items())}


def listed(tree: ast.Module) -> list[str] | None:
    """What ``__all__`` lists; None if there is none."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return ast.literal_eval(node.value)
    return None


def hidden_imports(trees: dict[str, ast.Module]) -> list[str]:
    """Imports of names that the other module does not list, wherever the import stands."""
    given = {name: set(listed(tree) or ()) for name, tree in trees.items()}
    return [
        f"{name} imports {node.module}.{alias.name}"
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in trees
        for alias in node.names
        if alias.name not in given[node.module] and f"{node.module}.{alias.name}" not in trees
    ]


@pytest.fixture(scope="module")
def trees():
    return sources()


def test_every_module_lists_what_it_gives_to_others(trees):
    assert [name for name, tree in trees.items() if listed(tree) is None] == []


def test_what_a_module_lists_exists_and_is_listed_once(trees):
    for name, tree in trees.items():
        names = listed(tree)
        assert len(set(names)) == len(names), name
        module = importlib.import_module(name)
        assert [one for one in names if not hasattr(module, one)] == [], name


def test_modules_import_from_one_another_only_what_is_listed(trees):
    assert hidden_imports(trees) == []


def test_private_names_stay_in_their_module(trees):
    private = [one for tree in trees.values() for one in listed(tree) if one.startswith("_") and one != "__version__"]
    assert private == []


def test_an_import_of_a_name_that_is_not_listed_is_found(trees):
    more = ast.parse("def f():\n    from intake_virtualzarr.storage.urls import _hidden\n")
    assert hidden_imports({**trees, "intake_virtualzarr.x": more}) == [
        "intake_virtualzarr.x imports intake_virtualzarr.storage.urls._hidden"
    ]
