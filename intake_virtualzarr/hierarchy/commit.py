"""Publishing: objects of a new generation first, then the root in one step, then copies of single documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.errors import ConflictError
from intake_virtualzarr.hierarchy.attributes import STORE_RECORD
from intake_virtualzarr.hierarchy.checks import Check
from intake_virtualzarr.hierarchy.documents import dump
from intake_virtualzarr.hierarchy.generation import (
    BEFORE,
    GENERATIONS,
    RootRecord,
    generation_of,
    generation_time,
    is_generation,
    named_generations,
    new_generation,
    now_text,
    still_retired,
)
from intake_virtualzarr.hierarchy.root_check import sealed
from intake_virtualzarr.storage.key_value import Keys, Seen

__all__ = ["ROOT", "Commit", "remove_leftovers"]

ROOT = "zarr.json"
LEFT_OVER = timedelta(hours=1)
"""What a writer began and no root names is left over if nothing was added for so long: its writer was killed."""


class Commit:
    """One generation on its way into a store.

    Parameters
    ----------
    keys : Keys
        The store.
    seen : Seen
        The root when the writer looked at it: what it writes holds for this state and no other.

    Attributes
    ----------
    generation : str
        Its name.
    objects, nbytes : int
        What was written so far.
    """

    def __init__(self, keys: Keys, seen: Seen) -> None:
        self.keys = keys
        self.generation = new_generation()
        self.prefix = f"{GENERATIONS}/{self.generation}"
        self.objects = 0
        self.nbytes = 0
        self._seen = seen
        self._created: dict[str, int] = {}
        self._foreign: set[str] = set()
        self._switching = False
        self._last = datetime.now(UTC)

    @contextmanager
    def undone_on_error(self) -> Iterator[None]:
        """Remove what was written if it is not published."""
        try:
            yield
        except BaseException:
            if not self._switching:  # once the root may name them, only a lost race is certain
                self.abandon()
            raise

    def put(self, key: str, value: bytes) -> Check:
        """Write an object of this generation."""
        assert key.startswith(self.prefix), key
        self.keys.create(key, value)
        self._created[key] = len(value)
        self._count(value)
        self._last = datetime.now(UTC)
        if key.endswith("/zarr.json"):
            self._foreign |= named_generations(value) - {self.generation}
        return Check.of(value)

    def refers_to(self, url: str) -> None:
        """Note that an object of this generation names a URL: one of this store must not be cleaned away then."""
        prefix = f"{self.keys.url}/"
        if url.startswith(prefix):
            named = generation_of(url[len(prefix) :]) or BEFORE
            self._foreign |= {named} - {self.generation}

    def _count(self, value: bytes) -> None:
        self.objects += 1
        self.nbytes += len(value)

    def switch(self, root: JsonObject, *, replaces: bool, made_from: str | None = None) -> None:
        """Publish: replace the root by one that names this generation.

        Parameters
        ----------
        root : dict
            The document, without the record.
        replaces : bool
            Whether nothing of what was there before counts any more.
        made_from : str, optional
            Digest of the sources of an ingest.

        Raises
        ------
        ConflictError
            If the root is not what it was when this writer began; nothing of this generation is left then.
        """
        self._check_still_there()
        self.keys.flush(list(self._created))
        value = sealed(self._with_record(root, replaces, made_from))
        self._switching = True
        if not self.keys.switch(ROOT, value, self._seen):
            self.abandon()
            raise ConflictError(self._conflict())
        self._count(value)

    def _with_record(self, root: JsonObject, replaces: bool, made_from: str | None) -> JsonObject:
        before = self._seen.value
        old = RootRecord.read(before)
        there = named_generations(before or b"") | set(old.kept if old else ())
        if before is not None and old is None:
            there.add(BEFORE)
        named = named_generations(dump(root))
        kept = self._foreign - named
        if not replaces:  # documents that are not looked at name what was kept so far
            kept |= (set(old.kept) if old else {BEFORE} if before is not None else set()) - named
        retired = still_retired(old.retired if old else {}, there - named - kept, named | kept)
        record = RootRecord(self.generation, now_text(), tuple(sorted(kept)), retired, made_from)
        return {**root, "attributes": {**(root.get("attributes") or {}), STORE_RECORD: record.to_json()}}

    def _check_still_there(self) -> None:
        """Raise if this writer was idle for so long that another may have taken its objects for leftovers."""
        if datetime.now(UTC) - self._last < LEFT_OVER / 2:
            return
        gone = [key for key, size in self._created.items() if self.keys.size(key) != size]
        if gone:
            raise ConflictError(
                f"{self.keys.url}: {len(gone)} objects of this write are gone ({gone[0]}, …): it stood still for over "
                f"{LEFT_OVER / 2} and was taken for one that had been killed; write again"
            )

    def _conflict(self) -> str:
        now = self.keys.look(ROOT).value
        record = RootRecord.read(now)
        who = "was removed" if now is None else "was changed by another writer"
        shown = f" ({record.shown})" if record else ""
        return (
            f"{self.keys.url}: {who}{shown} while this one was at work. Nothing of this write was published or is left; "
            "open the store as it is now and write again"
        )

    def write_documents(self, documents: Mapping[str, JsonObject]) -> None:
        """Write copies of documents, for readers that open one array by itself."""
        for path, document in documents.items():
            value = dump(document)
            self.keys.set(f"{path}/zarr.json", value)
            self._count(value)

    def abandon(self) -> None:
        """Remove the objects of this generation."""
        if self._created:
            self.keys.delete_below(self.prefix)


def remove_leftovers(keys: Keys, root: bytes | None) -> None:
    """Remove what writers began that were killed: generations that no root ever named, untouched for a while.

    What a root named before is not touched: somebody may read it.
    """
    known = named_generations(root or b"")
    record = RootRecord.read(root)
    if record is not None:
        known |= {*record.kept, *record.retired}
    limit = datetime.now(UTC) - LEFT_OVER
    for name in list(keys.names(GENERATIONS)):
        if is_generation(name) and name not in known and generation_time(name) < limit:
            entries = list(keys.listed(f"{GENERATIONS}/{name}"))
            if all(one.modified is None or one.modified < limit for one in entries):
                keys.delete_below(f"{GENERATIONS}/{name}")
