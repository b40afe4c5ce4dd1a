"""A change of a hierarchy: what is new is written first, as a generation of its own, and the root is switched to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.errors import HierarchyError
from intake_virtualzarr.hierarchy.commit import ROOT, Commit, remove_leftovers
from intake_virtualzarr.hierarchy.manifest_writer import DocumentWriter
from intake_virtualzarr.hierarchy.reader import Hierarchy
from intake_virtualzarr.hierarchy.writer import WriteReport
from intake_virtualzarr.storage.key_value import Keys

__all__ = ["HierarchyTransaction", "changing"]


class HierarchyTransaction:
    """A change of a hierarchy that is being prepared.

    Attributes
    ----------
    hierarchy : Hierarchy
        What is there.
    documents : dict
        New metadata by path.
    sink : DocumentWriter
        Takes what is new.
    """

    def __init__(self, keys: Keys) -> None:
        seen = keys.look(ROOT)
        if seen.value is None:
            raise HierarchyError(f"{keys.url}: has no zarr.json, so it is no Zarr v3 hierarchy")
        remove_leftovers(keys, seen.value)
        self.hierarchy = Hierarchy(keys, root=seen.value)
        self.documents: dict[str, JsonObject] = {}
        self.commit = Commit(keys, seen)
        self.sink = DocumentWriter(self.commit)

    def finish(self) -> WriteReport:
        """Write what waits, switch the root, and then the documents of single arrays.

        Raises
        ------
        ConflictError
            If another writer was faster; nothing is published or left then.
        """
        self.sink.finish()
        root = dict(self.hierarchy.documents[""])
        members = dict((root.get("consolidated_metadata") or {}).get("metadata") or {})
        if not members:
            members = {p: d for p, d in self.hierarchy.documents.items() if p}
        members.update(self.documents)
        root["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": members}
        self.commit.switch(root, replaces=False)
        self.commit.write_documents(self.documents)
        return WriteReport(
            self.hierarchy.keys.url,
            self.commit.objects,
            self.commit.nbytes,
            sum(self.sink.counts.values()),
            len(self.sink.rows),
        )

    def path(self, group: str, name: str) -> str:
        """Path of an array."""
        return f"{group}/{name}" if group else name


@contextmanager
def changing(keys: Keys) -> Iterator[HierarchyTransaction]:
    """A change that leaves nothing behind if it is refused on the way."""
    transaction = HierarchyTransaction(keys)
    with transaction.commit.undone_on_error():
        yield transaction
