"""Which assets of a STAC document are virtual stores, and how to open each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pystac.utils import make_absolute_href

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.errors import StacError

__all__ = ["VirtualAsset", "virtual_asset", "virtual_assets"]

FORMATS = {"vzarr": "vzarr", "kerchunk-json": "kerchunk", "kerchunk-parquet": "kerchunk", "icechunk": "icechunk"}
"""Manifest format -> format to open."""

MEDIA_TYPES = {
    "application/vnd.zarr+icechunk": "icechunk",
    "application/vnd+zarr+icechunk": "icechunk",
    "application/x-icechunk": "icechunk",
    "application/vnd+zarr+kerchunk": "kerchunk",
    "application/vnd.zarr+kerchunk": "kerchunk",
}
"""Media types that say by themselves that an asset is virtual."""

ROLES = frozenset({"virtual", "references", "reference", "kerchunk", "index", "icechunk"})


@dataclass(frozen=True)
class VirtualAsset:
    """A virtual store that a STAC document offers."""

    key: str
    """Key of the asset."""
    href: str
    """Absolute path or URL of the store."""
    format: str
    """Name of the format: ``vzarr``, ``kerchunk`` or ``icechunk``."""
    group: str | None
    """Path of the group in the store."""
    title: str
    """What the asset is called."""

    @property
    def arguments(self) -> JsonObject:
        """Arguments for opening it, beside its href."""
        return {"format": self.format} | ({"group": self.group} if self.group not in (None, "", "/") else {})


def virtual_assets(document: Attrs, base: str | None = None) -> list[VirtualAsset]:
    """Find the virtual assets of an item or collection.

    Parameters
    ----------
    document : mapping
        A STAC item or collection.
    base : str, optional
        Where it was read, which relative hrefs start from.

    Returns
    -------
    list of VirtualAsset
        Those with ``vzarr:manifest_format``; if there are none, those with a telling role; else by media type or suffix.
    """
    assets = [(key, one) for key, one in (document.get("assets") or {}).items() if isinstance(one, Mapping)]
    for rule in (_by_field, _by_role, _by_type):
        found = [_asset(key, one, format_, base) for key, one in assets if (format_ := rule(one)) is not None]
        if found:
            return found
    return []


def virtual_asset(asset: Attrs, href: str) -> VirtualAsset | None:
    """Tell whether one asset is a virtual store, by the same rules."""
    found = virtual_assets({"assets": {"asset": {**asset, "href": href}}})
    return found[0] if found else None


def _by_field(asset: Attrs) -> str | None:
    named = asset.get("vzarr:manifest_format")
    if named is None:
        return None
    if named not in FORMATS:
        raise StacError(f"vzarr:manifest_format is {named!r}; known are {', '.join(FORMATS)}")
    return FORMATS[named]


def _by_role(asset: Attrs) -> str | None:
    if not ROLES & {str(role).lower() for role in asset.get("roles") or ()}:
        return None
    return _by_type(asset) or _loosely(asset)


def _by_type(asset: Attrs) -> str | None:
    media_type = str(asset.get("type") or "").partition(";")[0].strip().lower()
    path = urlsplit(str(asset.get("href", ""))).path.rstrip("/").lower()
    if media_type in MEDIA_TYPES:
        return MEDIA_TYPES[media_type]
    if path.endswith(".vzarr"):
        return "vzarr"
    return "icechunk" if path.endswith(".icechunk") else None


def _loosely(asset: Attrs) -> str | None:
    """Tell the format of an asset whose role says that it is virtual."""
    media_type = str(asset.get("type") or "").partition(";")[0].strip().lower()
    path = urlsplit(str(asset.get("href", ""))).path.rstrip("/").lower()
    if media_type in ("application/json", "application/vnd.apache.parquet") or path.endswith((".json", ".parq", ".parquet")):
        return "kerchunk"
    return "vzarr" if "zarr" in media_type else None


def _asset(key: str, asset: Attrs, format_: str, base: str | None) -> VirtualAsset:
    href = str(asset.get("href", ""))
    return VirtualAsset(
        key=key,
        href=make_absolute_href(href, base) if base is not None else href,
        format=format_,
        group=asset.get("vzarr:group"),
        title=str(asset.get("title") or key),
    )
