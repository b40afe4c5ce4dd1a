"""`Publication`: what there is to say about a virtual store beside what its dataset says itself."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import urlsplit

from intake_virtualzarr._typing import Attrs
from intake_virtualzarr.errors import StacError
from intake_virtualzarr.stac.signing import strip_signature
from intake_virtualzarr.stac.source_item import SourceItem
from intake_virtualzarr.storage.url_secrets import strip_signed
from stac_ext import ManifestFormat, SourcePrefix

__all__ = ["MEDIA_TYPES", "Publication", "source_prefixes"]

MEDIA_TYPES: Mapping[ManifestFormat, str] = MappingProxyType(
    {
        "vzarr": "application/vnd+zarr; version=3",
        "kerchunk-json": "application/json",
        "kerchunk-parquet": "application/vnd.apache.parquet",
        "icechunk": "application/vnd.zarr+icechunk",
    }
)
"""Media type of a store by manifest format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A virtual store that is to be published."""

    id: str
    """Identifier of the collection or item, and name of the entry in the Intake catalog."""
    store_href: str
    """The store: relative to the directory that is published, or absolute."""
    manifest_format: ManifestFormat = "vzarr"
    """How the references are written down."""
    manifest_version: str | None = None
    """Version of the manifest format."""
    group: str | None = None
    """Path of the group inside the store; the root if ``None``."""
    concat_dims: tuple[str, ...] | None = None
    """Dimensions along which files were joined, outermost first."""
    chunk_count: int | None = None
    """Referenced chunks."""
    source_count: int | None = None
    """Source files."""
    sources: tuple[SourcePrefix, ...] = ()
    """Where the source files lie (see `source_prefixes`)."""
    fingerprint: str | None = None
    """Digest over the sources, ``algorithm:hexadecimal``."""
    manifest_size: int | None = None
    """All files of the store together, without the sources [bytes]."""
    consolidated: bool | None = None
    """Whether the store has consolidated metadata; ``None`` where that means nothing."""
    source_items: tuple[SourceItem, ...] = field(default=(), repr=False)
    """The items whose files are referenced."""
    source_collection: Attrs | None = None
    """The collection of the items, ``href`` (absolute) and ``title`` of it, which is linked to."""
    title: str | None = None
    """One line."""
    description: str | None = None
    """Markdown, put before the generated part."""
    license: str = "other"
    """SPDX identifier, or ``other``."""
    providers: tuple[Attrs, ...] = ()
    """STAC Provider Objects."""
    keywords: tuple[str, ...] = ()
    """Of a collection."""
    software: Mapping[str, str] = field(default_factory=dict)
    """Name and version of what wrote the store (``processing:software``)."""
    storage_schemes: Mapping[str, Attrs] = field(default_factory=dict)
    """``storage:schemes`` of the store and of the sources."""
    storage_refs: tuple[str, ...] = ()
    """Schemes by which the store itself is opened."""
    preview_href: str | None = None
    """A page that shows the data."""
    catalog_href: str | None = "./catalog.yaml"
    """The Intake catalog file; ``None`` if there is none."""
    base_href: str | None = None
    """Where the directory is going to be served; ``None`` for a self-contained catalog."""
    relocatable: bool = True
    """Local sources are named relative to the directory, so that both can be moved together.

    ``False`` where the directory is a temporary copy of one elsewhere; with ``base_href`` they stay
    absolute anyhow.
    """

    def __post_init__(self) -> None:
        if not self.id or self.id in (".", "..") or any(one in self.id for one in "/\\?#"):
            raise StacError(f"id {self.id!r} cannot be a file name; leave out / \\ ? #")
        for what in ("store_href", "preview_href", "base_href"):
            href = getattr(self, what)
            if href is not None and strip_signed(href) != href:
                raise StacError(f"{self.id}: {what} holds credentials: {strip_signature(href)}?…; pass it without them")
        for source in self.sources:
            if strip_signature(source.href) != source.href or "?" in source.href:
                raise StacError(f"{self.id}: source prefix {strip_signature(source.href)} has a query or credentials")

    @property
    def media_type(self) -> str:
        """Return the media type of the store."""
        return MEDIA_TYPES[self.manifest_format]

    def href(self, relative: str) -> str:
        """Return a relative href, or the absolute one where the directory's place is known."""
        if self.base_href is None or "://" in relative or os.path.isabs(relative):
            return relative
        return f"{self.base_href.rstrip('/')}/{relative.removeprefix('./')}"


def source_prefixes(
    sources: Iterable[tuple[str, int | None]],
    *,
    media_type: str | None = "application/x-netcdf",
    storage_refs: Mapping[str, tuple[str, ...]] | None = None,
    relative_to: str | None = None,
) -> tuple[SourcePrefix, ...]:
    """Group source files into the places a reader must be allowed to open.

    Parameters
    ----------
    sources : iterable of (str, int or None)
        Path or URL, and size [bytes], of each file.
    media_type : str, optional
        Of all files.
    storage_refs : mapping, optional
        Keys of ``storage:schemes`` by ``scheme://host``.
    relative_to : str, optional
        Directory that is published: local paths become relative to it, so that the catalog can be moved
        and does not tell where it was made.

    Returns
    -------
    tuple of SourcePrefix
        One for each host or bucket, its href the deepest common directory; sorted.

    Examples
    --------
    >>> [one.href for one in source_prefixes([("s3://b/x/2023/a.nc", 1), ("s3://b/x/2024/a.nc", 2)])]
    ['s3://b/x/']
    """
    groups: dict[str, list[tuple[str, int | None]]] = {}
    for href, size in sources:
        clean = strip_signature(href).partition("?")[0].partition("#")[0]
        parts = urlsplit(clean)
        root = f"{parts.scheme}://{parts.netloc}" if "://" in clean and parts.scheme != "file" else ""
        groups.setdefault(root, []).append((clean, size))
    refs = storage_refs or {}
    return tuple(
        SourcePrefix(
            href=_common_directory([href for href, _ in group], root, relative_to),
            media_type=media_type,
            storage_refs=tuple(refs.get(root, ())),
            count=len(group),
            size=_total([size for _, size in group]),
        )
        for root, group in sorted(groups.items())
    )


def _total(sizes: list[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _common_directory(hrefs: list[str], root: str, relative_to: str | None) -> str:
    paths = [href.removeprefix("file://") if not root else href[len(root) :] for href in hrefs]
    common = os.path.commonpath([os.path.dirname(path) or "." for path in paths]).rstrip("/") + "/"
    if root or relative_to is None:
        return root + common
    relative = os.path.relpath(common, relative_to).replace(os.sep, "/") + "/"
    return relative if relative.startswith("../") else f"./{relative.removeprefix('./')}"
