"""Whether the source files of a store are still as they were when they were scanned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from intake_virtualzarr._typing import Attrs
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.tree import VirtualTree
from intake_virtualzarr.errors import SourceChangedError, VirtualZarrError
from intake_virtualzarr.formats.open import open_tree
from intake_virtualzarr.hierarchy.held_objects import HeldObjects
from intake_virtualzarr.hierarchy.plain_array import ChunkObjects
from intake_virtualzarr.progress import progress_bar
from intake_virtualzarr.storage.event_loop import cancel_all
from intake_virtualzarr.storage.policy import Allow
from intake_virtualzarr.storage.readers import Access, open_reader
from intake_virtualzarr.storage.source import Source

__all__ = ["SourceState", "check_sources", "source_states", "tree_sources"]

AT_ONCE = 16
"""Files asked for at once."""


@dataclass(frozen=True, slots=True)
class SourceState:
    """One source file, compared with what was recorded."""

    url: str
    """The file."""
    state: Literal["same", "changed", "unreadable"]
    """``unreadable``: absent, forbidden, or its server does not answer."""
    reason: str = ""
    """What is wrong."""


def tree_sources(tree: VirtualTree) -> tuple[Source, ...]:
    """Collect the source files of all arrays, each once, in their order; bytes kept in the store are left out."""
    found: dict[str, Source] = {}
    tables: set[int] = set()
    for group in tree.groups.values():
        for variable in group.variables.values():
            if isinstance(variable.data, VirtualZarrArray):
                _collect(variable.data, found, tables)
    return tuple(found.values())


def _collect(array: VirtualZarrArray, found: dict[str, Source], tables: set[int]) -> None:
    for segment in array.segments:
        table = segment.stored.sources
        if id(table) in tables:
            continue
        tables.add(id(table))
        if isinstance(table, ChunkObjects | HeldObjects):  # values that the store holds itself: part of the store, not its sources
            continue
        found.update((source.url, source) for source in table if source.content is None and source.url not in found)


def check_sources(
    store: Any, *, storage_options: Access | Attrs | None = None, allow: Allow = None, progress: bool | None = None
) -> tuple[SourceState, ...]:
    """Compare size, ETag and modification time of every source with what the store recorded.

    Parameters
    ----------
    store : path, URL or zarr store
        A virtual store.
    storage_options : mapping or Access, optional
        Options for opening, by URL prefix.
    allow : str or list of str, optional
        URL prefixes that a store from a network may name, beside its own place.
    progress : bool, optional
        Show a bar on stderr; by default if it is a terminal.

    Returns
    -------
    tuple of SourceState
        In the order of the store.
    """
    access = Access.of(storage_options, allow=allow)
    tree = open_tree(store, storage_options=access)
    return source_states(tree_sources(tree), access.asked_by(tree.url), progress)


def source_states(sources: Sequence[Source], access: Access, progress: bool | None = None) -> tuple[SourceState, ...]:
    """Compare files with what was recorded of them; parameters as `check_sources`."""
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        with progress_bar("checking sources", len(sources), progress) as step:
            return tuple(_counted(pool.map(lambda source: _state(source, access), sources), step))
    except BaseException:  # Ctrl-C ends at once, also while a server hangs
        pool.shutdown(wait=False, cancel_futures=True)
        cancel_all()
        raise
    finally:
        pool.shutdown(wait=False)


def _counted(states: Iterable[SourceState], step: Callable[[int], None]) -> Iterable[SourceState]:
    for state in states:
        step(1)
        yield state


def _state(source: Source, access: Access) -> SourceState:
    reader = open_reader(source.opened, access)
    try:
        source.check(reader.describe())
    except SourceChangedError as exc:
        return SourceState(source.url, "changed", str(exc))
    except VirtualZarrError as exc:
        return SourceState(source.url, "unreadable", str(exc))
    finally:
        reader.close()
    return SourceState(source.url, "same")
