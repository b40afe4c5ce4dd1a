"""Where a link to an item or child belongs: browsers list links in their order, so they stand in order of time."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path

from intake_virtualzarr._typing import Attrs

__all__ = ["place_of_link", "time_of"]


def place_of_link(links: Sequence[Attrs], rel: str, href: str, directory: Path) -> int:
    """Position at which a new link is inserted.

    Parameters
    ----------
    links : sequence of mapping
        Links of a document, without the new one.
    rel, href : str
        The new link; ``href`` is relative to ``directory``.
    directory : path
        Where the document lies.

    Returns
    -------
    int
        After the last link of the same ``rel`` that is not later: by the time of what it leads to, and where a time is not
        known (or two are the same) by ``href``. After all links if there is none of that ``rel``.

    Notes
    -----
    Looks back from the end and stops at the first link that is not later, so that what is published in order of time reads one
    document.
    """
    mine = _key(href, directory)
    alike = [at for at, one in enumerate(links) if one.get("rel") == rel]
    if not alike:
        return len(links)
    for at in reversed(alike):
        if not _is_later(_key(str(links[at].get("href", "")), directory), mine):
            return at + 1
    return alike[0]


def _key(href: str, directory: Path) -> tuple[dt.datetime | None, str]:
    return time_of(directory / href), href


def _is_later(one: tuple[dt.datetime | None, str], other: tuple[dt.datetime | None, str]) -> bool:
    if one[0] is not None and other[0] is not None and one[0] != other[0]:
        return one[0] > other[0]
    return one[1] > other[1]


def time_of(path: Path) -> dt.datetime | None:
    """Time of an item, or first time of a collection, on disk; None if there is none, or no such document."""
    try:
        document = json.loads(path.read_bytes())
        properties = document.get("properties") or {}
        text = properties.get("datetime") or properties.get("start_datetime")
        if text is None:
            text = document["extent"]["temporal"]["interval"][0][0]
        moment = dt.datetime.fromisoformat(text)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
