"""Credentials in URLs: taken out before anything is stored, put in when something is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.errors import SourceError
from intake_virtualzarr.storage.readers import Access
from intake_virtualzarr.storage.url_secrets import changed_parameters, strip_url
from intake_virtualzarr.storage.urls import absolute_url

__all__ = ["Modifier", "Signer", "sign_href", "signing_access", "strip_signature"]

type Modifier = Callable[[Any], Any]
"""Signs in place what it is given, or returns it signed: a URL, an item, an item collection."""


def strip_signature(href: str, keep: Iterable[str] = ()) -> str:
    """Take credentials out of a path or URL; what carries none comes back unchanged.

    Parameters
    ----------
    href : str
        A path, a URL, or a chain of them (``simplecache::https://…``).
    keep : iterable of str
        Names of query parameters that are part of the name of the file.

    Returns
    -------
    str
        Without user name, password and query: what a parameter is good for cannot be told by its name.

    Examples
    --------
    >>> strip_signature("https://a.blob.core.windows.net/c/x.nc?sv=2024-01-01&sp=r&sig=abc%3D&v=2", keep=["v"])
    'https://a.blob.core.windows.net/c/x.nc?v=2'
    >>> strip_signature("https://me:secret@host/x.nc")
    'https://host/x.nc'
    """
    return strip_url(href, keep)


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
    signed: dict[str, str | None] = {}
    for one in sources:
        url = absolute_url(one.href)
        known = signed.get(url)
        names = changed_parameters(known, one.signed_href) if known and one.signed_href else []
        if names:
            raise SourceError(
                f"{url}: was found with two values of {', '.join(map(repr, names))} in its query, which are not stored; "
                f"if they name the file, pass keep_query={names!r}"
            )
        signed[url] = one.signed_href or signed.get(url)
    if modifier is None and not any(signed.values()):
        return access
    return replace(access, modifier=Signer(signed, modifier, access.modifier))
