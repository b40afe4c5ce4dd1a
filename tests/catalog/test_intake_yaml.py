"""Intake catalog files: entries are added without losing others, and texts from files stay texts."""

import datetime as dt

import intake
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from intake_virtualzarr.catalog.intake_yaml import CatalogEntry, catalog_yaml, merged_catalog, write_catalog
from intake_virtualzarr.errors import CatalogError


def entries(path):
    return yaml.safe_load(path.read_text())["sources"]


def test_a_catalog_is_written_once_and_not_again(tmp_path):
    path = tmp_path / "catalog.yaml"
    assert write_catalog(path, "sst", "sst.vzarr", "Temperature", {"stac": "collection.json"})
    before = path.stat().st_mtime_ns
    assert not write_catalog(path, "sst", "sst.vzarr", "Temperature", {"stac": "collection.json"})
    assert path.stat().st_mtime_ns == before


def test_a_relative_store_starts_from_the_catalog(tmp_path):
    path = tmp_path / "catalog.yaml"
    write_catalog(path, "a", "./a.vzarr")
    write_catalog(path, "b", "s3://bucket/b.vzarr", group="ocean")
    assert entries(path)["a"]["args"] == {"urlpath": "{{ CATALOG_DIR }}/a.vzarr"}
    assert entries(path)["b"]["args"] == {"urlpath": "s3://bucket/b.vzarr", "group": "ocean"}


def test_entries_of_others_stay(tmp_path):
    path = tmp_path / "catalog.yaml"
    other = {"driver": "csv", "args": {"urlpath": "{{ CATALOG_DIR }}/x.csv"}}
    path.write_text(yaml.safe_dump({"metadata": {"owner": "me"}, "sources": {"table": other}}))
    write_catalog(path, "sst", "sst.vzarr")
    assert entries(path)["table"] == other
    assert yaml.safe_load(path.read_text())["metadata"] == {"owner": "me"}
    assert list(intake.open_catalog(path)) == ["table", "sst"]


def test_comments_stay_where_nothing_changes():
    text = "# mine\n" + merged_catalog(None, "sst", "sst.vzarr")
    assert merged_catalog(text, "sst", "sst.vzarr") == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is not valid YAML"),
        ("- a", "is not an Intake catalog"),
        ("sources: [a]", "is not an Intake catalog"),
        ("version: 2\nentries: {}\n", "of version 2"),
        ("metadata: {version: 2}\nsources: {}\n", "of version 2"),
    ],
)
def test_what_is_no_catalog_of_this_kind_is_left_alone(tmp_path, text, message):
    path = tmp_path / "catalog.yaml"
    path.write_text(text)
    with pytest.raises(CatalogError, match=message):
        write_catalog(path, "sst", "sst.vzarr")
    assert path.read_text() == text


def test_an_empty_file_becomes_a_catalog(tmp_path):
    path = tmp_path / "catalog.yaml"
    path.touch()
    write_catalog(path, "sst", "sst.vzarr")
    assert list(intake.open_catalog(path)) == ["sst"]


def test_credentials_are_refused():
    with pytest.raises(CatalogError, match=r"https://host/x\.vzarr holds credentials"):
        merged_catalog(None, "x", "https://me:secret@host/x.vzarr")


def test_values_of_numpy_become_plain_ones():
    text = merged_catalog(None, "x", "x.vzarr", metadata={"a": np.float32(0.5), "b": np.arange(2), "c": dt.date(2024, 1, 1)})
    metadata = yaml.safe_load(text)["sources"]["x"]["metadata"]
    assert metadata == {"a": 0.5, "b": [0, 1], "c": dt.date(2024, 1, 1)}


def test_several_entries_make_a_catalog(tmp_path):
    path = tmp_path / "catalog.yaml"
    path.write_text(catalog_yaml({"a": CatalogEntry("a.vzarr", "A"), "b": CatalogEntry("b.vzarr")}, {"owner": "me"}))
    catalog = intake.open_catalog(path)
    assert list(catalog) == ["a", "b"]
    assert catalog.metadata["owner"] == "me"


# Jinja drops one newline at the end, and YAML has no control characters
PRINTABLE = st.text(st.characters(exclude_categories=["C"]), max_size=30).map(str.strip)
BRACES = st.text("{}%# 'a", max_size=12).map(str.strip)


@given(text=st.one_of(PRINTABLE, BRACES))
def test_intake_gives_back_every_text_as_it_was(text):
    from intake.catalog.utils import expand_templates

    source = yaml.safe_load(merged_catalog(None, "x", "x.vzarr", metadata={"title": text}))["sources"]["x"]
    assert expand_templates(source["metadata"], {}) == {"title": text}
