"""Sources: comparing states, merging tables, rows as JSON."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intake_virtualzarr.errors import HierarchyError, SourceChangedError
from intake_virtualzarr.hierarchy.source_table import common_base, page_document, resolve, row_from_json, rows_from_json
from intake_virtualzarr.storage.source import Source, SourceTable, unify_tables
from intake_virtualzarr.storage.urls import absolute_url, local_path, relative_url

NOON = datetime(2026, 1, 1, 12, 0, 0, 250_000, UTC)


@pytest.mark.parametrize(
    ("then", "now", "what"),
    [
        ({"size": 5}, {"size": 6}, "size was 5 bytes, is 6 bytes"),
        ({"etag": '"a"'}, {"etag": '"b"'}, 'ETag was "a", is "b"'),
        ({"last_modified": NOON}, {"last_modified": NOON + timedelta(seconds=1)}, "modification time was"),
        ({"last_modified": NOON}, {"last_modified": NOON + timedelta(microseconds=1)}, "modification time was"),
        # an ETag counts more than a time that agrees
        ({"etag": '"a"', "last_modified": NOON}, {"etag": '"b"', "last_modified": NOON}, "ETag"),
    ],
)
def test_a_changed_file_is_named(then, now, what):
    with pytest.raises(SourceChangedError, match=f"s3://b/a.nc: changed since it was scanned: {what}"):
        Source("s3://b/a.nc", **then).check(Source("s3://b/a.nc", **now))


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ({}, {"size": 6, "etag": '"a"', "last_modified": NOON}),
        ({"size": 5, "etag": '"a"', "last_modified": NOON}, {}),
        ({"etag": 'W/"a"'}, {"etag": '"a"'}),
        ({"etag": '"a"', "last_modified": NOON}, {"etag": '"a"', "last_modified": NOON + timedelta(days=1)}),
        # a server tells whole seconds
        ({"last_modified": NOON}, {"last_modified": NOON.replace(microsecond=0)}),
        ({"last_modified": NOON}, {"last_modified": NOON.astimezone(timezone(timedelta(hours=5)))}),
    ],
)
def test_what_cannot_be_compared_counts_as_equal(then, now):
    Source("a", **then).check(Source("a", **now))


@given(st.lists(st.lists(st.sampled_from("abcde"), max_size=4), max_size=4))
@settings(deadline=None, max_examples=100)
def test_merged_tables_hold_each_source_once(names):
    tables = [SourceTable(tuple(Source(name) for name in table)) for table in names]
    merged, mappings = unify_tables(tables)
    assert len({row.url for row in merged}) == len(merged)
    for table, mapping in zip(tables, mappings, strict=True):
        assert [merged[row].url for row in mapping] == [source.url for source in table]


def test_a_file_in_two_states_cannot_be_merged():
    with pytest.raises(SourceChangedError, match="a: changed since it was scanned"):
        unify_tables([[Source("a", size=1)], [Source("a", size=2)]])


def test_inlined_sources_of_one_name_but_other_content_stay_apart():
    merged, mappings = unify_tables([[Source("inline:x", content=b"1")], [Source("inline:x", content=b"2")]])
    assert len(merged) == 2
    assert mappings == [[0], [1]]


# ---------------------------------------------------------------------- JSON

URLS = st.lists(
    st.sampled_from(
        [
            "file:///data/a.nc",
            "file:///data/sub/b.nc",
            "file:///data/with%20space/c%23.nc",
            "file:///data/12:00.nc",
            "s3://bucket/x/d.nc",
            "https://host/e.nc",
            "https://host/f.nc?version=2",
            "simplecache::https://host/g.nc",
            "zip://a.nc::https://host/h.zip",
        ]
    ),
    min_size=1,
    max_size=5,
    unique=True,
)


@given(URLS, st.sampled_from(["file:///data/store.vzarr", "s3://bucket/x/store.vzarr", "https://host/store"]))
@settings(deadline=None, max_examples=200)
def test_urls_survive_a_page_wherever_the_store_lies(urls, store):
    where = f"{store}/sources/0.json"
    page = page_document([Source(url, 1, '"e"', NOON, "ab") for url in urls], where)
    assert rows_from_json(page, where) == [Source(url, 1, '"e"', NOON, "ab") for url in urls]


@given(URLS, st.sampled_from(["file:///data/store.vzarr/v/zarr.json", "https://host/store/a/b/zarr.json"]))
@settings(deadline=None, max_examples=100)
def test_a_relative_url_resolves_to_what_it_came_from(urls, document):
    for url in urls:
        assert resolve(document, relative_url(url, document)) == url


def test_a_directory_with_files_and_store_can_be_moved():
    page = page_document([Source("file:///old/data/a.nc")], "file:///old/data/store.vzarr/sources/0.json")
    assert rows_from_json(page, "file:///new/data/store.vzarr/sources/0.json") == [Source("file:///new/data/a.nc")]


@pytest.mark.parametrize("row", [{}, {"url": 3}, None, "a.nc"])
def test_a_row_without_an_url_is_refused(row):
    with pytest.raises(HierarchyError, match="has no url"):
        row_from_json(row, "file:///a/")


def test_a_common_base_is_a_directory():
    assert common_base(["file:///d/ab.nc", "file:///d/ac.nc"]) == "file:///d/"
    assert common_base(["file:///d/a.nc", "s3://b/c.nc"]) == ""
    assert common_base([]) == ""


@pytest.mark.parametrize("name", ["a b.nc", "ä.nc", "50%.nc", "a#b.nc", "a?b.nc", "12:00.nc"])
def test_paths_with_odd_characters_survive_as_urls(name, tmp_path):
    assert local_path(absolute_url(tmp_path / name)) == str(tmp_path / name)
