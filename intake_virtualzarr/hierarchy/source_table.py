"""Source tables on disk: pages of rows, shared by the arrays of a hierarchy, or a list in an array's own document."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urljoin

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.errors import HierarchyError
from intake_virtualzarr.hierarchy.checks import Check
from intake_virtualzarr.hierarchy.documents import naming
from intake_virtualzarr.hierarchy.snapshot import Snapshot
from intake_virtualzarr.storage.key_value import Keys, StoreKeys
from intake_virtualzarr.storage.options import Access
from intake_virtualzarr.storage.parsing import parse_object
from intake_virtualzarr.storage.source import Source, SourceRows
from intake_virtualzarr.storage.url_secrets import strip_signed
from intake_virtualzarr.storage.urls import relative_url

__all__ = [
    "PAGE_SIZE",
    "PagedSources",
    "common_base",
    "held",
    "page_document",
    "resolve",
    "row_from_json",
    "row_to_json",
    "rows_from_json",
]

DOTS = re.compile(r"/\.\.?(/|$)")
"""Segments of a path that resolution removes."""
PAGE_SIZE = 1024
"""Rows in a page of the shared table."""


def common_base(urls: Sequence[str]) -> str:
    """The longest common directory of URLs, with a slash at the end; empty if there is none."""
    if not urls or any("::" in url for url in urls):  # a chain names its file at its end
        return ""
    first, last = min(urls), max(urls)
    shared = 0
    while shared < min(len(first), len(last)) and first[shared] == last[shared]:
        shared += 1
    base = first[:shared].rpartition("/")[0] + "/"
    return base if base.count("/") >= 3 and "?" not in base and "::" not in base else ""


def row_to_json(source: Source, base: str) -> JsonObject:
    """One row; the URL relative to ``base`` where it lies below it."""
    url = source.url
    if base and url.startswith(base) and len(url) > len(base):
        url = url[len(base) :]
        if ":" in url.split("/", 1)[0]:
            url = "./" + url
    row: JsonObject = {"url": url}
    if source.size is not None:
        row["size"] = source.size
    if source.last_modified is not None:
        row["last_modified"] = _time_text(source.last_modified)
    if source.etag is not None:
        row["etag"] = source.etag
    if source.sha256 is not None:
        row["sha256"] = source.sha256
    return row


def _time_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _time_of(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise HierarchyError(f"last_modified of a source is {text!r}, expected a time as in 2026-11-25T09:00:00Z") from exc
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def row_from_json(row: Any, base: str, access: Access | None = None) -> Source:
    """Read a row; ``base`` is absolute, ``access`` that of what the document names.

    Raises
    ------
    HierarchyError
        If it has no URL, or says what cannot be.
    NotAllowedError
        If the document may not name it.
    """
    if not isinstance(row, dict) or not isinstance(row.get("url"), str):
        raise HierarchyError(f"source {row!r} has no url")
    url = resolve(base, row["url"])
    size = row.get("size")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 0):
        raise HierarchyError(f"source {row['url']!r} has the size {size!r}, expected a number of bytes")
    for name in ("etag", "last_modified", "sha256"):
        if not isinstance(row.get(name), str | None):
            raise HierarchyError(f"source {row['url']!r} has the {name} {row[name]!r}, expected text")
    if access is not None:
        access.check(url)
    return Source(
        strip_signed(url),  # whoever wrote the store decided which other parameters are kept
        size,
        row.get("etag"),
        None if row.get("last_modified") is None else _time_of(row["last_modified"]),
        row.get("sha256"),
        signed=url if "?" in url or "@" in url else None,
    )


def resolve(base: str, url: str) -> str:
    """RFC 3986 resolution, also for schemes that Python's urljoin does not know (s3, gs, …)."""
    if "://" in url and "::" not in url and DOTS.search(url):
        scheme, _, rest = url.partition("://")
        host, _, path = rest.partition("/")
        return resolve(f"{scheme}://{host}/", f"/{path}")
    if not base or "::" in url or "://" in url.split("/", 3)[0] + "//":
        return url
    if "::" in base:  # the first part with a path is the one that the document lies in
        first, _, others = base.partition("::")
        return f"{resolve(first, url)}::{others}" if "://" in first else f"{first}::{resolve(others, url)}"
    scheme, separator, rest = base.partition("://")
    if not separator:
        return urljoin(base, url)
    if "://" in url:
        return url
    joined = urljoin("http://" + (rest if not rest.startswith("/") else "localhost" + rest), url)
    body = joined[len("http://") :]
    return f"{scheme}://" + (body if not rest.startswith("/") else body.removeprefix("localhost"))


