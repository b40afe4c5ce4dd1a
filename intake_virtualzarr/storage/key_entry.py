"""What is told of a key: what it held, and how it stands in a listing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from intake_virtualzarr._typing import JsonObject

__all__ = ["KeyEntry", "Seen"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a key held when it was looked at."""

    value: bytes | None
    """Its bytes; None if there was no such key."""
    tag: JsonObject | None = None
    """What an object store calls this state of the object: its ETag, and its version where there are versions."""


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A key in a listing."""

    key: str
    """The key, from the root."""
    size: int
    """Its length [bytes]."""
    modified: datetime | None
    """When it was written; None where the store does not say."""
    etag: str | None = None
    """What the store calls this state of it; None where it does not say."""
