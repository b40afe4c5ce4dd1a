"""Files on http(s), S3, Google Cloud Storage and Azure, through obstore."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
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
from intake_virtualzarr.storage.reader import AsyncReader, Buffer, ByteRange
from intake_virtualzarr.storage.source import Source
from intake_virtualzarr.storage.url_secrets import redact, shown_cause

__all__ = ["ObjectReader", "make_store"]

IN_FLIGHT = 128
"""Requests under way at once, of all reads of the process: beyond that, servers refuse or answer no faster."""

_gates: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def _gate() -> asyncio.Semaphore:
    loop = asyncio.get_running_loop()
    gate = _gates.get(loop)
    if gate is None:
        gate = _gates[loop] = asyncio.Semaphore(IN_FLIGHT)
    return gate


def make_store(url: str, options: JsonObject) -> tuple[Any, str]:
    """The obstore store of an URL's host or bucket, and the path in it."""
    parts = urlsplit(url)
    root = f"{parts.scheme}://{parts.netloc}"
    if parts.query and parts.scheme.startswith("http"):  # a signature: sent with every request
        root += f"/?{parts.query}"
    path = unquote(parts.path.lstrip("/"))
    return _store(root, _frozen(options)), path


def _frozen(options: JsonObject) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted((k, _frozen(v) if isinstance(v, dict) else v) for k, v in options.items()))


@lru_cache(maxsize=256)
def _store(root: str, frozen: tuple[tuple[str, Any], ...]) -> Any:
    options = {k: dict(v) if isinstance(v, tuple) else v for k, v in frozen}
    client: Any = {"allow_http": True, "timeout": "120s", **options.pop("client_options", {})}
    if "headers" in options:
        client["default_headers"] = dict(options.pop("headers"))
    retry: Any = options.pop("retry_config", {"max_retries": 4})
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
            meta = await obstore.head_async(store, path)
        except Exception as exc:
            raise self._translated(exc) from shown_cause(exc)
        return self._source(meta)

    def _source(self, meta: Any) -> Source:
        return Source(self.url, meta["size"], meta["e_tag"], meta["last_modified"], signed=self._signed)

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
        try:
            async with _gate():
                answer = await obstore.get_async(store, path, options={"range": (start, start + length)})
                seen = self._source(answer.meta)
                if expected is not None:
                    expected.check(seen)
                block = memoryview(await answer.bytes_async())
        except SourceError:
            raise
        except Exception as exc:
            raise self._translated(exc) from shown_cause(exc)
        if block.nbytes != length and not may_be_short:
            raise SourceError(
                f"{self.url}: {length} bytes from {start} were asked for, {block.nbytes} came; "
                f"the object has {seen.size}: truncated?"
            )
        return seen, block

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


def _denied(text: str) -> bool:
    return "403 Forbidden" in text or "401 Unauthorized" in text
