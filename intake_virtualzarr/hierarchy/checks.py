"""Length and checksum of objects, as the documents that name them record them."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import overload

import google_crc32c

from intake_virtualzarr.errors import HierarchyError

__all__ = ["Check", "Checks", "checks_from_text", "checks_to_text"]

FORM = struct.Struct("<II")


@dataclass(frozen=True, slots=True)
class Check:
    """What an object holds, told in eight bytes."""

    size: int
    """Its length [bytes]; 0 stands for an object that is not stored."""
    crc32c: int
    """Its checksum (Castagnoli)."""

    @classmethod
    def of(cls, value: bytes) -> Check:
        """Of bytes."""
        return cls(len(value), google_crc32c.value(value))

    @property
    def text(self) -> str:
        """As it stands in documents."""
        return checks_to_text((self,))

    def problem(self, value: bytes) -> str | None:
        """What is wrong with bytes that should be these; None if nothing is."""
        if len(value) != self.size:
            return f"holds {len(value)} bytes, expected {self.size}"
        return None if google_crc32c.value(value) == self.crc32c else "holds other bytes than were written (its checksum differs)"


@dataclass(frozen=True, slots=True)
class Checks(Sequence[Check]):
    """The checks of many objects: each is made when it is asked for, since a reader needs a few of many thousands."""

    raw: bytes
    """Eight bytes for each."""

    def __len__(self) -> int:
        return len(self.raw) // FORM.size

    @overload
    def __getitem__(self, number: int) -> Check: ...

    @overload
    def __getitem__(self, number: slice) -> tuple[Check, ...]: ...

    def __getitem__(self, number: int | slice) -> Check | tuple[Check, ...]:
        if isinstance(number, slice):
            return tuple(self[one] for one in range(*number.indices(len(self))))
        if not -len(self) <= number < len(self):
            raise IndexError(f"check {number} of {len(self)}")
        return Check(*FORM.unpack_from(self.raw, number % len(self) * FORM.size))


def checks_to_text(checks: Iterable[Check]) -> str:
    """Eight bytes for each, little-endian, in base64."""
    return base64.standard_b64encode(b"".join(FORM.pack(one.size, one.crc32c) for one in checks)).decode()


def checks_from_text(text: object) -> Checks:
    """Read what `checks_to_text` gives.

    Raises
    ------
    HierarchyError
        If it is something else.
    """
    try:
        raw = base64.b64decode(text, validate=True)  # type: ignore[arg-type]
        if len(raw) % FORM.size:
            raise ValueError(f"{len(raw)} bytes")
        return Checks(raw)
    except (TypeError, ValueError, binascii.Error) as exc:
        raise HierarchyError(f"checks {str(text)[:40]!r} are no base64 of eight bytes each: {exc}") from exc
