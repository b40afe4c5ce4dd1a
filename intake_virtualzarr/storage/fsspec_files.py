"""File systems of fsspec, opened: their errors are ours, and their http client follows no redirect that is not allowed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.errors import MissingExtraError, SourceError, VirtualZarrError, own_error
from intake_virtualzarr.storage.options import Access
from intake_virtualzarr.storage.policy import Policy, is_same_server
from intake_virtualzarr.storage.url_secrets import redact, shown_cause

__all__ = ["fsspec_options", "open_file_system", "translated"]

WEB = ("http", "https")
KEPT_HEADERS = frozenset({"accept", "accept-encoding", "range", "user-agent", "host"})
"""Headers that go along to another server (lower case)."""


def open_file_system(url: str, access: Access, opened: str | None = None) -> tuple[Any, str]:
    """The fsspec file system of a URL or chain, and the path in it.

    Parameters
    ----------
    url : str
        As it is shown, and as options are chosen for it.
    access : Access
    opened : str, optional
        As it is opened, with what is secret in it.

    Raises
    ------
    MissingExtraError
        If a package is missing that the protocol needs.
    SourceError
        If it cannot be opened for any other reason.
    """
    import fsspec  # imported here: reading a store must not need it

    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(opened or url, **fsspec_options(url, access))
    except Exception as exc:  # a file system of anybody may raise anything
        raise translated(url, exc) from shown_cause(exc)
    return found


def translated(url: str, exc: Exception) -> VirtualZarrError:
    """An error of a file system, as one of ours that names the file and the way out."""
    ours = own_error(exc)
    if ours is not None:  # fsspec raises FileNotFoundError for whatever its client raised
        return ours
    if isinstance(exc, ImportError):
        return MissingExtraError(f"{url}: {redact(exc)}")
    if isinstance(exc, FileNotFoundError):
        return SourceError(f"{url}: not found")
    if isinstance(exc, PermissionError):
        return SourceError(f"{url}: access denied; check the options given for its prefix (storage_options={{prefix: …}})")
    said = redact(exc).strip().splitlines()
    return SourceError(
        f"{url}: fsspec cannot open or read it: {type(exc).__name__}{f': {said[0]}' if said else ''}; "
        "check the URL, and the options given for its prefix (storage_options={prefix: …})"
    )


def fsspec_options(url: str, access: Access) -> JsonObject:
    """The options of a URL, with a guarded client for each part of a chain that is on a web server."""
    options = access.options(url)
    parts = [part.partition("://")[0] for part in url.split("::")]
    for number, protocol in enumerate(parts):
        if protocol in WEB:
            if number == 0:
                options = _guarded(options, access.policy)
            else:
                options[protocol] = _guarded(options.get(protocol) or {}, access.policy)
    return options


def _guarded(options: Attrs, policy: Policy) -> JsonObject:
    return {**options, "get_client": GuardedClient(policy, options.get("get_client"))}


@dataclass(frozen=True)
class GuardedClient:
    """Makes the sessions of fsspec's http file system. A value: fsspec tells file systems apart by their arguments."""

    policy: Policy
    inner: Callable[..., Awaitable[Any]] | None = None
    """What the user gave for the same purpose."""

    async def __call__(self, **arguments: Any) -> Any:
        """Make a session that asks before it follows a redirect."""
        import aiohttp

        if self.inner is not None:
            session = await self.inner(**arguments)
        else:
            session = aiohttp.ClientSession(**arguments)
        trace = aiohttp.TraceConfig()
        trace.on_request_redirect.append(self._check)
        trace.freeze()
        session.trace_configs.append(trace)
        return session

    async def _check(self, session: Any, context: Any, redirect: Any) -> None:
        """Refuse a redirect, or take away the headers that are not for the other server."""
        answer = redirect.response
        target = urljoin(str(redirect.url), answer.headers.get("Location") or answer.headers.get("URI") or "")
        self.policy.check_redirect(str(answer.history[0].url if answer.history else redirect.url), target)
        if is_same_server(str(redirect.url), target):
            return
        if session.auth is not None:
            raise SourceError(
                f"{redact(redirect.url)}: redirects to {redact(target)!r}, where the 'auth' of its options would be sent"
            )
        for name in [name for name in redirect.headers if name.lower() not in KEPT_HEADERS]:
            del redirect.headers[name]
