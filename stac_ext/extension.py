"""Typed access to the ``vzarr:`` fields of assets, item asset definitions and summaries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import pystac
from pystac.extensions.base import ExtensionManagementMixin, PropertiesExtension, SummariesExtension
from pystac.utils import get_required

from stac_ext.hooks import SCHEMA_URI, VIRTUAL_ZARR_EXTENSION_HOOKS

__all__ = [
    "PREFIX",
    "SCHEMA_URI",
    "VIRTUAL_ZARR_EXTENSION_HOOKS",
    "ManifestFormat",
    "SourcePrefix",
    "SummariesVirtualZarrExtension",
    "VirtualZarrExtension",
]

PREFIX = "vzarr:"
MANIFEST_FORMAT = PREFIX + "manifest_format"
MANIFEST_VERSION = PREFIX + "manifest_version"
GROUP = PREFIX + "group"
CONCAT_DIMS = PREFIX + "concat_dims"
CHUNK_COUNT = PREFIX + "chunk_count"
SOURCE_COUNT = PREFIX + "source_count"
SOURCES = PREFIX + "sources"
FINGERPRINT = PREFIX + "fingerprint"

ManifestFormat = Literal["vzarr", "kerchunk-json", "kerchunk-parquet", "icechunk"]


@dataclass(frozen=True, slots=True)
class SourcePrefix:
    """A place a reader must be allowed to open to read the chunks."""

    href: str
    """Prefix of the URLs of the source files, without query or credentials."""
    media_type: str | None = None
    """Media type of the files (field ``type``)."""
    storage_refs: tuple[str, ...] = ()
    """Keys of ``storage:schemes`` that tell how to open them (field ``storage:refs``)."""
    count: int | None = None
    """Number of files."""
    size: int | None = None
    """Size of all files together [bytes]."""

    def to_dict(self) -> dict[str, Any]:
        """Return the Source Object; absent values are left out."""
        fields = {
            "href": self.href,
            "type": self.media_type,
            "storage:refs": list(self.storage_refs) or None,
            "count": self.count,
            "size": self.size,
        }
        return {name: value for name, value in fields.items() if value is not None}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> SourcePrefix:
        """Read a Source Object; unknown fields are ignored."""
        return cls(
            href=fields["href"],
            media_type=fields.get("type"),
            storage_refs=tuple(fields.get("storage:refs", ())),
            count=fields.get("count"),
            size=fields.get("size"),
        )


class VirtualZarrExtension(PropertiesExtension, ExtensionManagementMixin[pystac.Item | pystac.Collection]):
    """The fields of one asset or item asset definition; make it with `ext`.

    Examples
    --------
    >>> asset = pystac.Asset("sst.vzarr")
    >>> VirtualZarrExtension.ext(asset).apply(manifest_format="vzarr", chunk_count=365)
    >>> asset.extra_fields
    {'vzarr:manifest_format': 'vzarr', 'vzarr:chunk_count': 365}
    """

    name: Literal["vzarr"] = "vzarr"

    def __init__(self, obj: pystac.Asset | pystac.ItemAssetDefinition) -> None:
        self.obj = obj
        self.properties = obj.properties if isinstance(obj, pystac.ItemAssetDefinition) else obj.extra_fields

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.obj!r}>"

    @classmethod
    def get_schema_uri(cls) -> str:
        """Return the identifier of the extension."""
        return SCHEMA_URI

    @classmethod
    def ext(cls, obj: pystac.Asset | pystac.ItemAssetDefinition, add_if_missing: bool = False) -> VirtualZarrExtension:
        """Give typed access to the fields of an asset or an item asset definition.

        Parameters
        ----------
        obj : pystac.Asset or pystac.ItemAssetDefinition
        add_if_missing : bool
            Add the extension to the owner's ``stac_extensions``.

        Raises
        ------
        pystac.ExtensionNotImplemented
            If the owner does not list the extension.
        pystac.ExtensionTypeError
            For an item, collection or anything else: the fields belong to assets.
        """
        if not isinstance(obj, pystac.Asset | pystac.ItemAssetDefinition):
            raise pystac.ExtensionTypeError(cls._ext_error_message(obj))
        cls.ensure_owner_has_extension(obj, add_if_missing)
        return VirtualZarrExtension(obj)

    @classmethod
    def summaries(cls, obj: pystac.Collection, add_if_missing: bool = False) -> SummariesVirtualZarrExtension:
        """Give typed access to the fields in a collection's summaries."""
        cls.ensure_has_extension(obj, add_if_missing)
        return SummariesVirtualZarrExtension(obj)

    def apply(
        self,
        manifest_format: ManifestFormat,
        *,
        manifest_version: str | None = None,
        group: str | None = None,
        concat_dims: Iterable[str] | None = None,
        chunk_count: int | None = None,
        source_count: int | None = None,
        sources: Iterable[SourcePrefix] | None = None,
        fingerprint: str | None = None,
    ) -> None:
        """Set every field; ``None`` removes one."""
        self.manifest_format = manifest_format
        self.manifest_version = manifest_version
        self.group = group
        self.concat_dims = None if concat_dims is None else tuple(concat_dims)
        self.chunk_count = chunk_count
        self.source_count = source_count
        self.sources = None if sources is None else tuple(sources)
        self.fingerprint = fingerprint

    @property
    def manifest_format(self) -> ManifestFormat:
        """How the references are written down: the first thing a reader looks at. Required."""
        value = get_required(self._get_property(MANIFEST_FORMAT, str), self, MANIFEST_FORMAT)
        return cast(ManifestFormat, value)

    @manifest_format.setter
    def manifest_format(self, value: ManifestFormat) -> None:
        if value not in get_args(ManifestFormat):
            known = ", ".join(get_args(ManifestFormat))
            raise ValueError(f"{MANIFEST_FORMAT}: {value!r} is none of {known}")
        self._set_property(MANIFEST_FORMAT, value, pop_if_none=False)

    @property
    def manifest_version(self) -> str | None:
        """Version of the manifest format."""
        return self._get_property(MANIFEST_VERSION, str)

    @manifest_version.setter
    def manifest_version(self, value: str | None) -> None:
        self._set_property(MANIFEST_VERSION, value)

    @property
    def group(self) -> str | None:
        """Path of the Zarr group to open inside the store; the root if absent."""
        return self._get_property(GROUP, str)

    @group.setter
    def group(self, value: str | None) -> None:
        self._set_property(GROUP, value)

    @property
    def concat_dims(self) -> tuple[str, ...] | None:
        """Dimensions along which files were joined, outermost first."""
        dims = self._get_property(CONCAT_DIMS, list[str])
        return None if dims is None else tuple(dims)

    @concat_dims.setter
    def concat_dims(self, value: Iterable[str] | None) -> None:
        self._set_property(CONCAT_DIMS, None if value is None else list(value))

    @property
    def chunk_count(self) -> int | None:
        """Number of chunks referenced in source files."""
        return self._get_property(CHUNK_COUNT, int)

    @chunk_count.setter
    def chunk_count(self, value: int | None) -> None:
        self._set_property(CHUNK_COUNT, value)

    @property
    def source_count(self) -> int | None:
        """Number of source files."""
        return self._get_property(SOURCE_COUNT, int)

    @source_count.setter
    def source_count(self, value: int | None) -> None:
        self._set_property(SOURCE_COUNT, value)

    @property
    def sources(self) -> tuple[SourcePrefix, ...] | None:
        """What a reader must be allowed to open."""
        rows = self._get_property(SOURCES, list[dict[str, Any]])
        return None if rows is None else tuple(SourcePrefix.from_dict(row) for row in rows)

    @sources.setter
    def sources(self, value: Iterable[SourcePrefix] | None) -> None:
        self._set_property(SOURCES, None if value is None else list(value))

    @property
    def fingerprint(self) -> str | None:
        """Digest over the sources, ``algorithm:hexadecimal``: differs as soon as a source was changed."""
        return self._get_property(FINGERPRINT, str)

    @fingerprint.setter
    def fingerprint(self, value: str | None) -> None:
        self._set_property(FINGERPRINT, value)


