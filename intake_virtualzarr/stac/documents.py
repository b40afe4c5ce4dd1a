"""Reading STAC JSON documents from files and URLs, as dictionaries."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.errors import StacError, own_error
from intake_virtualzarr.stac.signing import strip_signature
from intake_virtualzarr.storage.parsing import parse_json

__all__ = ["is_lines", "is_stac_href", "read_document", "read_lines"]

JSON_SUFFIXES = (".json", ".geojson")
LINE_SUFFIXES = (".ndjson", ".jsonl", ".geojsonl", ".ndgeojson")

API_PATH = re.compile(r"/(collections(/[^/]+(/items(/[^/]+)?)?)?|search)/?$")
"""Paths of STAC API and OGC API - Features that end in no suffix."""


def is_stac_href(href: str) -> bool:
    """Tell by its name whether a path or URL is a STAC document rather than a data file.

    Examples
    --------
    >>> is_stac_href("catalog/collection.json"), is_stac_href("https://host/collections/sst/items")
    (True, True)
    >>> is_stac_href("data/a.nc"), is_stac_href("https://host/collections/sst/items/a.nc")
    (False, False)
    """
    parts = urlsplit(href)
    path = parts.path.lower()
    if path.endswith((*JSON_SUFFIXES, *LINE_SUFFIXES)):
        return True
    no_suffix = "." not in path.rsplit("/", 1)[-1]
    return parts.scheme in ("http", "https") and no_suffix and API_PATH.search(parts.path) is not None


def read_document(href: str, stac_io: StacApiIO) -> JsonObject:
    """Read one JSON object.

    Raises
    ------
    StacError
        If it cannot be read, is not JSON, or is not an object.
    """
    shown = strip_signature(href)
    document = parse_json(_read_text(href, shown, stac_io), shown, StacError)
    if not isinstance(document, dict):
        raise StacError(f"{shown}: holds a JSON {type(document).__name__}, not a STAC document")
    return document


def read_lines(href: str, stac_io: StacApiIO) -> Iterator[JsonObject]:
    """Read newline-delimited JSON, one object after the other.

    Local files are streamed; what comes over http is held in memory.
    """
    shown = strip_signature(href)
    for number, line in enumerate(_lines(href, shown, stac_io), 1):
        if not line.strip():
            continue
        yield parse_json(line, f"{shown}: line {number}", StacError)


def is_lines(href: str) -> bool:
    """Tell by its name whether a file is newline-delimited JSON."""
    return urlsplit(href).path.lower().endswith(LINE_SUFFIXES)


def _lines(href: str, shown: str, stac_io: StacApiIO) -> Iterator[str]:
    if _is_http(href):
        yield from _read_text(href, shown, stac_io).splitlines()
        return
    try:
        with _local(href, shown).open(encoding="utf-8") as file:
            yield from file
    except UnicodeDecodeError as exc:
        raise StacError(f"{shown}: is not text in UTF-8: {exc}") from exc
    except OSError as exc:
        raise StacError(f"{shown}: cannot be read: {exc.strerror or exc}") from exc


def _read_text(href: str, shown: str, stac_io: StacApiIO) -> str:
    try:
        if _is_http(href):
            return stac_io.read_text(href)
        return _local(href, shown).read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise StacError(f"{shown}: is not text in UTF-8: {exc}") from exc
    except APIError as exc:
        if (ours := own_error(exc)) is not None:
            raise ours from None
        status = getattr(exc, "status_code", None)
        raise StacError(f"{shown}: cannot be read: {f'http {status}' if status else exc}") from exc
    except OSError as exc:
        raise StacError(f"{shown}: cannot be read: {exc.strerror or exc}") from exc


def _local(href: str, shown: str) -> Path:
    parts = urlsplit(href)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    if "://" in href:
        raise StacError(f"{shown}: STAC documents are read from files, http and https, not from {parts.scheme}")
    return Path(os.path.expanduser(href))


def _is_http(href: str) -> bool:
    return href.lower().startswith(("http://", "https://"))
