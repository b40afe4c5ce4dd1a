"""Files on http(s), S3, Google Cloud Storage and Azure, through obstore."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit
from weakref import WeakKeyDictionary

import obstore
from obstore import exceptions
from obstore.store import HTTPStore, from_url

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.errors import SourceError
from intake_virtualzarr.storage.coalesce import merge_ranges, split_merged
from intake_virtualzarr.storage.event_loop import gather, run
from intake_virtualzarr.storage.options import Access
from intake_virtualzarr.storage.patience import Patience, patience_of
from intake_virtualzarr.storage.plain_http import Answer, ask, retry_after
from intake_virtualzarr.storage.reader import AsyncReader, Buffer, ByteRange
from intake_virtualzarr.storage.source import Source
from intake_virtualzarr.storage.url_secrets import redact, shown_cause

__all__ = ["ObjectReader", "make_store"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
IN_FLIGHT = 128
"""Requests under way at once, of all reads of the process: beyond that, servers refuse or answer no faster."""

_gates: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def _gate() -> asyncio.Semaphore:
    loop = asyncio.get_running_loop()
    gate = _gates.get(loop)
    if gate is None:
        gate = _gates[loop] = asyncio.Semaphore(IN_FLIGHT)
    return gate


_process: int | None = None


def check_not_forked() -> None:
    """Raise in a child that was forked after its parent used the network: the threads that wait for answers are not in it.

    Raises
    ------
    SourceError
        In such a child, where every request would wait without end.
    """
    global _process
    if _process is None:
        _process = os.getpid()
    if _process != os.getpid():
        raise SourceError(
            "a forked process cannot read over the network after its parent did; start processes with the method 'spawn': "
            "multiprocessing.get_context('spawn'), or ProcessPoolExecutor(mp_context=get_context('spawn'))"
        )


def make_store(url: str, options: JsonObject, *, repeats: bool = False) -> tuple[Any, str]:
    """The obstore store of an URL's host or bucket, and the path in it; ``repeats`` makes it repeat failed requests itself."""
    check_not_forked()
    parts = urlsplit(url)
    root = f"{parts.scheme}://{parts.netloc}"
    if parts.query and parts.scheme.startswith("http"):  # a signature: sent with every request
        root += f"/?{parts.query}"
    path = unquote(parts.path.lstrip("/"))
    try:
        return _store(root, _frozen(options), repeats), path
    except (exceptions.BaseError, ValueError, TypeError) as exc:
        shown = redact(f"{parts.scheme}://{parts.netloc}")
        raise SourceError(f"{shown}: cannot be opened: {redact(str(exc).splitlines()[0])}") from shown_cause(exc)


def _frozen(options: JsonObject) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted((k, _frozen(v) if isinstance(v, dict) else v) for k, v in options.items()))


@lru_cache(maxsize=256)
def _store(root: str, frozen: tuple[tuple[str, Any], ...], repeats: bool) -> Any:
    options = {k: dict(v) if isinstance(v, tuple) else v for k, v in frozen}
    client: Any = {"allow_http": True, "timeout": "3600s", **options.pop("client_options", {})}
    if "headers" in options:
        client["default_headers"] = dict(options.pop("headers"))
    patience = patience_of(options)
    for name in ("patience", "idle_timeout"):
        options.pop(name, None)
    # reads are repeated by `Patience`, which sees more; obstore's own count is for what is written and listed
    longest = timedelta(seconds=patience.total)
    retry: Any = options.pop("retry_config", {"max_retries": 10 if repeats else 0, "retry_timeout": longest})
    client.setdefault("connect_timeout", f"{max(1, round(patience.idle))}s")
    if root.startswith("http"):
        return HTTPStore.from_url(root, client_options=client, retry_config=retry)
    config: Any = {}
    if options.pop("anon", False):
        config["skip_signature"] = True
    config.update(options)
    if root.startswith("s3") and not _has_s3_credentials(config):
        config.setdefault("skip_signature", True)
    return from_url(root, config=config, client_options=client, retry_config=retry)


