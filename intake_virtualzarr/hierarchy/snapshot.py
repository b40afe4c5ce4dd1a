"""The state of a store that a reader opened: what it names is there, unchanged, or the reader is told why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from intake_virtualzarr.errors import HierarchyError, StoreChangedError
from intake_virtualzarr.hierarchy.checks import Check
from intake_virtualzarr.hierarchy.generation import RootRecord
from intake_virtualzarr.storage.key_value import ReadKeys

__all__ = ["Snapshot"]


@dataclass(frozen=True)
class Snapshot:
    """The document that a reader began with."""

    keys: ReadKeys
    """Where it lies."""
    key: str
    """Its key: that of the root, or of an array that was opened by itself."""
    check: Check
    """What it held."""

    @classmethod
    def of(cls, keys: ReadKeys, key: str, raw: bytes) -> Snapshot:
        """Of a document that was read."""
        return cls(keys, key, Check.of(raw))

    def read(self, keys: ReadKeys, key: str, check: Check | None) -> bytes:
        """An object that a document names.

        Parameters
        ----------
        keys : ReadKeys
            Where it lies.
        key : str
        check : Check or None
            What it holds; None if the document does not say (format 0.1).

        Raises
        ------
        StoreChangedError
            If it is gone, and the store was written again.
        HierarchyError
            If it is gone although the store is as it was, or holds something else.
        """
        return self.checked(keys, key, keys.get(key), check)

    def read_many(self, keys: ReadKeys, wanted: Sequence[tuple[str, Check | None]]) -> list[bytes]:
        """Several objects, fetched at once. Errors as `read`."""
        values = keys.get_many([key for key, _ in wanted])
        return [self.checked(keys, key, value, check) for (key, check), value in zip(wanted, values, strict=True)]

    def checked(self, keys: ReadKeys, key: str, value: bytes | None, check: Check | None) -> bytes:
        """The bytes, if they are those that were written. Errors as `read`."""
        if value is None:
            raise self.absent(f"{keys.url}/{key}")
        problem = None if check is None else check.problem(value)
        if problem is not None:
            raise HierarchyError(f"{keys.url}/{key}: {problem}; the store is damaged, copy or write it again")
        return value

    def absent(self, url: str) -> HierarchyError:
        """The error for an object that is not there: looks whether the store is still the one that was opened."""
        again = self.keys.get(self.key)
        if again is not None and self.check.problem(again) is None:
            return HierarchyError(f"{url} is absent; the store is incomplete: copy it again, or write it again")
        return StoreChangedError(
            f"{url} is not there any more: {self.keys.url} was {_what_happened(again)} since it was opened, and what it held "
            "before was cleaned away; open it again"
        )


def _what_happened(again: bytes | None) -> str:
    if again is None:
        return "removed"
    record = RootRecord.read(again)
    return "written again" if record is None else f"written again ({record.shown})"
