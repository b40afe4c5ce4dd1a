"""A small http server for a directory: byte ranges and CORS, as readers in browsers need them."""

from __future__ import annotations

import mimetypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO, ClassVar
from urllib.parse import unquote, urlsplit

from intake_virtualzarr.catalog.preview import PAGE, page_directory
from intake_virtualzarr.cli.host_names import names_server
from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.storage.range_header import span_of

__all__ = ["PREVIEW", "RangeServer", "serve_directory"]

PREVIEW = "/_preview/"
"""Where the preview page is served, beside the directory."""

IDLE = 60
"""Connections on which nothing is asked are closed after this time [s]."""
BLOCK = 256 * 1024
TYPES = {
    ".json": "application/json",
    ".geojson": "application/geo+json",
    ".yaml": "application/yaml",
    ".js": "text/javascript",
}
HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Expose-Headers": "Accept-Ranges, Content-Length, Content-Range, ETag, Last-Modified",
    "Accept-Ranges": "bytes",
    "Cache-Control": "no-cache",
}


class RangeServer(ThreadingHTTPServer):
    """Serves the files below a directory, and counts.

    Parameters
    ----------
    root : path
        Nothing outside of it is served.
    host : str
        Address to listen on.
    port : int
        Port; 0 for a free one.

    Attributes
    ----------
    requests : int
        Requests answered with bytes.
    sent : int
        Bytes of their bodies.
    """

    daemon_threads = True
    # a reader asks for a hundred files at once; with 5, the default, the others wait for their second or third attempt
    request_queue_size = 256

    def __init__(self, root: str | os.PathLike[str], host: str = "127.0.0.1", port: int = 0) -> None:
        self.root = Path(root).resolve()
        if not self.root.is_dir():
            raise VirtualZarrError(f"{root}: is not a directory, so it cannot be served")
        self.requests = 0
        self.sent = 0
        self._host = host
        self._lock = threading.Lock()
        try:
            super().__init__((host, port), _Handler)
        except OSError as exc:
            raise VirtualZarrError(f"cannot listen on {host}:{port}: {exc.strerror or exc}") from exc

    def answers_to(self, host: str | None) -> bool:
        """Whether a ``Host`` header names this server."""
        return names_server(host, str(self.server_address[0]), self._host)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: readers end connections as they like."""

    @property
    def url(self) -> str:
        """URL of the directory, without a slash at the end."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"

    def count(self, sent: int) -> None:
        """Count an answer."""
        with self._lock:
            self.requests += 1
            self.sent += sent

    def reset(self) -> None:
        """Count from zero."""
        with self._lock:
            self.requests = self.sent = 0


@contextmanager
def serve_directory(root: str | os.PathLike[str], host: str = "127.0.0.1", port: int = 0) -> Iterator[RangeServer]:
    """Serve a directory from a thread, until the block ends."""
    with RangeServer(root, host, port) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RangeServer
    # headers and body are two writes; without this the second waits for an acknowledgement of the first (40 ms)
    wbufsize: ClassVar[int] = -1
    disable_nagle_algorithm: ClassVar[bool] = True
    timeout: ClassVar[int] = IDLE

    def do_OPTIONS(self) -> None:
        if self._is_foreign():
            return
        self._head(HTTPStatus.NO_CONTENT, {"Content-Length": "0"})

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _is_foreign(self) -> bool:
        """Whether the request is for another host; it is answered."""
        if self.server.answers_to(self.headers.get("Host")):
            return False
        self.send_response(HTTPStatus.MISDIRECTED_REQUEST)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        return True

    def _answer(self, *, body: bool) -> None:
        if self._is_foreign():
            return
        path = self._path()
        if path is None:
            message = b"not found\n"
            self._head(HTTPStatus.NOT_FOUND, {"Content-Length": str(len(message))})
            if body:
                self.wfile.write(message)
            return
        try:
            opened = path.open("rb")
        except OSError:
            self._head(HTTPStatus.FORBIDDEN, {"Content-Length": "0"})
            return
        with opened as file:
            state = os.fstat(file.fileno())
            headers = {
                "Content-Type": TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream",
                "ETag": f'"{state.st_mtime_ns:x}-{state.st_size:x}"',
                "Last-Modified": formatdate(state.st_mtime, usegmt=True),
            }
            self._send(file, state.st_size, headers, body=body)

    def _send(self, file: BinaryIO, size: int, headers: dict[str, str], *, body: bool) -> None:
        start, length, status = 0, size, HTTPStatus.OK
        try:
            span = span_of(self.headers, (headers["ETag"], headers["Last-Modified"]), size)
        except ValueError:
            headers |= {"Content-Range": f"bytes */{size}", "Content-Length": "0"}
            self._head(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers)
            return
        if span is not None:
            start, length, status = span.start, span.stop - span.start, HTTPStatus.PARTIAL_CONTENT
            headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{size}"
        self._head(status, {**headers, "Content-Length": str(length)})
        if body:
            self.server.count(length)
            file.seek(start)
            while length > 0 and (block := file.read(min(BLOCK, length))):
                self.wfile.write(block)
                length -= len(block)

    def _head(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _path(self) -> Path | None:
        """Find the file of a request; None if there is none, or if it lies outside."""
        asked = unquote(urlsplit(self.path).path)
        if "\0" in asked:
            return None
        root = self.server.root
        if asked.startswith(PREVIEW):
            root = page_directory()
            asked = asked.removeprefix(PREVIEW) or PAGE
        try:
            path = (root / asked.lstrip("/")).resolve()
            if not path.is_relative_to(root.resolve()) or not path.is_file():
                return None
        except OSError:  # a name that is too long, links in a circle
            return None
        # .env, .git and the like are not what one serves a directory for
        hidden = any(part.startswith(".") for part in (*Path(asked).parts, *path.relative_to(root.resolve()).parts))
        return None if hidden else path
