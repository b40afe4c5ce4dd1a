"""Groups of virtual variables: what archives, our stores, kerchunk references and Icechunk repositories all open to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from intake_virtualzarr._typing import AnyArray, Attrs
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.errors import GroupNotFoundError

__all__ = ["VirtualGroup", "VirtualTree", "VirtualVariable"]


@dataclass(frozen=True, eq=False)
class VirtualVariable:
    """One variable of a group: undecoded."""

    dims: tuple[str, ...]
    """Names of the dimensions."""
    data: VirtualZarrArray | AnyArray
    """Values, virtual or (what is kept whole in a store) in memory."""
    attrs: Attrs
    """Attributes."""
    values: AnyArray | None = None
    """Values of a small variable, undecoded, where they were read while the file was scanned."""


@dataclass(frozen=True, eq=False)
class VirtualGroup:
    """One group."""

    path: str
    """Absolute path, ``"/"`` for the root."""
    attrs: Attrs
    """Attributes."""
    variables: Mapping[str, VirtualVariable]
    """Variables by name."""
    unlimited: frozenset[str] = frozenset()
    """Names of its unlimited dimensions (not of those of groups above), as xarray's engines give them."""


@dataclass(frozen=True, eq=False)
class VirtualTree:
    """All groups of a source, and what was left out."""

    url: str
    """Where it comes from, for messages and ``encoding["source"]``."""
    groups: Mapping[str, VirtualGroup]
    """By absolute path, parents before children."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """What cannot be stored by reference: path and reason."""
    root: bytes | None = None
    """The root document of a hierarchy, with which the same state of it can be opened again."""

    def group(self, path: str | None) -> VirtualGroup:
        """One group.

        Raises
        ------
        FormatError
            If there is none of that path.
        ValueError
            If the path is no text.
        """
        if path is not None and not isinstance(path, str):
            raise ValueError(f"group is {path!r}, and must be a string or None")
        absolute = "/" + (path or "").strip("/")
        try:
            return self.groups[absolute]
        except KeyError:
            known = ", ".join(self.groups)
            raise GroupNotFoundError(f"{self.url}: has no group {absolute!r}; there are {known}") from None
