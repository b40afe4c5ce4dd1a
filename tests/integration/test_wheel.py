"""What a user installs: the wheel, built as pip builds it."""

import email
import zipfile

import pytest
from support.wheel import REPOSITORY, build_wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    path = build_wheel(tmp_path_factory.mktemp("dist"))
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_the_wheel_tells_type_checkers_that_it_has_types(wheel):
    assert {"intake_virtualzarr/py.typed", "stac_ext/py.typed"} <= set(wheel.namelist())


def test_the_wheel_holds_all_modules_and_no_tests(wheel):
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in names} == {"intake_virtualzarr", "stac_ext"}
    packages = [REPOSITORY / "intake_virtualzarr", REPOSITORY / "stac_ext"]
    sources = {path.relative_to(REPOSITORY).as_posix() for package in packages for path in package.rglob("*.py")}
    assert sources == {name for name in names if name.endswith(".py")}


def test_the_wheel_holds_pages_and_schemas_that_the_package_serves(wheel):
    names = wheel.namelist()
    assert "stac_ext/json-schema/schema.json" in names
    assert any(name.endswith("preview.html") for name in names)


def test_the_metadata_lead_to_the_source(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = email.message_from_bytes(wheel.read(name))
    urls = dict(value.split(", ", 1) for value in metadata.get_all("Project-URL"))
    assert {"Source", "Documentation", "Issues", "Changelog"} <= set(urls)
    assert metadata["License-Expression"] == "Apache-2.0"
