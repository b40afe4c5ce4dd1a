"""What all tasks of one parse share: sizes, limits, memory, results."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from intake_virtualzarr.errors import UnsupportedError
from intake_virtualzarr.formats.hdf5.tasks import Memory, Task

__all__ = ["DeclinedError", "State"]


class DeclinedError(UnsupportedError):
    """The parser leaves a file to HDF5's own library."""


@dataclass(slots=True, eq=False)
class State:
    """One parse."""

    url: str
    """URL of the file, for messages and to find files beside it."""
    memory: Memory
    """Bytes read so far."""
    offset_size: int = 8
    """Size of an address [bytes]."""
    length_size: int = 8
    """Size of a length [bytes]."""
    undefined: int = 0xFFFFFFFFFFFFFFFF
    """The address that means "nowhere"."""
    chunk_k: int = 32
    """Half the number of children of a node of a chunk B-tree (version 1)."""
    group_leaf_k: int = 4
    """Half the number of entries of a symbol table node."""
    group_k: int = 16
    """Half the number of children of a node of a group B-tree."""
    shared_heaps: dict[int, int] = field(default_factory=dict)
    """Message type -> address of the fractal heap of shared messages of that type."""
    ready: list[Task[None]] = field(default_factory=list)
    """Tasks to run."""
    collections: dict[int, dict[int, bytes]] = field(default_factory=dict)
    """Global heap collections by address."""
    extents: dict[int, int] = field(default_factory=dict)
    """Their sizes [bytes]."""
    heaps: dict[int, Any] = field(default_factory=dict)
    """Fractal heap headers by address."""
    objects: int = 0
    """Paths visited."""

    def address(self, buf: bytes, pos: int) -> int:
        """The address at a position."""
        return int.from_bytes(buf[pos : pos + self.offset_size], "little")

    def length(self, buf: bytes, pos: int) -> int:
        """The length at a position."""
        return int.from_bytes(buf[pos : pos + self.length_size], "little")
