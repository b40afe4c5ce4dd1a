"""Files on web servers, by range requests."""

from __future__ import annotations

from intake_virtualzarr.errors import SourceError
from intake_virtualzarr.storage.http_client import Answer, ask
from intake_virtualzarr.storage.http_exchange import HttpError, Part
from intake_virtualzarr.storage.network import gate
from intake_virtualzarr.storage.ranged_reader import RangedReader
from intake_virtualzarr.storage.reader import Buffer
from intake_virtualzarr.storage.source import Source
from intake_virtualzarr.storage.url_secrets import shown_cause

__all__ = ["HttpReader"]

NO_HEAD = (400, 403, 405, 501)
"""Statuses of servers, and of signatures, that answer GET though not HEAD."""


class HttpReader(RangedReader):
    """Byte ranges of one file on a web server."""

    async def describe_async(self) -> Source:
        """State of the file, by one HEAD request."""
        try:
            answer = await self.patience.request(self.url, lambda: self._once("HEAD", None))
        except HttpError as exc:
            if exc.status not in NO_HEAD:
                raise self._translated(exc) from shown_cause(exc)
            answer = None
        if answer is None or answer.size is None:
            return (await self.get(0, 1, None, may_be_short=True))[0]  # a server, or a signature, that knows GET only
        return self._source(answer)

    async def _once(self, method: str, part: Part | None, expected: Source | None = None) -> Answer:
        """One request; what is no success is an error."""
        answer = await ask(self.signed(), self.access, method=method, part=part)
        if answer.status not in (200, 206):
            raise answer.failure()
        if part is not None and answer.status != 206:
            raise self.whole()
        if part is not None and answer.first != part[0]:
            said = answer.head.headers.get("content-range")
            raise SourceError(f"{self.url}: bytes from {part[0]} were asked for, {said!r} came")
        if expected is not None:
            expected.check(self._source(answer))
        return answer

    def _source(self, answer: Answer) -> Source:
        return Source(self.url, answer.size, answer.etag, answer.last_modified, signed=self._signed)

    async def get(self, start: int, length: int, expected: Source | None, *, may_be_short: bool = False) -> tuple[Source, Buffer]:
        """One range, and the state of the file that was seen with it."""
        part = (start, start + length)
        try:
            async with gate():
                answer = await self.patience.request(self.url, lambda: self._once("GET", part, expected), length)
        except HttpError as exc:
            raise self._translated(exc) from shown_cause(exc)
        seen = self._source(answer)
        if not may_be_short:
            self.check_length(start, length, answer.body, seen)
        return seen, memoryview(answer.body)

    async def document(self, part: Part | None) -> bytes | None:
        """The whole file, or a part of it; None if there is none."""
        try:
            answer = await self.patience.request(self.url, lambda: self._once("GET", part), 0 if part is None else _length(part))
        except HttpError as exc:
            if exc.status == 404:
                return None
            raise self._translated(exc) from shown_cause(exc)
        return bytes(answer.body)

    def _translated(self, exc: HttpError) -> SourceError:
        if exc.status == 404:
            return self.not_found()
        if exc.status in (401, 403):
            return self.denied()
        return self.other(f"the server answers {exc}" if exc.status else str(exc))


def _length(part: Part) -> int:
    return 0 if part[1] is None else part[1] - part[0]
