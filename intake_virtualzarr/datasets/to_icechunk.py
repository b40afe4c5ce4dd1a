"""Virtual references in an Icechunk repository."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import xarray as xr

from intake_virtualzarr.datasets.plain_references import plain_store, references_of
from intake_virtualzarr.errors import HierarchyError
from intake_virtualzarr.formats.icechunk_session import icechunk_errors, import_icechunk
from intake_virtualzarr.storage.event_loop import run
from intake_virtualzarr.storage.source import Source

__all__ = ["to_icechunk"]


def _checksum(source: Source) -> Any:
    """What Icechunk compares: the ETag, or the time of the last change in whole seconds, not before the real one."""
    if source.etag is not None or source.last_modified is None:
        return source.etag
    changed = source.last_modified
    return changed if changed.microsecond == 0 else changed.replace(microsecond=0) + timedelta(seconds=1)


def to_icechunk(data: xr.Dataset | xr.DataTree, store: Any) -> int:
    """Write a virtual dataset, or a tree of them, into the store of an Icechunk session; the caller commits.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataTree
        Virtual dataset, or tree of virtual datasets.
    store : icechunk.IcechunkStore
        ``session.store`` of a writable session. The repository must know the places of the files as virtual chunk containers.

    Returns
    -------
    int
        Number of virtual references written.

    Raises
    ------
    UnsupportedError
        If a variable has no form as plain references.
    HierarchyError
        If Icechunk refuses: the session is read-only, or no container of the repository holds a source file.
    MissingExtraError
        If Icechunk is not installed.
    """
    icechunk = import_icechunk("to_icechunk")
    from zarr.core.buffer import cpu

    plain = plain_store(data, "Icechunk")

    async def write() -> int:
        count = 0
        for key, document in plain.documents.items():
            await store.set(key, cpu.Buffer.from_bytes(document))
        for path, coords, stored in references_of(plain):
            key = f"{path}/c/{coords}".rstrip("/")
            source, ref = stored.source, stored.ref
            if source.content is not None:
                await store.set(key, cpu.Buffer.from_bytes(source.content[ref.offset : ref.offset + ref.length]))
                continue
            store.set_virtual_ref(key, source.url, offset=ref.offset, length=ref.length, checksum=_checksum(source))
            count += 1
        return count

    with icechunk_errors(icechunk, "references cannot be written by Icechunk", HierarchyError):
        return run(write())
