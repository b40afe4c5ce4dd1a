"""What a parser has looked at, object by object: what it found is a function of these bytes, and of nothing else."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from intake_virtualzarr.storage.reader import ByteRange

__all__ = ["Leaf", "Trace"]


class Leaf(NamedTuple):
    """The only node of a chunk B-tree."""

    node: bytes
    """All of it."""
    head: int
    """Where its entries begin [bytes]."""
    entry: np.dtype[np.void]
    """Layout of an entry."""


class Trace:
    """The bytes that tell one object."""

    __slots__ = ("address", "layout", "leaf", "links", "ranges")

    def __init__(self, address: int) -> None:
        self.address = address
        """Address of the object header."""
        self.ranges: list[ByteRange] = []
        """Places in the file that were looked at, but for the chunk B-tree."""
        self.leaf: Leaf | None = None
        """The chunk B-tree of a dataset, if it has no other node."""
        self.layout = b""
        """Layout message of a dataset with such a B-tree."""
        self.links: object = None
        """Links of a group, as its reader gives them."""
