"""Requests to web servers: ranges, kept connections, and redirects that are followed only where they are allowed.

A client of our own, as those of object stores and of fsspec follow every redirect, and send custom headers along.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from urllib.parse import quote, unquote, urljoin, urlsplit
from weakref import WeakKeyDictionary

from intake_virtualzarr.errors import SourceError
from intake_virtualzarr.storage.http_connection import Connection, Head, HttpError
from intake_virtualzarr.storage.http_options import HttpOptions, http_options
from intake_virtualzarr.storage.limits import MAX_DOCUMENT
from intake_virtualzarr.storage.network import check_not_forked
from intake_virtualzarr.storage.options import Access
from intake_virtualzarr.storage.places import fits, place_of
from intake_virtualzarr.storage.policy import is_same_server
from intake_virtualzarr.storage.url_secrets import redact

__all__ = ["Answer", "Part", "ask", "request_target"]

HOPS = 10
"""Redirects that one request follows."""
REDIRECTS = (301, 302, 303, 307, 308)
KEPT = 30.0
"""A connection that was idle for longer is not used again [s]."""
SMALL = 64 * 1024
"""Bodies of errors and redirects up to this size are received, so that their connection can be kept [bytes]."""
UNSAFE = "%/:@!$&'()*+,;=~-._"
"""Characters of a path that are sent as they are."""

type Part = tuple[int, int | None]
"""First byte, and the one behind the last; None for the end."""


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
    check_not_forked()
    asked, options = url, http_options(access.options(url))
    headers: Mapping[str, str] = {**options.headers, **_authorization(url)}
    for _ in range(HOPS + 1):
        head, body = await _exchange(url, method, headers, part, options)
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


def _proxy_authorization(proxy: str | None) -> dict[str, str]:
    found = _authorization(proxy or "")
    return {"Proxy-Authorization": found["Authorization"]} if found else {}


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


async def _exchange(
    url: str, method: str, headers: Mapping[str, str], part: Part | None, options: HttpOptions
) -> tuple[Head, bytes | bytearray]:
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    proxy = options.proxy_for(parts.scheme, host)
    target, name = request_target(url), _netloc(host, port, 443 if secure else 80)
    if proxy is not None and not secure:
        target = f"http://{name}{target}"
    text = _request(method, target, name, _sent(dict(headers), part, proxy if not secure else None))
    wants = partial(_limit, part)
    pool, key = _pool(), (secure, host, port, proxy, options.tls_key)
    for kept in pool.taken(key):
        try:
            found = await kept.exchange(method, text, wants)
        except HttpError as exc:
            if exc.unanswered:  # the server closed it in the meantime
                continue
            raise
        pool.keep(key, kept)
        return found
    fresh = await _connect(host, port, secure, proxy, options)
    found = await fresh.exchange(method, text, wants)
    pool.keep(key, fresh)
    return found


def _netloc(host: str, port: int, usual: int | None = None) -> str:
    shown = f"[{host}]" if ":" in host else host if host.isascii() else host.encode("idna").decode()
    return shown if port == usual else f"{shown}:{port}"


def _sent(headers: dict[str, str], part: Part | None, proxy: str | None) -> dict[str, str]:
    sent = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "intake-virtualzarr"}
    sent |= _proxy_authorization(proxy) | headers
    if part is not None:
        start, stop = part
        sent["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
    return sent


def _request(method: str, target: str, host: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    if any("\r" in line or "\n" in line or "\0" in line for line in lines):
        raise SourceError(f"{host}: a header or a path holds a line break")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def _limit(part: Part | None, head: Head) -> int | None:
    """How much of a body is received at most; None if none of it is wanted."""
    if head.status == (200 if part is None else 206):
        return MAX_DOCUMENT if part is None or part[1] is None else part[1] - part[0]
    small = head.status >= 300 and head.length is not None and head.length <= SMALL
    return SMALL if small else None


async def _connect(host: str, port: int, secure: bool, proxy: str | None, options: HttpOptions) -> Connection:
    loop = asyncio.get_running_loop()
    tls = options.tls() if secure else None
    try:
        if proxy is None:
            _, made = await loop.create_connection(
                Connection, host, port, ssl=tls, server_hostname=host if secure else None, happy_eyeballs_delay=0.25
            )
            return made
        return await _through(proxy, host, port, tls)
    except ssl.SSLCertVerificationError as exc:
        raise SourceError(f"{host}: its certificate is not trusted: {exc.verify_message}") from exc
    except OSError as exc:
        raise HttpError(f"error sending request: {exc.strerror or exc}") from exc


async def _through(proxy: str, host: str, port: int, tls: ssl.SSLContext | None) -> Connection:
    """A connection by way of a proxy; with TLS, in a tunnel."""
    loop = asyncio.get_running_loop()
    parts = urlsplit(proxy)
    _, made = await loop.create_connection(Connection, parts.hostname or "", parts.port or 80)
    if tls is None:
        return made
    name = _netloc(host, port)
    request = _request("CONNECT", name, name, _proxy_authorization(proxy))
    head, _ = await made.exchange("HEAD", request, lambda head: None)
    if head.status != 200:
        made.close()
        raise HttpError(f"error sending request: the proxy {parts.hostname} answers {head.status} {head.reason}")
    inner = Connection()
    transport = await loop.start_tls(made.transport, inner, tls, server_hostname=host)
    assert transport is not None
    inner.connection_made(transport)
    return inner


# ---------------------------------------------------------------------- connections that are kept

type _Key = tuple[bool, str, int, str | None, object]


class _Pool:
    """Idle connections of one event loop."""

    def __init__(self) -> None:
        self._idle: dict[_Key, list[Connection]] = defaultdict(list)

    def keep(self, key: _Key, connection: Connection) -> None:
        """Take back a connection."""
        if connection.is_usable:
            connection.idle_since = time.monotonic()
            self._idle[key].append(connection)

    def taken(self, key: _Key) -> list[Connection]:
        """A connection that is idle, in a list; an empty one if there is none."""
        idle = self._idle[key]
        while idle:
            one = idle.pop()  # the one that was used last
            if one.is_usable and time.monotonic() - one.idle_since <= KEPT:
                return [one]
            one.close()
        return []


_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, _Pool] = WeakKeyDictionary()


def _pool() -> _Pool:
    loop = asyncio.get_running_loop()
    found = _pools.get(loop)
    if found is None:
        found = _pools[loop] = _Pool()
    return found
