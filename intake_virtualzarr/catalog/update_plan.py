"""What an update found out before anything is written, and the report of what it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.arrays.repr_html import table_html
from intake_virtualzarr.catalog.cube import OpenedSource
from intake_virtualzarr.catalog.published_store import PublishedStore
from intake_virtualzarr.catalog.search_options import SearchOptions
from intake_virtualzarr.stac.compare import Difference
from intake_virtualzarr.stac.signing import Modifier
from intake_virtualzarr.stac.source_item import SourceItem
from intake_virtualzarr.storage.readers import Access

__all__ = ["CONFLICTING", "Action", "Conflicts", "Plan", "Scan", "UpdateReport"]

Action = Literal["nothing", "append", "replace", "rewrite", "publish", "refuse"]
Conflicts = Literal["refuse", "skip", "rewrite"]

CONFLICTING = ("changed", "earlier")
"""States of sources that appending cannot take in."""


@dataclass(frozen=True)
class UpdateReport:
    """What `update` found, and did or (with ``dry_run``) would do."""

    directory: str
    """The published directory."""
    name: str
    """Name of the entry."""
    action: Action
    """``publish``: the store is up to date, the catalog is not. ``refuse``: only of a dry run, in place of the error."""
    dim: str | None
    """Dimension that grows."""
    before: int
    """Its length."""
    after: int
    """Its new length."""
    found: int
    """Sources that the search gave."""
    unchanged: int
    """Those of them that are in the store, and as they were."""
    appended: tuple[SourceItem, ...]
    """Sources that are added; if the update is refused, those that would be but for the conflicts."""
    differences: tuple[Difference, ...]
    """Sources that are in the store and not as they were, or that do not follow on it."""
    references: int
    """References to chunks that are added (``append``), or all (``rewrite``)."""
    written: tuple[str, ...]
    """Files written, relative to ``directory``."""
    skipped: dict[str, str]
    """New sources that could not be scanned, with reasons (``on_error="skip"``)."""
    dry_run: bool

    def _repr_html_(self) -> str:
        rows = {
            "Directory": self.directory,
            "Entry": self.name,
            "Action": f"{self.action}{' (dry run)' if self.dry_run else ''}",
            "Length": f"{self.dim}: {self.before} to {self.after}" if self.dim else "",
            "Source files": f"{self.found} found, {self.unchanged} as they were, {len(self.appended)} new",
            "Differences": tuple(f"{one.state}: {one.source.label}: {one.reason}" for one in self.differences) or "none",
            "Written": self.written or "nothing",
        }
        return table_html("Update", rows)

    @property
    def conflicts(self) -> tuple[Difference, ...]:
        """What cannot be added by appending: changed sources, and those before the end of the store."""
        return tuple(one for one in self.differences if one.state in CONFLICTING)


@dataclass(frozen=True, eq=False)
class Scan:
    """How sources are opened and joined."""

    options: SearchOptions
    time_dim: str
    modifier: Modifier | None


@dataclass(frozen=True, eq=False)
class Plan:
    """What was found out before anything is written."""

    published: PublishedStore
    dim: str | None
    found: tuple[SourceItem, ...]
    pairs: tuple[tuple[SourceItem, SourceItem], ...]
    """What was found and is in the store, and how it was recorded."""
    opened: tuple[OpenedSource, ...]
    """What is new."""
    later: tuple[OpenedSource, ...]
    """What of that is appended."""
    differences: tuple[Difference, ...]
    skipped: dict[str, str]
    reading: Access
    """How sources are opened."""
    dry_run: bool

    @property
    def conflicts(self) -> tuple[Difference, ...]:
        return tuple(one for one in self.differences if one.state in CONFLICTING)

    def report(self, action: Action, **fields: Any) -> UpdateReport:
        """The report of an action."""
        unlike = sum(one.state in ("changed", "touched", "unreadable") for one in self.differences)
        length = self.published.length(self.dim)
        given: JsonObject = {"before": length, "after": length, "appended": (), "references": 0, "written": ()}
        return UpdateReport(
            directory=self.published.target.url,
            name=self.published.name,
            action=action,
            dim=self.dim,
            found=len(self.found),
            unchanged=len(self.pairs) - unlike,
            differences=self.differences,
            skipped=self.skipped,
            dry_run=self.dry_run,
            **{**given, **fields},
        )
