"""Source table: the files that hold the bytes, and how each looked when it was scanned."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import overload

from intake_virtualzarr.errors import ManifestError, SourceChangedError, SourceError
from intake_virtualzarr.storage.url_secrets import changed_parameters, strip_url

__all__ = ["Source", "SourceRows", "SourceTable", "unify_tables"]


@dataclass(frozen=True, slots=True)
class Source:
    """One file, as it was when it was scanned."""

    url: str
    """Absolute URL, without credentials; ``file:///…`` for local files, ``inline:…`` where ``content`` is given."""
    size: int | None = None
    """Length of the file [bytes]."""
    etag: str | None = None
    """Entity tag as the server gives it, quotes included."""
    last_modified: datetime | None = None
    """Time of the last change, UTC."""
    sha256: str | None = None
    """Digest of the whole file, hexadecimal, if somebody computed it."""
    content: bytes | None = None
    """The bytes themselves, for what is kept inside the hierarchy."""
    signed: str | None = field(default=None, compare=False, repr=False)
    """The URL with user information and query, if it came with one: for reading, never stored. Where it is given, ``url``
    stays as it is; else what is secret, or may be, is taken out of ``url`` and kept here."""

    def __post_init__(self) -> None:
        if self.signed is None and ("?" in self.url or "@" in self.url) and self.content is None:
            clean = strip_url(self.url)
            if clean != self.url:
                object.__setattr__(self, "signed", self.url)
                object.__setattr__(self, "url", clean)

    @property
    def opened(self) -> str:
        """The URL to open."""
        return self.signed or self.url

    def check(self, seen: Source) -> None:
        """Compare with what a reader sees now.

        Raises
        ------
        SourceChangedError
            If the size differs, else if both have an ETag and these differ, else if both have a modification time and
            these differ at the coarser of their resolutions.
        """
        if self.size is not None and seen.size is not None and self.size != seen.size:
            self._changed("size", f"{self.size} bytes", f"{seen.size} bytes")
        if self.etag is not None and seen.etag is not None:
            if _strong(self.etag) != _strong(seen.etag):
                self._changed("ETag", self.etag, seen.etag)
            return
        then, now = self.last_modified, seen.last_modified
        if then is not None and now is not None and not _same_time(then, now):
            self._changed("modification time", then.isoformat(), now.isoformat())

    def _changed(self, what: str, then: str, now: str) -> None:
        raise SourceChangedError(
            f"{self.url}: changed since it was scanned: {what} was {then}, is {now}; "
            "the chunk offsets may no longer hold, scan it again. If it was copied or touched only, "
            "intake-virtualzarr check --rebase accepts it in a store"
        )


def _strong(etag: str) -> str:
    # listings of some stores leave the quotes out
    return etag.removeprefix("W/").strip('"')


def _same_time(a: datetime, b: datetime) -> bool:
    if a == b:
        return True
    a, b = a.astimezone(UTC), b.astimezone(UTC)
    if a.microsecond == 0 or b.microsecond == 0:
        return a.replace(microsecond=0) == b.replace(microsecond=0)
    return a == b


class SourceRows(Sequence[Source]):
    """A table whose rows are made when they are asked for.

    A row that is not there is an error of its own and no `IndexError`, so that iteration goes by the length.
    """

    @abstractmethod
    def row(self, number: int) -> Source:
        """One row; raises if there is none."""

    @overload
    def __getitem__(self, row: int) -> Source: ...

    @overload
    def __getitem__(self, row: slice) -> list[Source]: ...

    def __getitem__(self, row: int | slice) -> Source | list[Source]:
        if isinstance(row, slice):
            return [self.row(one) for one in range(*row.indices(len(self)))]
        return self.row(int(row))

    def __iter__(self) -> Iterator[Source]:
        return (self.row(number) for number in range(len(self)))


@dataclass(frozen=True, slots=True)
class SourceTable(Sequence[Source]):
    """Rows that manifests point into."""

    rows: tuple[Source, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Source]:
        return iter(self.rows)

    def __getitem__(self, row: int) -> Source:  # type: ignore[override]
        try:
            return self.rows[row]
        except IndexError:
            raise ManifestError(f"manifest names source {row}, the table has {len(self.rows)} rows") from None


def unify_tables(tables: Sequence[Sequence[Source]]) -> tuple[SourceTable, list[list[int]]]:
    """Merge tables, each source once.

    Returns
    -------
    table : SourceTable
        Distinct rows in order of first appearance.
    mappings : list of list of int
        For each table, the new row of each old row.

    Raises
    ------
    SourceChangedError
        If two tables hold one URL in different states (the file was rewritten between two scans).
    """
    index: dict[str | bytes, int] = {}
    rows: list[Source] = []
    mappings: list[list[int]] = []
    known: dict[int, list[int]] = {}
    for table in tables:
        mapping = known.get(id(table))
        if mapping is None:
            mapping = []
            for source in table.rows if isinstance(table, SourceTable) else table:
                count = len(rows)
                row = index.setdefault(source.url if source.content is None else _content_key(source), count)
                if row == count:
                    rows.append(source)
                else:
                    rows[row].check(source)
                    if source.signed != rows[row].signed:
                        _check_same_file(rows[row], source)
                mapping.append(row)
            known[id(table)] = mapping
        mappings.append(mapping)
    return SourceTable(tuple(rows)), mappings


def _check_same_file(one: Source, other: Source) -> None:
    """Refuse two URLs that differ in what is not stored of them, unless that is just a signature."""
    names = changed_parameters(one.opened, other.opened)
    if names:
        raise SourceError(
            f"{one.url}: was given with two values of {', '.join(map(repr, names))} in its query, which are not stored; "
            f"if they name the file, pass keep_query={names!r}"
        )


def _content_key(source: Source) -> bytes:
    return source.url.encode() + b"\n" + (source.content or b"")
