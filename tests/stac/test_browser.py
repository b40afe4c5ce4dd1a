"""A published catalog as STAC Browser's libraries and other validators see it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from stac.test_publish import dataset, publication
from support.local_schemas import local_schemas

import stac_ext
from intake_virtualzarr.stac.publish import publish_collection, publish_item

BROWSER = Path(__file__).resolve().parents[2] / "examples" / "stac-browser"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A directory with a collection and items, published as `ingest` does."""
    directory = tmp_path_factory.mktemp("published")
    publish_collection(dataset(), publication(30), directory)
    for days, name in ((60, "march"), (0, "january"), (31, "february")):  # neither in order of time nor of names
        later = dataset().assign_coords(time=dataset().time + np.timedelta64(days, "D"))
        publish_item(later, publication(3, id=name), directory)
    return directory


@pytest.fixture(scope="module")
def schemas(tmp_path_factory):
    """A directory with every schema by file, and ``map.json`` that tells their URIs."""
    from pystac.validation.local_validator import get_local_schema_cache

    directory = tmp_path_factory.mktemp("schemas")
    found = {**get_local_schema_cache(), **local_schemas(), stac_ext.SCHEMA_URI: stac_ext.schema()}
    paths = {}
    for number, (uri, schema) in enumerate(found.items()):
        paths[uri] = str(directory / f"{number}.schema.json")
        Path(paths[uri]).write_text(json.dumps(schema))
    (directory / "map.json").write_text(json.dumps(paths))
    return directory


@pytest.mark.parametrize("name", ["collection.json", "january.json"])
def test_stac_valid_accepts_the_catalog(published, schemas, name):
    validator = validate_with_stac_valid(published / name, schemas)
    assert validator.valid, validator.message
    assert len(validator.message[0]["schema"]) == 7


def test_stac_valid_refuses_a_wrong_manifest_format(published, schemas, tmp_path):
    wrong = tmp_path / "wrong.json"
    text = (published / "collection.json").read_text()
    wrong.write_text(text.replace('"vzarr:manifest_format": "vzarr"', '"vzarr:manifest_format": "zip"'))
    validator = validate_with_stac_valid(wrong, schemas)
    assert not validator.valid
    assert "virtual-zarr" in json.dumps(validator.message) or "zip" in json.dumps(validator.message)


def validate_with_stac_valid(path, schemas):
    stac_validator = pytest.importorskip("stac_validator.stac_validator", reason="stac-valid is not installed")
    mapping = json.loads((schemas / "map.json").read_text())
    validator = stac_validator.StacValidate(str(path), schema_map=mapping)
    validator.run()
    return validator


@pytest.mark.browser
def test_stac_browser_libraries_and_stac_node_validator_accept_the_catalog(published, schemas):
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    if not (BROWSER / "node_modules").is_dir():
        pytest.skip(f"run npm install in {BROWSER.name}")
    environment = {**os.environ, "IVZ_CATALOG": str(published), "IVZ_SCHEMAS": str(schemas)}
    run = subprocess.run(
        ["node", "--test", *sorted(map(str, BROWSER.glob("test/*.test.js")))],
        cwd=BROWSER,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "# skipped 0" in run.stdout or "skipped 0" in run.stdout
