"""The pages of a manifest as objects of their own, of which the document says what each holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from intake_virtualzarr._typing import Attrs, Shape
from intake_virtualzarr.errors import HierarchyError
from intake_virtualzarr.hierarchy.checks import Check, checks_from_text
from intake_virtualzarr.hierarchy.documents import dump
from intake_virtualzarr.hierarchy.paged_manifest import page_number
from intake_virtualzarr.hierarchy.snapshot import Snapshot
from intake_virtualzarr.storage.key_value import ReadKeys

__all__ = ["PageObjects"]


@dataclass(frozen=True)
class PageObjects:
    """The keys of a manifest, for what reads arrays by key: its metadata from the document, its pages from where they lie.

    A page that the document does not list lists no chunk; one that it lists is there, or reading it is an error.
    """

    document: Attrs
    """Metadata of the array of references."""
    counts: Shape
    """Pages along each axis of the chunk grid."""
    checks: Sequence[Check]
    """What each page holds, in C order."""
    keys: ReadKeys
    """Where the pages lie."""
    prefix: str
    """Path of their directory."""
    snapshot: Snapshot

    @classmethod
    def of(cls, manifest: Attrs, keys: ReadKeys, prefix: str, snapshot: Snapshot, label: str) -> PageObjects:
        """Read the ``manifest`` of an array's document.

        Raises
        ------
        HierarchyError
            If it does not tell of every page.
        """
        document = manifest["zarr.json"]
        pages = document["chunk_grid"]["configuration"]["chunk_shape"]
        counts = tuple(-(-int(n) // int(p)) for n, p in zip(document["shape"], pages, strict=True))[:-1]
        checks = checks_from_text(manifest["objects"]["checks"])
        found = cls(document, counts, checks, keys, prefix, snapshot)
        if len(checks) != found.count:
            raise HierarchyError(f"{label}: tells of {len(checks)} manifest pages, the chunk grid has {found.count}")
        return found

    @property
    def count(self) -> int:
        """Number of pages."""
        total = 1
        for n in self.counts:
            total *= n
        return total

    @property
    def url(self) -> str:
        """For messages."""
        return f"{self.keys.url}/{self.prefix}"

    def get(self, key: str, start: int | None = None, stop: int | None = None) -> bytes | None:
        """A page, or the metadata; None for a page that lists no chunk. Errors as `Snapshot.read`."""
        if key == "zarr.json":
            return dump(self.document)
        return self.get_many([key])[0]

    def get_many(self, keys: list[str]) -> list[bytes | None]:
        """Several pages, fetched at once. Errors as `Snapshot.read`."""
        checks = [self.checks[page_number(key, self.counts)] for key in keys]
        wanted = [(f"{self.prefix}/{key}", check) for key, check in zip(keys, checks, strict=True) if check.size]
        if len(wanted) == 1:
            found = iter([self.snapshot.read(self.keys, *wanted[0])])
        else:
            found = iter(self.snapshot.read_many(self.keys, wanted) if wanted else [])
        return [next(found) if check.size else None for check in checks]
