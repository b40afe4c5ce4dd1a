"""Credentials in URLs: taken out before anything is stored, put in when something is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

__all__ = ["Modifier", "sign_href", "strip_signature"]

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
    item: dict[str, Any] = {"type": "Feature", "assets": {"data": {"href": href}}}
    result = modifier(item)
    document = result if isinstance(result, dict) else item
    return str(document["assets"]["data"]["href"])