class SummariesVirtualZarrExtension(SummariesExtension):
    """The fields in the summaries of a collection whose items have virtual assets."""

    @property
    def manifest_format(self) -> list[ManifestFormat] | None:
        """Manifest formats that occur."""
        return self.summaries.get_list(MANIFEST_FORMAT)

    @manifest_format.setter
    def manifest_format(self, value: list[ManifestFormat] | None) -> None:
        self._set_summary(MANIFEST_FORMAT, value)

    @property
    def manifest_version(self) -> list[str] | None:
        """Versions of the manifest format that occur."""
        return self.summaries.get_list(MANIFEST_VERSION)

    @manifest_version.setter
    def manifest_version(self, value: list[str] | None) -> None:
        self._set_summary(MANIFEST_VERSION, value)

    @property
    def concat_dims(self) -> list[list[str]] | None:
        """Lists of joined dimensions that occur."""
        return self.summaries.get_list(CONCAT_DIMS)

    @concat_dims.setter
    def concat_dims(self, value: list[list[str]] | None) -> None:
        self._set_summary(CONCAT_DIMS, value)

    @property
    def chunk_count(self) -> pystac.RangeSummary[int] | None:
        """Smallest and largest number of chunks."""
        return self.summaries.get_range(CHUNK_COUNT)

    @chunk_count.setter
    def chunk_count(self, value: pystac.RangeSummary[int] | None) -> None:
        self._set_summary(CHUNK_COUNT, value)

    @property
    def source_count(self) -> pystac.RangeSummary[int] | None:
        """Smallest and largest number of source files."""
        return self.summaries.get_range(SOURCE_COUNT)

    @source_count.setter
    def source_count(self, value: pystac.RangeSummary[int] | None) -> None:
        self._set_summary(SOURCE_COUNT, value)
