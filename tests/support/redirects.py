"""A web server that redirects by rule, and remembers which headers were sent to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

__all__ = ["Redirecting", "serving_redirects"]


@dataclass
class Redirecting:
    """Where it listens, what it does, and what it was asked."""

    url: str
    rules: dict[str, str] = field(default_factory=dict)
    """Path -> where it leads; paths without a rule are files."""
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """Method, path with query, and headers (lower case) of every request."""

    def headers(self, name: str) -> list[str]:
        """All values of a header that were sent."""
        return [headers[name] for _, _, headers in self.asked if name in headers]


@contextmanager
def serving_redirects(root: Path) -> Iterator[Redirecting]:
    """Serve a directory by ranges, in a thread."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            made.asked.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
            path = self.path.partition("?")[0]
            if path in made.rules:
                self.answer(302, b"", Location=made.rules[path])
                return
            file = root / path.lstrip("/")
            if not file.is_file():
                self.answer(404, b"")
                return
            content, asked = file.read_bytes(), self.headers.get("Range")
            if asked is None:
                self.answer(200, content)
                return
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, stop = int(first), min(int(last or len(content)) + 1, len(content))
            self.answer(206, content[start:stop], Content_Range=f"bytes {start}-{stop - 1}/{len(content)}")

        do_HEAD = do_POST = do_GET  # noqa: N815

        def answer(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), "ETag": '"1"', **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            self.wfile.flush()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made = Redirecting(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
