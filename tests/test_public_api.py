"""The public names, pinned: a change here is a change for users and belongs into the changelog."""

import importlib
import inspect
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

import intake_virtualzarr as ivz

NAMES = [
    "Access",
    "ChunkManifest",
    "VirtualZarrArray",
    "VirtualZarrStore",
    "__version__",
    "ingest",
    "open_virtual_dataset",
    "open_virtual_datatree",
    "open_virtual_mfdataset",
    "open_virtual_store",
    "scan",
    "set_threads",
    "update",
    "use_fast_pipeline",
    "virtualize",
]

ENTRY_POINTS = {
    ("intake.drivers", "virtualzarr"),
    ("intake.drivers", "virtualzarr_stac"),
    ("intake.imports", "virtualzarr"),
    ("xarray.backends", "virtualzarr"),
    ("xarray.chunkmanagers", "virtualzarr"),
    ("pystac.extensions", "vzarr"),
    ("console_scripts", "intake-virtualzarr"),
    ("intake_virtualzarr.formats", "hdf5"),
    ("intake_virtualzarr.formats", "kerchunk"),
    ("intake_virtualzarr.formats", "netcdf3"),
}

ACCESSOR = {"decode", "nbytes", "references", "to_icechunk", "to_kerchunk", "to_zarr"}


def test_the_public_names_are_these():
    assert sorted(ivz.__all__) == NAMES
    assert set(NAMES) <= set(dir(ivz))


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
    assert classes == set(errors.__all__)
    assert all(issubclass(getattr(errors, name), errors.VirtualZarrError) for name in classes)
