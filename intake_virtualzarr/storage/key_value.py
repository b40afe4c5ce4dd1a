"""Where a hierarchy is kept: a local directory, an object store or web server, or any zarr store, by keys."""

from __future__ import annotations

import mimetypes
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.errors import HierarchyError, SourceError
from intake_virtualzarr.storage.event_loop import run
from intake_virtualzarr.storage.http_keys import HttpKeys
from intake_virtualzarr.storage.key_entry import KeyEntry, Seen
from intake_virtualzarr.storage.local_switch import create_file, replace_file, switch_file, sync_files
from intake_virtualzarr.storage.readers import OBJECT_SCHEMES, WEB_SCHEMES, Access
from intake_virtualzarr.storage.url_secrets import shown_cause, strip_url
from intake_virtualzarr.storage.urls import absolute_url, is_local, is_url, local_path

if TYPE_CHECKING:
    from intake_virtualzarr.storage.obstore_reader import ObjectReader

__all__ = [
    "ABSENT",
    "DryRunStore",
    "KeyEntry",
    "Keys",
    "LocalKeys",
    "ObjectKeys",
    "ReadKeys",
    "Seen",
    "StoreKeys",
    "archive_of",
    "keys_of",
]


class ReadKeys(Protocol):
    """Bytes by key, to be read. Keys have no leading slash."""

    @property
    def url(self) -> str:
        """URL of the root, without a slash at the end; relative URLs in documents resolve against it."""

    def get(self, key: str, start: int | None = None, stop: int | None = None) -> bytes | None:
        """The bytes, or a part of them, of a key; None if there is none."""

    def get_many(self, keys: list[str]) -> list[bytes | None]:
        """The bytes of several keys, fetched at once where that is faster."""


class Keys(ReadKeys, Protocol):
    """Bytes by key, to be read and written."""

    access: Access
    """Options for opening sources and other stores."""

    def size(self, key: str) -> int | None:
        """Number of bytes of a key; None if there is none."""

    def set(self, key: str, value: bytes) -> None:
        """Write a key."""

    def create(self, key: str, value: bytes) -> None:
        """Write a key that is new, and that nobody looks for yet."""

    def flush(self, keys: Sequence[str]) -> None:
        """Bring created keys to where a loss of power does not take them."""

    def look(self, key: str) -> Seen:
        """What a key holds now, to be compared by `switch`."""

    def switch(self, key: str, value: bytes, seen: Seen) -> bool:
        """Replace a key in one step if it still holds what was seen; whether it did."""

    def listed(self, prefix: str = "") -> Iterator[KeyEntry]:
        """All keys below a prefix."""

    def names(self, prefix: str) -> Iterator[str]:
        """Names directly below a prefix."""

    def delete(self, keys: Sequence[str]) -> None:
        """Remove keys."""

    def delete_below(self, prefix: str) -> None:
        """Remove all keys below a prefix."""

    def nbytes_below(self, prefix: str) -> int:
        """Bytes of all keys below a prefix."""

    def is_empty(self) -> bool:
        """Whether there is no key."""


