"""The plain Zarr view over http, as an ASGI application: any Zarr client reads it, without a plug-in."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any
from urllib.parse import unquote

from zarr.abc.store import RangeByteRequest
from zarr.core.buffer import default_buffer_prototype

from intake_virtualzarr.errors import ArgumentError
from intake_virtualzarr.storage.options import StorageOptions
from intake_virtualzarr.storage.policy import Allow
from intake_virtualzarr.storage.range_header import Span, span_of
from intake_virtualzarr.store.http_answers import Answer, allows, cors, is_unchanged
from intake_virtualzarr.store.store import VirtualZarrStore

__all__ = ["STANDARD", "Message", "Receive", "Send", "ZarrApplication", "asgi"]

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]

STANDARD = frozenset({"blosc", "bytes", "crc32c", "gzip", "transpose", "zstd"})
"""Codecs of the Zarr v3 specification, which every client knows."""
LOG = logging.getLogger(__name__)


def asgi(
    target: Any,
    *,
    codecs: str | Iterable[str] = "standard",
    storage_options: StorageOptions = None,
    allow: Allow = None,
    cache_bytes: int = 128 * 1024 * 1024,
) -> ZarrApplication:
    """An ASGI application that presents a hierarchy, or an archive file, as a plain Zarr v3 store over http.

    Parameters
    ----------
    target : path, URL, zarr store or VirtualZarrStore
        What to present: its state when the application is made. After a later write, make it anew (restart the server): clients
        that hold metadata of one state must not be given chunks of another.
    codecs : {"standard", "zarr-python"} or iterable of str
        Codecs that clients know. With ``"standard"`` chunks in codecs beyond the Zarr specification (HDF5's shuffle and zlib among
        them) are decoded here and sent uncompressed; with ``"zarr-python"`` they are sent as they are stored, for clients with
        numcodecs.
    storage_options, allow
        As for `VirtualZarrStore`.
    cache_bytes : int
        Size of the cache of decoded chunks [bytes].

    Returns
    -------
    ZarrApplication
        To be run by an ASGI server, such as uvicorn behind a proxy.

    Raises
    ------
    HierarchyError
        If there is no hierarchy.
    ArgumentError
        If ``codecs`` is another word.

    Notes
    -----
    Chunk grids are regular, whatever the files' are. Keys that are stored are answered to GET and HEAD with ranges, ETag and CORS;
    directories are not listed.
    """
    if isinstance(target, VirtualZarrStore):
        return ZarrApplication(target)
    if isinstance(codecs, str) and codecs not in ("standard", "zarr-python"):
        raise ArgumentError(f"codecs is {codecs!r}; expected 'standard', 'zarr-python' or names of codecs")
    known = STANDARD if codecs == "standard" else None if isinstance(codecs, str) else frozenset(codecs)
    store = VirtualZarrStore(
        target, storage_options=storage_options, allow=allow, cache_bytes=cache_bytes, codecs=known, rectilinear=False
    )
    return ZarrApplication(store)


class ZarrApplication:
    """An ASGI application over a `VirtualZarrStore`. Made by `asgi`."""

    def __init__(self, store: VirtualZarrStore) -> None:
        self.store = store
        self._state = _digest(store)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one connection, as ASGI 3 says."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"a Zarr view answers http, not {scope['type']}")
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        answer = await self._answer(scope["method"], _key(scope), headers)
        body = b"" if scope["method"] == "HEAD" else answer.body
        length = {} if answer.status in (204, 304) else {"content-length": str(len(answer.body))}
        sent = {**cors(), **length, **answer.headers}
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in sent.items()],
            }
        )
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, method: str, key: str, headers: Mapping[str, str]) -> Answer:
        refused = allows(method)
        if refused is not None:
            return refused
        try:
            return await self._found(method, key, headers)
        except Exception:
            # what went wrong may name places that are none of a client's business
            LOG.exception("cannot answer %s %s", method, key)
            return Answer(502, {}, b"what this key refers to cannot be read; the server's log says why\n")

    async def _found(self, method: str, key: str, headers: Mapping[str, str]) -> Answer:
        kind = "application/json" if key.endswith("zarr.json") else "application/octet-stream"
        etag = f'"{hashlib.blake2b(key.encode(), key=self._state, digest_size=12).hexdigest()}"'
        always = {"etag": etag, "accept-ranges": "bytes", "content-type": kind, "cache-control": "no-cache"}
        if method == "HEAD" or "range" in headers:
            try:
                size = await self.store.getsize(key)
            except FileNotFoundError:
                return Answer(404, {}, b"there is no such key\n")
            if is_unchanged(etag, headers):
                return Answer(304, always)
            if method == "HEAD":
                return Answer(200, {**always, "content-length": str(size)})
            try:
                span = span_of(headers, (etag,), size)
            except ValueError:
                return Answer(416, {**always, "content-range": f"bytes */{size}"})
            if span is not None:
                part = await self._value(key, span) or b""
                return Answer(206, {**always, "content-range": f"bytes {span.start}-{span.stop - 1}/{size}"}, part)
        if is_unchanged(etag, headers) and await self.store.exists(key):
            return Answer(304, always)
        value = await self._value(key, None)
        return Answer(404, {}, b"there is no such key\n") if value is None else Answer(200, always, value)

    async def _value(self, key: str, span: Span | None) -> bytes | None:
        part = None if span is None else RangeByteRequest(span.start, span.stop)
        found = await self.store.get(key, default_buffer_prototype(), part)
        return None if found is None else bytes(found.to_bytes())


def _key(scope: Message) -> str:
    """The key of a request, below the path at which the application is mounted."""
    raw = scope.get("raw_path")
    path = scope["path"] if raw is None else unquote(raw.decode("latin-1"))
    return str(path).removeprefix(scope.get("root_path", "")).lstrip("/")


def _digest(store: VirtualZarrStore) -> bytes:
    """A name of the state of a store: of its root document, or of its metadata and files."""
    found = hashlib.blake2b(digest_size=16)
    if store.tree.root is not None:
        found.update(store.tree.root)
    for key, document in store.documents.items():
        found.update(key.encode() + b"\0" + document)
        if store.tree.root is None and key != "zarr.json" and key.removesuffix("/zarr.json") in store.views:
            for segment in store.array(key.removesuffix("/zarr.json")).segments:
                for source in segment.stored.sources:
                    found.update(repr((source.url, source.size, source.etag, source.last_modified)).encode())
    return found.digest()


async def _live(receive: Receive, send: Send) -> None:
    """Begin and end with the server."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return
