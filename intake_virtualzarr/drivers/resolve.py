"""From what a user names to stores: the store itself, or the entries of a catalog."""

from __future__ import annotations

from typing import Any

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.errors import CatalogError, VirtualZarrError
from intake_virtualzarr.formats.kerchunk_json import FORMAT
from intake_virtualzarr.storage.readers import Access, open_reader
from intake_virtualzarr.storage.urls import absolute_url

__all__ = ["stores_of"]


def stores_of(target: str, options: Any = None) -> list[tuple[str, str, JsonObject]]:
    """Find the stores that a path or URL names.

    Parameters
    ----------
    target : str
        A store or archive file; an Intake catalog (``.yaml``); a STAC document (``.json``).
    options : mapping, optional
        Options for opening, by URL prefix.

    Returns
    -------
    list of (name, url, arguments)
        Arguments are ``format`` and ``group`` where the catalog tells them.
    """
    path = target.rstrip("/").lower()
    stac = _is_stac(target, options)
    if not path.endswith((".yaml", ".yml")) and not stac:
        return [("", target, {})]
    import intake
    from intake.catalog.exceptions import CatalogException, ValidationError

    from intake_virtualzarr.drivers.intake1_source import VirtualZarrSource
    from intake_virtualzarr.drivers.stac_catalog import VirtualZarrStacCatalog

    try:
        catalog = VirtualZarrStacCatalog(target, storage_options=options) if stac else intake.open_catalog(target)
    except OSError as exc:
        if isinstance(exc, VirtualZarrError):
            raise
        raise CatalogError(f"{target}: no such catalog, or it cannot be read") from exc
    except (CatalogException, ValidationError) as exc:
        raise CatalogError(f"{target}: is not an Intake catalog: {exc}") from exc
    asked = Access.of(options).asked_by(absolute_url(target))
    found = []
    for name in catalog:
        source = catalog[name]
        if isinstance(source, VirtualZarrSource):
            arguments = source.reader.kwargs
            asked.check(absolute_url(source.plain_urlpath))
            found.append((name, source.plain_urlpath, {key: arguments[key] for key in ("format", "group") if arguments.get(key)}))
    return found


def _is_stac(target: str, options: Any) -> bool:
    """Whether it is a JSON document, but no kerchunk references. What cannot be read is left to what opens it."""
    if not target.lower().endswith((".json", ".geojson")):
        return False
    try:
        _, head = open_reader(target, Access.of(options)).head(8 * 1024)
    except VirtualZarrError:
        return True
    return not FORMAT.sniff(head)
