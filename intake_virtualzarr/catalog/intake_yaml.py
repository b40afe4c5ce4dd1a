"""The Intake catalog file that stands beside a store: YAML, written without importing Intake, entries of others kept."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.errors import CatalogError
from intake_virtualzarr.stac.signing import strip_signature
from intake_virtualzarr.storage.atomic_write import write_if_changed
from intake_virtualzarr.storage.url_secrets import strip_signed

__all__ = ["CatalogEntry", "catalog_yaml", "existing_text", "literal", "merged_catalog", "write_catalog"]

CATALOG_DIR = "{{ CATALOG_DIR }}"
"""What Intake replaces by the directory of the catalog file."""

TEMPLATE_START = re.compile(r"\{[{%#]")


@dataclass(frozen=True)
class CatalogEntry:
    """One entry of a catalog file."""

    store_href: str
    """Path or URL of the store; a relative one starts from the directory of the catalog file."""
    description: str = ""
    """One line."""
    metadata: Attrs = field(default_factory=dict)
    """What else there is to say; values that YAML can hold."""
    args: Attrs = field(default_factory=dict)
    """Further arguments of the driver, e.g. ``group``."""
    driver: str = "virtualzarr"
    """Name of the Intake driver."""

    def source(self) -> JsonObject:
        """Return the entry as it stands in the file.

        Notes
        -----
        Intake renders every string of an entry as a Jinja template, also in its metadata, so braces that come from files
        are written as templates of themselves. No parameters are declared: Intake drops a declared parameter that
        no template uses, without a word, while undeclared ones reach the driver.
        """
        args = {"urlpath": _urlpath(self.store_href), **literal(dict(self.args))}
        source: JsonObject = {"description": self.description} if self.description else {}
        source |= {"driver": self.driver, "args": args}
        return {**source, "metadata": literal(dict(self.metadata))} if self.metadata else source


def catalog_yaml(entries: Mapping[str, CatalogEntry], metadata: Attrs | None = None) -> str:
    """Write a catalog of several entries.

    Parameters
    ----------
    entries : mapping of str to CatalogEntry
        By name.
    metadata : mapping, optional
        Of the catalog.

    Returns
    -------
    str
        YAML of an Intake catalog, version 1: both Intake 1 and Intake 2 read it.
    """
    sources = {name: entry.source() for name, entry in entries.items()}
    return _dump({"metadata": {"version": 1, **(metadata or {})}, "sources": sources})


def merged_catalog(
    existing: str | None,
    name: str,
    store_href: str,
    description: str = "",
    metadata: Attrs | None = None,
    *,
    args: Attrs | None = None,
    where: str = "catalog.yaml",
) -> str:
    """Add an entry to the text of a catalog, or bring it up to date; other entries stay as they are.

    Parameters
    ----------
    existing : str, optional
        Text of the catalog that is there.
    name : str
        Name of the entry.
    store_href : str
        Path or URL of the store; a relative one starts from the directory of the catalog file.
    description : str
        One line.
    metadata : mapping, optional
        What else there is to say; values that YAML can hold.
    args : mapping, optional
        Further arguments of the driver, e.g. ``group``.
    where : str
        Name of the file, for messages.

    Returns
    -------
    str
        ``existing`` itself, comments included, if the entry is there and the same.

    Raises
    ------
    CatalogError
        If the existing text is not a catalog of this kind.
    """
    entry = CatalogEntry(store_href, description, metadata or {}, args or {}).source()
    document = _parsed(existing, where)
    if existing is not None and document["sources"].get(name) == entry:
        return existing
    return _dump({**document, "sources": {**document["sources"], name: entry}})


def write_catalog(
    path: str | os.PathLike[str],
    name: str,
    store_href: str,
    description: str = "",
    metadata: Attrs | None = None,
    **args: Any,
) -> bool:
    """Add an entry to a catalog file, see `merged_catalog`.

    Returns
    -------
    bool
        Whether the file was written: ``False`` if the entry was there and the same.
    """
    path = Path(path)
    text = merged_catalog(existing_text(path), name, store_href, description, metadata, args=args, where=str(path))
    return write_if_changed(path, text.encode())


def existing_text(path: Path) -> str | None:
    """Return the text of a file, or ``None`` if there is none."""
    return path.read_text(encoding="utf-8") if path.exists() else None


def _parsed(text: str | None, where: str) -> JsonObject:
    try:
        document = yaml.safe_load(text) if text is not None else None
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        raise CatalogError(f"{where}: is not valid YAML, so no entry is added to it: {exc}") from exc
    if document is None:
        return {"metadata": {"version": 1}, "sources": {}}
    if not isinstance(document, dict) or not isinstance(document.get("sources", {}), dict | None):
        raise CatalogError(f"{where}: is not an Intake catalog (it has no 'sources'), so no entry is added to it")
    if not isinstance(document.get("metadata") or {}, dict):
        raise CatalogError(f"{where}: is not an Intake catalog ('metadata' is not an object), so no entry is added to it")
    version = document.get("version") or (document.get("metadata") or {}).get("version") or 1
    if version != 1:
        raise CatalogError(
            f"{where}: is an Intake catalog of version {version}, and entries are added to version 1; name another file"
        )
    return {**document, "sources": document.get("sources") or {}}


def _urlpath(store_href: str) -> str:
    """Put the template of the catalog's directory before a relative href."""
    if strip_signed(store_href) != store_href:
        raise CatalogError(f"the store's URL {strip_signature(store_href)} holds credentials; pass it without them")
    text = str(literal(store_href))
    if "://" in store_href or "::" in store_href or os.path.isabs(store_href):
        return text
    return f"{CATALOG_DIR}/{text.removeprefix('./')}"


def literal(value: Any) -> Any:
    """Escape what Jinja would take for a template."""
    if isinstance(value, str):
        return TEMPLATE_START.sub(lambda found: f"{{{{ '{found.group()}' }}}}", value)
    if isinstance(value, Mapping):
        return {str(key): literal(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [literal(one) for one in value]
    if value is None or isinstance(value, bool | int | float | dt.date):
        return value
    return value.tolist() if hasattr(value, "tolist") else literal(str(value))


def _dump(document: Attrs) -> str:
    return str(yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=100))
