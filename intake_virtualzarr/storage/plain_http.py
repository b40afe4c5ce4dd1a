"""One http request through Python's own client, for what obstore's does not read: ``Retry-After``, answers without a length."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

from intake_virtualzarr.errors import SourceError
from intake_virtualzarr.storage.limits import MAX_DOCUMENT

__all__ = ["Answer", "ask", "retry_after"]

HOPS = 5
"""Redirects that are followed, within one origin."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and body of an answer."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def last_modified(self) -> datetime | None:
        """Time of the last change, UTC, if it is told."""
        try:
            return parsedate_to_datetime(self.headers["last-modified"]).astimezone(UTC)
        except (KeyError, ValueError, TypeError):
            return None

    @property
    def size(self) -> int | None:
        """Length of the whole file, if it is told [bytes]."""
        total = self.headers.get("content-range", "").rpartition("/")[2]
        if self.status == 206:
            return int(total) if total.isdigit() else None
        return len(self.body)


def ask(url: str, headers: Mapping[str, str], start: int | None, length: int | None, timeout: float) -> Answer:
    """GET a file or a range of it; redirects are followed within its origin.

    Raises
    ------
    SourceError
        If the server cannot be reached, or sends too much.
    """
    sent = {"Accept-Encoding": "identity", "User-Agent": "intake-virtualzarr", **headers}
    if start is not None:
        sent["Range"] = f"bytes={start}-{'' if length is None else start + length - 1}"
    origin = urlsplit(url)[:2]
    shown = url.partition("?")[0]
    most = MAX_DOCUMENT if length is None else length
    for _ in range(HOPS):
        parts = urlsplit(url)
        connection = _connection(parts.scheme, parts.netloc.rpartition("@")[2], timeout)
        try:
            connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), headers=sent)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            target = urljoin(url, found.get("location", "")) if response.status in (301, 302, 303, 307, 308) else url
            if target == url:
                return Answer(response.status, found, response.read(most + 1) if response.status < 300 else b"")
        except (OSError, http.client.HTTPException) as exc:
            raise SourceError(f"{shown}: {type(exc).__name__}: {exc}") from exc
        finally:
            connection.close()
        if urlsplit(target)[:2] != origin:
            raise SourceError(f"{shown}: redirects to another origin, {target.partition('?')[0]}")
        url = target
    raise SourceError(f"{shown}: redirects more than {HOPS} times")


def _connection(scheme: str, netloc: str, timeout: float) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(netloc, timeout=timeout, context=ssl.create_default_context())
    return http.client.HTTPConnection(netloc, timeout=timeout)


def retry_after(answer: Answer) -> float | None:
    """Seconds that a server asks to wait, as a number or a date (RFC 9110, 10.2.3)."""
    text = answer.headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