class LocalKeys:
    """A local directory."""

    def __init__(self, path: str | os.PathLike[str], access: Access | None = None) -> None:
        self.root = Path(path).expanduser().absolute()
        self.url = self.root.as_uri().rstrip("/")
        self.access = access or Access()

    def get(self, key: str, start: int | None = None, stop: int | None = None) -> bytes | None:
        """The bytes of a file."""
        try:
            with open(self.root / key, "rb") as file:
                if start:
                    file.seek(start)
                return file.read() if stop is None else file.read(stop - (start or 0))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError):  # ValueError: a NUL, which no name has
            return None
        except OSError as exc:
            raise SourceError(f"{self.root / key}: {exc.strerror}") from exc

    def get_many(self, keys: list[str]) -> list[bytes | None]:
        """The bytes of several files."""
        return [self.get(key) for key in keys]

    def size(self, key: str) -> int | None:
        """Number of bytes of a file."""
        try:
            return os.path.getsize(self.root / key)
        except OSError:
            return None

    def set(self, key: str, value: bytes) -> None:
        """Write a file; readers see the old one or the new one, never a part."""
        with _writing(self.root / key):
            replace_file(self.root / key, value)

    def create(self, key: str, value: bytes) -> None:
        """Write a new file."""
        with _writing(self.root / key):
            create_file(self.root / key, value)

    def flush(self, keys: Sequence[str]) -> None:
        """Bring new files onto the disk."""
        with _writing(self.root):
            sync_files(self.root, [self.root / key for key in keys])

    def look(self, key: str) -> Seen:
        """The bytes of a file."""
        return Seen(self.get(key))

    def switch(self, key: str, value: bytes, seen: Seen) -> bool:
        """Replace a file that holds what was seen, under a lock."""
        with _writing(self.root / key):
            return switch_file(self.root / key, value, seen.value)

    def listed(self, prefix: str = "") -> Iterator[KeyEntry]:
        """All files below a directory, temporary ones included."""
        for path in sorted((self.root / prefix).rglob("*")):
            if path.is_file():
                state = path.stat()
                changed = datetime.fromtimestamp(state.st_mtime, UTC)
                yield KeyEntry(path.relative_to(self.root).as_posix(), state.st_size, changed)

    def delete(self, keys: Sequence[str]) -> None:
        """Remove files, and the directories that are empty then."""
        for key in keys:
            (self.root / key).unlink(missing_ok=True)
            self._remove_empty((self.root / key).parent)

    def names(self, prefix: str) -> Iterator[str]:
        """Names of files and directories."""
        directory = self.root / prefix
        if directory.is_dir():
            yield from sorted(name for name in os.listdir(directory) if not name.startswith("."))

    def delete_below(self, prefix: str) -> None:
        """Remove a directory, and those above it that are empty then."""
        shutil.rmtree(self.root / prefix, ignore_errors=True)
        if prefix:
            self._remove_empty((self.root / prefix).parent)

    def _remove_empty(self, directory: Path) -> None:
        with suppress(OSError):  # it is not empty, or another process removes it
            while directory.is_relative_to(self.root):
                directory.rmdir()
                directory = directory.parent

    def nbytes_below(self, prefix: str) -> int:
        """Bytes of all files below a directory."""
        return sum(path.stat().st_size for path in (self.root / prefix).rglob("*") if path.is_file())

    def is_empty(self) -> bool:
        """Whether the directory is absent or has no entry."""
        return not self.root.is_dir() or not any(self.root.iterdir())


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Name the path in errors of the file system."""
    try:
        yield
    except OSError as exc:
        raise HierarchyError(f"{path}: cannot be written: {exc.strerror or exc}; choose another place or make room") from exc


ABSENT = "not found (404)"
"""How errors of absent objects end."""


class ObjectKeys:
    """A prefix of an object store."""

    def __init__(self, url: str, access: Access | None = None) -> None:
        from intake_virtualzarr.storage.obstore_reader import make_store

        self.access = (access or Access()).remembering(url)
        self.url = strip_url(url).rstrip("/")
        self._reads, _ = make_store(self.access.signed(self.url), self.access.options(self.url))
        self._store, self._prefix = make_store(self.access.signed(self.url), self.access.options(self.url), repeats=True)

    def _path(self, key: str) -> str:
        return f"{self._prefix}/{key}" if self._prefix else key

    def get(self, key: str, start: int | None = None, stop: int | None = None) -> bytes | None:
        """The bytes of an object."""
        return run(self._get(key, start, stop))

    async def _get(self, key: str, start: int | None, stop: int | None) -> bytes | None:
        import obstore

        options: JsonObject = {}
        if start is not None or stop is not None:
            options["range"] = (start or 0, stop) if stop is not None else {"offset": start or 0}
        reader = self._reader(key)

        async def once() -> bytes:
            answer = await obstore.get_async(self._reads, self._path(key), options=options)  # type: ignore[arg-type]
            return bytes(await answer.bytes_async())

        try:
            return await reader.patience.request(reader.url, once, 0 if stop is None else stop - (start or 0))
        except FileNotFoundError:
            return None
        except SourceError:
            raise
        except Exception as exc:
            raise self._translated(key, exc) from shown_cause(exc)

    def _reader(self, key: str) -> ObjectReader:
        from intake_virtualzarr.storage.obstore_reader import ObjectReader

        return ObjectReader(f"{self.url}/{key}", self.access)

    def _translated(self, key: str, exc: Exception) -> SourceError:
        return self._reader(key).translated(exc)

    def get_many(self, keys: list[str]) -> list[bytes | None]:
        """The bytes of several objects, all requests at once."""
        import asyncio

        async def fetch() -> list[bytes | None]:
            gate = asyncio.Semaphore(64)

            async def one(key: str) -> bytes | None:
                async with gate:
                    return await self._get(key, None, None)

            return list(await asyncio.gather(*(one(key) for key in keys)))

        return run(fetch())

    def size(self, key: str) -> int | None:
        """Number of bytes of an object."""
        try:
            return run(self._reader(key).describe_async()).size
        except SourceError as exc:
            if str(exc).endswith(ABSENT):
                return None
            raise

    def set(self, key: str, value: bytes) -> None:
        """Write an object."""
        import obstore

        try:
            obstore.put(self._store, self._path(key), value, attributes=_attributes(key))
        except Exception as exc:
            raise self._translated(key, exc) from shown_cause(exc)

    def create(self, key: str, value: bytes) -> None:
        """Write a new object."""
        self.set(key, value)

    def flush(self, keys: Sequence[str]) -> None:
        """Do nothing: an object that was taken is kept."""

    def look(self, key: str) -> Seen:
        """The bytes of an object, and its ETag."""
        import obstore

        try:
            answer = obstore.get(self._store, self._path(key))
            value = bytes(answer.bytes())
        except FileNotFoundError:
            return Seen(None)
        except Exception as exc:
            raise self._translated(key, exc) from shown_cause(exc)
        tag = {name: answer.meta[name] for name in ("e_tag", "version") if answer.meta.get(name)}
        return Seen(value, tag or None)

    def switch(self, key: str, value: bytes, seen: Seen) -> bool:
        """Put an object on the condition that it is the one that was seen.

        Where the server knows no conditions, or does not heed them, the comparison before it is all there is.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, NotSupportedError, PreconditionError

        if self.look(key).value != seen.value:
            return False
        mode: Any = "create" if seen.value is None else seen.tag or "overwrite"
        try:
            obstore.put(self._store, self._path(key), value, attributes=_attributes(key), use_multipart=False, mode=mode)
        except (AlreadyExistsError, PreconditionError):
            return self.look(key).value == value  # a request that was sent again after its answer was lost meets itself
        except (NotImplementedError, NotSupportedError):
            self.set(key, value)
        except Exception as exc:
            if self.look(key).value == value:
                return True
            raise self._translated(key, exc) from shown_cause(exc)
        return True

    def listed(self, prefix: str = "") -> Iterator[KeyEntry]:
        """All objects below a prefix."""
        skipped = len(self._prefix) + 1 if self._prefix else 0
        for batch in self._listed(prefix):
            for entry in batch:
                yield KeyEntry(str(entry["path"])[skipped:], int(entry["size"]), entry["last_modified"], entry.get("e_tag"))

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects."""
        import obstore

        for start in range(0, len(keys), 1000):
            try:
                obstore.delete(self._store, [self._path(key) for key in keys[start : start + 1000]])
            except Exception as exc:
                raise self._translated(keys[start], exc) from shown_cause(exc)

    def names(self, prefix: str) -> Iterator[str]:
        """Names directly below a prefix."""
        import obstore

        try:
            store = self._reads if self.url.startswith("http") else self._store  # most web servers cannot list, however often asked
            found = obstore.list_with_delimiter(store, prefix=(self._path(prefix) if prefix else self._prefix) or None)
        except Exception as exc:
            raise self._translated(prefix, exc) from shown_cause(exc)
        for entry in [*found["common_prefixes"], *(o["path"] for o in found["objects"])]:
            yield str(entry).rstrip("/").rpartition("/")[2]

    def delete_below(self, prefix: str) -> None:
        """Remove all objects below a prefix."""
        import obstore

        for batch in self._listed(prefix):
            try:
                obstore.delete(self._store, [entry["path"] for entry in batch])
            except Exception as exc:
                raise self._translated(prefix, exc) from shown_cause(exc)

    def nbytes_below(self, prefix: str) -> int:
        """Bytes of all objects below a prefix."""
        return sum(int(entry["size"]) for batch in self._listed(prefix) for entry in batch)

    def is_empty(self) -> bool:
        """Whether no object has the prefix."""
        return all(not len(batch) for batch in self._listed(""))

    def _listed(self, prefix: str) -> Iterator[Sequence[Any]]:
        """All objects below a prefix, in batches."""
        import obstore

        try:
            yield from obstore.list(self._store, prefix=(self._path(prefix) if prefix else self._prefix) or None)
        except Exception as exc:
            raise self._translated(prefix, exc) from shown_cause(exc)


def _attributes(key: str) -> Any:
    """What kind of document it is: without it, a browser offers a page of a bucket for download instead of showing it."""
    kind = mimetypes.guess_type(key)[0]
    return {"Content-Type": kind} if kind else None


_SWITCHING = threading.Lock()
"""Zarr stores know no conditions: within a process, one writer at a time compares and replaces."""


class StoreKeys:
    """Any zarr store."""

    def __init__(self, store: Any, access: Access | None = None) -> None:
        self.store = store
        self.access = access or Access()
        self.url = _store_url(store)

    @property
    def is_named(self) -> bool:
        """Whether an object can be opened by its URL; not in memory, nor where a wrapper may change what is read."""
        from zarr.storage import FsspecStore, LocalStore, ObjectStore

        named = isinstance(self.store, FsspecStore | LocalStore | ObjectStore)
        return named and not self.url.startswith(("zarr://", "memory://MemoryStore-"))

    def get(self, key: str, start: int | None = None, stop: int | None = None) -> bytes | None:
        """The bytes of a key."""
        return run(self._get(key, start, stop))

    async def _get(self, key: str, start: int | None, stop: int | None) -> bytes | None:
        from zarr.abc.store import OffsetByteRequest, RangeByteRequest
        from zarr.core.buffer import default_buffer_prototype

        part: Any = None
        if stop is not None:
            part = RangeByteRequest(start or 0, stop)
        elif start:
            part = OffsetByteRequest(start)
        await self.store._ensure_open()
        value = await self.store.get(key, default_buffer_prototype(), part)
        return None if value is None else bytes(value.to_bytes())

    def get_many(self, keys: list[str]) -> list[bytes | None]:
        """The bytes of several keys."""
        import asyncio

        async def fetch() -> list[bytes | None]:
            return list(await asyncio.gather(*(self._get(key, None, None) for key in keys)))

        return run(fetch())

    def size(self, key: str) -> int | None:
        """Number of bytes of a key."""
        try:
            return int(run(self.store.getsize(key)))
        except FileNotFoundError:
            return None

    def set(self, key: str, value: bytes) -> None:
        """Write a key."""
        from zarr.core.buffer import cpu

        async def write() -> None:
            await self.store._ensure_open()
            await self.store.set(key, cpu.Buffer.from_bytes(value))

        run(write())

    def create(self, key: str, value: bytes) -> None:
        """Write a new key."""
        self.set(key, value)

    def flush(self, keys: Sequence[str]) -> None:
        """Do nothing: a zarr store has no such call."""

    def look(self, key: str) -> Seen:
        """The bytes of a key."""
        return Seen(self.get(key))

    def switch(self, key: str, value: bytes, seen: Seen) -> bool:
        """Replace a key that holds what was seen: alone within this process, compared right before it among several."""
        with _SWITCHING:
            if self.get(key) != seen.value:
                return False
            self.set(key, value)
        return True

    def listed(self, prefix: str = "") -> Iterator[KeyEntry]:
        """All keys below a prefix."""

        async def collect() -> list[KeyEntry]:
            await self.store._ensure_open()
            keys = [key async for key in self.store.list_prefix(f"{prefix}/" if prefix else "")]
            return [KeyEntry(key, int(await self.store.getsize(key)), None) for key in keys]

        yield from run(collect())

    def delete(self, keys: Sequence[str]) -> None:
        """Remove keys."""

        async def remove() -> None:
            for key in keys:
                await self.store.delete(key)

        run(remove())

    def names(self, prefix: str) -> Iterator[str]:
        """Names directly below a prefix."""

        async def collect() -> list[str]:
            await self.store._ensure_open()
            return sorted([name async for name in self.store.list_dir(prefix)])

        yield from (name.rstrip("/").rpartition("/")[2] for name in run(collect()))

    def delete_below(self, prefix: str) -> None:
        """Remove all keys below a prefix."""
        run(self.store.delete_dir(prefix))

    def nbytes_below(self, prefix: str) -> int:
        """Bytes of all keys below a prefix."""

        async def total() -> int:
            await self.store._ensure_open()
            return int(await self.store.getsize_prefix(prefix))

        return run(total())

    def is_empty(self) -> bool:
        """Whether there is no key."""

        async def look() -> bool:
            await self.store._ensure_open()
            return bool(await self.store.is_empty(""))

        return run(look())


class DryRunStore:
    """The keys of something that stays as it is: a change is gone through to its end, and nothing is written."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self.url = keys.url
        self.access = keys.access

    def get(self, key: str, start: int | None = None, stop: int | None = None) -> bytes | None:
        """The bytes of a key."""
        return self._keys.get(key, start, stop)

    def get_many(self, keys: list[str]) -> list[bytes | None]:
        """The bytes of several keys."""
        return self._keys.get_many(keys)

    def size(self, key: str) -> int | None:
        """Number of bytes of a key."""
        return self._keys.size(key)

    def set(self, key: str, value: bytes) -> None:
        """Do nothing."""

    def create(self, key: str, value: bytes) -> None:
        """Do nothing."""

    def flush(self, keys: Sequence[str]) -> None:
        """Do nothing."""

    def look(self, key: str) -> Seen:
        """What a key holds."""
        return self._keys.look(key)

    def switch(self, key: str, value: bytes, seen: Seen) -> bool:
        """Do nothing but say that it was done."""
        return True

    def listed(self, prefix: str = "") -> Iterator[KeyEntry]:
        """All keys below a prefix."""
        return self._keys.listed(prefix)

    def delete(self, keys: Sequence[str]) -> None:
        """Do nothing."""

    def names(self, prefix: str) -> Iterator[str]:
        """Names directly below a prefix."""
        return self._keys.names(prefix)

    def delete_below(self, prefix: str) -> None:
        """Do nothing."""

    def nbytes_below(self, prefix: str) -> int:
        """Bytes of all keys below a prefix."""
        return self._keys.nbytes_below(prefix)

    def is_empty(self) -> bool:
        """Whether there is no key."""
        return self._keys.is_empty()


