"""A hierarchy on a web server: its objects by key, to be read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Never
from urllib.parse import quote

from intake_virtualzarr.errors import HierarchyError, SourceError
from intake_virtualzarr.storage.event_loop import run
from intake_virtualzarr.storage.key_entry import KeyEntry, Seen
from intake_virtualzarr.storage.options import Access
from intake_virtualzarr.storage.url_secrets import strip_url

__all__ = ["HttpKeys"]

AT_ONCE = 64
"""Documents that are fetched at once."""


class HttpKeys:
    """A directory of a web server, which can be read and not written, and which lists nothing."""

    def __init__(self, url: str, access: Access | None = None) -> None:
        self.access = (access or Access()).remembering(url)
        self.url = strip_url(url).rstrip("/")

    def get(self, key: str, start: int | None = None, stop: int | None = None) -> bytes | None:
        """The bytes of a file."""
        return run(self._get(key, start, stop))

    async def _get(self, key: str, start: int | None = None, stop: int | None = None) -> bytes | None:
        from intake_virtualzarr.storage.http_reader import HttpReader

        part = None if start is None and stop is None else (start or 0, stop)
        return await HttpReader(f"{self.url}/{quote(key)}", self.access).document(part)

    def get_many(self, keys: list[str]) -> list[bytes | None]:
        """The bytes of several files, all requests at once."""

        async def fetch() -> list[bytes | None]:
            several = asyncio.Semaphore(AT_ONCE)

            async def one(key: str) -> bytes | None:
                async with several:
                    return await self._get(key)

            return list(await asyncio.gather(*(one(key) for key in keys)))

        return run(fetch())

    def size(self, key: str) -> int | None:
        """Number of bytes of a file."""
        from intake_virtualzarr.storage.http_reader import HttpReader

        try:
            return HttpReader(f"{self.url}/{quote(key)}", self.access).describe().size
        except SourceError as exc:
            if str(exc).endswith("not found (404)"):
                return None
            raise

    def look(self, key: str) -> Seen:
        """The bytes of a file."""
        return Seen(self.get(key))

    def _refuse(self) -> Never:
        raise HierarchyError(f"{self.url}: a web server cannot be written to; write to a directory or an object store")

    def set(self, key: str, value: bytes) -> None:
        """Refuse: a web server is read only."""
        self._refuse()

    def create(self, key: str, value: bytes) -> None:
        """Refuse: a web server is read only."""
        self._refuse()

    def flush(self, keys: Sequence[str]) -> None:
        """Refuse: a web server is read only."""
        self._refuse()

    def switch(self, key: str, value: bytes, seen: Seen) -> bool:
        """Refuse: a web server is read only."""
        self._refuse()

    def delete(self, keys: Sequence[str]) -> None:
        """Refuse: a web server is read only."""
        self._refuse()

    def delete_below(self, prefix: str) -> None:
        """Refuse: a web server is read only."""
        self._refuse()

    def _unlisted(self) -> Never:
        raise SourceError(
            f"{self.url}: a web server lists no files, and the documents there do not name all of them (no consolidated metadata); "
            "consolidate the store, or open it where it can be listed"
        )

    def listed(self, prefix: str = "") -> Iterator[KeyEntry]:
        """Refuse: there is no listing."""
        self._unlisted()

    def names(self, prefix: str) -> Iterator[str]:
        """Refuse: there is no listing."""
        self._unlisted()

    def nbytes_below(self, prefix: str) -> int:
        """Refuse: who asks wants to write."""
        self._refuse()

    def is_empty(self) -> bool:
        """Refuse: who asks wants to write."""
        self._refuse()
