"""The checksum of a root document, which stands in the root itself: all else is checked against what the root says."""

from __future__ import annotations

import re

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.errors import HierarchyError
from intake_virtualzarr.hierarchy.attributes import STORE_RECORD
from intake_virtualzarr.hierarchy.checks import Check, checks_from_text
from intake_virtualzarr.hierarchy.documents import dump
from intake_virtualzarr.storage.parsing import parse_object

__all__ = ["read_root", "sealed"]

FIELD = "check"
SPACE = re.compile(rb'("(?:[^"\\]|\\.)*")|[ \t\r\n]+')
"""Text, which is kept, or space between tokens."""
PLACE = re.compile(rb'"(url|base)":"(?:[^"\\]|\\.)*"')
"""Where files are: who moves an archive may edit it, and what lies there is compared with what was scanned."""


def sealed(root: Attrs) -> bytes:
    """A root with a record, as it lies in the store: length and checksum of it stand in the record."""
    empty = _with_field(root, "")
    return dump(_with_field(root, Check.of(_without_places(dump(empty))).text))


def _with_field(root: Attrs, text: str) -> JsonObject:
    attributes = root["attributes"]
    return {**root, "attributes": {**attributes, STORE_RECORD: {**attributes[STORE_RECORD], FIELD: text}}}


def read_root(raw: bytes, label: str) -> JsonObject:
    """Parse a root, and look whether it is as it was written, if it says how that was.

    Raises
    ------
    HierarchyError
        If it is no JSON object, or another one than was written. Space between tokens and places of files do not count.
    """
    document = parse_object(raw, label, HierarchyError)
    attributes = document.get("attributes")
    record = attributes.get(STORE_RECORD) if isinstance(attributes, dict) else None
    text = record.get(FIELD) if isinstance(record, dict) else None
    if text is None:
        return document
    if not (_fits(raw, text) or _fits(SPACE.sub(rb"\1", raw), text)):
        raise HierarchyError(
            f"{label}: is not as it was written (its checksum differs): it is damaged, or was changed by another program; copy it "
            f"again, or write the store again. If it was changed on purpose, remove {FIELD!r} from its attribute {STORE_RECORD!r}"
        )
    return document


def _fits(raw: bytes, text: object) -> bool:
    found = checks_from_text(text)
    field = f'"{FIELD}":"{text}"'.encode()
    value = _without_places(raw.replace(field, f'"{FIELD}":""'.encode(), 1))
    return len(found) == 1 and found[0].problem(value) is None


def _without_places(raw: bytes) -> bytes:
    return PLACE.sub(rb'"\1":""', raw)
