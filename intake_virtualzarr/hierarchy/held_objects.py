"""Objects of the store itself that hold values of an array, seen as sources whose content is fetched whole and checked."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from intake_virtualzarr._typing import Attrs
from intake_virtualzarr.errors import HierarchyError
from intake_virtualzarr.hierarchy.checks import Check, checks_from_text
from intake_virtualzarr.hierarchy.snapshot import Snapshot
from intake_virtualzarr.storage.key_value import ReadKeys
from intake_virtualzarr.storage.source import Source, SourceRows

__all__ = ["HeldObjects", "check_of_row"]

KEPT_BYTES = 64 * 1024 * 1024
"""Objects of one array that stay in memory [bytes]."""


class HeldObjects(SourceRows):
    """Objects of the store that hold an array's values, fetched whole when they are needed; then what stands in the document."""

    def __init__(self, snapshot: Snapshot, rows: Sequence[tuple[ReadKeys, str, Check]], inline: Sequence[Source]) -> None:
        self._snapshot = snapshot
        self._rows = tuple(rows)
        self._inline = tuple(inline)
        self._kept: dict[int, Source] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> Any:
        return HeldObjects, (self._snapshot, self._rows, self._inline)

    def __len__(self) -> int:
        return len(self._rows) + len(self._inline)

    def row(self, number: int) -> Source:
        """One object, with its bytes."""
        if number >= len(self._rows):
            return self._inline[number - len(self._rows)]
        found = self._kept.get(number)
        if found is None:
            keys, key, check = self._rows[number]
            content = self._snapshot.read(keys, key, check)
            found = Source(f"{keys.url}/{key}", size=len(content), content=content)
            self._keep(number, found)
        return found

    def _keep(self, number: int, found: Source) -> None:
        with self._lock:
            if sum(one.size or 0 for one in self._kept.values()) > KEPT_BYTES:
                self._kept.clear()
            self._kept[number] = found


def check_of_row(row: Attrs, label: str) -> Check:
    """What an object holds, by its row.

    Raises
    ------
    HierarchyError
        If the row does not say it.
    """
    checks = checks_from_text(row.get("check", ""))
    if len(checks) != 1:
        raise HierarchyError(f"{label}: row {row.get('url')!r} has no check of one object, as objects with values have")
    return checks[0]
