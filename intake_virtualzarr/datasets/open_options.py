"""How files are opened: one value, made by the public functions and handed down."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import xarray as xr

from intake_virtualzarr._typing import FormatLike
from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.formats.labels import LabelChoice
from intake_virtualzarr.formats.workers import Executor
from intake_virtualzarr.storage.readers import Access

__all__ = ["OnError", "OnUnsupported", "OpenOptions", "name_set", "names_or_none"]

OnError = Literal["raise", "skip"]
"""What to do about files that cannot be scanned."""

OnUnsupported = Literal["skip", "raise"]
"""What to do about variables that cannot be stored by reference."""


@dataclass(frozen=True, kw_only=True, eq=False)
class OpenOptions:
    """How each file is opened. The defaults are those of all public functions."""

    group: str | None = None
    """Path of the group in the file; the root if ``None``."""
    loadable_variables: frozenset[str] | None = None
    """Variables whose values are read now; ``None``: one-dimensional coordinates and scalars."""
    drop_variables: frozenset[str] = frozenset()
    """Variables that are not opened."""
    decode_times: bool = True
    """Whether loaded time coordinates become dates."""
    preprocess: Callable[[xr.Dataset], xr.Dataset] | None = None
    """Called with the virtual dataset of each file; returns one."""
    format: FormatLike = None
    """Name of the format, or a parser of VirtualiZarr; ``None``: detected automatically."""
    on_error: OnError = "raise"
    on_unsupported: OnUnsupported = "skip"
    client: Any = None
    """dask cluster that scans; ``None``: threads of this process."""
    executor: Executor | None = None
    """What scans in batches, by the interface of ``concurrent.futures``; ``None``: threads of this process."""
    progress: bool | None = None
    """Whether to show a bar; ``None``: on a terminal."""
    checkpoint: str | os.PathLike[str] | None = None
    """Directory in which scans of finished batches of files are kept; ``None``: none are."""
    access: Access = field(default_factory=Access)
    """Options for opening, by URL prefix."""

    def labels(self, groups: Collection[str | None] | None = None) -> LabelChoice:
        """The labels that are read while files are scanned; ``groups`` are those of several files, if they differ."""
        return LabelChoice.of(self.loadable_variables, self.drop_variables, [self.group] if groups is None else groups)

    def __post_init__(self) -> None:
        if self.client is not None and self.executor is not None:
            raise VirtualZarrError("client= and executor= were both given; one of them scans")
        if self.executor is not None and not isinstance(self.executor, Executor):
            raise VirtualZarrError(
                f"executor is {type(self.executor).__name__}, which has no submit(); expected a concurrent.futures.Executor or "
                "what looks like one (a dask client goes into client=)"
            )
        if self.on_error not in get_args(OnError):
            raise VirtualZarrError(f"on_error is {self.on_error!r}, expected 'raise' or 'skip'")
        if self.on_unsupported not in get_args(OnUnsupported):
            raise VirtualZarrError(f"on_unsupported is {self.on_unsupported!r}, expected 'skip' or 'raise'")


def name_set(names: str | Iterable[str] | None) -> frozenset[str]:
    """Names of variables as a set: from one name, several, or None for none."""
    return frozenset() if names is None else frozenset([names]) if isinstance(names, str) else frozenset(names)


def names_or_none(names: str | Iterable[str] | None) -> frozenset[str] | None:
    """Names of variables as a set; None, which stands for a choice by default, stays."""
    return None if names is None else name_set(names)
