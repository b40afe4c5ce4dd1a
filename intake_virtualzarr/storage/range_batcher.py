"""Micro-batches: byte ranges that are asked for one by one within a millisecond are read by few requests."""

from __future__ import annotations

import asyncio

from intake_virtualzarr.storage.event_loop import submit
from intake_virtualzarr.storage.reader import AsyncReader
from intake_virtualzarr.storage.readers import ReaderPool
from intake_virtualzarr.storage.source import Source

__all__ = ["RangeBatcher"]

WAIT = 0.001
"""How long the first range of a batch waits for others [s]."""


class RangeBatcher:
    """Collects ranges by source. zarr-python asks chunk by chunk; a server is asked once for many."""

    def __init__(self, readers: ReaderPool) -> None:
        self._readers = readers
        self._waiting: dict[Source, list[tuple[int, int, asyncio.Future[bytes]]]] = {}

    async def read(self, source: Source, offset: int, length: int) -> bytes:
        """One range; callable from any event loop."""
        return await asyncio.wrap_future(submit(self._enqueue(source, offset, length)))

    async def _enqueue(self, source: Source, offset: int, length: int) -> bytes:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()
        batch = self._waiting.get(source)
        if batch is None:
            self._waiting[source] = [(offset, length, answer)]
            loop.call_later(WAIT, lambda: loop.create_task(self._flush(source)))
        else:
            batch.append((offset, length, answer))
        return await answer

    async def _flush(self, source: Source) -> None:
        batch = self._waiting.pop(source, [])
        ranges = [(offset, length) for offset, length, _ in batch]
        reader = self._readers.get(source)
        try:
            if isinstance(reader, AsyncReader):
                blocks = await reader.read_async(ranges, source)
            else:
                blocks = await asyncio.to_thread(reader.read, ranges, source)
        except Exception as exc:
            for _, _, answer in batch:
                if not answer.done():
                    answer.set_exception(exc)
            return
        for (_, _, answer), block in zip(batch, blocks, strict=True):
            if not answer.done():
                answer.set_result(bytes(block))
