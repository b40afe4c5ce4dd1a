"""Hrefs of STAC documents: references in the sense of RFC 3986, and the paths that people write instead."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, unquote

from pystac.utils import make_absolute_href

from intake_virtualzarr.storage.urls import PLAIN_PATH, is_local, is_url, local_path, quoted

__all__ = ["absolute_href", "relative_href"]


def absolute_href(href: str, base: str | None) -> str:
    """Resolve an href of a document.

    A reference to a local file is percent-encoded by the standard, and often is not: what is meant is the file that is there,
    the encoded reading first.

    Parameters
    ----------
    href : str
        As it stands in the document.
    base : str, optional
        Path or URL of the document.

    Returns
    -------
    str
        A path or URL. A reference that is relative stays so without a base.

    Examples
    --------
    >>> absolute_href("../a%20b.nc", "https://host/x/items.json")
    'https://host/a%20b.nc'
    >>> absolute_href("a b.nc", "https://host/x/items.json")
    'https://host/x/a%20b.nc'
    """
    if is_url(href) or "::" in href or os.path.isabs(href):
        return href
    if base is None:
        return href
    if is_url(base) and not is_local(base):
        return str(make_absolute_href(quote(href, safe="/:@!$&'()*+,;=~-._%?#"), base))
    directory = os.path.dirname(local_path(base))
    decoded, literal = (os.path.abspath(os.path.join(directory, one)) for one in (unquote(href), href))
    return literal if not os.path.exists(decoded) and os.path.exists(literal) else decoded


def relative_href(path: str, directory: str | os.PathLike[str] | None) -> str:
    """Write a local path as a reference, relative to a directory if one is given, so that both can be moved together.

    Examples
    --------
    >>> relative_href("/data/a #1.nc", "/data/catalog"), relative_href("/data/a #1.nc", None), relative_href("/a.nc", None)
    ('../a%20%231.nc', 'file:///data/a%20%231.nc', '/a.nc')
    """
    if directory is None or not os.path.isabs(path):
        return path if PLAIN_PATH.fullmatch(path) or not os.path.isabs(path) else Path(path).as_uri()
    relative = quoted(os.path.relpath(path, os.path.abspath(directory)).replace(os.sep, "/"))
    return relative if relative.startswith("../") else f"./{relative}"
