"""Whether a STAC document has the shape that its readers rely on: objects, lists and text where they are to be."""

from __future__ import annotations

from math import isfinite
from typing import Any

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.errors import StacError
from intake_virtualzarr.storage.parsing import as_list, as_object, as_text

__all__ = ["checked_collections", "checked_document", "checked_features"]

OBJECTS = ("properties", "assets", "extent", "summaries", "cube:dimensions", "cube:variables")
LISTS = ("links", "features", "keywords", "providers", "stac_extensions")
TEXTS = ("type", "title", "description", "license")


def checked_document(document: Any, where: str) -> JsonObject:
    """The document, if it has the shape of one.

    Parameters
    ----------
    document : object
        Parsed JSON: an item, collection, catalog or feature collection. Members that are absent or null are not looked at.
    where : str
        Its path or URL, for messages.

    Raises
    ------
    StacError
        If a member is of another kind than STAC says.
    """
    found = as_object(document, f"{where}: the document", StacError)
    identifier = found.get("id")
    label = f"{where}: {found.get('type') or 'document'} {identifier!r}" if isinstance(identifier, str) else where
    if isinstance(identifier, dict | list):
        raise StacError(f"{where}: id is {str(identifier)[:80]}, expected text")
    for names, check in ((OBJECTS, as_object), (LISTS, as_list), (TEXTS, as_text)):
        for name in names:
            if found.get(name) is not None:
                check(found[name], f"{label}: {name}", StacError)
    _check_collection(found, label)
    for link in found.get("links") or ():
        as_text(as_object(link, f"{label}: a link", StacError).get("href", ""), f"{label}: href of a link", StacError)
        as_text(link.get("rel") or "", f"{label}: rel of a link", StacError)
    for key, asset in (found.get("assets") or {}).items():
        _check_asset(asset, f"{label}: asset {key!r}")
    if found.get("bbox") is not None:
        _check_box(found["bbox"], f"{label}: bbox")
    for name, variable in _variables(found, label).items():
        as_object(variable, f"{label}: cube:variables: {name}", StacError)
    return found


def checked_features(page: Any, where: str) -> list[JsonObject]:
    """The items of a feature collection."""
    return [checked_document(one, where) for one in checked_document(page, where).get("features") or ()]


def checked_collections(page: Any, where: str) -> list[JsonObject]:
    """The collections of an API."""
    listed = as_list(as_object(page, where, StacError).get("collections") or [], f"{where}: collections", StacError)
    return [checked_document(one, where) for one in listed]


def _variables(found: JsonObject, label: str) -> JsonObject:
    """The variables of a data cube, which collections have themselves and items among their properties."""
    held = found.get("cube:variables") or (found.get("properties") or {}).get("cube:variables") or {}
    return as_object(held, f"{label}: cube:variables", StacError)


def _check_collection(found: JsonObject, label: str) -> None:
    """``collection`` names one; ``extent`` says where and when."""
    if found.get("collection") is not None:
        as_text(found["collection"], f"{label}: collection", StacError)
    extent = found.get("extent") or {}
    for part, entry in (("spatial", "bbox"), ("temporal", "interval")):
        if extent.get(part) is None:
            continue
        what = f"{label}: extent: {part}"
        rows = as_list(as_object(extent[part], what, StacError).get(entry) or [], f"{what}: {entry}", StacError)
        for row in rows:
            if part == "spatial":
                _check_box(row, f"{what}: {entry}")
            elif len(as_list(row, f"{what}: {entry}", StacError)) != 2:
                raise StacError(f"{what}: {entry} has {len(row)} times, expected a first and a last")


def _check_asset(asset: Any, label: str) -> None:
    as_object(asset, label, StacError)
    for name in ("href", "type", "title", "description"):
        if asset.get(name) is not None:
            as_text(asset[name], f"{label}: {name}", StacError)
    as_list(asset.get("roles") or [], f"{label}: roles", StacError)
    alternates = as_object(asset.get("alternate") or {}, f"{label}: alternate", StacError)
    for name, one in alternates.items():
        as_text(
            as_object(one, f"{label}: alternate {name!r}", StacError).get("href", ""), f"{label}: alternate {name!r}", StacError
        )


def _check_box(box: Any, label: str) -> None:
    numbers = as_list(box, label, StacError)
    if len(numbers) not in (0, 4, 6) or not all(type(n) in (int, float) and isfinite(n) for n in numbers):
        raise StacError(f"{label} is {str(box)[:80]}, expected 4 or 6 numbers")
