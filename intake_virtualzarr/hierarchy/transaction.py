"""A change of a hierarchy: what is new is written first, the root document last."""

from __future__ import annotations

import json
from typing import Any

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.hierarchy.documents import dump
from intake_virtualzarr.hierarchy.manifest_writer import DocumentWriter
from intake_virtualzarr.hierarchy.reader import Hierarchy
from intake_virtualzarr.hierarchy.source_table import PAGE_SIZE, PagedSources
from intake_virtualzarr.hierarchy.writer import CountingKeys, WriteReport, finish_sources
from intake_virtualzarr.storage.key_value import Keys

__all__ = ["HierarchyTransaction"]


class HierarchyTransaction:
    """A change of a hierarchy that is being prepared.

    Attributes
    ----------
    hierarchy : Hierarchy
        What is there.
    documents : dict
        New metadata by path.
    changed_chunks : dict
        New bytes of chunks that are there, by key: written when all is known to fit.
    """

    def __init__(self, keys: Keys) -> None:
        self.hierarchy = Hierarchy(keys)
        self.documents: dict[str, JsonObject] = {}
        self.changed_chunks: dict[str, bytes] = {}
        self._counter = CountingKeys(keys)
        rows = _shared_rows(self.hierarchy)
        self._old_rows = len(rows)
        self.sink = DocumentWriter(self._counter.put, keys.url, rows)

    def finish(self) -> WriteReport:
        """Write chunks, source pages, changed documents, and last the root."""
        for key, data in self.changed_chunks.items():
            self._counter.put(key, data)
        if len(self.sink.rows) > self._old_rows:
            finish_sources(self.sink, self._old_rows // PAGE_SIZE)
        for path, document in self.documents.items():
            self._counter.put(f"{path}/zarr.json", dump(document))
        root = dict(self.hierarchy.documents[""])
        members = dict((root.get("consolidated_metadata") or {}).get("metadata") or {})
        if not members:
            members = {p: d for p, d in self.hierarchy.documents.items() if p}
        members.update(self.documents)
        root["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": members}
        self._counter.put("zarr.json", dump(root))
        return WriteReport(
            self.hierarchy.keys.url,
            self._counter.objects,
            self._counter.nbytes,
            sum(self.sink.counts.values()),
            len(self.sink.rows) - self._old_rows,
        )

    def path(self, group: str, name: str) -> str:
        """Path of an array."""
        return f"{group}/{name}" if group else name


def _shared_rows(hierarchy: Hierarchy) -> list[Any]:
    """The shared source table as it is."""
    count = 0
    for document in hierarchy.documents.values():
        for transformer in document.get("storage_transformers", []):
            count = max(count, int((transformer["configuration"].get("sources") or {}).get("count", 0)))
    page = 0
    # private parts may have added rows that no listed document counts
    while hierarchy.keys.size(f"sources/{page}.json") is not None:
        page += 1
    if page == 0:
        return []
    last = json.loads(hierarchy.keys.get(f"sources/{page - 1}.json") or b'{"list": []}')
    total = max(count, (page - 1) * PAGE_SIZE + len(last["list"]))
    return list(PagedSources(hierarchy.keys, "sources", PAGE_SIZE, total))