def _store_url(store: Any) -> str:
    """The URL of a zarr store: a name of its own for one in memory or a zip file, and for an unknown one that of something far."""
    from zarr.storage import LocalStore, MemoryStore, WrapperStore, ZipStore

    if isinstance(store, LocalStore):
        return Path(store.root).absolute().as_uri()
    if isinstance(store, MemoryStore | ZipStore):
        return f"memory://{type(store).__name__}-{id(store):x}"
    if isinstance(store, WrapperStore):
        return _store_url(store._store)
    system, path = getattr(store, "fs", None), getattr(store, "path", None)
    if system is not None and isinstance(path, str):
        return absolute_url(str(system.unstrip_protocol(path))).rstrip("/")
    return _object_store_url(getattr(store, "store", None)) or f"zarr://{type(store).__name__}/{id(store):x}"


def archive_of(keys: Keys) -> str | None:
    """The path of the zip file that a zarr store reads; None for any other store."""
    if not isinstance(keys, StoreKeys):
        return None
    from zarr.storage import ZipStore

    store = keys.store
    return str(store.path) if isinstance(store, ZipStore) and store.read_only else None


def _object_store_url(store: Any) -> str | None:
    """The URL of an obstore store; None if it is not known."""
    prefix = getattr(store, "prefix", None)
    url, name = getattr(store, "url", None), type(store).__name__
    if name == "LocalStore" and prefix is not None:
        return Path(str(prefix)).absolute().as_uri()
    if name == "MemoryStore":
        return f"memory://{name}-{id(store):x}"
    if isinstance(url, str) and is_url(url):
        return strip_url(url).rstrip("/")
    bucket = (getattr(store, "config", None) or {}).get("bucket")
    scheme = {"S3Store": "s3", "GCSStore": "gs"}.get(name)
    return f"{scheme}://{bucket}/{prefix or ''}".rstrip("/") if scheme and bucket else None


