"""Objects on S3, Google Cloud Storage and Azure, through obstore."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore import exceptions
from obstore.store import LocalStore, from_url

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.errors import SourceError
from intake_virtualzarr.storage.network import check_not_forked, gate
from intake_virtualzarr.storage.patience import patience_of
from intake_virtualzarr.storage.ranged_reader import RangedReader
from intake_virtualzarr.storage.reader import Buffer
from intake_virtualzarr.storage.source import Source
from intake_virtualzarr.storage.url_secrets import redact, shown_cause

__all__ = ["ObjectReader", "asks_for_http", "local_store", "make_store"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ENDPOINT = re.compile(r"(AWS|AZURE|GOOGLE)_.*(ENDPOINT|BASE_URL|EMULATOR)", re.IGNORECASE)
"""Variables of the environment that name a server."""


def local_store() -> LocalStore:
    """The obstore store of all local files."""
    return LocalStore()


def make_store(url: str, options: JsonObject, *, repeats: bool = False) -> tuple[Any, str]:
    """The obstore store of an URL's host or bucket, and the path in it; ``repeats`` makes it repeat failed requests itself."""
    check_not_forked()
    parts = urlsplit(url)
    root = f"{parts.scheme}://{parts.netloc}"
    path = unquote(parts.path.lstrip("/"))
    try:
        return _store(root, _frozen(options), repeats), path
    except (exceptions.BaseError, ValueError, TypeError) as exc:
        shown = redact(f"{parts.scheme}://{parts.netloc}")
        raise SourceError(f"{shown}: cannot be opened: {redact(str(exc).splitlines()[0])}") from shown_cause(exc)
    except BaseException as exc:
        if type(exc).__name__ != "PanicException":  # obstore's, for options that it does not know; no Exception
            raise
        raise SourceError(f"{redact(root)}: an option in {sorted(options)} is not known to obstore: {exc}") from None


Frozen = tuple[tuple[str, Any], ...]
"""Options by which stores are told apart."""


def _frozen(options: JsonObject) -> Frozen:
    return tuple(sorted((k, _frozen(v) if isinstance(v, dict) else v) for k, v in options.items()))


def _thawed(options: Frozen) -> JsonObject:
    return {k: _thawed(v) if isinstance(v, tuple) else v for k, v in options}


def asks_for_http(options: JsonObject) -> bool:
    """Whether options or the environment name an endpoint without encryption.

    Else none may be used: obstore follows redirects by itself, and one to a service of the reader's own network has seldom
    a certificate.
    """
    named = [value for name, value in os.environ.items() if ENDPOINT.match(name)]
    given = any(isinstance(value, str) and value.lower().startswith("http://") for value in (*options.values(), *named))
    return given or any("emulator" in name.lower() and value for name, value in options.items())


@lru_cache(maxsize=256)
def _store(root: str, frozen: Frozen, repeats: bool) -> Any:
    options = _thawed(frozen)
    client: Any = {"timeout": "3600s", **options.pop("client_options", {})}
    client.setdefault("allow_http", asks_for_http(options))
    if "headers" in options:
        client["default_headers"] = dict(options.pop("headers"))
    patience = patience_of(options)
    for name in ("patience", "idle_timeout"):
        options.pop(name, None)
    # reads are repeated by `Patience`, which sees more; obstore's own count is for what is written and listed
    longest = timedelta(seconds=patience.total)
    retry: Any = options.pop("retry_config", {"max_retries": 10 if repeats else 0, "retry_timeout": longest})
    client.setdefault("connect_timeout", f"{max(1, round(patience.idle))}s")
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


class ObjectReader(RangedReader):
    """Byte ranges of one object."""

    def _target(self) -> tuple[Any, str]:
        return make_store(self.signed(), self.access.options(self.url))

    async def describe_async(self) -> Source:
        """State of the object, by one HEAD request."""
        store, path = self._target()
        try:
            meta = await self.patience.request(self.url, lambda: obstore.head_async(store, path))
        except SourceError:
            raise
        except Exception as exc:
            if not _is_refused(exc):
                raise self.translated(exc) from shown_cause(exc)
            return (await self.get(0, 1, None, may_be_short=True))[0]  # a server, or a signature, that knows GET only
        return self._source(meta)

    def _source(self, meta: Any) -> Source:
        changed = meta["last_modified"]
        # obstore gives the epoch where a server says nothing
        return Source(self.url, meta["size"], meta["e_tag"], changed if changed != EPOCH else None, signed=self._signed)

    async def get(self, start: int, length: int, expected: Source | None, *, may_be_short: bool = False) -> tuple[Source, Buffer]:
        """One range, and the state of the object that was seen with it."""
        store, path = self._target()

        async def once() -> tuple[Source, memoryview]:
            answer = await obstore.get_async(store, path, options={"range": (start, start + length)})
            seen = self._source(answer.meta)
            if expected is not None:
                expected.check(seen)
            return seen, memoryview(await answer.bytes_async())

        try:
            async with gate():
                seen, block = await self.patience.request(self.url, once, length)
        except SourceError:
            raise
        except Exception as exc:
            raise self.translated(exc) from shown_cause(exc)
        if not may_be_short:
            self.check_length(start, length, block, seen)
        return seen, block

    def translated(self, exc: Exception) -> SourceError:
        """An error of obstore as one of ours."""
        text = redact(str(exc).split("\n\nDebug source")[0].split("\n")[0])
        if isinstance(exc, FileNotFoundError):
            return self.not_found()
        if isinstance(exc, exceptions.UnauthenticatedError | exceptions.PermissionDeniedError) or _denied(text):
            return self.denied()
        if isinstance(exc, exceptions.NotSupportedError):
            return self.whole()
        return self.other(text)


def _is_refused(exc: Exception) -> bool:
    """Whether a server does not answer HEAD, though it may answer GET."""
    return any(f"{status} " in str(exc) for status in (400, 403, 405, 501))


def _denied(text: str) -> bool:
    return "403 Forbidden" in text or "401 Unauthorized" in text
