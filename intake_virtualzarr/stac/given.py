"""What people said of a store when it was published, read back from its document, so that an update says it again."""

from __future__ import annotations

import re

import xarray as xr

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.stac.description import GENERATED, dataset_title
from intake_virtualzarr.stac.inherit import linked_collection

__all__ = ["given_fields"]

SUMMARY = re.compile(r".+: (`.*|coordinates only) \([^()]*\)\.")
"""The generated first sentence: title, names of variables, sizes of dimensions."""


def given_fields(document: Attrs, dataset: xr.Dataset, name: str) -> JsonObject:
    """Read the fields of `Publication` that people give from a published collection or item.

    Parameters
    ----------
    document : mapping
        Collection or item.
    dataset : xarray.Dataset
        What it describes: its title is not a given one.
    name : str
        Identifier.

    Returns
    -------
    dict
        title, description, license, providers, keywords, base_href, preview_href, source_collection.
    """
    fields = document.get("properties", document) if document.get("type") == "Feature" else document
    title = fields.get("title")
    base = _base_href(document)
    return {
        "title": None if title == (dataset_title(dataset) or name) else title,
        "description": _given_text(str(fields.get("description") or "")),
        "license": str(fields.get("license") or "other"),
        "providers": tuple(fields.get("providers") or ()),
        "keywords": tuple(fields.get("keywords") or ()),
        "base_href": base,
        "source_collection": linked_collection(document),
        "preview_href": _link(document, "preview"),
    }


def _given_text(description: str) -> str | None:
    """The part of a description that was not generated."""
    text, found, _ = description.partition(f"\n\n{GENERATED}")
    if not found:
        return None
    return None if SUMMARY.fullmatch(text) else text


def _base_href(document: Attrs) -> str | None:
    href = _link(document, "self")
    return None if href is None else href.rpartition("/")[0]


def _link(document: Attrs, rel: str) -> str | None:
    return next((str(link["href"]) for link in document.get("links") or [] if link.get("rel") == rel and "href" in link), None)
