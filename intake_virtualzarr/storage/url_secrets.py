"""Secrets in URLs: user names, passwords, signatures. They are kept in memory only, and never shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import parse_qsl, urlsplit, urlunsplit

__all__ = ["changed_parameters", "redact", "shown_cause", "strip_signed", "strip_url"]

HARMLESS = frozenset({"versionid"})
"""Query parameters that name the object itself (lower case)."""

SECRET_PARAMETERS = frozenset(
    {
        *("sig", "signature", "policy", "key-pair-id", "awsaccesskeyid", "googleaccessid"),
        *("token", "access_token", "access-token", "accesstoken", "id_token", "refresh_token", "auth", "authorization"),
        *("api_key", "apikey", "api-key", "subscription-key", "key", "password", "passwd", "pwd", "secret", "jwt"),
        *("hdnea", "hdnts", "__token__", "credential", "credentials", "session", "sessionid", "user", "username"),
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

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
IN_TEXT = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)([^\s'\"<>{}|^`\\)\]]*)")
"""URLs in a text."""


def strip_url(href: str, keep: Iterable[str] = ()) -> str:
    """A path or URL as it may be stored: without user name, password and query parameters.

    Parameters
    ----------
    href : str
        A path, a URL, or a chain of them (``simplecache::https://…``).
    keep : iterable of str
        Names of query parameters that stay. ``versionId`` always does: it names the object.

    Examples
    --------
    >>> strip_url("https://me:secret@host/x.nc?var=sst&key=abc", keep=["var"])
    'https://host/x.nc?var=sst'
    """
    if "?" not in href and "@" not in href:
        return href
    names = HARMLESS | {name.lower() for name in keep}
    return "::".join(_stripped(part, lambda name, _: name in names) for part in href.split("::"))


def strip_signed(href: str) -> str:
    """A path or URL without user name, password and what is known to be a signature; other query parameters stay.

    For what stands in a store of ours: whoever wrote it decided what is kept.

    Examples
    --------
    >>> strip_signed("https://a.blob.core.windows.net/c/x.nc?sv=2024-01-01&sp=r&sig=abc%3D&v=2")
    'https://a.blob.core.windows.net/c/x.nc?v=2'
    """
    if "?" not in href and "@" not in href:
        return href
    return "::".join(_stripped(part, lambda name, all_: not _is_secret(name, all_)) for part in href.split("::"))


def _is_secret(name: str, beside: frozenset[str]) -> bool:
    if name in SECRET_PARAMETERS or name.startswith(SECRET_PREFIXES):
        return True
    signed = any(one in SECRET_PARAMETERS or one.startswith(SECRET_PREFIXES) for one in beside)
    return (signed and name in SIGNED_PARAMETERS) or ("sig" in beside and name in SAS_PARAMETERS)


def _stripped(href: str, stays: Callable[[str, frozenset[str]], bool]) -> str:
    if not SCHEME.match(href):
        return href
    parts = urlsplit(href)
    user, at, host = parts.netloc.rpartition("@")
    keep_user = parts.scheme.lower() in STORAGE_SCHEMES and ":" not in user
    netloc = parts.netloc if keep_user or not at else host
    if parts.scheme == "file":  # a question mark may stand in the name of a file
        return href
    fields = [field for field in parts.query.split("&") if field]
    names = [field.partition("=")[0].lower() for field in fields]
    query = "&".join(field for field, name in zip(fields, names, strict=True) if stays(name, frozenset(names)))
    if netloc == parts.netloc and query == parts.query:
        return href
    return urlunsplit(parts._replace(netloc=netloc, query=query))


def changed_parameters(one: str, other: str) -> list[str]:
    """Names of query parameters, known signatures apart, in which two URLs differ."""
    first, second = (dict(parse_qsl(urlsplit(strip_signed(url)).query, keep_blank_values=True)) for url in (one, other))
    return sorted(name for name in {*first, *second} if first.get(name) != second.get(name))


def redact(text: object, mark: str = "?…") -> str:
    """A text, URLs in it without user names, passwords and queries.

    Examples
    --------
    >>> redact("cannot open http://me:secret@h/a.nc?sig=abc: 403")
    'cannot open http://h/a.nc?…: 403'
    """
    text = str(text)
    return IN_TEXT.sub(lambda found: found[1] + _without(found[1], found[2], mark), text) if "://" in text else text


def _without(scheme: str, rest: str, mark: str) -> str:
    if scheme.lower() == "file://":
        return rest
    head, question, _ = rest.partition("?")
    authority, slash, path = head.partition("/")
    user, _, host = authority.rpartition("@")
    if scheme[:-3].lower() in STORAGE_SCHEMES and ":" not in user:
        host = authority
    end = mark + rest[len(rest.rstrip(".,;:")) :] if question else ""
    return host + slash + path + end


def shown_cause(exc: BaseException) -> BaseException | None:
    """An error as the cause of another; None if its text would show a secret."""
    seen: BaseException | None = exc
    while seen is not None:
        text = str(seen)
        if redact(text, mark="") != text:
            return None
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return exc
