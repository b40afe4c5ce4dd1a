"""Shared by the tests: chunked files without any archive format, netCDF files, file servers that count."""

from __future__ import annotations

import json
import threading
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest

from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.chunk_grid import AxisGrid, ChunkGrid
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.arrays.segments import Segment, StoredArray
from intake_virtualzarr.codecs.cf_packing import Packing
from intake_virtualzarr.codecs.spec import CodecSpec, Pipeline, bytes_codec
from intake_virtualzarr.storage.source import Source, SourceTable

RAW = "raw"
BIG = "big"
ZLIB = "zlib"
SHUFFLE_ZLIB = "shuffle+zlib"


def write_root(path: Path, root: dict[str, Any]) -> None:
    """Write a root that a test has changed, without the checksum that would tell so."""
    root["attributes"].get("_vzarr", {}).pop("check", None)
    path.write_text(json.dumps(root))


def pipeline(kind: str, dtype: np.dtype[Any]) -> Pipeline:
    """A codec pipeline by a short name."""
    if kind == BIG:
        return (bytes_codec(dtype.newbyteorder(">")),)
    plain = bytes_codec(dtype)
    if kind == RAW:
        return (plain,)
    packed = CodecSpec.of("numcodecs.zlib", level=1)
    if kind == ZLIB:
        return plain, packed
    return plain, CodecSpec.of("numcodecs.shuffle", elementsize=dtype.itemsize), packed


def encode(values: np.ndarray, kind: str) -> bytes:
    """The bytes of a chunk."""
    if kind == BIG:
        return values.astype(values.dtype.newbyteorder(">")).tobytes()
    data = values.tobytes()
    if kind == SHUFFLE_ZLIB:
        data = np.frombuffer(data, np.uint8).reshape(-1, values.dtype.itemsize).T.tobytes()
    return data if kind == RAW else zlib.compress(data, 1)


def store_array(
    path: Path,
    values: np.ndarray,
    axes: Sequence[AxisGrid],
    *,
    fill_value: Any = 0,
    missing: Sequence[tuple[int, ...]] = (),
    codec: str = RAW,
    other_codec: str | None = None,
    described: bool = False,
) -> tuple[StoredArray, np.ndarray]:
    """Write an array chunk by chunk to a file of nothing but chunks.

    What a chunk stores beyond its visible part is garbage; every third chunk uses ``other_codec``.

    Returns
    -------
    stored array, values
        The values with ``fill_value`` where chunks are missing.
    """
    grid = ChunkGrid(tuple(axes))
    values = values.copy()
    kinds = [codec] if other_codec is None else [codec, other_codec]
    shape = grid.grid_shape
    offsets, lengths, codecs = np.zeros(shape, np.uint64), np.zeros(shape, np.uint32), np.zeros(shape, np.uint8)
    blob = bytearray(b"not a chunk")
    for number, coords in enumerate(product(*(range(n) for n in shape))):
        box = grid.box(coords)
        if coords in set(missing):
            values[box] = fill_value
            continue
        chunk = np.full(grid.stored_shape(coords), 99, values.dtype)
        chunk[tuple(slice(0, b.stop - b.start) for b in box)] = values[box]
        codecs[coords] = number % 3 % len(kinds)
        data = encode(chunk, kinds[codecs[coords]])
        offsets[coords], lengths[coords] = len(blob), len(data)
        blob += data + b"--"
    path.write_bytes(blob)
    source = Source(path.as_uri(), size=len(blob)) if described else Source(path.as_uri())
    stored = StoredArray(
        values.dtype,
        values.dtype.type(fill_value),
        grid,
        pipeline(codec, values.dtype),
        ChunkManifest.from_columns(shape, offsets, lengths, codec=codecs),
        SourceTable((source,)),
        () if other_codec is None else (pipeline(other_codec, values.dtype),),
    )
    return stored, values


def virtual(stored: StoredArray, packing: Packing | None = None) -> VirtualZarrArray:
    """The whole of a stored array."""
    return VirtualZarrArray(stored.shape, stored.dtype, stored.fill_value, [Segment.whole(stored, packing)])


def to_parquet(refs: dict[str, Any], path: Path, **options: Any) -> Path:
    """References in Parquet, as kerchunk writes them."""
    df = pytest.importorskip("kerchunk.df", reason="the extra 'kerchunk' is not installed")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The 'fastparquet' engine")
        df.refs_to_dataframe(refs, str(path), **options)
    return path


# ---------------------------------------------------------------------- servers


class _Ranged(BaseHTTPRequestHandler):
    """A directory with byte ranges, as any static file server has them."""

    protocol_version = "HTTP/1.1"
    server: FileServer

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        name = unquote(self.path.split("?")[0]).lstrip("/")
        self.server.requests[self.command, name] += 1
        status = self.server.refuse.get(name)
        path = self.server.directory / name
        if status is not None or not path.is_file():
            self._send(status or 404, b"", {})
            return
        data = path.read_bytes()
        headers = {"Last-Modified": formatdate(path.stat().st_mtime, usegmt=True), "Accept-Ranges": "bytes"}
        if self.server.etags:
            headers["ETag"] = f'"{zlib.crc32(data):08x}"'
        asked = self.headers.get("Range")
        if asked is None:
            self._send(200, data, headers, body=body)
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start = int(first) if first else max(len(data) - int(last), 0)
        stop = min(int(last) + 1 if last and first else len(data), len(data))
        if start >= len(data):
            self._send(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            return
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
        self.server.sent += stop - start
        self._send(206, data[start:stop], headers, body=body)

    def _send(self, status: int, data: bytes, headers: dict[str, str], *, body: bool = True) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class FileServer(ThreadingHTTPServer):
    """Serves a directory on 127.0.0.1 and counts what is asked for."""

    daemon_threads = True

    def __init__(self, directory: Path, handler: Any = _Ranged, *, etags: bool = True) -> None:
        self.directory = directory
        self.etags = etags
        self.requests: Counter[tuple[str, str]] = Counter()
        self.refuse: dict[str, int] = {}
        self.sent = 0
        super().__init__(("127.0.0.1", 0), handler)

    @property
    def url(self) -> str:
        """URL of the directory, without a slash at the end."""
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving(directory: Path, *, ranges: bool = True, etags: bool = True) -> Iterator[FileServer]:
    """A file server in a thread; without ``ranges`` it is Python's own, which answers 200 with everything."""
    handler: Any = _Ranged
    if not ranges:

        class Whole(SimpleHTTPRequestHandler):
            def __init__(self, *args: Any) -> None:
                super().__init__(*args, directory=str(directory))

            def log_message(self, format: str, *args: Any) -> None:
                pass

        handler = Whole
    server = FileServer(directory, handler, etags=etags)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
