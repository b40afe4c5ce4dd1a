"""Reading: from a request on an array of segments to values in memory.

A request is planned (which chunks, and where their elements go), then fetched in batches of one source each, decoded on the
pool of threads, and placed. A chunk that several segments use is fetched and decoded once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr.cache import ChunkCache
from intake_virtualzarr.cf import Packing
from intake_virtualzarr.codecs import compile_pipeline
from intake_virtualzarr.errors import CodecError, SourceError
from intake_virtualzarr.grid import Shape
from intake_virtualzarr.readers import Buffer, ReaderPool
from intake_virtualzarr.readers.local import LocalReader
from intake_virtualzarr.readers.loop import run
from intake_virtualzarr.segments import Segment, StoredArray
from intake_virtualzarr.selection import AxisPick, AxisRequest, Selector, assign, pick, request_length, take
from intake_virtualzarr.threads import decode_pool, thread_count

__all__ = ["decode_chunk", "read_segments"]

BATCH_BYTES = 4 * 1024 * 1024
"""Encoded bytes of the chunks that one task fetches and decodes."""
BATCH_CHUNKS = 256
REMOTE_BATCH_CHUNKS = 64
REMOTE_IN_FLIGHT = 64
"""Batches of remote chunks that are fetched or wait for a decoding thread."""


@dataclass(frozen=True, slots=True)
class _Placement:
    """Where elements of a decoded chunk go."""

    segment: Segment
    inside: tuple[Selector, ...]
    outside: tuple[Selector, ...]


@dataclass(slots=True)
class _Task:
    """One chunk to fetch, decode and place."""

    stored: StoredArray
    coords: tuple[int, ...]
    source: int
    offset: int
    length: int
    codec: int
    placements: list[_Placement] = field(default_factory=list)


def read_segments(
    segments: Iterable[Segment],
    requests: Sequence[AxisRequest],
    out: npt.NDArray[Any],
    fill_value: Any,
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
    tasks: dict[tuple[int, int], _Task] = {}
    covered = 0
    planned: list[tuple[Segment, list[tuple[int | None, list[AxisPick]]]]] = []
    for segment in segments:
        axes = _axes_of(segment, requests)
        if axes is not None:
            planned.append((segment, axes))
            covered += _volume(axes, out.shape)
    if covered < out.size:
        out[...] = fill_value
    for segment, axes in planned:
        _plan(segment, axes, out, tasks, decoded=decoded)
    if cache is not None:
        tasks = {key: task for key, task in tasks.items() if not _from_cache(key[1], task, out, cache, decoded=decoded)}
    if tasks:
        _execute(list(tasks.values()), out, readers, decoded=decoded, name=name, cache=cache)


def _from_cache(number: int, task: _Task, out: npt.NDArray[Any], cache: ChunkCache, *, decoded: bool) -> bool:
    chunk = cache.get(task.stored, number)
    if chunk is None:
        return False
    for placement in task.placements:
        _place(placement, chunk, out, decoded=decoded)
    return True


def _axes_of(segment: Segment, requests: Sequence[AxisRequest]) -> list[tuple[int | None, list[AxisPick]]] | None:
    axes = []
    for axis, request in enumerate(requests):
        picked = pick(segment, axis, request)
        if picked is None:
            return None
        axes.append(picked)
    return axes


def _volume(axes: list[tuple[int | None, list[AxisPick]]], shape: Shape) -> int:
    volume = 1
    for (_, picks), extent in zip(axes, shape, strict=True):
        volume *= sum(_selected(p.outside, extent) for p in picks)
    return volume


def _selected(selector: Selector, extent: int) -> int:
    return len(range(*selector.indices(extent))) if isinstance(selector, slice) else int(selector.size)


def _plan(
    segment: Segment,
    axes: list[tuple[int | None, list[AxisPick]]],
    out: npt.NDArray[Any],
    tasks: dict[tuple[int, int], _Task],
    *,
    decoded: bool,
) -> None:
    stored = segment.stored
    by_axis: list[list[AxisPick]] = [[] for _ in range(stored.ndim)]
    outer: dict[int, Selector] = {}
    place_of: dict[int, int] = {}
    for axis, (stored_axis, picks) in enumerate(axes):
        if stored_axis is None:
            outer[axis] = picks[0].outside
        else:
            by_axis[stored_axis] = picks
            place_of[stored_axis] = axis
    for stored_axis, window in enumerate(segment.windows):
        if stored_axis not in place_of:
            grid = stored.grid.axes[stored_axis]
            chunk = grid.chunk_of(window.start)
            inner = window.start - int(grid.starts[chunk])
            by_axis[stored_axis] = [AxisPick(chunk, slice(inner, inner + 1), slice(0, 1))]
    firsts = [min(p.chunk for p in picks) for picks in by_axis]
    spans = tuple(
        slice(first, max(p.chunk for p in picks) + 1) for first, picks in zip(firsts, by_axis, strict=True)
    )
    manifest = stored.manifest.region(spans)
    sources, offsets, lengths, codecs = manifest.source, manifest.offset, manifest.length, manifest.codec
    identity = segment.axes == tuple(range(stored.ndim))
    grid_shape = stored.grid.grid_shape
    key_base = id(stored)
    fill = None
    for combination in product(*by_axis):
        coords = tuple(p.chunk for p in combination)
        inside = tuple(p.inside for p in combination)
        if identity:
            outside = tuple(p.outside for p in combination)
        else:
            outside = tuple(
                outer[axis] if stored_axis is None else combination[stored_axis].outside
                for axis, stored_axis in enumerate(segment.axes)
            )
        at = tuple(c - f for c, f in zip(coords, firsts, strict=True))
        length = int(lengths[at])
        placement = _Placement(segment, inside, outside)
        if length == 0:
            if fill is None:
                fill = _fill_of(segment, decoded=decoded)
            assign_scalar(out, outside, fill)
            continue
        number = 0
        for c, n in zip(coords, grid_shape, strict=True):
            number = number * n + c
        task = tasks.get((key_base, number))
        if task is None:
            codec = 0 if codecs is None else int(codecs[at])
            task = _Task(stored, coords, int(sources[at]), int(offsets[at]), length, codec)
            tasks[(key_base, number)] = task
        task.placements.append(placement)


def assign_scalar(out: npt.NDArray[Any], where: tuple[Selector, ...], value: Any) -> None:
    """``out[where] = value``, each selector along its own axis."""
    value = np.asarray(value).astype(out.dtype)  # NumPy assigns no NaN to integers, but casts it like any array
    if all(isinstance(w, slice) for w in where):
        out[where] = value
    else:
        assign(out, where, value)


def _fill_of(segment: Segment, *, decoded: bool) -> Any:
    fill = segment.stored.fill_value
    if decoded and segment.packing is not None:
        return segment.packing.decode(np.array([fill], dtype=segment.stored.dtype))[0]
    return fill


def _execute(
    tasks: list[_Task],
    out: npt.NDArray[Any],
    readers: ReaderPool,
    *,
    decoded: bool,
    name: str,
    cache: ChunkCache | None,
) -> None:
    local, remote = [], []
    for batch in _batches(tasks):
        (local if _is_near(batch[0], readers) else remote).append(batch)

    def work(batch: list[_Task]) -> None:
        _finish(batch, _fetch(batch, readers, name), out, decoded=decoded, name=name, cache=cache)

    if len(local) == 1 and not remote:
        work(local[0])
        return
    futures: list[Future[None]] = []
    if local:
        if thread_count() == 1:
            for batch in local:
                work(batch)
        else:
            futures = [decode_pool().submit(work, batch) for batch in local]
    try:
        if remote:
            run(_remote(remote, readers, name, lambda b, blocks: _finish(b, blocks, out, decoded=decoded, name=name, cache=cache)))
        for future in futures:
            future.result()
    except BaseException:
        for future in futures:
            future.cancel()
        raise


def _is_near(task: _Task, readers: ReaderPool) -> bool:
    source = task.stored.sources[task.source]
    return source.content is not None or isinstance(readers.get(source.url), LocalReader)


def _batches(tasks: list[_Task]) -> list[list[_Task]]:
    """Groups of chunks of one source, in the order of the file."""
    groups: dict[str, list[_Task]] = {}
    for task in tasks:
        groups.setdefault(task.stored.sources[task.source].url, []).append(task)
    batches: list[list[_Task]] = []
    # small reads should still use all threads
    total = sum(task.length for task in tasks)
    target = max(min(BATCH_BYTES, total // (2 * thread_count()) + 1), 256 * 1024)
    for group in groups.values():
        group.sort(key=lambda task: task.offset)
        batch: list[_Task] = []
        size = 0
        for task in group:
            if batch and (size + task.length > target or len(batch) >= BATCH_CHUNKS):
                batches.append(batch)
                batch, size = [], 0
            batch.append(task)
            size += task.length
        batches.append(batch)
    return batches


def _fetch(batch: list[_Task], readers: ReaderPool, name: str) -> list[Buffer]:
    source = batch[0].stored.sources[batch[0].source]
    ranges = [(task.offset, task.length) for task in batch]
    if source.content is not None:
        return [memoryview(source.content)[start : start + length] for start, length in ranges]
    try:
        return readers.get(source.url).read(ranges, source)
    except SourceError as exc:
        raise type(exc)(f"{name}: chunk {_coords(batch[0])}: {exc}") from exc


def _coords(task: _Task) -> str:
    return "(" + ", ".join(map(str, task.coords)) + ")"


async def _remote(
    batches: list[list[_Task]],
    readers: ReaderPool,
    name: str,
    finish: Callable[[list[_Task], Sequence[Buffer]], None],
) -> None:
    gate = asyncio.Semaphore(REMOTE_IN_FLIGHT)
    loop = asyncio.get_running_loop()
    pool = decode_pool()

    async def one(batch: list[_Task]) -> None:
        async with gate:
            source = batch[0].stored.sources[batch[0].source]
            reader = readers.get(source.url)
            try:
                if hasattr(reader, "read_async"):
                    blocks = await reader.read_async([(t.offset, t.length) for t in batch], source)
                else:
                    blocks = await asyncio.to_thread(reader.read, [(t.offset, t.length) for t in batch], source)
            except SourceError as exc:
                raise type(exc)(f"{name}: chunk {_coords(batch[0])}: {exc}") from exc
            await loop.run_in_executor(pool, finish, batch, blocks)

    running = [asyncio.ensure_future(one(batch)) for batch in batches]
    try:
        await asyncio.gather(*running)
    except BaseException:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        raise


def decode_chunk(stored: StoredArray, coords: tuple[int, ...], codec: int, data: Buffer) -> npt.NDArray[Any]:
    """Decode one chunk to its stored shape.

    Raises
    ------
    CodecError
        If the bytes do not decode to that shape.
    """
    pipeline = stored.codecs if codec == 0 else stored.alternatives[codec - 1]
    return compile_pipeline(pipeline, stored.dtype)(data, stored.grid.stored_shape(coords))


def _finish(
    batch: list[_Task],
    blocks: Sequence[Buffer],
    out: npt.NDArray[Any],
    *,
    decoded: bool,
    name: str,
    cache: ChunkCache | None,
) -> None:
    for task, block in zip(batch, blocks, strict=True):
        try:
            chunk = decode_chunk(task.stored, task.coords, task.codec, block)
        except Exception as exc:
            url = task.stored.sources[task.source].url
            raise CodecError(
                f"{name}: chunk {_coords(task)}: {task.length} bytes at {task.offset} of {url}: {exc}"
            ) from exc
        if cache is not None:
            cache.put(task.stored, _number(task), chunk)
        for placement in task.placements:
            _place(placement, chunk, out, decoded=decoded)


def _number(task: _Task) -> int:
    number = 0
    for c, n in zip(task.coords, task.stored.grid.grid_shape, strict=True):
        number = number * n + c
    return number


def _place(placement: _Placement, chunk: npt.NDArray[Any], out: npt.NDArray[Any], *, decoded: bool) -> None:
    segment = placement.segment
    values = take(chunk, placement.inside)
    packing: Packing | None = segment.packing if decoded else None
    if packing is not None:
        values = packing.decode(values)
    if segment.axes != tuple(range(segment.stored.ndim)):
        values = _arrange(values, segment.axes)
    assign(out, placement.outside, values)


def _arrange(values: npt.NDArray[Any], axes: tuple[int | None, ...]) -> npt.NDArray[Any]:
    """Drop, permute and insert axes: from the order of the stored array to that of the larger one."""
    kept = [axis for axis in axes if axis is not None]
    dropped = tuple(axis for axis in range(values.ndim) if axis not in kept)
    values = values.transpose(*kept, *dropped)
    values = values.reshape(values.shape[: len(kept)])
    return values[tuple(np.newaxis if axis is None else slice(None) for axis in axes)]