def keys_of(target: Any, access: Access | None = None) -> Keys:
    """The keys of a path, URL or zarr store.

    Raises
    ------
    NotAllowedError
        If a document asks for it that may not name it.
    """
    if isinstance(target, LocalKeys | ObjectKeys | HttpKeys | StoreKeys | DryRunStore):
        return target
    if not isinstance(target, str | os.PathLike):
        from zarr.abc.store import Store
        from zarr.storage import LocalStore

        if isinstance(target, LocalStore):
            return LocalKeys(target.root, access)
        if isinstance(target, Store):
            return StoreKeys(target, access)
        raise HierarchyError(f"{type(target).__name__} is not a path, URL or zarr store")
    url = absolute_url(target)
    if access is not None:
        access.check(url)
    if is_local(url):
        return LocalKeys(local_path(url), access)
    if "::" not in url and url.partition("://")[0] in WEB_SCHEMES:
        return HttpKeys(url, access)
    if "::" not in url and url.partition("://")[0] in OBJECT_SCHEMES:
        return ObjectKeys(url, access)
    access = access or Access()
    found = StoreKeys(_fsspec_store(url, access), access)
    found.url = strip_url(url).rstrip("/")
    return found


def _fsspec_store(url: str, access: Access) -> Any:
    from zarr.storage import FsspecStore

    from intake_virtualzarr.storage.fsspec_files import fsspec_options, translated

    shown = strip_url(url)
    try:
        return FsspecStore.from_url(access.signed(url), storage_options=fsspec_options(shown, access), read_only=False)
    except Exception as exc:  # a file system of anybody may raise anything
        raise translated(shown, exc) from shown_cause(exc)
