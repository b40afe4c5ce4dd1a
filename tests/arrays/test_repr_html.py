"""What notebooks show of arrays."""

import numpy as np
import pytest

from intake_virtualzarr import VirtualZarrArray, open_virtual_dataset
from intake_virtualzarr.arrays.repr_html import array_html, size_text, table_html


def test_an_array_shows_shape_type_chunks_segments_and_sources(published_once):
    array = open_virtual_dataset(published_once.paths[0]).sst.variable._data
    html = array_html(array)
    for text in ("20 × 6 × 8", "float32", "7 × 3 × 8", "3.8 kB when loaded", "<th>References</th><td>6 ("):
        assert text in html
    assert published_once.paths[0].name in html
    assert array._repr_html_() == html


def test_a_store_is_not_opened_further_to_be_shown(published_once, monkeypatch):
    array = open_virtual_dataset(published_once.catalog / "sst.vzarr").sst.variable._data
    monkeypatch.setattr(VirtualZarrArray, "read", lambda *args: pytest.fail("values were read"))
    assert "40 × 6 × 8" in array_html(array)


def test_an_array_without_segments_shows():
    html = array_html(VirtualZarrArray.full((), "int32", 7))
    assert "()" in html
    assert "<th>Segments</th><td>0</td>" in html


def test_text_is_escaped_in_names_and_values():
    html = table_html("<b>", {"<i>": "<script>", "list": ["<u>", "&"]})
    for bad in ("<b>", "<i>", "<script>", "<u>"):
        assert bad not in html
    assert "&lt;u&gt;<br>&amp;" in html


def test_secrets_are_not_shown():
    html = table_html("x", {"storage_options": {"key": "hush"}, "api_token": "hush", "headers": "hush"})
    assert "hush" not in html


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (90_508, "91 kB"),
        (999_600, "1.0 MB"),
        (2_713_124, "2.7 MB"),
        (10**18, "1000 PB"),
    ],
)
def test_sizes_are_written_for_people(nbytes, text):
    assert size_text(np.int64(nbytes)) == text
