"""What a second search says that the first did not: new items, changed ones, and those that are gone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from intake_virtualzarr._typing import Attrs
from intake_virtualzarr.stac.extent import iso_time
from intake_virtualzarr.stac.listing import Listing
from intake_virtualzarr.stac.query import Query
from intake_virtualzarr.stac.source_item import SourceItem
from intake_virtualzarr.storage.urls import absolute_url

__all__ = ["Difference", "State", "compare_sources", "differences", "missing_sources"]

type State = Literal["new", "changed", "touched", "earlier", "missing", "unreadable"]
"""``touched``: the item says it was updated, its file is the same. ``earlier``: new, but does not come after what is there."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One source that is not as it was, or was not there."""

    state: State
    source: SourceItem
    """As it is found now; for what is missing, as it was."""
    reason: str = ""
    """What differs."""


def url_of(source: SourceItem) -> str:
    """URL of a source, as stores record it."""
    return absolute_url(source.href)


def compare_sources(
    found: Iterable[SourceItem], known: Iterable[SourceItem]
) -> tuple[list[SourceItem], list[tuple[SourceItem, SourceItem]]]:
    """Tell new sources from known ones.

    Parameters
    ----------
    found : iterable of SourceItem
        Of the search.
    known : iterable of SourceItem
        What is in the store.

    Returns
    -------
    new : list of SourceItem
        In their order.
    pairs : list of (found, known)
        The same file, or else the same asset of the same item.
    """
    by_url: dict[str, SourceItem] = {}
    by_id: dict[tuple[str, str | None], list[SourceItem]] = {}
    for one in known:
        by_url[url_of(one)] = one
        if one.item_id is not None:
            by_id.setdefault((one.item_id, one.asset_key), []).append(one)
    new, pairs = [], []
    for one in found:
        there = by_url.get(url_of(one))
        if there is None and one.item_id is not None:
            alike = by_id.get((one.item_id, one.asset_key), [])
            there = next((other for other in alike if _same_collection(one, other)), None)
        if there is None:
            new.append(one)
        else:
            pairs.append((one, there))
    return new, pairs


def _same_collection(one: SourceItem, other: SourceItem) -> bool:
    """Items that do not say it may be of any."""
    return one.collection is None or other.collection is None or one.collection == other.collection


def differences(found: SourceItem, known: SourceItem) -> tuple[list[str], str]:
    """Compare what an item says of its file now with what it said.

    Returns
    -------
    list of str
        What differs in the file: its place, size or checksum. What one of both does not say is not a difference.
    str
        What differs in the time of the last change; empty if nothing does.
    """
    out = []
    if url_of(found) != url_of(known):
        out.append(f"is {found.href} now, was {known.href}")
    for what, now, then in (("size", found.size, known.size), ("checksum", found.checksum, known.checksum)):
        if now is not None and then is not None and now != then:
            out.append(f"{what} is {now} now, was {then}")
    if found.updated is None or known.updated is None or _whole(found.updated) == _whole(known.updated):
        return out, ""
    return out, f"updated {iso_time(found.updated)}, was {iso_time(known.updated)}"


def _whole(time: dt.datetime) -> dt.datetime:
    """A time in whole milliseconds: stac-geoparquet keeps no more."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def missing_sources(
    known: Iterable[tuple[Attrs, SourceItem]],
    pairs: Iterable[tuple[SourceItem, SourceItem]],
    found: Sequence[SourceItem],
    listing: Listing,
    asked: Sequence[Query],
) -> list[SourceItem]:
    """Find known items that should have been found again, and were not.

    Parameters
    ----------
    known : iterable of (dict, SourceItem)
        Item, and one of its sources.
    pairs : iterable of (found, known)
        Those that were found again.
    found : sequence of SourceItem
    listing : {"whole", "span", "part"}
        How far what was listed tells what is not there.
    asked : sequence of Query
        What an item must match to be expected.
    """
    if listing == "part":
        return []
    again = {id(there) for _, there in pairs}
    gone = [(document, one) for document, one in known if id(one) not in again]
    gone = [(document, one) for document, one in gone if all(query.matches(document) for query in asked)]
    if listing == "whole":
        return [one for _, one in gone]
    span = _span(found)
    if span is None:
        return []
    return [
        one
        for _, one in gone
        if one.time is not None and span[0] <= one.time <= span[1] and any(_same_collection(one, other) for other in found)
    ]


def _span(found: Sequence[SourceItem]) -> tuple[dt.datetime, dt.datetime] | None:
    times = [one.time for one in found if one.time is not None]
    return (min(times), max(times)) if times else None