def _has_s3_credentials(config: JsonObject) -> bool:
    given = any("access_key" in key.lower() or key == "skip_signature" for key in config)
    return given or bool(os.environ.get("AWS_ACCESS_KEY_ID") or os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"))


class ObjectReader(AsyncReader):
    """Byte ranges of one remote object."""

    is_near = False

    def __init__(self, url: str, access: Access | None = None) -> None:
        self._access = access or Access()
        self.url = self._access.stored(url)
        self._opened = url
        self._signed = url if url != self.url else None

    def _target(self) -> tuple[Any, str]:
        signed = self._access.signed(self._opened if self._access.modifier is None else self.url)
        return make_store(signed if signed != self.url else self._opened, self._access.options(self.url))

    @property
    def access(self) -> Access:
        """The options it opens files with."""
        return self._access

    def describe(self) -> Source:
        """State of the object, by one HEAD request."""
        return run(self.describe_async())

    async def describe_async(self) -> Source:
        """State of the object, by one HEAD request."""
        store, path = self._target()
        try:
            meta = await self.patience.request(self.url, lambda: obstore.head_async(store, path), self.told)
        except SourceError:
            raise
        except Exception as exc:
            if not _is_refused(exc):
                raise self._translated(exc) from shown_cause(exc)
            return (await self._get(0, 1, None, may_be_short=True))[0]  # a server, or a signature, that knows GET only
        return self._source(meta)

    @property
    def patience(self) -> Patience:
        """How long its server is waited for."""
        return patience_of(self._access.options(self.url))

    async def told(self) -> float | None:
        """Seconds that a busy http server asks to wait."""
        if not self.url.startswith("http"):
            return None
        try:
            return retry_after(await self._plain(0, 1))
        except SourceError:
            return None

    def can_ask_plainly(self, exc: Exception) -> bool:
        """Whether Python's own client may read what obstore's did not: an answer without a length."""
        return _has_no_length(exc) and self.url.startswith("http")

    async def get_document(self, start: int | None, stop: int | None) -> bytes | None:
        """A file, or a part of it, whose length the server does not tell; None if there is none."""
        answer = await self._plain(start, None if stop is None else stop - (start or 0))
        if answer.status == 404:
            return None
        if answer.status == 200 and start is not None:
            return answer.body[start:stop]
        if answer.status not in (200, 206):
            raise SourceError(f"{self.url}: the server answers with status {answer.status}")
        return answer.body

    async def _plain(self, start: int | None, length: int | None) -> Answer:
        signed = self._access.signed(self._opened if self._access.modifier is None else self.url)
        headers = {str(k): str(v) for k, v in dict(self._access.options(self.url).get("headers") or {}).items()}
        return await asyncio.to_thread(ask, signed, headers, start, length, self.patience.idle)

    def _source(self, meta: Any) -> Source:
        changed = meta["last_modified"]
        # obstore gives the epoch where a server says nothing
        return Source(self.url, meta["size"], meta["e_tag"], changed if changed != EPOCH else None, signed=self._signed)

    def read(self, ranges: Sequence[ByteRange], expected: Source | None = None) -> list[Buffer]:
        """Read ranges; near ones by one request, all requests at once."""
        return run(self.read_async(ranges, expected))

    async def read_async(self, ranges: Sequence[ByteRange], expected: Source | None = None) -> list[Buffer]:
        """As `read`."""
        merged, places = merge_ranges(ranges)
        return split_merged(ranges, places, await self._read_blocks(merged, expected))

    async def read_merged_async(
        self, ranges: Sequence[ByteRange], expected: Source | None = None
    ) -> tuple[list[ByteRange], list[Buffer]]:
        """Read ranges and what lies between near ones; what was read, and the bytes."""
        merged, _ = merge_ranges(ranges)
        return merged, await self._read_blocks(merged, expected)

    async def _read_blocks(self, merged: list[ByteRange], expected: Source | None) -> list[Buffer]:
        found = await gather([self._get(start, length, expected) for start, length in merged])
        return [block for _, block in found]

    def head(self, size: int) -> tuple[Source, Buffer]:
        """State and first bytes of the object, by one request."""
        return run(self.head_async(size))

    async def head_async(self, size: int) -> tuple[Source, Buffer]:
        """As `head`."""
        return await self._get(0, size, None, may_be_short=True)

    async def _get(self, start: int, length: int, expected: Source | None, *, may_be_short: bool = False) -> tuple[Source, Buffer]:
        store, path = self._target()

        async def once() -> tuple[Source, memoryview]:
            answer = await obstore.get_async(store, path, options={"range": (start, start + length)})
            seen = self._source(answer.meta)
            if expected is not None:
                expected.check(seen)
            return seen, memoryview(await answer.bytes_async())

        try:
            async with _gate():
                seen, block = await self.patience.request(self.url, once, self.told, length)
        except SourceError:
            raise
        except Exception as exc:
            if not self.can_ask_plainly(exc):
                raise self._translated(exc) from shown_cause(exc)
            seen, block = await self._get_plain(start, length, expected)
        if block.nbytes != length and not may_be_short:
            raise SourceError(
                f"{self.url}: {length} bytes from {start} were asked for, {block.nbytes} came; "
                f"the object has {seen.size}: truncated?"
            )
        return seen, block

    async def _get_plain(self, start: int, length: int, expected: Source | None) -> tuple[Source, memoryview]:
        """As `_get`, where the answer does not say how long it is."""
        answer = await self._plain(start, length)
        if answer.status == 404:
            raise SourceError(f"{self.url}: not found (404)")
        if answer.status != 206:
            raise SourceError(
                f"{self.url}: the server answers a range request with status {answer.status}; "
                "serve it from one that supports byte ranges"
            )
        if not answer.headers.get("content-range", "").replace(" ", "").startswith(f"bytes{start}-"):
            raise SourceError(f"{self.url}: bytes from {start} were asked for, {answer.headers.get('content-range')!r} came")
        seen = Source(self.url, answer.size, answer.headers.get("etag"), answer.last_modified, signed=self._signed)
        if expected is not None:
            expected.check(seen)
        return seen, memoryview(answer.body)

    def _translated(self, exc: Exception) -> SourceError:
        text = redact(str(exc).split("\n\nDebug source")[0].split("\n")[0])
        prefix = self._access.prefix(self.url)
        where = f"the options given for {prefix!r}" if prefix is not None else "options for this URL's prefix"
        if isinstance(exc, FileNotFoundError):
            return SourceError(f"{self.url}: not found (404)")
        if isinstance(exc, exceptions.UnauthenticatedError | exceptions.PermissionDeniedError) or _denied(text):
            return SourceError(f"{self.url}: access denied (401 or 403); check {where} (storage_options={{prefix: …}})")
        if isinstance(exc, exceptions.NotSupportedError):
            return SourceError(
                f"{self.url}: the server answers a range request with the whole file (200); "
                "serve it from one that supports byte ranges"
            )
        return SourceError(f"{self.url}: {text}")

    def close(self) -> None:
        """Nothing to release: connections are shared."""


def _is_refused(exc: Exception) -> bool:
    """Whether a server does not answer HEAD, though it may answer GET."""
    text = str(exc)
    return any(f"{status} " in text for status in (400, 403, 405, 501)) or _has_no_length(exc)


def _has_no_length(exc: Exception) -> bool:
    text = str(exc).lower()
    return "content-length" in text or "content length" in text or "invalid last modified" in text


def _denied(text: str) -> bool:
    return "403 Forbidden" in text or "401 Unauthorized" in text