def rows_from_json(document: Any, where: str, access: Access | None = None) -> list[Source]:
    """Read ``{"base": …, "list": […]}`` that stands in the document with URL ``where``."""
    base = resolve(where, document.get("base") or ".") if document.get("base") else where
    return [row_from_json(row, base, access) for row in document["list"]]


def held(keys: Keys, source: Source) -> Source:
    """The source with its bytes, if it lies inside a store that no URL can name (a zarr store in memory, a zip file)."""
    prefix = keys.url + "/"
    if not isinstance(keys, StoreKeys) or not source.url.startswith(prefix):
        return source
    content = keys.get(unquote(source.url[len(prefix) :]))
    return source if content is None else replace(source, content=content)


def page_document(rows: Sequence[Source], where: str) -> JsonObject:
    """A page, to be kept at URL ``where``."""
    base = common_base([row.url for row in rows if row.content is None])
    seen_from_here = relative_url(base, where) if base else ""
    return {"base": seen_from_here, "list": [row_to_json(row, base) for row in rows]}


class PagedSources(SourceRows):
    """The shared source table, pages fetched when they are needed."""

    def __init__(
        self,
        keys: Keys,
        path: str,
        page_size: int,
        count: int,
        snapshot: Snapshot,
        checks: Sequence[Check] | None = None,
        access: Access | None = None,
    ) -> None:
        self._keys = keys
        self._access = access
        self._path = path
        self._page_size = page_size
        self._count = count
        self._snapshot = snapshot
        self._checks = checks
        if checks is not None and len(checks) != -(-count // page_size):
            raise HierarchyError(f"{keys.url}/{path}: {len(checks)} checks for {count} sources in pages of {page_size}")
        self._pages: dict[int, tuple[str, list[Any]]] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> Any:
        return PagedSources, (self._keys, self._path, self._page_size, self._count, self._snapshot, self._checks, self._access)

    def __len__(self) -> int:
        return self._count

    def row(self, number: int) -> Source:
        """One row, of a page that is fetched where it is not at hand."""
        if not 0 <= number < self._count:
            raise HierarchyError(f"manifest names source {number}, the table has {self._count} rows")
        which, inside = divmod(number, self._page_size)
        page = self._pages.get(which)
        if page is None:
            page = self._read(which)
        base, rows = page
        if inside >= len(rows):
            raise HierarchyError(f"{self._keys.url}/{self._path}/{which}.json has {len(rows)} rows, row {number} is not there")
        found: Source | JsonObject = rows[inside]
        if not isinstance(found, Source):  # a read needs few rows of a page
            with naming(f"{self._keys.url}/{self._path}/{which}.json"):
                found = rows[inside] = held(self._keys, row_from_json(found, base, self._access))
        return found

    def _read(self, number: int) -> tuple[str, list[Any]]:
        key = f"{self._path}/{number}.json"
        check = None if self._checks is None else self._checks[number]
        raw = self._snapshot.read(self._keys, key, check)
        where = f"{self._keys.url}/{key}"
        with naming(where):
            document = parse_object(raw, where, HierarchyError)
            base = resolve(where, document["base"]) if document.get("base") else where
            page = base, list(document["list"])
        with self._lock:
            return self._pages.setdefault(number, page)
