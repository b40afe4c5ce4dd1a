"""What URLs mean, compared: scheme, host, port and whole segments of the path, never text.

``https://good`` fits ``https://good/a.nc`` but not ``https://good@evil/a.nc``; ``s3://b/archive`` fits neither ``s3://b/archive-private/x``
nor ``s3://b/archive/../x``; ``http://h:80`` is ``http://h`` and not ``http://h:8080``.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote, urlsplit

__all__ = ["Place", "fits", "is_network", "origin", "place_of"]

ALIASES = {"s3a": "s3", "gcs": "gs", "local": "file", "abfss": "abfs"}
"""Schemes of one meaning."""
PORTS = {"http": 80, "https": 443, "ftp": 21, "sftp": 22, "ssh": 22}
IN_PROCESS = frozenset({"", "file", "memory", "inline"})
"""Schemes whose bytes come over no network."""
WEB = frozenset({"http", "https", "ftp", "sftp", "ssh"})
"""Schemes whose host is a machine; elsewhere it is a bucket or container, which many may share."""
CONTAINERS = frozenset({"abfs", "az", "adl", "wasb", "wasbs"})
"""Schemes that write ``container@account`` where others write a user name."""
UNCLEAR = re.compile(r"[\x00-\x20\x7f\\]")
"""Characters that parsers of URLs read in different ways, so that one would check what the other does not open."""


@dataclass(frozen=True, slots=True)
class Place:
    """One part of a URL (of a chain, the parts between ``::``)."""

    scheme: str
    """Lower case, one of several with the same meaning; empty for what has none (``simplecache``)."""
    host: str
    """Machine, bucket or container; empty for local files, and in a prefix that means every host."""
    port: int | None
    """Port, the usual one filled in."""
    segments: tuple[str, ...]
    """Path, unescaped, without empty ones, ``.`` and ``..``."""

    def holds(self, other: Place) -> bool:
        """Whether the other is this place, or below it."""
        if self.scheme != other.scheme:
            return False
        if not self.host and not self.segments:
            return True
        same = (self.host, self.port) == (other.host, other.port)
        return same and self.segments == other.segments[: len(self.segments)]


@lru_cache(maxsize=4096)
def place_of(url: str) -> tuple[Place, ...] | None:
    """The parts of a URL or chain; None if its host is not clear.

    Examples
    --------
    >>> place_of("https://me:secret@Host/a/../b.nc?x=1")
    (Place(scheme='https', host='host', port=443, segments=('b.nc',)),)
    """
    parts = tuple(_part(one) for one in url.split("::"))
    return None if None in parts else tuple(one for one in parts if one is not None)


def _part(text: str) -> Place | None:
    scheme, separator, rest = text.partition(":")
    if not separator or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        return Place("", "", None, (text,))
    scheme = ALIASES.get(scheme.lower(), scheme.lower())
    try:
        parts = urlsplit(f"{scheme}:{rest}")
        port = parts.port if scheme in WEB else None
    except ValueError:
        return None
    if scheme not in IN_PROCESS and (UNCLEAR.search(parts.netloc) or (scheme in WEB and UNCLEAR.search(text))):
        return None
    host = parts.netloc
    if scheme in WEB:
        host = (parts.hostname or "").rstrip(".")
    elif scheme in CONTAINERS or scheme in IN_PROCESS:
        host = "" if host == "localhost" else host
    else:
        host = host.rpartition("@")[2]
    return Place(scheme, host, port or PORTS.get(scheme), _segments(parts.path, scheme))


def _segments(path: str, scheme: str) -> tuple[str, ...]:
    # a query is no part of an object's name, but a fragment mark may be: what stands behind only makes a name longer
    clean = posixpath.normpath("/" + unquote(path)) if scheme else path
    return tuple(one for one in clean.split("/") if one)


def fits(prefix: str, url: str) -> bool:
    """Whether a URL is a place that a prefix names, or below it; of chains, part by part.

    Examples
    --------
    >>> fits("s3://bucket/archive", "s3://bucket/archive/a.nc"), fits("s3://bucket/archive", "s3://bucket/archive-private/a.nc")
    (True, False)
    >>> fits("s3://", "s3://any/a.nc"), fits("file:///", "simplecache::file:///a.nc")
    (True, False)
    """
    ours, theirs = place_of(prefix), place_of(url)
    if ours is None or theirs is None or len(ours) != len(theirs):
        return False
    return all(one.holds(other) for one, other in zip(ours, theirs, strict=True))


def is_network(url: str) -> bool:
    """Whether the bytes of a URL come from elsewhere: of a chain, the last part tells."""
    parts = place_of(url)
    return parts is None or parts[-1].scheme not in IN_PROCESS


def origin(document: str) -> str:
    """The prefix of what a document may name without being asked: scheme, host and port; of a bucket, the directory above it.

    Examples
    --------
    >>> origin("https://me@h:8443/archive/store.vzarr"), origin("s3://bucket/archive/store.vzarr")
    ('https://h:8443/', 's3://bucket/archive/')
    """
    head, separator, last = document.rpartition("::")
    parts = place_of(last)
    if parts is None or not parts[-1].scheme or (parts[-1].scheme in WEB and not parts[-1].host):
        return document
    (place,) = parts
    shown = urlsplit(last)
    netloc = shown.netloc.rpartition("@")[2] if place.scheme in WEB else shown.netloc
    path = "/" if place.scheme in WEB else (shown.path.rstrip("/").rpartition("/")[0] + "/")
    return f"{head}{separator}{shown.scheme}://{netloc}{path}"
