"""Credentials in URLs: taken out before anything is stored, put in when something is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.storage.readers import Access
from intake_virtualzarr.storage.urls import absolute_url

__all__ = ["Modifier", "Signer", "sign_href", "signing_access", "strip_signature"]

type Modifier = Callable[[Any], Any]
"""Signs in place what it is given, or returns it signed: a URL, an item, an item collection."""

SECRET_PARAMETERS = frozenset(
    {
        *("sig", "signature", "policy", "key-pair-id", "awsaccesskeyid", "googleaccessid"),
        *("token", "access_token", "id_token", "refresh_token", "auth", "authorization"),
        *("api_key", "apikey", "api-key", "subscription-key", "password", "passwd", "secret"),
    }
)
"""Query parameters that are credentials whatever stands beside them (lower case)."""

SECRET_PREFIXES = ("x-amz-", "x-goog-", "x-oss-", "x-cos-", "x-ms-")

# Shared access signature of Azure storage; elsewhere such short names may mean anything, so only beside
# "sig".
SAS_PARAMETERS = frozenset(
    {
        *("sv", "ss", "srt", "sp", "se", "st", "spr", "sr", "sip", "si", "sdd"),
        *("saoid", "suoid", "scid", "skoid", "sktid", "skt", "ske", "sks", "skv"),
    }
)
SIGNED_PARAMETERS = frozenset({"expires", "ossaccesskeyid"})

STORAGE_SCHEMES = frozenset({"abfs", "abfss", "wasb", "wasbs"})
"""Schemes that write ``container@account`` where others write a user name."""


def strip_signature(href: str) -> str:
    """Take credentials out of a path or URL; what carries none comes back unchanged.

    Parameters
    ----------
    href : str
        A path, a URL, or a chain of them (``simplecache::https://…``).

    Returns
    -------
    str
        Without user name and password, shared access signature, presigning parameters and tokens. Other query
        parameters stay, in their order.

    Examples
    --------
    >>> strip_signature("https://a.blob.core.windows.net/c/x.nc?sv=2024-01-01&sp=r&sig=abc%3D&v=2")
    'https://a.blob.core.windows.net/c/x.nc?v=2'
    >>> strip_signature("https://me:secret@host/x.nc")
    'https://host/x.nc'
    """
    return "::".join(_strip_one(part) for part in href.split("::"))


def _strip_one(href: str) -> str:
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", href):
        return href
    parts = urlsplit(href)
    user, at, host = parts.netloc.rpartition("@")
    keep_user = parts.scheme.lower() in STORAGE_SCHEMES and ":" not in user
    netloc = parts.netloc if keep_user or not at else host
    query = _strip_query(parts.query)
    if netloc == parts.netloc and query == parts.query:
        return href
    return urlunsplit(parts._replace(netloc=netloc, query=query))


def _strip_query(query: str) -> str:
    fields = [field for field in query.split("&") if field]
    names = [field.partition("=")[0].lower() for field in fields]
    secret = {name for name in names if name in SECRET_PARAMETERS or name.startswith(SECRET_PREFIXES)}
    if not secret:
        return query
    if "sig" in secret:
        secret |= SAS_PARAMETERS
    secret |= SIGNED_PARAMETERS
    return "&".join(field for field, name in zip(fields, names, strict=True) if name not in secret)


def sign_href(href: str, modifier: Modifier | None) -> str:
    """Sign a URL for reading.

    Parameters
    ----------
    href : str
    modifier : callable, optional
        One that signs URLs and returns them, or one that signs items in place.

    Returns
    -------
    str
        The signed URL; ``href`` itself without a modifier.

    Examples
    --------
    >>> sign_href("https://host/a.nc", lambda url: url + "?sig=abc")
    'https://host/a.nc?sig=abc'
    """
    if modifier is None:
        return href
    try:
        signed = modifier(href)
    except (TypeError, AttributeError):  # it takes items only
        signed = None
    if isinstance(signed, str):
        return signed
    item: JsonObject = {"type": "Feature", "assets": {"data": {"href": href}}}
    result = modifier(item)
    document = result if isinstance(result, dict) else item
    return str(document["assets"]["data"]["href"])


@dataclass(frozen=True)
class Signer:
    """Signs the URLs of source files when they are read, and no others: not the store, nor where it is written."""

    signed: Mapping[str, str | None]
    """Sources by URL, with the signed URL if they came signed."""
    modifier: Modifier | None = None
    """Signs anew: signatures expire."""
    otherwise: Callable[[str], str] | None = None
    """What is done with other URLs."""

    def __call__(self, url: str) -> str:
        """Return the URL to open."""
        if url not in self.signed:
            return url if self.otherwise is None else self.otherwise(url)
        if self.modifier is not None:
            return sign_href(url, self.modifier)
        return self.signed[url] or (url if self.otherwise is None else self.otherwise(url))


class Signed(Protocol):
    """A source that may have come with a signature."""

    @property
    def href(self) -> str:
        """Return the path or URL without credentials."""

    @property
    def signed_href(self) -> str | None:
        """Return the URL with its signature."""


def signing_access(access: Access, sources: Iterable[Signed], modifier: Modifier | None) -> Access:
    """Return options for opening with which sources are read signed.

    Parameters
    ----------
    access : Access
    sources : iterable of SourceItem
    modifier : callable, optional
        Signs URLs or items. Without it, the signatures with which items came are used.
    """
    signed = {absolute_url(one.href): one.signed_href for one in sources}
    if modifier is None and not any(signed.values()):
        return access
    return replace(access, modifier=Signer(signed, modifier, access.modifier))
