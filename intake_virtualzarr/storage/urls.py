"""URLs of source files: local paths become ``file://`` URLs, credentials never stay in them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

__all__ = ["PLAIN_PATH", "absolute_url", "is_local", "is_url", "local_path", "quoted", "relative_url", "url_below"]

PLAIN_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9_.~-]+)+")
"""Absolute paths that `Path` and quoting leave as they are."""


def is_url(text: str) -> bool:
    """Whether it starts with a scheme (or a chain such as ``simplecache::``) rather than being a path."""
    if text.startswith(("/", "file://")):  # nearly all that are asked about
        return text[0] == "f"
    head = text.split("://", 1)[0]
    return "://" in text and len(head) > 1 and all(c.isalnum() or c in "+-.:" for c in head)


def absolute_url(path: str | os.PathLike[str]) -> str:
    """The absolute URL of a path or URL; an URL is returned as it is."""
    text = os.fspath(path)
    if is_url(text):
        return text
    if text.startswith("/") and PLAIN_PATH.fullmatch(text):  # `Path` takes as long as to open the file
        return f"file://{text}"
    return Path(text).expanduser().absolute().as_uri()


def is_local(url: str) -> bool:
    """Whether the URL names a local file."""
    return url.startswith("file://")


def local_path(url: str) -> str:
    """The path of a ``file://`` URL (or the path itself)."""
    if not is_local(url):
        return url
    if PLAIN_PATH.fullmatch(url, 7):  # splitting takes as long as to open the file
        return url[7:]
    parts = urlsplit(url)
    return unquote(f"//{parts.netloc}{parts.path}" if parts.netloc not in ("", "localhost") else parts.path)


def relative_url(url: str, base: str) -> str:
    """``url`` as seen from the document ``base``, relative where scheme and host agree.

    Examples
    --------
    >>> relative_url("file:///data/a.nc", "file:///data/x.vzarr/sources/0.json")
    '../../a.nc'
    >>> relative_url("https://host/a.nc", "s3://bucket/x/0.json")
    'https://host/a.nc'
    """
    ours, theirs = urlsplit(url), urlsplit(base)
    if "::" in url or (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc):
        return url
    here = ours.path.split("/")
    there = theirs.path.split("/")[:-1]
    common = 0
    while common < min(len(here) - 1, len(there)) and here[common] == there[common]:
        common += 1
    if common <= 1 and is_local(url):  # nothing shared but the root: moving both together is not meant
        return url
    path = "/".join([".."] * (len(there) - common) + here[common:])
    if ":" in path.split("/", 1)[0]:
        path = "./" + path
    return path + (f"?{ours.query}" if ours.query else "")


def quoted(path: str) -> str:
    """A path with everything escaped that would have a meaning in an URL (``#``, ``?``, ``%``) or may not stand there."""
    return quote(path, safe="/:@!$&'()*+,;=~-._")


def url_below(root: str, key: str) -> str:
    """The URL of a key of a store, below that of the store; of a chain, the first part with a path is the store.

    Examples
    --------
    >>> url_below("s3://bucket/a.zarr", "t/c/0"), url_below("zip://::file:///a.zip", "t/0 1")
    ('s3://bucket/a.zarr/t/c/0', 'zip://t/0%201::file:///a.zip')
    """
    first, chain, others = root.partition("::")
    if chain and "://" not in first:
        return f"{first}::{url_below(others, key)}"
    head = first if first.endswith("://") else first.rstrip("/") + "/"
    return f"{head}{quoted(key)}{chain}{others}"
