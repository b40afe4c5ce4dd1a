"""JSON that came from elsewhere: parsed within bounds, its values typed, and every error names the document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.errors import FormatError, VirtualZarrError
from intake_virtualzarr.storage.limits import MAX_DOCUMENT, MAX_JSON_DEPTH

__all__ = ["DAMAGE", "as_list", "as_object", "as_text", "as_whole", "parse_json", "parse_object"]

DAMAGE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, MemoryError)
"""What Python raises where a document has another shape than its reader expects, or claims sizes that cannot be."""
WALKED = 8 * 1024 * 1024
"""Documents up to this size are walked to find how deep they are; in longer ones too deep a branch ends in `RecursionError`,
which their readers take for damage [bytes]."""


def parse_json(raw: bytes | bytearray | memoryview | str, where: str, error: type[VirtualZarrError] = FormatError) -> Any:
    """Parse JSON.

    Parameters
    ----------
    raw : bytes or str
        The document.
    where : str
        Its URL or path, for messages.
    error : type
        What is raised.

    Raises
    ------
    VirtualZarrError
        If it is not JSON, longer than `MAX_DOCUMENT` or nested deeper than `MAX_JSON_DEPTH`.
    """
    text = bytes(raw) if isinstance(raw, memoryview) else raw
    if len(text) > MAX_DOCUMENT:
        raise error(f"{where}: has {len(text)} bytes; documents of at most {MAX_DOCUMENT} are read")
    try:
        document = json.loads(text)
        deep = len(text) <= WALKED and _is_deep(document)
    except ValueError as exc:
        raise error(f"{where}: is not valid JSON: {exc}") from exc
    except (RecursionError, MemoryError) as exc:
        raise error(f"{where}: is JSON that cannot be parsed: {type(exc).__name__}: {exc}") from exc
    if deep:
        raise error(f"{where}: has brackets nested deeper than {MAX_JSON_DEPTH}")
    return document


def _is_deep(document: object) -> bool:
    level: list[Any] = [document]
    for _ in range(MAX_JSON_DEPTH + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def parse_object(raw: bytes | bytearray | memoryview | str, where: str, error: type[VirtualZarrError] = FormatError) -> JsonObject:
    """Parse a JSON object; raises as `parse_json`, and if it is anything else."""
    return as_object(parse_json(raw, where, error), where, error)


def _kind(value: object) -> str:
    return {dict: "an object", list: "a list", str: "text", bool: "a truth value", type(None): "null"}.get(type(value), "a number")


def as_object(value: Any, what: str, error: type[VirtualZarrError] = FormatError) -> JsonObject:
    """A value that is to be an object."""
    if not isinstance(value, Mapping):
        raise error(f"{what}: is {_kind(value)}, expected an object")
    return value if isinstance(value, dict) else dict(value)


def as_list(value: Any, what: str, error: type[VirtualZarrError] = FormatError, most: int | None = None) -> list[Any]:
    """A value that is to be a list, of at most so many entries."""
    if not isinstance(value, list | tuple):
        raise error(f"{what}: is {_kind(value)}, expected a list")
    if most is not None and len(value) > most:
        raise error(f"{what}: has {len(value)} entries; at most {most} are read")
    return list(value)


def as_text(value: Any, what: str, error: type[VirtualZarrError] = FormatError) -> str:
    """A value that is to be text."""
    if not isinstance(value, str):
        raise error(f"{what}: is {_kind(value)}, expected text")
    return value


def as_whole(value: Any, what: str, error: type[VirtualZarrError] = FormatError, *, least: int = 0, most: int = 2**63 - 1) -> int:
    """A value that is to be a whole number between bounds."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise error(f"{what}: is {str(value)[:80]!r}, expected a whole number")
    if not least <= value <= most:
        raise error(f"{what}: is {value if abs(value) < 2**64 else 'a number beyond 64 bits'}, expected {least} to {most}")
    return value
