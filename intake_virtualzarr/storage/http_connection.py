"""One connection to a web server: a request, its answer, and the next. HTTP/1.1 as RFC 9112 has it; no redirects, no repetition.

Bodies of known length are received where they stay: nothing is copied.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from intake_virtualzarr.storage.http_chunked import ChunkedBody

__all__ = ["Connection", "Head", "HttpError", "Wants"]

MAX_HEAD = 64 * 1024
"""No head of an answer is longer [bytes]."""
READ = 64 * 1024
"""What is received at once where nobody knows how much comes [bytes]."""


class HttpError(Exception):
    """An exchange that came to nothing, in words that `Patience` understands."""

    def __init__(self, text: str, *, status: int = 0, retry_after: float | None = None, unanswered: bool = False) -> None:
        super().__init__(text)
        self.status = status
        """Status of the answer; 0 if there was none."""
        self.retry_after = retry_after
        """Seconds that the server asks to wait."""
        self.unanswered = unanswered
        """Whether not a byte of an answer came: the server may have closed a connection that was kept."""


@dataclass(frozen=True, slots=True)
class Head:
    """Status line and header of an answer."""

    status: int
    reason: str
    headers: Mapping[str, str]
    """Names in lower case; of several with one name, the first."""
    version: bytes = b"HTTP/1.1"

    @property
    def length(self) -> int | None:
        """Length of the body, if it is told [bytes].

        Raises
        ------
        HttpError
            If it is no number.
        """
        text = self.headers.get("content-length")
        if text is None or self.is_chunked:
            return None
        if not text.isascii() or not text.isdigit():
            raise HttpError(f"the server's Content-Length is {text[:40]!r}")
        return int(text)

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in parts, each with its length."""
        return "chunked" in self.headers.get("transfer-encoding", "").lower()

    @property
    def is_last(self) -> bool:
        """Whether the server closes the connection after this answer."""
        said = self.headers.get("connection", "").lower()
        return "close" in said or (self.version == b"HTTP/1.0" and "keep-alive" not in said)


type Wants = Callable[[Head], int | None]
"""How much of the body is wanted at most [bytes]; None if nothing is, whatever comes."""

NO_BODY: Final = (204, 304)


