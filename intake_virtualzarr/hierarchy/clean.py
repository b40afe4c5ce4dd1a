"""Removing what a store names no more: generations that were left behind long enough ago for nobody to read them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.errors import HierarchyError
from intake_virtualzarr.hierarchy.commit import ROOT
from intake_virtualzarr.hierarchy.documents import dump, naming
from intake_virtualzarr.hierarchy.generation import BEFORE, RootRecord, generation_of, generation_time, named_generations
from intake_virtualzarr.hierarchy.root_check import read_root
from intake_virtualzarr.storage.key_value import KeyEntry, Keys

__all__ = ["CleanReport", "clean_hierarchy", "named_bytes"]

DOCUMENT = "/zarr.json"


@dataclass(frozen=True)
class CleanReport:
    """What `clean_hierarchy` removed, or with ``dry_run`` would remove."""

    url: str
    """The store."""
    generations: tuple[str, ...]
    """Names of the generations."""
    objects: int
    """Number of objects (files)."""
    nbytes: int
    """Their size [bytes]."""
    waiting: int
    """Objects that nothing names and that are not old enough."""
    refreshed: int
    """Documents of single arrays that said less than the root, and were written again."""
    dry_run: bool


def clean_hierarchy(keys: Keys, older_than: timedelta, *, dry_run: bool = False) -> CleanReport:
    """Remove what the root does not name, and has not for a while.

    Parameters
    ----------
    keys : Keys
        The store.
    older_than : timedelta
        What was given up more recently stays: a reader that opened the store before may still need it, and a writer may be at
        work.
    dry_run : bool
        Look, and remove nothing.

    Raises
    ------
    HierarchyError
        If there is no store, or it was not written in generations (format 0.1).
    """
    raw = keys.get(ROOT)
    if raw is None:
        raise HierarchyError(f"{keys.url}: has no zarr.json, so it is no Zarr v3 hierarchy")
    root = read_root(raw, f"{keys.url}/{ROOT}")
    record = RootRecord.of(root)
    if record is None:
        raise HierarchyError(f"{keys.url}: was written in format 0.1, in which nothing is left over; there is nothing to clean")
    if not root.get("consolidated_metadata"):
        raise HierarchyError(
            f"{keys.url}: the root holds no consolidated_metadata, so it names nothing and all would go; another program "
            "left them out. Write the store again, or an append to it"
        )
    with naming(f"{keys.url}/{ROOT}"):
        members = root["consolidated_metadata"].get("metadata") or {}
        garbage = _Garbage(members, named_generations(raw) | set(record.kept), record, datetime.now(UTC) - older_than)
        for entry in keys.listed():
            garbage.sort(entry)
        gone = garbage.old()
        stale = _stale_documents(keys, members)
    if not dry_run:
        for path in stale:  # before what they name goes away
            keys.set(f"{path}{DOCUMENT}", dump(members[path]))
        keys.delete([one.key for one in gone])
    generations = tuple(sorted({name for one in gone if (name := generation_of(one.key)) is not None}))
    waiting = garbage.count - len(gone)
    return CleanReport(keys.url, generations, len(gone), sum(one.size for one in gone), waiting, len(stale), dry_run)


class _Garbage:
    """Keys that a root does not name."""

    def __init__(self, members: Mapping[str, Attrs], named: set[str], record: RootRecord, limit: datetime) -> None:
        self._members = members
        self._named = named
        self._record = record
        self._limit = limit
        self._generations: dict[str, list[KeyEntry]] = defaultdict(list)
        self._single: list[tuple[KeyEntry, bool]] = []

    @property
    def count(self) -> int:
        """Number of keys."""
        return sum(map(len, self._generations.values())) + len(self._single)

    def sort(self, entry: KeyEntry) -> None:
        """Take a key in if nothing names it."""
        generation = generation_of(entry.key)
        if generation is not None:
            if generation not in self._named:
                self._generations[generation].append(entry)
        elif entry.key != ROOT and entry.key.removesuffix(DOCUMENT) not in self._members:
            before = self._record.retired.get(BEFORE)
            is_old = entry.modified is not None and entry.modified < self._limit
            if _is_temporary(entry.key) or entry.key.endswith(DOCUMENT):
                self._single.append((entry, is_old))
            elif before is not None and BEFORE not in self._named:  # what mode="w" took the place of
                given_up = datetime.fromisoformat(before)
                was_there = entry.modified is None or entry.modified <= given_up
                if was_there:
                    self._single.append((entry, given_up < self._limit))

    def old(self) -> list[KeyEntry]:
        """Those that were given up long enough ago."""
        out = [entry for entry, is_old in self._single if is_old]
        for name, entries in self._generations.items():
            if self._given_up(name, entries) < self._limit:
                out += entries
        return out

    def _given_up(self, name: str, entries: Sequence[KeyEntry]) -> datetime:
        """When a root ceased to name a generation; when it was last added to, if none ever named it."""
        told = self._record.retired.get(name)
        if told is not None:
            return datetime.fromisoformat(told)
        return max([generation_time(name), *(one.modified for one in entries if one.modified is not None)])


def _is_temporary(key: str) -> bool:
    """Whether it is a document that was being written by a process that was killed."""
    return key.rpartition("/")[2].startswith(".zarr.json")


def _stale_documents(keys: Keys, members: Mapping[str, JsonObject]) -> list[str]:
    """Paths of documents that are not the copy in the root: a writer was killed right after it had switched it."""
    paths = list(members)
    values = keys.get_many([f"{path}{DOCUMENT}" for path in paths])
    return [path for path, value in zip(paths, values, strict=True) if value != dump(members[path])]


def named_bytes(keys: Keys) -> int:
    """Size of what the root of a store names [bytes]; 0 if there is none."""
    raw = keys.get(ROOT)
    if raw is None:
        return 0
    record = RootRecord.read(raw)
    named = named_generations(raw) | set(record.kept if record else ())
    return sum(one.size for one in keys.listed() if (found := generation_of(one.key)) is None or found in named)
