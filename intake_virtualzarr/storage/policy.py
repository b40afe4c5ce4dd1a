"""Where references may point: whoever opens bytes is told which document asked for them.

The reasons are in ``docs/design/0006-where-references-may-point.md``.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from intake_virtualzarr.errors import NotAllowedError, VirtualZarrError
from intake_virtualzarr.storage.places import Place, fits, is_network, origin, place_of
from intake_virtualzarr.storage.url_secrets import redact
from intake_virtualzarr.storage.urls import absolute_url, is_url

__all__ = ["ENVIRONMENT", "Allow", "Policy", "allow_list", "is_same_server"]

ENVIRONMENT = "INTAKE_VIRTUALZARR_ALLOW"
"""Environment variable with prefixes that are allowed for everybody, separated by spaces."""
ODD = re.compile(r"/\.|^\.|[%\\:@\x00-\x20]")
"""What makes a path of a URL more than its text."""
SHOWN = 4
"""Prefixes that an error suggests one by one; of more, their hosts."""

type Allow = str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None
"""What users pass as ``allow``: a prefix or several."""


def allow_list(value: Allow) -> tuple[str, ...]:
    """Prefixes as absolute URLs.

    Raises
    ------
    VirtualZarrError
        If it is neither a text nor a list of these.

    Examples
    --------
    >>> allow_list(["s3://bucket/", "/data"])
    ('s3://bucket/', 'file:///data')
    """
    if value is None:
        return ()
    if isinstance(value, str | os.PathLike):
        value = [value]
    try:
        texts = [os.fspath(one) for one in value]
    except TypeError:
        raise VirtualZarrError(f"allow is {value!r}, expected URL prefixes such as ['s3://bucket/archive/']") from None
    return tuple(dict.fromkeys(one if is_url(one) or "::" in one else absolute_url(one) for one in texts))


@dataclass(frozen=True, slots=True)
class Policy:
    """What a document may name.

    Examples
    --------
    >>> policy = Policy().asked_by("https://h/store.vzarr")
    >>> policy.permits("https://h/a.nc"), policy.permits("https://h:8080/a.nc"), policy.permits("file:///etc/passwd")
    (True, False, False)
    >>> Policy(("s3://bucket/",)).asked_by("https://h/store.vzarr").permits("s3://bucket/a.nc")
    True
    """

    allow: tuple[str, ...] = ()
    """Prefixes that the user permits."""
    document: str | None = None
    """URL of the document that asks; None if the user asks."""

    def asked_by(self, document: str) -> Policy:
        """The policy for what a document names. A document below the place of the one that asks is of the same publisher."""
        known = self.document
        if known is not None and is_network(known) and _is_own(known, document):
            return self
        return replace(self, document=document)

    def permits(self, url: str) -> bool:
        """Whether it may be opened."""
        if self.document is None or url.startswith("inline:") or not is_network(self.document):
            return True
        if _is_own(self.document, url):
            return True
        return self._is_allowed(url)

    def check(self, *urls: str) -> None:
        """Refuse what may not be opened.

        Raises
        ------
        NotAllowedError
            Names the document, what it names, and the ``allow`` that would permit it.
        """
        if self.document is None or not is_network(self.document):
            return
        refused = [url for url in urls if not self.permits(url)]
        if refused:
            raise NotAllowedError(self._refusal(refused))

    def check_redirect(self, url: str, target: str) -> None:
        """Refuse a redirect that leaves its server, unless ``allow`` or the place of the document that asks covers the target.

        What a user names himself is held to the same rule: he named one server, and it was the server that named the other.

        Raises
        ------
        NotAllowedError
            Names what was asked for, where it leads, and the ``allow`` that would permit it.
        """
        first, second = place_of(url), place_of(target)
        asked = "" if self.document is None or self.document == url else f", which {redact(self.document)} names,"
        leads = f"{redact(url)}:{asked} redirects to {redact(target)!r}"
        if second is None or len(second) > 1 or second[0].scheme not in ("http", "https"):
            raise NotAllowedError(f"{leads}; only redirects to http and https are ever followed")
        if is_same_server(url, target) or (first is not None and _is_upgrade(first[-1], second[0])):
            return
        if self.document is not None and is_network(self.document) and _is_own(self.document, target):
            return
        if not self._is_allowed(target):
            raise NotAllowedError(
                f"{leads}, which is not allowed: a server may redirect to itself only. If you trust it, pass "
                f"allow=[{_suggested(target)!r}]; headers and passwords that were given for the first are not sent there"
            )

    def _is_allowed(self, url: str) -> bool:
        return any(fits(one, url) for one in (*self.allow, *os.environ.get(ENVIRONMENT, "").split()))

    def _refusal(self, refused: list[str]) -> str:
        assert self.document is not None
        shown = redact(self.document)
        others = f" and {len(refused) - 1} other places" if len(refused) > 1 else ""
        if any(place_of(url) is None for url in refused):
            return f"{shown}: names {redact(refused[0])!r}, whose host is not clear; it is never opened"
        prefixes = sorted({_suggested(url) for url in refused})
        if len(prefixes) > SHOWN:
            prefixes = _fewer(refused)
        return (
            f"{shown}: names {redact(refused[0])!r}{others}, which is not allowed: what came over a network may name "
            f"{redact(origin(self.document))!r} only. If you trust it, pass allow={prefixes!r}"
        )


def _is_upgrade(one: Place, other: Place) -> bool:
    """Whether it is the same host by https instead of http, each on its usual port."""
    return one.host == other.host and (one.scheme, one.port, other.scheme, other.port) == ("http", 80, "https", 443)


def is_same_server(one: str, other: str) -> bool:
    """Whether two URLs have scheme, host and port in common.

    Examples
    --------
    >>> is_same_server("https://h/a", "https://me@H:443/b"), is_same_server("https://h/a", "http://h/a")
    (True, False)
    """
    first, second = place_of(one), place_of(other)
    if first is None or second is None:
        return False
    return (first[-1].scheme, first[-1].host, first[-1].port) == (second[-1].scheme, second[-1].host, second[-1].port)


@lru_cache(maxsize=256)
def _root(document: str) -> str:
    return origin(document)


def _is_own(document: str, url: str) -> bool:
    """Whether a URL lies in the place that the document may name."""
    root = _root(document)
    if url.startswith(root) and root.endswith("/") and not ODD.search(url, len(root)):
        return True  # tables have many rows; it is the same as below
    return fits(root, url)


def _fewer(urls: Sequence[str]) -> list[str]:
    """Prefixes that permit many URLs: hosts, and the directory that local files share."""
    hosts = {_suggested(url, host_only=True) for url in urls if is_network(url) and "::" not in url}
    local = [_suggested(url) for url in urls if not is_network(url) and "::" not in url]
    chained = {_suggested(url) for url in urls if "::" in url}
    shared = (
        {posixpath.commonpath(local).replace("file:/", "file:///", 1).replace("file:////", "file:///") + "/"} if local else set()
    )
    return sorted({*hosts, *shared, *chained})


def _suggested(url: str, *, host_only: bool = False) -> str:
    """The prefix that permits a URL: its directory, if that is elsewhere; just this file, if it is local or chained."""
    clean = redact(url, mark="")
    if "::" in clean or not is_network(clean):
        return clean
    scheme, _, rest = clean.partition("://")
    host, _, path = rest.partition("/")
    directory = "" if host_only else path.rpartition("/")[0]
    return f"{scheme}://{host}/{directory}" + ("/" if directory else "")
