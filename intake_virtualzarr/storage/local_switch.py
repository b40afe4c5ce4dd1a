"""The one file of a local store that is ever replaced: under a lock, compared first, and on the disk before it counts."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from intake_virtualzarr.errors import HierarchyError

__all__ = ["create_file", "replace_file", "switch_file", "sync_files"]

PATIENCE = 60.0
"""A lock is held for a comparison and a rename; who holds it longer is stuck [s]."""
STALE = 600.0
"""A temporary file or a lock without a process behind it is left over after this time [s]."""

FEW = 4
"""So many files are brought onto the disk one after the other: threads would cost more than they save."""


def create_file(path: Path, value: bytes) -> None:
    """Write a file that is not there yet, in place: its name is nobody else's, and nothing names it before it is whole."""
    for _ in range(2):
        try:
            with open(path, "xb", buffering=0) as file:
                _write_all(file.fileno(), value)
            return
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
    raise HierarchyError(f"{path}: its directory vanishes while it is written; is another process removing the store?")


def _write_all(handle: int, value: bytes) -> None:
    rest = memoryview(value)
    while rest:
        rest = rest[os.write(handle, rest) :]


def replace_file(path: Path, value: bytes, *, sync: bool = False) -> None:
    """Write a file; readers see the old one or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_temporaries(path)
    unfinished = path.with_name(f".{path.name}-{secrets.token_hex(6)}")
    try:
        with open(unfinished, "xb") as file:
            file.write(value)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    if sync:
        _sync_directory(path.parent)


def _remove_temporaries(path: Path) -> None:
    """Remove what a write of this file left over that was killed."""
    limit = time.time() - STALE
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            if entry.name.startswith(f".{path.name}-") and entry.stat().st_mtime < limit:
                os.unlink(entry.path)


def switch_file(path: Path, value: bytes, seen: bytes | None) -> bool:
    """Replace a file if it still holds what was seen (None: if it is still absent); whether it was replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.parent / f".{path.name}.lock"):
        try:
            now: bytes | None = path.read_bytes()
        except FileNotFoundError:
            now = None
        if now != seen:
            return False
        replace_file(path, value, sync=True)
    return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that ends with the process, and leaves no file behind."""
    handle = _acquire(path)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            os.unlink(path)  # before it is released: whoever waits for it looks whether it is still the one of that name
        os.close(handle)


def _acquire(path: Path) -> int:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        handle = _try(path)
        if handle is not None:
            return handle
        time.sleep(0.005)
    raise HierarchyError(f"{path}: another process has held this lock for {PATIENCE:.0f} s; is it stuck? End it and write again")


if sys.platform == "win32":  # pragma: no cover

    def _try(path: Path) -> int | None:
        """The lock if nobody holds it, or held it longer than anybody does."""
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            with suppress(OSError):
                if path.stat().st_mtime < time.time() - STALE:
                    os.unlink(path)
            return None

else:
    import fcntl

    def _try(path: Path) -> int | None:
        """The lock if nobody holds it: the file that has this name now, not one that was removed meanwhile."""
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        except (BlockingIOError, FileNotFoundError):
            pass
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        return None


def sync_files(root: Path, files: Sequence[Path]) -> None:
    """Bring new files, and the directories from ``root`` down to them, onto the disk; several at once."""
    directories = sorted(_directories(str(root), files), reverse=True)
    if len(files) <= FEW:
        for file in files:
            _sync_file(file)
        for directory in directories:
            _sync_directory(directory)
        return
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(_sync_file, files))
        list(pool.map(_sync_directory, directories))


def _directories(root: str, files: Sequence[Path]) -> set[str]:
    """The directories of the files, and those above them up to ``root``."""
    found = {root}
    for file in files:
        above = os.path.dirname(file)
        while above not in found and above.startswith(root):
            found.add(above)
            above = os.path.dirname(above)
    return found


def _sync_file(path: str | Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_directory(path: str | Path) -> None:
    with suppress(OSError):  # some file systems have no such thing for directories
        _sync_file(path)
