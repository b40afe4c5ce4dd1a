"""A web server with one fault at a time: files of a directory, badly served."""

from __future__ import annotations

import gzip
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

__all__ = ["FAULTS", "FaultServer", "serving_faults"]

type Fault = Callable[["_Handler", bytes, tuple[int, int] | None], None]
"""Answers a request for a file, of which a range was asked for or not."""

LOGIN = b"<!DOCTYPE html><html><body>Please log in</body></html>"


class FaultServer(ThreadingHTTPServer):
    """Serves a directory; ``fault`` names what goes wrong from now on."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, root: Path) -> None:
        self.root = root
        self.fault = "none"
        self.seen: Counter[str] = Counter()
        self.ended = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class _Handler(BaseHTTPRequestHandler):
    server: FaultServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    @property
    def tries(self) -> int:
        """How often this was asked for, this time included."""
        return self.server.seen[f"{self.command} {self.path} {self.headers.get('Range')}"]

    def _answer(self) -> None:
        self.server.seen[f"{self.command} {self.path} {self.headers.get('Range')}"] += 1
        path = self.server.root / self.path.partition("?")[0].lstrip("/")
        if not path.is_file():
            self.send(404, b"")
            return
        content = path.read_bytes()
        FAULTS[self.server.fault](self, content, self._range(len(content)))
        self.wfile.flush()

    def _range(self, size: int) -> tuple[int, int] | None:
        text = self.headers.get("Range", "")
        if not text.startswith("bytes="):
            return None
        first, _, last = text[6:].partition("-")
        if not first:
            return max(0, size - int(last)), size
        return int(first), min(int(last) + 1, size) if last else size

    def send(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        """An answer; a header named here replaces what is usual, and an empty one leaves it out."""
        usual = {"Content-Length": str(len(body) if length is None else length), "ETag": '"one"', "Accept-Ranges": "bytes",
                 "Last-Modified": formatdate(1_500_000_000, usegmt=True)}  # fmt: skip
        self.send_response(status)
        for name, value in {**usual, **{key.replace("_", "-"): value for key, value in headers.items()}}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def well(self, content: bytes, part: tuple[int, int] | None, **headers: str) -> None:
        """The right answer."""
        if part is None:
            self.send(200, content, **headers)
            return
        start, stop = part
        if start >= len(content):
            self.send(416, b"", Content_Range=f"bytes */{len(content)}")
            return
        headers = {"Content_Range": f"bytes {start}-{stop - 1}/{len(content)}", **headers}
        self.send(206, content[start:stop], **headers)

    def reset(self) -> None:
        """End the connection without a word."""
        self.close_connection = True
        self.connection.close()


def _status(status: int, times: int | None = None, **headers: str) -> Fault:
    def answer(handler: _Handler, content: bytes, part: tuple[int, int] | None) -> None:
        if times is None or handler.tries <= times:
            handler.send(status, b"not now", **headers)
        else:
            handler.well(content, part)

    return answer


def _reset(times: int | None = None) -> Fault:
    def answer(handler: _Handler, content: bytes, part: tuple[int, int] | None) -> None:
        if times is None or handler.tries <= times:
            handler.reset()
        else:
            handler.well(content, part)

    return answer


def _hang(handler: _Handler, content: bytes, part: tuple[int, int] | None) -> None:
    handler.server.ended.wait(60)
    handler.reset()


def _hang_in_body(handler: _Handler, content: bytes, part: tuple[int, int] | None) -> None:
    start, stop = part or (0, len(content))
    range_ = f"bytes {start}-{stop - 1}/{len(content)}" if part else ""
    handler.send(206 if part else 200, content[start : start + 10], stop - start, Content_Range=range_)
    handler.wfile.flush()
    handler.server.ended.wait(60)
    handler.reset()


def _slow(handler: _Handler, content: bytes, part: tuple[int, int] | None) -> None:
    time.sleep(0.02)
    handler.well(content, part)


def _truncated(handler: _Handler, content: bytes, part: tuple[int, int] | None) -> None:
    start, stop = part or (0, len(content))
    range_ = f"bytes {start}-{stop - 1}/{len(content)}" if part else ""
    handler.send(206 if part else 200, content[start : (start + stop) // 2], stop - start, Content_Range=range_)
    handler.close_connection = True


def _short(handler: _Handler, content: bytes, part: tuple[int, int] | None) -> None:
    """Fewer bytes than asked for, and a length that fits them."""
    start, stop = part or (0, len(content))
    middle = (start + stop) // 2
    handler.send(
        206 if part else 200, content[start:middle], Content_Range=f"bytes {start}-{stop - 1}/{len(content)}" if part else ""
    )


def _chunked(handler: _Handler, content: bytes, part: tuple[int, int] | None) -> None:
    start, stop = part or (0, len(content))
    body = content[start:stop]
    framed = b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in (body[:7], body[7:]) if one) + b"0\r\n\r\n"
    range_ = f"bytes {start}-{stop - 1}/{len(content)}" if part else ""
    handler.send(206 if part else 200, framed, Content_Length="", Transfer_Encoding="chunked", Content_Range=range_)


def _http_1_0(handler: _Handler, content: bytes, part: tuple[int, int] | None) -> None:
    handler.protocol_version = "HTTP/1.0"
    handler.close_connection = True
    handler.well(content, part)


def _no_length(handler: _Handler, content: bytes, part: tuple[int, int] | None) -> None:
    handler.close_connection = True
    handler.well(content, part, Content_Length="", Connection="close")


def _no_head(status: int) -> Fault:
    def answer(handler: _Handler, content: bytes, part: tuple[int, int] | None) -> None:
        if handler.command == "HEAD":
            handler.send(status, b"")
        else:
            handler.well(content, part)

    return answer


def _no_ranges(handler: _Handler, content: bytes, part: tuple[int, int] | None) -> None:
    handler.well(content, None, Accept_Ranges="none")


def _wrong_range(handler: _Handler, content: bytes, part: tuple[int, int] | None) -> None:
    if part is None:
        handler.well(content, part)
        return
    start, stop = part
    handler.send(206, content[start + 1 : stop + 1], Content_Range=f"bytes {start + 1}-{stop}/{len(content)}")


def _whole(body: bytes, **headers: str) -> Fault:
    return lambda handler, content, part: handler.send(200, body, **headers)


def _redirect_loop(handler: _Handler, content: bytes, part: tuple[int, int] | None) -> None:
    handler.send(302, b"", Location=handler.path.partition("?")[0] + f"?{handler.tries}")


def _redirect(handler: _Handler, content: bytes, part: tuple[int, int] | None) -> None:
    if "moved" in handler.path:
        handler.well(content, part)
    else:
        handler.send(302, b"", Location=f"{handler.path}?moved")


def _gzip(handler: _Handler, content: bytes, part: tuple[int, int] | None) -> None:
    start, stop = part or (0, len(content))
    packed = gzip.compress(content)[start:stop]
    range_ = f"bytes {start}-{start + len(packed) - 1}/{len(content)}" if part else ""
    handler.send(206 if part else 200, packed, Content_Encoding="gzip", Content_Range=range_)


def _changing(handler: _Handler, content: bytes, part: tuple[int, int] | None) -> None:
    handler.well(content, part, ETag=f'"{sum(handler.server.seen.values())}"')


def _headers(**headers: str) -> Fault:
    return lambda handler, content, part: handler.well(content, part, **headers)


FAULTS: dict[str, Fault] = {
    "none": lambda handler, content, part: handler.well(content, part),
    "503": _status(503),
    "503 once": _status(503, 1),
    "503 once, Retry-After 1": _status(503, 1, Retry_After="1"),
    "503, Retry-After 9999": _status(503, Retry_After="9999"),
    "429": _status(429),
    "429 twice": _status(429, 2),
    "500": _status(500),
    "500 once": _status(500, 1),
    "403": _status(403),
    "401": _status(401),
    "404": _status(404),
    "410": _status(410),
    "reset": _reset(),
    "reset once": _reset(1),
    "hang": _hang,
    "hang in the body": _hang_in_body,
    "slow": _slow,
    "truncated": _truncated,
    "fewer bytes": _short,
    "chunked": _chunked,
    "HTTP/1.0": _http_1_0,
    "no Content-Length": _no_length,
    "no HEAD (405)": _no_head(405),
    "no HEAD (501)": _no_head(501),
    "no HEAD (403)": _no_head(403),
    "no ranges": _no_ranges,
    "wrong Content-Range": _wrong_range,
    "empty 200": _whole(b""),
    "login page": _whole(LOGIN, Content_Type="text/html"),
    "204": _status(204),
    "redirect": _redirect,
    "redirect loop": _redirect_loop,
    "gzip": _gzip,
    "ETag of each answer": _changing,
    "no ETag": _headers(ETag=""),
    "no Last-Modified": _headers(Last_Modified=""),
    "odd Last-Modified": _headers(Last_Modified="yesterday"),
    "no validators": _headers(ETag="", Last_Modified=""),
}
"""By name."""


@contextmanager
def serving_faults(root: Path) -> Iterator[FaultServer]:
    """Serve a directory, in a thread."""
    with FaultServer(root) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()
