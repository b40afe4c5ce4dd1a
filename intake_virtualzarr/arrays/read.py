"""Reading: from a request on an array of segments to values in memory.

A request is planned (which chunks, and where their elements go), then fetched in batches of one source each, decoded on the
pool of threads, and placed. A chunk that several segments use is fetched and decoded once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.arrays.chunk_cache import ChunkCache
from intake_virtualzarr.arrays.chunk_selection import AxisRequest, assign, take
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.arrays.read_plan import ChunkList, Placement, plan_read
from intake_virtualzarr.arrays.runs import place, runs
from intake_virtualzarr.arrays.segments import Segment, Window
from intake_virtualzarr.codecs.pipeline import Decoder, compile_pipeline
from intake_virtualzarr.errors import CodecError, SourceError
from intake_virtualzarr.storage.event_loop import gather, run
from intake_virtualzarr.storage.reader import AsyncReader
from intake_virtualzarr.storage.readers import Buffer, ReaderPool
from intake_virtualzarr.storage.source import Source
from intake_virtualzarr.storage.thread_pool import decode_pool, thread_count

__all__ = ["Box", "read_boxes", "read_segments"]

BATCH_BYTES = 1024 * 1024
"""Encoded bytes of the chunks that one task reads from a near file and decodes: they stay in the cache of a core."""
SMALL_BATCH_BYTES = 2 * 1024 * 1024
"""As `BATCH_BYTES`, for chunks that are decoded together."""
SMALL_CHUNK = 64 * 1024
"""Encoded chunks up to this size are [bytes]."""
REMOTE_BATCH_BYTES = 4 * 1024 * 1024
"""As `BATCH_BYTES`, for what is far."""
LEAST_BYTES = 256 * 1024
"""Smaller tasks cost more to hand over than they save."""
BATCH_CHUNKS = 1024
REMOTE_BATCH_CHUNKS = 512
REMOTE_IN_FLIGHT = 16
"""Tasks of remote chunks that are fetched or wait for a decoding thread: bounds the memory of a read."""


def read_segments(
    segments: Iterable[Segment],
    requests: Sequence[AxisRequest],
    out: AnyArray,
    fill_value: object,
    readers: ReaderPool,
    *,
    decoded: bool,
    name: str = "array",
    cache: ChunkCache | None = None,
) -> None:
    """Fill ``out`` with the requested elements.

    Parameters
    ----------
    segments : iterable of Segment
        Where the values lie; what none covers becomes ``fill_value``.
    requests : sequence of Window or integer array, length ndim
        Elements along each axis.
    out : numpy.ndarray
        Shape of the requests.
    fill_value : scalar
        For what no segment covers.
    readers : ReaderPool
        How sources are opened.
    decoded : bool
        Whether each segment's CF packing is undone.
    name : str
        For messages.
    cache : ChunkCache, optional
        Decoded chunks to use and to keep.

    Raises
    ------
    SourceError, SourceChangedError
        If a listed chunk cannot be fetched.
    CodecError
        If a listed chunk cannot be decoded.
    """
    if cache is None and try_read_single_local_chunk(segments, requests, out, readers, decoded=decoded):
        return
    boxes = [Box(segments, requests, out)]
    read_boxes(boxes, fill_value, readers, decoded=decoded, name=name, cache=cache)


@dataclass(frozen=True, slots=True)
class Box:
    """Elements that are asked for, and where they go."""

    segments: Iterable[Segment]
    """Where the values lie."""
    requests: Sequence[AxisRequest]
    """Elements along each axis."""
    out: AnyArray
    """Shape of the requests."""


def read_boxes(
    boxes: Sequence[Box],
    fill_value: object,
    readers: ReaderPool,
    *,
    decoded: bool,
    name: str = "array",
    cache: ChunkCache | None = None,
) -> None:
    """Fill several boxes of one array, with requests shared among them. Parameters and errors as `read_segments`."""
    read = _Read(readers, decoded, name, cache)
    lists = [chunks for box in boxes for chunks in plan_read(box.segments, box.requests, box.out, fill_value, decoded=decoded)]
    if cache is not None:
        for chunks in lists:
            read.use_cache(chunks)
    read.run([chunks for chunks in lists if len(chunks)])


def try_read_single_local_chunk(
    segments: Iterable[Segment],
    requests: Sequence[AxisRequest],
    out: AnyArray,
    readers: ReaderPool,
    *,
    decoded: bool,
) -> bool:
    """Read all of an array that is one near chunk, as labels are: a plan costs more than such a read.

    Returns whether that was done. What goes wrong is left to the long way, which names it.
    """
    if type(segments) is not tuple or len(segments) != 1:
        return False
    (segment,) = segments
    stored, manifest = segment.stored, segment.stored.manifest
    if not isinstance(manifest, ChunkManifest) or manifest.length.size != 1 or manifest.codec is not None:
        return False
    if stored.dtype != out.dtype or (decoded and segment.packing is not None):
        return False
    if segment.shape != out.shape or any(segment.offset) or not segment.is_whole:
        return False
    for request in requests:
        if not isinstance(request, Window) or request.start or request.step != 1:
            return False
    offset, length = manifest.offset.item(), manifest.length.item()
    if not length:  # the table may be empty
        return False
    source = stored.sources[manifest.source.item()]
    try:
        if source.content is not None:
            block: Buffer = memoryview(source.content)[offset : offset + length]
        else:
            reader = readers.get(source)
            if not reader.is_near:
                return False
            (block,) = reader.read([(offset, length)], source)
        edges = tuple(int(axis.stored[0]) if axis.edge is None else axis.edge for axis in stored.grid.axes)
        inside = None if edges == out.shape else tuple(slice(0, extent) for extent in out.shape)
        compile_pipeline(stored.codecs, stored.dtype).into(block, edges, inside, out)
    except Exception:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Batch:
    """Chunks of one stored array that lie in one source, in the order of the file."""

    chunks: ChunkList
    chosen: npt.NDArray[np.intp]
    nbytes: int
    """Encoded size [bytes]."""

    @property
    def source(self) -> Source:
        """Where they lie."""
        row = int(self.chunks.source[self.chosen[0]])
        return self.chunks.stored.sources[row]

    def ranges(self) -> list[tuple[int, int]]:
        """Where each lies in the source."""
        chunks, chosen = self.chunks, self.chosen
        return list(zip(chunks.offset[chosen].tolist(), chunks.length[chosen].tolist(), strict=True))


def _batches(chunks: ChunkList, target: int, most: int) -> Iterator[_Batch]:
    order = np.lexsort((chunks.offset, chunks.source))
    lengths, sources = chunks.length[order], chunks.source[order]
    ends = np.cumsum(lengths)
    group = (ends - lengths) // target
    places = np.arange(order.size)
    cut = np.empty(order.size, dtype=bool)
    cut[0] = True
    cut[1:] = (group[1:] != group[:-1]) | (sources[1:] != sources[:-1])
    since = places - np.maximum.accumulate(np.where(cut, places, 0))
    cut |= since % most == 0
    starts = np.flatnonzero(cut)
    sums = np.add.reduceat(lengths, starts).tolist()
    for part, nbytes in zip(np.split(order, starts[1:]), sums, strict=True):
        yield _Batch(chunks, part, nbytes)


class _Read:
    """One request under way."""

    def __init__(self, readers: ReaderPool, decoded: bool, name: str, cache: ChunkCache | None) -> None:
        self.readers = readers
        self.decoded = decoded
        self.name = name
        self.cache = cache

    def use_cache(self, chunks: ChunkList) -> None:
        """Place the chunks that are in the cache, and forget them."""
        assert self.cache is not None
        known = [self.cache.get(chunks.stored, number) for number in chunks.number.tolist()]
        here = np.array([chunk is not None for chunk in known], dtype=bool)
        if not here.any():
            return
        found = np.flatnonzero(here)
        for chunk, placements in zip((k for k in known if k is not None), chunks.placements(found), strict=True):
            self._place_all(chunk, placements, chunks.out)
        chunks.keep(np.flatnonzero(~here))

    def run(self, lists: Sequence[ChunkList]) -> None:
        """Fetch, decode and place."""
        total = sum(int(chunks.length.sum()) for chunks in lists)
        # small reads should still use all threads
        share = total // (2 * thread_count()) + 1
        target, small, wide = (max(min(n, share), LEAST_BYTES) for n in (BATCH_BYTES, SMALL_BATCH_BYTES, REMOTE_BATCH_BYTES))
        near: list[_Batch] = []
        far: list[_Batch] = []
        for chunks in lists:
            first_is_near = self._is_near(chunks.stored.sources[int(chunks.source[0])])
            is_small = int(chunks.length.sum()) <= SMALL_CHUNK * len(chunks)
            limits = (small if is_small else target, BATCH_CHUNKS) if first_is_near else (wide, REMOTE_BATCH_CHUNKS)
            for batch in _batches(chunks, *limits):
                (near if self._is_near(batch.source) else far).append(batch)
        jobs = list(_jobs(near, target))
        if thread_count() == 1 or (len(jobs) == 1 and not far):
            for job in jobs:
                self._work(job)
            jobs = []
        futures: list[Future[None]] = [decode_pool().submit(self._work, job) for job in jobs]
        try:
            if far:
                run(self._run_far(list(_jobs(far, wide))))
            for future in futures:
                future.result()
        except BaseException:
            for future in futures:
                future.cancel()
            raise

    def _is_near(self, source: Source) -> bool:
        return source.content is not None or self.readers.get(source).is_near

    def _work(self, job: Sequence[_Batch]) -> None:
        for batches in _by_array(job):
            self._finish(batches, [block for batch in batches for block in self._fetch(batch)])

    def _fetch(self, batch: _Batch) -> Sequence[Buffer]:
        source = batch.source
        if source.content is not None:
            content = memoryview(source.content)
            return [content[start : start + length] for start, length in batch.ranges()]
        try:
            return self.readers.get(source).read(batch.ranges(), source)
        except SourceError as exc:
            raise self._named(batch, exc) from exc

    def _named(self, batch: _Batch, exc: SourceError) -> SourceError:
        return type(exc)(f"{self.name}: chunk {_text(batch.chunks.coords(int(batch.chosen[0])))}: {exc}")

    async def _run_far(self, jobs: Sequence[Sequence[_Batch]]) -> None:
        gate = asyncio.Semaphore(REMOTE_IN_FLIGHT)
        loop = asyncio.get_running_loop()
        pool = decode_pool()

        def finish(job: Sequence[_Batch], found: Sequence[Sequence[Buffer]]) -> None:
            rest = iter(found)
            for batches in _by_array(job):
                self._finish(batches, [block for _ in batches for block in next(rest)])

        async def one(job: Sequence[_Batch]) -> None:
            by_source: dict[str, list[_Batch]] = {}
            for batch in job:
                by_source.setdefault(batch.source.url, []).append(batch)
            job = [batch for batches in by_source.values() for batch in batches]
            async with gate:
                fetched = await gather([self._fetch_far(batches) for batches in by_source.values()])
                found = [blocks for of_source in fetched for blocks in of_source]
                await loop.run_in_executor(pool, finish, job, found)

        await gather([one(job) for job in jobs])

    async def _fetch_far(self, batches: Sequence[_Batch]) -> list[Sequence[Buffer]]:
        """The blocks of batches that lie in one source: neighbours are fetched by one request, whose batch they are in."""
        source = batches[0].source
        reader = self.readers.get(source)
        ranges = [one for batch in batches for one in batch.ranges()]
        try:
            if isinstance(reader, AsyncReader):
                blocks = await reader.read_async(ranges, source)
            else:
                blocks = await asyncio.to_thread(reader.read, ranges, source)
        except SourceError as exc:
            raise self._named(batches[0], exc) from exc
        rest = iter(blocks)
        return [[next(rest) for _ in range(batch.chosen.size)] for batch in batches]

    # ------------------------------------------------------------------ decoding

    def _finish(self, batches: Sequence[_Batch], blocks: Sequence[Buffer]) -> None:
        """Decode and place the chunks of batches of one stored array."""
        chunks, stored = batches[0].chunks, batches[0].chunks.stored
        chosen = batches[0].chosen if len(batches) == 1 else np.concatenate([batch.chosen for batch in batches])
        shape = stored.grid.chunk_shape
        own = compile_pipeline(stored.codecs, stored.dtype)
        if self._finish_together(chunks, chosen, blocks, own, shape):
            return
        indices, codecs = chosen.tolist(), chunks.codec[chosen].tolist()
        for index, codec, block, placements in zip(indices, codecs, blocks, chunks.placements(chosen), strict=True):
            try:
                decode = own if codec == 0 else compile_pipeline(stored.alternatives[codec - 1], stored.dtype)
                edges = shape if shape is not None else stored.grid.stored_shape(chunks.coords(index))
                self._decode(decode, block, edges, placements, chunks, int(chunks.number[index]))
            except Exception as exc:
                raise CodecError(
                    f"{self.name}: chunk {_text(chunks.coords(index))}: {int(chunks.length[index])} bytes "
                    f"at {int(chunks.offset[index])} of {stored.sources[int(chunks.source[index])].url}: {exc}"
                ) from exc

    def _finish_together(
        self,
        chunks: ChunkList,
        chosen: npt.NDArray[np.intp],
        blocks: Sequence[Buffer],
        decode: Decoder,
        shape: tuple[int, ...] | None,
    ) -> bool:
        """Decode and place small chunks together, if they allow it; what goes wrong is left to the long way, which names it."""
        asked = chunks.places(chosen)
        most = 1 if shape is None else decode.most_together(shape)
        if shape is None or asked is None or most == 1 or len(blocks) == 1 or self.cache is not None:
            return False
        share, where = asked
        if not share.is_unit or chunks.codec[chosen].any():
            return False
        order = np.argsort(where)
        listed = order.tolist()
        try:
            for start in range(0, len(listed), most):
                some = decode.together([blocks[index] for index in listed[start : start + most]], shape)
                values = self._unpacked(some, share.segment)
                for run in runs(share, where[order[start : start + most]]):
                    place(values, run, chunks.out)
        except Exception:
            return False
        return True

    def _unpacked(self, stored: AnyArray, segment: Segment) -> AnyArray:
        return segment.packing.decode(stored) if self.decoded and segment.packing is not None else stored

    def _decode(
        self,
        decode: Decoder,
        block: Buffer,
        shape: tuple[int, ...],
        placements: Sequence[Placement],
        chunks: ChunkList,
        number: int,
    ) -> None:
        if self.cache is None and len(placements) == 1 and placements[0].share.is_basic:
            self._decode_into(decode, block, shape, placements[0], chunks.out)
            return
        chunk = decode(block, shape)
        if self.cache is not None:
            self.cache.put(chunks.stored, number, chunk)
        self._place_all(chunk, placements, chunks.out)

    def _decode_into(self, decode: Decoder, block: Buffer, shape: tuple[int, ...], placement: Placement, out: AnyArray) -> None:
        """Decode straight into the result: one segment, axes as they are stored, slices only."""
        segment = placement.share.segment
        packing = segment.packing if self.decoded else None
        inside: Any = None if placement.whole else placement.inside
        target = out[(*placement.outside, ...)]  # a view, also of an array without axes
        dtype = segment.stored.dtype
        if packing is None and dtype == target.dtype:
            decode.into(block, shape, inside, target)
            return
        values = np.empty(target.shape, dtype=dtype)
        decode.into(block, shape, inside, values)
        if packing is None:
            target[...] = values
        elif packing.dtype == target.dtype:
            packing.decode_into(values, target)
        else:
            target[...] = packing.decode(values)

    def _place_all(self, chunk: AnyArray, placements: Sequence[Placement], out: AnyArray) -> None:
        for placement in placements:
            segment = placement.share.segment
            values = take(chunk, placement.inside)
            if self.decoded and segment.packing is not None:
                values = segment.packing.decode(values)
            if segment.axes != tuple(range(segment.stored.ndim)):
                values = _arrange(values, segment.axes)
            assign(out, placement.outside, values)


def _jobs(batches: Sequence[_Batch], target: int) -> Iterator[list[_Batch]]:
    """Batches that one thread does in one go: many sources of one small chunk each are not a task each."""
    job: list[_Batch] = []
    size = 0
    for batch in batches:
        if job and size + batch.nbytes > target:
            yield job
            job, size = [], 0
        job.append(batch)
        size += batch.nbytes
    if job:
        yield job


def _by_array(job: Iterable[_Batch]) -> Iterator[list[_Batch]]:
    """Batches that follow each other and belong to one stored array."""
    for _, group in groupby(job, key=lambda batch: id(batch.chunks)):
        yield list(group)


def _text(coords: tuple[int, ...]) -> str:
    return "(" + ", ".join(map(str, coords)) + ")"


def _arrange(values: AnyArray, axes: tuple[int | None, ...]) -> AnyArray:
    """Drop, permute and insert axes: from the order of the stored array to that of the larger one."""
    kept = [axis for axis in axes if axis is not None]
    dropped = tuple(axis for axis in range(values.ndim) if axis not in kept)
    values = values.transpose(*kept, *dropped)
    values = values.reshape(values.shape[: len(kept)])
    return values[tuple(np.newaxis if axis is None else slice(None) for axis in axes)]
