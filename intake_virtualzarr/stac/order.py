"""Order of sources, and what to do with two for one time."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Hashable, Iterable
from itertools import groupby
from typing import Literal, get_args

from intake_virtualzarr.errors import StacError
from intake_virtualzarr.stac.assets import is_grib
from intake_virtualzarr.stac.source_item import SourceItem

__all__ = ["Duplicates", "duplicate_key", "order_sources"]

Duplicates = Literal["error", "first", "latest", "raise", "last"]
"""``"raise"`` and ``"last"`` are the names that joins of files have for ``"error"`` and ``"latest"``."""

EPOCH = dt.datetime(1, 1, 1, tzinfo=dt.UTC)

VERSIONS = ("version", "processing:version")
CHANGES = ("updated", "created", "published")

NOT_IDENTITY = frozenset({"title", "description", "license", "gsd", *VERSIONS, *CHANGES})
"""Kept properties in which reprocessed versions of one file may differ; any other makes different data."""


def order_sources(
    sources: Iterable[SourceItem],
    duplicates: Duplicates = "error",
    *,
    key: Callable[[SourceItem], Hashable] | None = None,
) -> tuple[SourceItem, ...]:
    """Sort sources by time, then item id; servers give them in any order, often newest first.

    Parameters
    ----------
    sources : iterable of SourceItem
        Those without a time (files that were named directly) keep their order and come last.
    duplicates : {"error", "first", "latest"}
        What to do with several sources of one `key`: refuse, keep the first in the order given, or keep
        the latest by ``version``, then ``updated``, then ``created``.
    key : callable, optional
        What makes two sources of one time the same data; default `duplicate_key`.

    Raises
    ------
    StacError
        If there are duplicates and they are to be an error; names them.

    References
    ----------
    STAC item specification: ``datetime`` may be null, then ``start_datetime`` and ``end_datetime`` are
    required.
    """
    if duplicates not in get_args(Duplicates):
        raise StacError(f"duplicates={duplicates!r}; expected one of {', '.join(get_args(Duplicates))}")
    given = list(sources)
    timed = sorted((one for one in given if one.time is not None), key=_time)  # stable: the given order stays
    kept = [
        one
        for _, group in groupby(timed, key=_time)
        for one in sorted(_without_duplicates(list(group), duplicates, key or duplicate_key), key=_sort_key)
    ]
    return (*kept, *(one for one in given if one.time is None))


def _time(source: SourceItem) -> dt.datetime:
    return source.time or EPOCH


def _sort_key(source: SourceItem) -> tuple[str, str, str]:
    return source.item_id or "", source.asset_key or "", source.href


def duplicate_key(source: SourceItem) -> Hashable:
    """Return what two versions of one file have in common: times, place, asset and identifying properties.

    Returns
    -------
    hashable
        Sources with a time only are asked for theirs: nothing is known of others. No file of GRIB is a version of another.
    """
    place = None if source.bbox is None else tuple(round(value, 6) for value in source.bbox)
    identity = tuple(sorted((name, repr(value)) for name, value in source.properties.items() if name not in NOT_IDENTITY))
    times = source.datetime, source.start_datetime, source.end_datetime
    # the steps and members of a forecast have one time and place; the files themselves tell which is which
    file = source.href if is_grib(source.href, source.media_type) else None
    return (*times, place, source.collection, source.asset_key, identity, file)


def _without_duplicates(sources: list[SourceItem], policy: Duplicates, key: Callable[[SourceItem], Hashable]) -> list[SourceItem]:
    if len(sources) == 1:
        return sources
    groups: dict[Hashable, list[SourceItem]] = {}
    for source in sources:
        groups.setdefault(key(source), []).append(source)
    return [_pick(group, policy) for group in groups.values()]


def _pick(group: list[SourceItem], policy: Duplicates) -> SourceItem:
    if len(group) == 1 or policy == "first":
        return group[0]
    if policy in ("latest", "last"):
        return max(group, key=_age)
    if len({one.href for one in group}) == 1:
        return group[0]
    time = group[0].time
    names = ", ".join(repr(one.label) for one in group[:5]) + (", …" if len(group) > 5 else "")
    raise StacError(
        f"{len(group)} sources for {time.isoformat() if time else 'one time'} and place: {names}; "
        "reprocessed versions? Choose with duplicates='latest' or 'first', or narrow the search"
    )


def _age(source: SourceItem) -> tuple[list[tuple[int, str]], dt.datetime, str, str]:
    version = next((str(source.properties[name]) for name in VERSIONS if name in source.properties), "")
    created = str(source.properties.get("created", ""))
    return _natural(version), source.updated or EPOCH, created, source.item_id or ""


def _natural(text: str) -> list[tuple[int, str]]:
    """Split so that 10 comes after 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"\d+|\D+", text)]
