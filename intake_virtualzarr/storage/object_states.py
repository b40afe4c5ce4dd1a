"""How objects of a store look now: by one listing, or by asking for each; and ranges of many of them at once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence

from intake_virtualzarr.errors import SourceError
from intake_virtualzarr.storage.event_loop import gather, run
from intake_virtualzarr.storage.key_value import ABSENT, Keys, LocalKeys, ObjectKeys, StoreKeys
from intake_virtualzarr.storage.local_reader import modification_time
from intake_virtualzarr.storage.obstore_reader import ObjectReader
from intake_virtualzarr.storage.source import Source
from intake_virtualzarr.storage.urls import url_below

__all__ = ["KeyRange", "asked_states", "can_list", "listed_states", "names_below", "read_ranges"]

type KeyRange = tuple[str, int, int]
"""Key, first byte, and one past the last."""


def names_below(keys: Keys, prefix: str) -> list[str]:
    """Names directly below a group.

    Raises
    ------
    SourceError
        If the server does not list; it says what helps.
    """
    try:
        return list(keys.names(prefix))
    except SourceError as exc:
        raise SourceError(
            f"{keys.url}: its metadata are not consolidated, and its server does not list what is there ({exc}); "
            "consolidate them (zarr.consolidate_metadata), or give access that may list"
        ) from exc


def can_list(keys: Keys) -> bool:
    """Whether there is a listing: web servers have none."""
    return not isinstance(keys, ObjectKeys) or not keys.url.startswith("http")


def listed_states(keys: Keys, prefix: str) -> dict[str, Source] | None:
    """All objects below a prefix, by key; None if they may not be listed."""
    if not can_list(keys):
        return None
    if isinstance(keys, LocalKeys):
        return dict(_walked(keys, prefix))
    try:
        return {one.key: Source(url_below(keys.url, one.key), one.size, one.etag, one.modified) for one in keys.listed(prefix)}
    except SourceError:  # reading is allowed to more people than listing
        return None


def _walked(keys: LocalKeys, prefix: str) -> Iterator[tuple[str, Source]]:
    waiting = [prefix]
    while waiting:
        folder = waiting.pop()
        try:
            entries = list(os.scandir(keys.root / folder))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as exc:
            raise SourceError(f"{keys.root / folder}: {exc.strerror}") from exc
        for entry in entries:
            key = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir():
                waiting.append(key)
            else:
                yield key, _local(keys, key, entry.stat())


def _local(keys: LocalKeys, key: str, status: os.stat_result) -> Source:
    return Source(url_below(keys.url, key), status.st_size, last_modified=modification_time(status))


def asked_states(keys: Keys, names: Sequence[str]) -> list[Source | None]:
    """Objects by key, None for one that is absent; all are asked for at once.

    Raises
    ------
    SourceError
        If one cannot be asked for.
    """
    if isinstance(keys, LocalKeys):
        return [_asked_here(keys, name) for name in names]
    if isinstance(keys, ObjectKeys):
        return run(_asked_far(keys, names))
    sizes = [keys.size(name) for name in names]
    return [None if n is None else Source(url_below(keys.url, name), n) for name, n in zip(names, sizes, strict=True)]


def _asked_here(keys: LocalKeys, name: str) -> Source | None:
    try:
        return _local(keys, name, os.stat(keys.root / name))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except OSError as exc:
        raise SourceError(f"{keys.root / name}: {exc.strerror}") from exc


AT_ONCE = 128
"""Objects asked for at once."""


async def _asked_far(keys: ObjectKeys, names: Sequence[str]) -> list[Source | None]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> Source | None:
        async with gate:
            try:
                return await ObjectReader(url_below(keys.url, name), keys.access).describe_async()
            except SourceError as exc:
                if str(exc).endswith(ABSENT):
                    return None
                raise

    return await gather([one(name) for name in names])


def read_ranges(keys: Keys, wanted: Sequence[KeyRange]) -> list[bytes | None]:
    """A range of each of some objects, all at once; None for one that is absent."""
    if isinstance(keys, ObjectKeys | StoreKeys):
        return run(_ranges(keys, wanted))
    return [keys.get(*one) for one in wanted]


async def _ranges(keys: ObjectKeys | StoreKeys, wanted: Sequence[KeyRange]) -> list[bytes | None]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(part: KeyRange) -> bytes | None:
        async with gate:
            return await keys._get(*part)

    return await gather([one(part) for part in wanted])
