"""A server for a directory: byte ranges, latency, a bandwidth that all connections share, and counts.

Runs in a process of its own, so that it does not take the interpreter from those who are measured.

    python benchmarks/server.py DIRECTORY [--latency 0.02] [--bandwidth 100e6] [--port 8000] [--links LINKS.json]

``--links`` makes a large archive of few files: paths that are served from another file, with some bytes of their own:
``{"/2024/001.nc": {"file": "a.nc", "at": 5120, "bytes": "0a00"}}``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from urllib.request import urlopen

PIECE = 64 * 1024


class Line:
    """A line of limited bandwidth: what is sent waits until what was sent before is through."""

    def __init__(self, bandwidth: float | None) -> None:
        self.bandwidth = bandwidth
        self.free_at = 0.0

    async def send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            if self.bandwidth:
                now = time.monotonic()
                self.free_at = max(self.free_at, now) + len(piece) / self.bandwidth
                if self.free_at - now > 0.002:
                    await asyncio.sleep(self.free_at - now)
            writer.write(piece)
            await writer.drain()


@dataclass(frozen=True)
class Link:
    """A path that is served from another file, but for some bytes."""

    file: Path
    at: int = 0
    own: bytes = b""

    @classmethod
    def of(cls, directory: Path, one: dict[str, Any]) -> Link:
        """As ``--links`` tells it."""
        return cls(directory / one["file"], int(one["at"]), bytes.fromhex(one["bytes"]))

    def patched(self, data: bytes, start: int) -> bytes:
        """Bytes of the file that begin at ``start``, with the own ones in their place."""
        first, last = max(self.at, start), min(self.at + len(self.own), start + len(data))
        if first >= last:
            return data
        return data[: first - start] + self.own[first - self.at : last - self.at] + data[last - start :]

    @property
    def mark(self) -> str:
        """What tells this path from others of the same file."""
        return f"-{self.own.hex()}" if self.own else ""


class Server:
    """Answers requests; ``/-/counts`` tells what was asked for since ``/-/reset``."""

    def __init__(
        self, directory: Path, latency: float, bandwidth: float | None, links: dict[str, dict[str, Any]] | None = None
    ) -> None:
        self.directory = directory
        self.links = {path: Link.of(directory, one) for path, one in (links or {}).items()}
        self.latency = latency
        self.line = Line(bandwidth)
        self.reset()

    def reset(self) -> None:
        self.counts: dict[str, Any] = dict.fromkeys(("requests", "bytes", "rounds", "in_flight", "most_in_flight"), 0)
        self.counts["asked"] = []
        self.answered = 0
        """Rounds of the requests that are answered: a request that comes later may depend on these."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await self.answer(head.decode("latin-1"), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, head: str, writer: asyncio.StreamWriter) -> None:
        lines = head.split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
        path = unquote(target.split("?")[0])
        if path.startswith("/-/"):
            if path == "/-/reset":
                self.reset()
            await self.send(writer, "200 OK", {}, json.dumps(self.counts).encode())
            return
        counts = self.counts
        own_round = self.answered + 1
        counts["requests"] += 1
        counts["rounds"] = max(counts["rounds"], own_round)
        counts["in_flight"] += 1
        counts["most_in_flight"] = max(counts["most_in_flight"], counts["in_flight"])
        counts["asked"].append([method, path, headers.get("range")])
        if self.latency:
            await asyncio.sleep(self.latency)
        try:
            await self.file(method, path, headers, writer)
        finally:
            counts["in_flight"] -= 1
            self.answered = max(self.answered, own_round)

    async def file(self, method: str, path: str, headers: dict[str, str], writer: asyncio.StreamWriter) -> None:
        link = self.links.get(path) or Link(self.directory / path.lstrip("/"))
        full = link.file
        try:
            fd = os.open(full, os.O_RDONLY)
        except OSError:
            await self.send(writer, "404 Not Found", {}, b"")
            return
        try:
            status = os.fstat(fd)
            if not os.path.isfile(full):
                await self.send(writer, "404 Not Found", {}, b"")
                return
            fields = {
                "ETag": f'"{status.st_mtime_ns:x}-{status.st_size:x}{link.mark}"',
                "Last-Modified": formatdate(status.st_mtime, usegmt=True),
                "Accept-Ranges": "bytes",
            }
            start, stop, code = 0, status.st_size, "200 OK"
            asked = headers.get("range")
            if asked:
                first, _, last = asked.removeprefix("bytes=").partition("-")
                start = int(first) if first else max(status.st_size - int(last), 0)
                stop = min(int(last) + 1, status.st_size) if first and last else status.st_size
                if start >= status.st_size:
                    await self.send(writer, "416 Range Not Satisfiable", {"Content-Range": f"bytes */{status.st_size}"}, b"")
                    return
                code = "206 Partial Content"
                fields["Content-Range"] = f"bytes {start}-{stop - 1}/{status.st_size}"
            if method == "HEAD":
                await self.send(writer, code, fields, b"", length=stop - start)
                return
            self.counts["bytes"] += stop - start
            await self.send(writer, code, fields, link.patched(os.pread(fd, stop - start, start), start))
        finally:
            os.close(fd)

    async def send(
        self, writer: asyncio.StreamWriter, code: str, fields: dict[str, str], body: bytes, length: int | None = None
    ) -> None:
        fields = {**fields, "Content-Length": str(len(body) if length is None else length), "Connection": "keep-alive"}
        head = f"HTTP/1.1 {code}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items()) + "\r\n"
        writer.write(head.encode("latin-1"))
        await self.line.send(writer, body)
        await writer.drain()


class Running:
    """A server under way."""

    def __init__(self, url: str) -> None:
        self.url = url

    def reset(self) -> None:
        """Count from here on."""
        urlopen(f"{self.url}/-/reset").read()

    def counts(self) -> dict[str, Any]:
        """What was asked for: requests, bytes, dependent rounds, most requests in flight, and each request."""
        found: dict[str, Any] = json.loads(urlopen(f"{self.url}/-/counts").read())
        return found


@contextmanager
def serving(
    directory: str | Path, *, latency: float = 0.0, bandwidth: float | None = None, links: str | Path | None = None
) -> Iterator[Running]:
    """Serve a directory in another process.

    Parameters
    ----------
    directory : path
        What to serve.
    latency : float
        Before each answer [s].
    bandwidth : float, optional
        Of all connections together [bytes/s].
    links : path, optional
        JSON: paths that are served from other files of the directory.
    """
    command = [sys.executable, str(Path(__file__).resolve()), str(directory), "--latency", str(latency)]
    if bandwidth:
        command += ["--bandwidth", str(bandwidth)]
    if links:
        command += ["--links", str(links)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Running(process.stdout.readline().strip())
    finally:
        process.terminate()
        process.wait()


async def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("directory", type=Path)
    options.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    options.add_argument("--bandwidth", type=float, help="bytes per second of all connections together")
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--links", type=Path, help="paths that are served from other files")
    chosen = options.parse_args()
    links = json.loads(chosen.links.read_text()) if chosen.links else None
    server = Server(chosen.directory, chosen.latency, chosen.bandwidth, links)
    running = await asyncio.start_server(server.serve, "127.0.0.1", chosen.port, limit=1 << 20, backlog=1024)
    print(f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}", flush=True)
    async with running:
        await running.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
