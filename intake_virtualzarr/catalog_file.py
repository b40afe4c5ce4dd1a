"""The Intake catalog file that stands beside a store: written as YAML, entries of others kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from intake_virtualzarr.errors import IngestError

__all__ = ["catalog_text", "merged_catalog"]


def catalog_text(document: dict[str, Any]) -> str:
    """A catalog document as YAML."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)


def merged_catalog(
    existing: str | None, name: str, urlpath: str, description: str = "", metadata: dict[str, Any] | None = None
) -> str:
    """A catalog with an entry added or replaced.

    Parameters
    ----------
    existing : str, optional
        Text of the catalog that is there.
    name : str
        Name of the entry.
    urlpath : str
        The store: an absolute URL, or a path relative to the catalog.
    description : str
        One line.
    metadata : dict, optional
        Anything that YAML can hold.

    Raises
    ------
    IngestError
        If the existing text is no Intake catalog.
    """
    document: Any = {"sources": {}} if existing is None else _parsed(existing)
    absolute = "://" in urlpath or urlpath.startswith("/")
    entry: dict[str, Any] = {
        "driver": "virtualzarr",
        "args": {"urlpath": urlpath if absolute else "{{ CATALOG_DIR }}/" + urlpath},
    }
    if description:
        entry = {"description": description, **entry}
    if metadata:
        entry["metadata"] = metadata
    document["sources"][name] = entry
    return catalog_text(document)


def _parsed(text: str) -> dict[str, Any]:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise IngestError(f"catalog.yaml is no YAML: {exc}") from exc
    if not isinstance(document, dict) or not isinstance(document.get("sources"), dict):
        raise IngestError("catalog.yaml is no Intake catalog: it has no 'sources'")
    return document


def existing_text(path: Path) -> str | None:
    """The text of a file, or None if there is none."""
    return path.read_text(encoding="utf-8") if path.exists() else None
