"""Which asset of an item holds the data, and where to read it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from intake_virtualzarr._typing import Attrs
from intake_virtualzarr.errors import StacError

__all__ = ["AssetLike", "MEDIA_TYPES", "SUFFIXES", "choose_assets", "is_grib", "locations"]

type AssetDict = Attrs
type AssetLike = str | Callable[[str, AssetDict], bool] | Sequence[str] | None
"""A key, ``".suffix"``, ``"media/type"`` or role; a predicate of key and asset; several keys; ``None``."""

MEDIA_TYPES = frozenset(
    {
        "application/netcdf",
        "application/x-netcdf",
        "application/x-netcdf4",
        "application/netcdf4",
        "application/x-hdf5",
        "application/x-hdf",
        "application/hdf5",
        "application/hdf",
        "application/x-hdf-eos5",
        "application/fits",
        "image/fits",
    }
)
"""Media types of archive files, as found in catalogs."""

GRIB_TYPES = frozenset(f"application/{name}{edition}" for name in ("wmo-grib", "grib", "x-grib") for edition in ("", "1", "2"))
"""Media types of GRIB, lower case."""

GRIB_SUFFIXES = (".grib", ".grib1", ".grib2", ".grb", ".grb1", ".grb2", ".gb1", ".gb2")

FITS_SUFFIXES = (".fits", ".fit", ".fts", ".fz")

SUFFIXES = (".nc", ".nc4", ".cdf", ".h5", ".hdf5", ".hdf", ".he5", *GRIB_SUFFIXES, *FITS_SUFFIXES)
"""Suffixes of archive files, for assets without a telling media type."""

RASTER_TYPES = frozenset({"image/tiff", "image/geotiff", "application/geotiff", "image/vnd.stac.geotiff"})
"""Media types of rasters, without parameters such as ``profile=cloud-optimized``."""

RASTER_SUFFIXES = (".tif", ".tiff")

VAGUE_TYPES = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/x-binary"})
DATA_ROLES = frozenset({"data", "source"})
OTHER_ROLES = frozenset({"virtual", "references", "thumbnail", "overview", "zarr", "stac-items", "opendap"})
"""Roles that exclude an asset from being a source file."""

PROTOCOLS = ("https", "http", "s3", "gs", "az", "abfs", "abfss", "file", "")
"""Order of preference between twins: https works without an account and a region."""


def choose_assets(
    document: Attrs, asset: AssetLike = None, *, protocols: Sequence[str] | None = None
) -> list[tuple[str, AssetDict, str]]:
    """Choose the source assets of an item.

    Parameters
    ----------
    document : mapping
        An item, or a collection with assets.
    asset : AssetLike
        By default, an asset with the role ``data`` or ``source`` and the media type of an archive file, or
        its suffix where the type says nothing. Assets that are virtual themselves are never chosen.
    protocols : sequence of str, optional
        URL schemes, best first, for assets that are to be had in several places.

    Returns
    -------
    list of (key, asset, href)
        One, unless several keys were asked for. The href is as in the document: perhaps relative.

    Raises
    ------
    StacError
        If none fits, or several do: names the item, the keys and the way out.
    """
    assets: dict[str, AssetDict] = document.get("assets") or {}
    keys = _choose_keys(document, assets, asset)
    wanted = [protocols] if isinstance(protocols, str) else protocols
    return [(key, assets[key], _best_location(document, key, assets, wanted)) for key in keys]


def _choose_keys(document: Attrs, assets: dict[str, AssetDict], asset: AssetLike) -> list[str]:
    if isinstance(asset, Sequence) and not isinstance(asset, str):
        return [_choose_keys(document, assets, key)[0] for key in asset]
    if isinstance(asset, str) and asset in assets:
        return [asset]
    if asset is None:
        found, what = _archive_keys(assets) or _raster_keys(assets), "archive file (netCDF, HDF5, GRIB, GeoTIFF)"
    elif callable(asset):
        found, what = (
            [key for key, one in assets.items() if asset(key, one)],
            "asset that satisfies the predicate",
        )
    else:
        found, what = _matching_keys(assets, asset), f"asset {asset!r} (key, role, media type or suffix)"
    found = _without_twins(found, assets)
    if not found:
        raise StacError(f"{_name(document)}: no {what} among its assets: {_listing(assets)}{_hint(assets)}")
    if len(found) > 1:
        raise StacError(
            f"{_name(document)}: {len(found)} assets could be meant: {', '.join(map(repr, found[:12]))}"
            f"{', …' if len(found) > 12 else ''}; choose with asset={found[0]!r}, or a list to take several"
        )
    return found


def _archive_keys(assets: dict[str, AssetDict]) -> list[str]:
    found = [key for key, one in assets.items() if is_archive(key, one)]
    preferred = [key for key in found if _roles(assets[key]) & DATA_ROLES]
    return preferred or found


def _raster_keys(assets: dict[str, AssetDict]) -> list[str]:
    """Rasters with the role of data; beside archive files they would be pictures of these."""
    found = [key for key, one in assets.items() if _roles(one) & DATA_ROLES and not _roles(one) & OTHER_ROLES]
    return [key for key in found if _media_type(assets[key]) in RASTER_TYPES or _path(_href(assets[key])).endswith(RASTER_SUFFIXES)]


def is_archive(key: str, asset: AssetDict) -> bool:
    """Tell whether an asset is an archive file by its media type, or else by its suffix."""
    href = _href(asset)
    if _roles(asset) & OTHER_ROLES or "opendap" in key.lower() or _path(href).endswith("/"):
        return False
    media_type = _media_type(asset)
    if media_type in VAGUE_TYPES:
        return _path(href).endswith(SUFFIXES)
    return media_type in MEDIA_TYPES or media_type in GRIB_TYPES


def is_grib(href: str, media_type: str | None) -> bool:
    """Tell whether a file is of GRIB by its media type, or else by its suffix."""
    kind = (media_type or "").partition(";")[0].strip().lower()
    return kind in GRIB_TYPES or (kind in VAGUE_TYPES and _path(href).endswith(GRIB_SUFFIXES))


def _matching_keys(assets: dict[str, AssetDict], wanted: str) -> list[str]:
    if wanted.startswith("."):
        return [key for key, one in assets.items() if _path(_href(one)).endswith(wanted.lower())]
    if "/" in wanted:
        return [key for key, one in assets.items() if _media_type(one) == wanted.partition(";")[0].strip().lower()]
    return [key for key, one in assets.items() if wanted in _roles(one)]


def _without_twins(keys: Sequence[str], assets: dict[str, AssetDict]) -> list[str]:
    """Keep one of the assets that are one file in several places (CMR: ``data`` and ``s3_data``)."""
    kept: list[str] = []
    best_first = sorted(keys, key=lambda key: _rank(_href(assets[key]), PROTOCOLS))
    for key in best_first:
        if not set(_twins(key, assets)) & set(kept):
            kept.append(key)
    return sorted(kept, key=keys.index)


def _twins(key: str, assets: Mapping[str, AssetDict]) -> list[str]:
    href = _href(assets[key])
    return [
        other
        for other, asset in assets.items()
        if other != key
        and _scheme(_href(asset)) != _scheme(href)
        and (_file_name(_href(asset)) == _file_name(href) or other == f"s3_{key}" or key == f"s3_{other}")
    ]


def locations(key: str, assets: Mapping[str, AssetDict]) -> list[str]:
    """List the hrefs where an asset's file is to be had, its own first.

    Twins are the entries of the ``alternate`` extension, CMR's keys with ``s3_`` before them, and assets with
    the same file name under another protocol.
    """
    asset = assets[key]
    hrefs = [str(asset["href"])]
    alternates = asset.get("alternate")
    if isinstance(alternates, Mapping):
        hrefs += [one["href"] for one in alternates.values() if isinstance(one, Mapping) and "href" in one]
    hrefs += [_href(assets[twin]) for twin in _twins(key, assets)]
    return list(dict.fromkeys(hrefs))


def _best_location(document: Attrs, key: str, assets: dict[str, AssetDict], protocols: Sequence[str] | None) -> str:
    if not isinstance(assets[key].get("href"), str):
        raise StacError(f"{_name(document)}: asset {key!r} has no href")
    hrefs = locations(key, assets)
    if protocols is None:
        return hrefs[0]
    best = min(hrefs, key=lambda href: _rank(href, protocols))
    if _rank(best, protocols) == len(protocols):
        schemes = ", ".join(sorted({_scheme(href) or "a path" for href in hrefs}))
        raise StacError(f"{_name(document)}: asset {key!r} is not to be had over {' or '.join(protocols)}, only over {schemes}")
    return best


def _rank(href: str, protocols: Sequence[str]) -> int:
    scheme = _scheme(href)
    return protocols.index(scheme) if scheme in protocols else len(protocols)


def _scheme(href: str) -> str:
    return href.partition("://")[0].lower() if "://" in href else ""


def _href(asset: AssetDict) -> str:
    return str(asset.get("href") or "")


def _file_name(href: str) -> str:
    return _path(href).rsplit("/", 1)[-1]


def _path(href: str) -> str:
    return urlsplit(href).path.lower()


def _media_type(asset: AssetDict) -> str:
    return str(asset.get("type") or "").partition(";")[0].strip().lower()


def _roles(asset: AssetDict) -> set[str]:
    roles: Iterable[object] = asset.get("roles") or ()
    return {str(role).lower() for role in roles}


def _name(document: Attrs) -> str:
    kind = "collection" if document.get("type") == "Collection" else "item"
    return f"{kind} {document.get('id')!r}"


def _listing(assets: Mapping[str, AssetDict]) -> str:
    rows = [f"{key!r} ({one.get('type') or 'no type'})" for key, one in list(assets.items())[:12]]
    more = f", and {len(assets) - 12} more" if len(assets) > 12 else ""
    return (", ".join(rows) or "it has none") + more


def _hint(assets: Mapping[str, AssetDict]) -> str:
    virtual = [key for key, one in assets.items() if _roles(one) & {"virtual", "references"}]
    if virtual:
        return f"; {virtual[0]!r} is virtual already: open it instead of ingesting it"
    return ""
