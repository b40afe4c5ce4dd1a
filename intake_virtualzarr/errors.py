"""The exception tree, and the warning of old names. Every error that is raised on purpose derives from `VirtualZarrError`."""

import warnings

__all__ = [
    "ArgumentError",
    "CatalogError",
    "ChunkGridError",
    "CodecError",
    "ConflictError",
    "EncodingMismatchError",
    "FormatError",
    "GroupNotFoundError",
    "HierarchyError",
    "IngestError",
    "JoinError",
    "ManifestError",
    "MissingExtraError",
    "NotAllowedError",
    "NothingFoundError",
    "SourceChangedError",
    "SourceError",
    "StacError",
    "StoreChangedError",
    "UnsupportedError",
    "UnsupportedIndexError",
    "VirtualZarrError",
    "own_error",
    "warn_renamed",
]


class VirtualZarrError(Exception):
    """Base of all errors of intake-virtualzarr."""


class ChunkGridError(VirtualZarrError, ValueError):
    """Chunk edges and array shapes disagree."""


class ManifestError(VirtualZarrError, ValueError):
    """A chunk manifest contradicts itself or its chunk grid."""


class CodecError(VirtualZarrError, ValueError):
    """A chunk could not be decoded, or its codec pipeline is unknown."""


class SourceError(VirtualZarrError, OSError):
    """A source file cannot be read: absent, forbidden, cut short, or without byte ranges."""


class NotAllowedError(SourceError, PermissionError):
    """A document that came over a network names a place that is not its own, and nobody allowed it."""


class SourceChangedError(SourceError):
    """A source file is no longer the one that was scanned."""


class FormatError(VirtualZarrError, ValueError):
    """A file is not of the format it was taken for, or is damaged."""


class GroupNotFoundError(FormatError, OSError):
    """A file or store has no group of that name (an `OSError` for xarray's engines, too)."""


class UnsupportedError(VirtualZarrError, NotImplementedError):
    """A feature of a file cannot be stored by reference, or an operation needs values."""


class UnsupportedIndexError(UnsupportedError, IndexError):
    """An indexer cannot be expressed without reading values."""


class EncodingMismatchError(VirtualZarrError, ValueError):
    """Joined arrays are packed differently and the caller asked not to decode them."""


class HierarchyError(VirtualZarrError, ValueError):
    """A store is not a valid hierarchy of virtual arrays, or a write to it was refused."""


class ConflictError(HierarchyError):
    """Another writer changed the store while this one was at work; nothing of this write was published."""


class StoreChangedError(HierarchyError):
    """The store was written again since it was opened, and what this reader still needs was removed."""


class StacError(VirtualZarrError, ValueError):
    """A STAC document lacks what is needed."""


class NothingFoundError(StacError):
    """A search or a list of sources is empty."""


class CatalogError(VirtualZarrError, ValueError):
    """An Intake catalog file, or a call of one of its entries, is wrong."""


class ArgumentError(CatalogError, TypeError):
    """A catalog entry, or the engine of xarray, was given an argument that it does not know."""


class IngestError(VirtualZarrError, RuntimeError):
    """Scanning, joining or publishing a set of sources failed."""


class JoinError(VirtualZarrError, ValueError):
    """Variables, dimensions or coordinates of files disagree, so that they cannot be joined."""


class MissingExtraError(VirtualZarrError, ImportError):
    """An optional package is needed."""


def own_error(exc: BaseException) -> VirtualZarrError | None:
    """The error of ours that another library turned into one of its own."""
    seen: BaseException | None = exc
    while seen is not None and not isinstance(seen, VirtualZarrError):
        seen = seen.__cause__ or seen.__context__
    return seen


def warn_renamed(old: str, new: str, stacklevel: int = 3) -> None:
    """Warn the caller of the caller that a public name has another one now."""
    warnings.warn(f"{old} is now {new}; the old name goes in 0.2.0", DeprecationWarning, stacklevel=stacklevel)
