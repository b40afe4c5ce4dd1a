"""What was found, in a few lines: for a dry run, and before something long begins."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from intake_virtualzarr.stac.extent import iso_time
from intake_virtualzarr.stac.footprint import footprint
from intake_virtualzarr.stac.source_item import BBox, SourceItem

__all__ = ["SourceSummary", "summarize"]


@dataclass(frozen=True, slots=True)
class SourceSummary:
    """A set of sources in numbers."""

    count: int
    """Files."""
    size: int | None
    """All files together [bytes]; ``None`` if the items do not say it of every file."""
    first: dt.datetime | None
    """Earliest time, UTC."""
    last: dt.datetime | None
    """Latest time, UTC."""
    bbox: BBox | None
    """West, south, east, north [degrees]."""
    hosts: tuple[tuple[str, int], ...]
    """Where the files lie (``scheme://host``, empty for local files), and how many; most first."""
    collections: tuple[str, ...]
    """Identifiers of the items' collections."""

    def __str__(self) -> str:
        lines = [f"{self.count} file{'' if self.count == 1 else 's'}{_size(self.size)}"]
        if self.collections:
            lines.append(f"from {', '.join(self.collections)}")
        if self.first is not None and self.last is not None:
            lines.append(f"{iso_time(self.first)} to {iso_time(self.last)}")
        if self.bbox is not None:
            lines.append("west {:g}, south {:g}, east {:g}, north {:g}".format(*self.bbox))
        lines += [f"{count} at {host or 'local paths'}" for host, count in self.hosts]
        return "\n".join(lines)


def summarize(sources: Sequence[SourceItem]) -> SourceSummary:
    """Sum up sources.

    Examples
    --------
    >>> names = ["https://h/a.nc", "https://h/b.nc"]
    >>> print(summarize([SourceItem(href=name, size=1_250_000) for name in names]))
    2 files, 2.5 MB
    2 at https://h
    """
    found = footprint(sources)
    return SourceSummary(
        count=len(sources),
        size=_total(one.size for one in sources),
        first=min((one.time for one in sources if one.time is not None), default=None),
        last=max((time for one in sources if (time := one.end_datetime or one.time) is not None), default=None),
        bbox=None if found is None else found.bbox,
        hosts=tuple(Counter(_host(one.href) for one in sources).most_common()),
        collections=tuple(sorted({one.collection for one in sources if one.collection is not None})),
    )


def _total(sizes: Iterable[int | None]) -> int | None:
    total = 0
    for size in sizes:
        if size is None:
            return None
        total += size
    return total


def _host(href: str) -> str:
    parts = urlsplit(href)
    return f"{parts.scheme}://{parts.netloc}" if "://" in href and parts.scheme != "file" else ""


def _size(size: int | None) -> str:
    if size is None:
        return ""
    number, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if number < 1000:
            break
        number, unit = number / 1000, larger
    return f", {number:.3g} {unit}"