class Connection(asyncio.BufferedProtocol):
    """The protocol of one connection, for one exchange after the other."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._scratch = memoryview(bytearray(READ))
        self._done: asyncio.Future[tuple[Head, bytes | bytearray]] | None = None
        self._reset("GET", lambda head: None)
        self.idle_since = 0.0

    def _reset(self, method: str, wants: Wants) -> None:
        self._method, self._wants = method, wants
        self._raw = bytearray()
        self._head: Head | None = None
        self._body: bytearray | None = None  # of a length that is known
        self._filled = 0
        self._stream: ChunkedBody | bytearray | None = None  # of a length that is not
        self._most = 0
        self._reusable = True

    @property
    def is_usable(self) -> bool:
        """Whether another request may be sent."""
        return self._reusable and self._transport is not None and not self._transport.is_closing()

    @property
    def transport(self) -> asyncio.Transport:
        """What carries the bytes."""
        assert self._transport is not None
        return self._transport

    async def exchange(self, method: str, request: bytes, wants: Wants) -> tuple[Head, bytes | bytearray]:
        """Send a request and receive its answer; the connection is closed if the answer stays incomplete.

        Raises
        ------
        HttpError
            If the connection ends early, or what comes is no answer.
        """
        self._reset(method, wants)
        if self._transport is None or self._transport.is_closing():
            raise HttpError("the connection was closed", unanswered=True)
        self._done = asyncio.get_running_loop().create_future()
        try:
            self._transport.write(request)
            return await self._done
        except BaseException:
            self.close()
            raise
        finally:
            self._done = None
            if not self._reusable:
                self.close()

    def close(self) -> None:
        """Close the connection."""
        self._reusable = False
        if self._transport is not None:
            self._transport.abort()

    # ------------------------------------------------------------------ what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember what carries the bytes."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go: into the body itself, if its length is known."""
        if self._body is not None and self._filled < len(self._body):
            return memoryview(self._body)[self._filled :]
        return self._scratch

    def buffer_updated(self, nbytes: int) -> None:
        """Take bytes that came."""
        if self._done is None or self._done.done():
            self.close()  # nobody asked for these
        elif self._body is not None:
            self._filled += nbytes
            if self._filled == len(self._body):
                self._finish(self._body)
        else:
            self._guarded(bytes(self._scratch[:nbytes]))

    def eof_received(self) -> bool:
        """The server sends nothing more."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """An answer whose length nobody knows is complete now; every other one is not."""
        self._reusable = False
        if self._done is None or self._done.done():
            return
        if exc is None and isinstance(self._stream, bytearray):
            self._finish(self._stream)
            return
        said = f": {exc}" if exc is not None else ""
        if self._body is not None:
            said += f", after {self._filled} of {len(self._body)} bytes of the body"
        self._done.set_exception(HttpError(f"the connection ended early{said}", unanswered=self._head is None and not self._raw))

    # ------------------------------------------------------------------ the answer

    def _guarded(self, came: bytes) -> None:
        try:
            self._take(came)
        except HttpError as exc:
            self._reusable = False
            if self._done is not None and not self._done.done():
                self._done.set_exception(exc)

    def _take(self, came: bytes) -> None:
        if self._head is None:
            self._raw += came
            end = self._raw.find(b"\r\n\r\n")
            if end < 0 and len(self._raw) <= MAX_HEAD:
                return
            if not 0 <= end <= MAX_HEAD:
                raise HttpError("the head of the server's answer is too long")
            head, came = _parsed(bytes(self._raw[:end])), bytes(self._raw[end + 4 :])
            self._raw.clear()
            if 100 <= head.status < 200:  # what comes before the answer
                if came:
                    self._take(came)
                return
            self._head = head
            self._begin(head, came)
        elif isinstance(self._stream, ChunkedBody):
            self._take_chunked(self._stream, came)
        elif self._stream is not None:
            self._stream += came
            self._check_size(len(self._stream))

    def _begin(self, head: Head, came: bytes) -> None:
        """Decide how the body is received, and take what came with the head."""
        if head.is_last:
            self._reusable = False
        length = 0 if self._method == "HEAD" or head.status in NO_BODY else head.length
        wanted = self._wants(head)
        if length == 0:
            self._reusable = self._reusable and not came
            self._finish(b"")
        elif wanted is None:
            self._reusable = False
            self._finish(b"")
        elif length is not None:
            self._most = wanted
            self._check_size(length)
            self._body = bytearray(length)
            self._fill(self._body, came)
        else:
            self._most = wanted
            self._stream = ChunkedBody() if head.is_chunked else bytearray()
            self._reusable = self._reusable and head.is_chunked
            if came:
                self._take(came)

    def _fill(self, body: bytearray, came: bytes) -> None:
        if len(came) > len(body):
            self._reusable = False
        self._filled = min(len(came), len(body))
        body[: self._filled] = came[: self._filled]
        if self._filled == len(body):
            self._finish(body)

    def _take_chunked(self, stream: ChunkedBody, came: bytes) -> None:
        try:
            ended = stream.feed(came)
        except ValueError as exc:
            raise HttpError(f"error decoding the body: {exc}") from None
        self._check_size(len(stream.body))
        if ended:
            self._reusable = self._reusable and not stream.rest
            self._finish(stream.body)

    def _check_size(self, nbytes: int) -> None:
        if nbytes > self._most:
            raise HttpError(f"the server sends {nbytes} bytes or more where at most {self._most} were asked for")

    def _finish(self, body: bytes | bytearray) -> None:
        assert self._done is not None
        assert self._head is not None
        if not self._done.done():
            self._done.set_result((self._head, body))


def _parsed(text: bytes) -> Head:
    first, *lines = text.split(b"\r\n")
    version, _, rest = first.partition(b" ")
    code, _, reason = rest.partition(b" ")
    if not version.startswith(b"HTTP/1.") or not code.isdigit() or len(code) != 3:
        raise HttpError(f"the server's answer is not HTTP: {first[:40]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if colon:
            headers.setdefault(name.decode("latin-1").strip().lower(), value.decode("latin-1").strip())
    return Head(int(code), reason.decode("latin-1").strip() or "Unknown", headers, version)
