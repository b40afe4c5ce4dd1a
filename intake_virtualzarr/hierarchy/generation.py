"""Generations: what one writer publishes lies under a name that no other writer has, and is never changed.

The root document names what counts, and says in an attribute which generation it belongs to and which ones it left behind.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.hierarchy.attributes import STORE_RECORD

__all__ = [
    "BEFORE",
    "GENERATIONS",
    "RootRecord",
    "generation_of",
    "generation_time",
    "is_generation",
    "named_generations",
    "new_generation",
    "now_text",
    "still_retired",
]

GENERATIONS = "generations"
"""The directory of a store below which everything lies that is never changed."""
BEFORE = "before-0.2"
"""Stands for what a store held outside of generations: objects of format 0.1, or of another library."""

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no letter looks like a digit
TIME_DIGITS, RANDOM_DIGITS = 7, 13
NAMED = re.compile(rb"generations/([0-9a-hjkmnp-tv-z]{20})(?=/)")
ID = re.compile(r"[0-9a-hjkmnp-tv-z]{20}")
FORGOTTEN = timedelta(days=60)
"""A generation that was left behind this long ago needs no record: its age tells enough."""


def new_generation() -> str:
    """A name that nobody else draws: seven digits of the time [s since 1970], so that names sort, and 65 random bits."""
    seconds = int(time.time())
    head = "".join(ALPHABET[seconds >> 5 * place & 31] for place in reversed(range(TIME_DIGITS)))
    return head + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_DIGITS))


def is_generation(name: str) -> bool:
    """Whether a name is one that `new_generation` gives."""
    return ID.fullmatch(name) is not None


def generation_time(name: str) -> datetime:
    """When a generation was begun."""
    seconds = 0
    for digit in name[:TIME_DIGITS]:
        seconds = seconds << 5 | ALPHABET.index(digit)
    return datetime.fromtimestamp(seconds, UTC)


def generation_of(key: str) -> str | None:
    """The generation that a key belongs to."""
    parts = key.split("/", 2)
    return parts[1] if len(parts) == 3 and parts[0] == GENERATIONS and is_generation(parts[1]) else None


def named_generations(raw: bytes) -> set[str]:
    """The generations that a document names."""
    return {found.decode() for found in NAMED.findall(raw)}


@dataclass(frozen=True)
class RootRecord:
    """What a root document says of itself, in the attribute `STORE_RECORD`."""

    generation: str
    """The generation that was published with it."""
    written: str
    """When, RFC 3339 in UTC."""
    kept: tuple[str, ...] = ()
    """Generations that only documents below others name, and `BEFORE` if they name what is older than generations."""
    retired: dict[str, str] = field(default_factory=dict)
    """Generations that roots before this one named and this one does not, each with the time at which it ceased to."""
    made_from: str | None = None
    """Digest of the sources of an ingest."""

    @classmethod
    def of(cls, root: Attrs) -> RootRecord | None:
        """Read a root document; None if it was not written in generations."""
        attributes = root.get("attributes")
        found = attributes.get(STORE_RECORD) if isinstance(attributes, dict) else None
        if not isinstance(found, dict) or not isinstance(found.get("generation"), str):
            return None
        told, given_up = found.get("kept"), found.get("retired")
        kept = tuple(str(name) for name in told) if isinstance(told, list) else ()
        retired = {str(name): str(when) for name, when in given_up.items()} if isinstance(given_up, dict) else {}
        return cls(found["generation"], str(found.get("written", "")), kept, retired, found.get("made_from"))

    @classmethod
    def read(cls, raw: bytes | None) -> RootRecord | None:
        """The record of a root as it lies in a store; None if there is none, or the root is damaged."""
        try:
            root = json.loads(raw or b"null")
        except (ValueError, RecursionError, MemoryError):
            return None
        return cls.of(root) if isinstance(root, dict) else None

    def to_json(self) -> JsonObject:
        """The attribute."""
        out: JsonObject = {"version": "0.2", "generation": self.generation, "written": self.written}
        if self.kept:
            out["kept"] = sorted(self.kept)
        if self.retired:
            out["retired"] = self.retired
        if self.made_from is not None:
            out["made_from"] = self.made_from
        return out

    @property
    def shown(self) -> str:
        """For messages."""
        return f"generation {self.generation} of {self.written}"


def now_text() -> str:
    """The time, as it is recorded."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def still_retired(retired: dict[str, str], gone: set[str], back: set[str]) -> dict[str, str]:
    """The record of what was left behind, with what is left behind now."""
    limit = (datetime.now(UTC) - FORGOTTEN).isoformat()
    kept = {name: when for name, when in retired.items() if when > limit and name not in back}
    return {**kept, **{name: now_text() for name in sorted(gone) if name not in kept}}
