"""What a search found, against what a published store holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.catalog.cube import OpenedSource, by_item
from intake_virtualzarr.catalog.published_store import PublishedStore
from intake_virtualzarr.catalog.update_plan import Plan
from intake_virtualzarr.datasets.append_checks import falls
from intake_virtualzarr.datasets.check_sources import SourceState, source_states
from intake_virtualzarr.errors import HierarchyError, NothingFoundError
from intake_virtualzarr.stac.compare import Difference, differences
from intake_virtualzarr.stac.find_sources import selected_sources
from intake_virtualzarr.stac.items import ItemsLike
from intake_virtualzarr.stac.select_options import SelectOptions
from intake_virtualzarr.stac.source_item import SourceItem
from intake_virtualzarr.storage.readers import Access
from intake_virtualzarr.storage.source import Source
from intake_virtualzarr.storage.urls import absolute_url

__all__ = ["difference", "file_states", "found_sources", "refusal", "split_new"]


def found_sources(items: ItemsLike, select: SelectOptions) -> tuple[SourceItem, ...]:
    try:
        return selected_sources(items, select)
    except NothingFoundError:  # no later items: nothing is new
        return ()


def file_states(
    pairs: Iterable[tuple[SourceItem, SourceItem]], published: PublishedStore, access: Access, progress: bool | None
) -> dict[str, SourceState]:
    files, objects = published.files, published.objects
    urls = [url for url in dict.fromkeys(absolute_url(found.href) for found, _ in pairs) if url in files]
    asked = [(url, one) for url in urls for one in objects.get(url, (files[url],))]
    states: dict[str, SourceState] = {}
    for (url, _), state in zip(asked, source_states([one for _, one in asked], access, progress), strict=True):
        if (
            states.get(url) is None or states[url].state == "same"
        ):  # of the objects of a Zarr store, one that is not as it was tells
            states[url] = SourceState(url, state.state, state.reason)
    return states


def difference(
    found: SourceItem, known: SourceItem, files: Mapping[str, Source], states: Mapping[str, SourceState]
) -> Difference | None:
    url = absolute_url(found.href)
    reasons, updated = differences(found, known)
    state = states.get(url)
    if state is not None and state.state == "unreadable":
        return Difference("unreadable", found, state.reason)
    if state is not None and state.state == "changed":
        reasons.append(state.reason.partition("changed since it was scanned: ")[2].partition(";")[0] or state.reason)
    if reasons:
        return Difference("changed", found, "; ".join([*reasons, updated] if updated else reasons))
    if not updated:
        return None
    # a size alone does not tell that the bytes are the same
    verified = state is not None and (files[url].etag is not None or files[url].last_modified is not None)
    return Difference("touched" if verified else "changed", found, updated)


def split_new(
    opened: Sequence[OpenedSource], published: PublishedStore, dim: str | None
) -> tuple[tuple[OpenedSource, ...], list[Difference]]:
    """New sources that go on where the store ends, and those that do not."""
    if not opened:
        return (), []
    if dim is None:
        raise HierarchyError(
            f"{published.url}: was joined along {' and '.join(published.concat_dims) or 'no dimension'}; "
            "name the one that grows with append_dim"
        )
    index = published.dataset.indexes.get(dim)
    if index is None or not len(index):
        return _split_by_item(opened, published)
    end, falling = index[-1], falls(index, _values(opened, dim))
    later, earlier = [], []
    for files in by_item(opened):
        own = [found for one in files if (found := one.dataset.indexes.get(dim)) is not None and len(found)]
        if not own:
            raise HierarchyError(f"{files[0].source.label}: has no coordinate {dim!r}, and the store has one")
        if all(found.max() < end if falling else found.min() > end for found in own):
            later += files
        else:
            reason = f"{dim} from {own[0][0]} to {own[0][-1]}; the store {_there(index, own[0])}"
            earlier += [Difference("earlier", one.source, reason) for one in files]
    return tuple(later), earlier


def _values(opened: Sequence[OpenedSource], dim: str) -> AnyArray:
    """The coordinates of new sources, one after another."""
    found = [np.asarray(index) for one in opened if (index := one.dataset.indexes.get(dim)) is not None]
    return np.concatenate(found) if found else np.array([])


def _there(index: Any, own: Any) -> str:
    return "holds that already" if bool(np.isin(np.asarray(own), np.asarray(index)).any()) else f"ends at {index[-1]}"


def _split_by_item(opened: Sequence[OpenedSource], published: PublishedStore) -> tuple[tuple[OpenedSource, ...], list[Difference]]:
    """Without a coordinate, the times of the items tell."""
    end = max((one.time for _, one in published.items if one.time is not None), default=None)
    late = [one for one in opened if end is not None and one.source.time is not None and one.source.time <= end]
    reason = f"its time is not after {end}, where the store ends"
    return tuple(one for one in opened if one not in late), [Difference("earlier", one.source, reason) for one in late]


def refusal(plan: Plan) -> str:
    shown = [f"  {one.source.label}: {one.state}: {one.reason}" for one in plan.conflicts[:10]]
    more = len(plan.conflicts) - len(shown)
    lines = "\n".join([*shown, *([f"  … and {more} more"] if more else [])])
    return (
        f"{plan.published.target.url}: {plan.published.name!r} is not updated, because appending cannot take in these:\n{lines}\n"
        "conflicts='skip' leaves them as they are and appends the others; conflicts='rewrite' scans all files again"
    )
