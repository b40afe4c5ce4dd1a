"""Requests to web servers: ranges, and redirects that are followed only where they are allowed.

aiohttp carries them (`http_exchange`). The clients of object stores follow every redirect, and send custom headers along.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote, unquote, urljoin, urlsplit

from intake_virtualzarr.errors import SourceError
from intake_virtualzarr.storage.http_exchange import Head, HttpError, Part, exchange
from intake_virtualzarr.storage.http_options import HttpOptions, http_options
from intake_virtualzarr.storage.options import Access
from intake_virtualzarr.storage.places import fits, place_of
from intake_virtualzarr.storage.policy import is_same_server
from intake_virtualzarr.storage.url_secrets import redact

__all__ = ["Answer", "ask", "request_target"]

HOPS = 10
"""Redirects that one request follows."""
REDIRECTS = (301, 302, 303, 307, 308)
UNSAFE = "%/:@!$&'()*+,;=~-._"
"""Characters of a path that are sent as they are."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered in the end, redirects followed."""

    head: Head
    body: bytes | bytearray

    @property
    def status(self) -> int:
        """Status of the answer."""
        return self.head.status

    @property
    def etag(self) -> str | None:
        """Name of the state of the file, if it is told."""
        return self.head.headers.get("etag") or None

    @property
    def last_modified(self) -> datetime | None:
        """Time of the last change, UTC, if it is told."""
        try:
            return parsedate_to_datetime(self.head.headers["last-modified"]).astimezone(UTC)
        except (KeyError, ValueError, TypeError, OverflowError):
            return None

    @property
    def size(self) -> int | None:
        """Length of the whole file, if it is told [bytes]."""
        if self.status == 206:
            total = self.head.headers.get("content-range", "").rpartition("/")[2]
            return int(total) if total.isascii() and total.isdigit() else None
        return self.head.length

    @property
    def first(self) -> int | None:
        """First byte of the part that came."""
        unit, _, rest = self.head.headers.get("content-range", "").strip().partition(" ")
        start = rest.strip().partition("-")[0]
        return int(start) if unit == "bytes" and start.isascii() and start.isdigit() else None

    def failure(self) -> HttpError:
        """The answer as an error."""
        return HttpError(f"{self.status} {self.head.reason}", status=self.status, retry_after=_retry_after(self.head))


def _retry_after(head: Head) -> float | None:
    """Seconds that a server asks to wait, as a number or a date (RFC 9110, 10.2.3)."""
    text = head.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


async def ask(url: str, access: Access, *, method: str = "GET", part: Part | None = None) -> Answer:
    """Send a request; redirects are followed within the origin of the URL, and where ``allow`` permits it.

    Parameters
    ----------
    url : str
        With its user information and query.
    access : Access
        Headers by prefix, and what may be asked for. Headers and user information go to the origin of the URL only.
    method : {"GET", "HEAD"}
    part : tuple, optional
        The bytes that are wanted; default: all.

    Raises
    ------
    NotAllowedError
        If a redirect leads elsewhere.
    SourceError
        If there are too many.
    HttpError
        If there is no answer.
    """
    asked, options = url, http_options(access.options(url))
    headers: Mapping[str, str] = {**options.headers, **_authorization(url)}
    for _ in range(HOPS + 1):
        head, body = await _send(url, method, headers, part, options)
        target = urljoin(url, head.headers.get("location", "")) if head.status in REDIRECTS else url
        if "location" not in head.headers or head.status not in REDIRECTS:
            return Answer(head, body)
        access.policy.check_redirect(asked, target)
        if not is_same_server(asked, target):
            headers, options = _elsewhere(access, target, options)
        elif not is_same_server(asked, url):  # back from another server, as after a login
            options = http_options(access.options(asked))
            headers = {**options.headers, **_authorization(asked)}
        url = target
    raise SourceError(
        f"{redact(asked)}: more than {HOPS} redirects, the last one to {redact(url)}; the server's rules lead in a circle"
    )


def _elsewhere(access: Access, target: str, options: HttpOptions) -> tuple[Mapping[str, str], HttpOptions]:
    """The headers for another server: those that were given for it by name, and none of the first one's."""
    prefix = access.prefix(target)
    place = place_of(prefix) if prefix else None
    if prefix and place and place[-1].host and fits(prefix, target):
        named = http_options(access.rules[prefix])
        return named.headers, named
    return {}, options.without_headers()


def _authorization(url: str) -> dict[str, str]:
    user, at, _ = urlsplit(url).netloc.rpartition("@")
    if not at:
        return {}
    name, _, password = user.partition(":")
    return {"Authorization": "Basic " + base64.b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()}


def request_target(url: str) -> str:
    """Path and query of a URL, escaped where that is missing.

    Examples
    --------
    >>> request_target("http://h/a b%20c/ü.nc?x=1")
    '/a%20b%20c/%C3%BC.nc?x=1'
    """
    parts = urlsplit(url)
    path = quote(parts.path or "/", safe=UNSAFE)
    return path + (f"?{quote(parts.query, safe=UNSAFE + '?')}" if parts.query else "")


# ---------------------------------------------------------------------- one exchange


async def _send(
    url: str, method: str, headers: Mapping[str, str], part: Part | None, options: HttpOptions
) -> tuple[Head, bytes | bytearray]:
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    netloc = _netloc(host, parts.port, 443 if secure else 80)
    if any(mark in text for text in (host, *headers, *headers.values()) for mark in "\r\n\0"):
        raise SourceError(f"{host!r}: a header or a path holds a line break")
    sent = {**_always(part), **headers}
    return await exchange(
        f"{parts.scheme}://{netloc}{request_target(url)}", method, sent, part, options, options.proxy_for(parts.scheme, host)
    )


def _netloc(host: str, port: int | None, usual: int) -> str:
    shown = f"[{host}]" if ":" in host else host if host.isascii() else host.encode("idna").decode()
    return shown if port in (None, usual) else f"{shown}:{port}"


def _always(part: Part | None) -> dict[str, str]:
    sent = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "intake-virtualzarr"}
    if part is not None:
        start, stop = part
        sent["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
    return sent
