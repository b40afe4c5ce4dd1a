"""One request to a web server and its answer, by aiohttp: no redirects, no repetition, and no more than was asked for."""

from __future__ import annotations

import asyncio
import atexit
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from intake_virtualzarr.errors import SourceError
from intake_virtualzarr.storage.event_loop import submit
from intake_virtualzarr.storage.http_options import HttpOptions
from intake_virtualzarr.storage.limits import MAX_DOCUMENT

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

__all__ = ["Head", "HttpError", "Part", "exchange"]

KEPT = 30.0
"""A connection that was idle for longer is not used again [s]."""
BUFFER = 1024 * 1024
"""What a connection receives before it waits for its reader [bytes]."""
SMALL = 64 * 1024
"""Bodies of errors and redirects up to this size are received, so that their connection can be kept [bytes]."""

type Part = tuple[int, int | None]
"""First byte, and the one behind the last; None for the end."""


class HttpError(Exception):
    """An exchange that came to nothing, in words that `Patience` understands."""

    def __init__(self, text: str, *, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.status = status
        """Status of the answer; 0 if there was none."""
        self.retry_after = retry_after
        """Seconds that the server asks to wait."""


@dataclass(frozen=True, slots=True)
class Head:
    """Status line and header of an answer."""

    status: int
    reason: str
    headers: Mapping[str, str]
    """Names in lower case; of several with one name, the first."""

    @property
    def length(self) -> int | None:
        """Length of the body, if it is told [bytes].

        Raises
        ------
        HttpError
            If it is no number.
        """
        text = self.headers.get("content-length")
        if text is None or "chunked" in self.headers.get("transfer-encoding", "").lower():
            return None
        if not text.isascii() or not text.isdigit():
            raise HttpError(f"the server's Content-Length is {text[:40]!r}")
        return int(text)


async def exchange(
    url: str, method: str, headers: Mapping[str, str], part: Part | None, options: HttpOptions, proxy: str | None
) -> tuple[Head, bytes | bytearray]:
    """Send a request and receive its answer.

    Parameters
    ----------
    url : str
        As it is sent: escaped, without user information.
    method : {"GET", "HEAD"}
    headers : mapping of str to str
    part : tuple, optional
        The bytes that are wanted, which bound the body; default: all.
    options : HttpOptions
        Certificates.
    proxy : str, optional
        URL of the proxy to ask.

    Raises
    ------
    SourceError
        If the server's certificate is not trusted.
    HttpError
        If there is no answer, it ends early, or is none.
    """
    import aiohttp
    from yarl import URL

    try:
        async with _session().request(
            method,
            URL(url, encoded=True),
            headers=headers,
            allow_redirects=False,
            proxy=proxy,
            ssl=options.tls() if url.startswith("https:") else True,
        ) as response:
            head = _head(response)
            return head, await _body(response, head, method, part)
    except aiohttp.ClientConnectorCertificateError as exc:
        reason = getattr(exc.certificate_error, "verify_message", exc.certificate_error)
        raise SourceError(f"{exc.host}: its certificate is not trusted: {reason}") from exc
    except aiohttp.ClientResponseError as exc:
        raise HttpError(f"the server's answer is not HTTP: {exc.message[:200]}") from exc
    except aiohttp.ClientPayloadError as exc:
        raise HttpError(f"the connection ended early, or the body is damaged: {exc}") from exc
    except (aiohttp.ClientError, OSError) as exc:
        raise HttpError(f"error sending request: {_cause(exc)}") from exc


def _cause(exc: Exception) -> str:
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    return f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__


def _head(response: ClientResponse) -> Head:
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        headers.setdefault(name.lower(), value)
    return Head(response.status, response.reason or "Unknown", headers)


async def _body(response: ClientResponse, head: Head, method: str, part: Part | None) -> bytes | bytearray:
    """The body, in one piece of memory if its length is known; what is not wanted is not received."""
    if method == "HEAD" or head.status in (204, 304):
        return b""
    length, most = head.length, _most(head, part)
    if most is None:
        response.close()
        return b""
    _check_size(length or 0, most)
    if length is None:
        body = bytearray()
        async for piece in response.content.iter_any():
            body += piece
            _check_size(len(body), most)
        return body
    body, filled = bytearray(length), 0
    async for piece in response.content.iter_any():
        body[filled : filled + len(piece)] = piece
        filled += len(piece)
    if filled != length:
        raise HttpError(f"the connection ended early, after {filled} of {length} bytes of the body")
    return body


def _most(head: Head, part: Part | None) -> int | None:
    """How much of a body is received at most [bytes]; None if none of it is wanted."""
    if head.status == (200 if part is None else 206):
        return MAX_DOCUMENT if part is None or part[1] is None else part[1] - part[0]
    small = head.status >= 300 and head.length is not None and head.length <= SMALL
    return SMALL if small else None


def _check_size(nbytes: int, most: int) -> None:
    if nbytes > most:
        raise HttpError(f"the server sends {nbytes} bytes or more where at most {most} were asked for")


# ---------------------------------------------------------------------- connections that are kept

_kept: ClientSession | None = None
_process = -1
_of_parents: list[ClientSession | None] = []
"""Sessions of the processes that this one was forked from: not to be touched, nor to be closed by their end."""


def _session() -> ClientSession:
    """The session of this process; asked for in the reading loop only."""
    import aiohttp

    global _kept, _process
    if _kept is None or _process != os.getpid():
        _of_parents.append(_kept)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT)
        _kept = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # `Patience` holds the clock
            auto_decompress=False,
            read_bufsize=BUFFER,
        )
        _process = os.getpid()
        atexit.register(_close)
    return _kept


def _close() -> None:
    """Close the connections at the end of the process."""
    if _kept is not None and _process == os.getpid():
        with suppress(TimeoutError, asyncio.CancelledError, RuntimeError):  # the loop may be at its end already
            submit(_kept.close()).result(timeout=1)
