"""The fast codec pipeline for zarr-python: a request for many chunks becomes one read of the virtual array behind them.

zarr-python's own pipeline fetches and decodes chunk by chunk, in several coroutines each, ten at once. This one is handed
the whole request, so remote ranges are merged and chunks are decoded on our threads. It serves arrays of a
`VirtualZarrStore` only; all others get the pipeline that was configured before. See
``docs/design/0003-codec-pipeline.md``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import zarr
from zarr.abc.codec import CodecPipeline, GetResult
from zarr.registry import get_pipeline_class, register_pipeline

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.arrays.segments import Window
from intake_virtualzarr.errors import warn_renamed
from intake_virtualzarr.storage.config import RestoreSettings, config

if TYPE_CHECKING:
    from zarr.abc.codec import Codec
    from zarr.abc.store import Store

    from intake_virtualzarr._typing import Shape
    from intake_virtualzarr.arrays.array import VirtualZarrArray
    from intake_virtualzarr.arrays.chunk_cache import ChunkCache
    from intake_virtualzarr.arrays.chunk_grid import ChunkGrid

__all__ = ["SETTING", "VirtualPipeline", "activate", "use_fast_pipeline"]

SETTING = "codec_pipeline.path"
"""zarr-python's setting with the class of its codec pipeline."""
SCATTERED_BYTES = 64 * 1024 * 1024
"""Decoded bytes of the chunks of a request that is not a box of elements, read at once."""

type Item = tuple[Any, Any, Any, Any, bool]
"""Byte getter, chunk spec, selection in the chunk, selection in the result, whether the chunk is needed whole."""


@runtime_checkable
class ServesArrays(Protocol):
    """A store that knows the array behind a chunk key."""

    def array_behind(self, key: str) -> tuple[VirtualZarrArray, ChunkGrid, Shape, ChunkCache | None, str] | None:
        """Array, the chunk grid that is shown, chunk coordinates, cache, and the name for messages."""


class VirtualPipeline(CodecPipeline):
    """Codec pipeline of arrays in a store that `ServesArrays`.

    Everything that is not a plain read is handed to ``plain``, the pipeline that zarr-python would have used.
    """

    path: ClassVar[str]
    """Setting that was there before: the pipeline of all other stores."""
    other: ClassVar[Any]
    """Its class."""

    def __init__(self, plain: Any) -> None:
        self.plain = plain

    def __reduce__(self) -> tuple[Any, tuple[str, Any]]:
        return _rebuilt, (self.path, self.plain)

    @classmethod
    def from_array_metadata_and_store(cls, array_metadata: Any, store: Store) -> Self:
        """The pipeline of an array, chosen by its store."""
        other = cls.other
        if not config.fast_pipeline or not isinstance(store, ServesArrays) or array_metadata.zarr_format != 3:
            # raises NotImplementedError where the other pipeline has no such choice; zarr then asks `from_codecs`
            return other.from_array_metadata_and_store(array_metadata, store)  # type: ignore[no-any-return]
        from zarr.core.array import create_codec_pipeline

        return cls(create_codec_pipeline(array_metadata))  # asks `from_codecs` below

    @classmethod
    def from_codecs(cls, codecs: Iterable[Codec]) -> Self:
        """The pipeline of an array in any other store: the one that was configured before."""
        return cls.other.from_codecs(codecs)  # type: ignore[no-any-return]

    def evolve_from_array_spec(self, array_spec: Any) -> Self:
        """As `plain`."""
        return type(self)(self.plain.evolve_from_array_spec(array_spec))

    @property
    def supports_partial_decode(self) -> bool:
        """As `plain`."""
        return bool(self.plain.supports_partial_decode)

    @property
    def supports_partial_encode(self) -> bool:
        """As `plain`."""
        return bool(self.plain.supports_partial_encode)

    def __iter__(self) -> Any:
        return iter(self.plain)

    def validate(self, **kwargs: Any) -> None:
        """As `plain`."""
        self.plain.validate(**kwargs)

    def compute_encoded_size(self, byte_length: int, array_spec: Any) -> int:
        """As `plain`."""
        return int(self.plain.compute_encoded_size(byte_length, array_spec))

    async def decode(self, chunk_bytes_and_specs: Any) -> Any:
        """As `plain`."""
        return await self.plain.decode(chunk_bytes_and_specs)

    async def encode(self, chunk_arrays_and_specs: Any) -> Any:
        """As `plain`."""
        return await self.plain.encode(chunk_arrays_and_specs)

    async def write(self, batch_info: Any, value: Any, drop_axes: tuple[int, ...] = ()) -> None:
        """As `plain` (which finds that the store is read-only)."""
        await self.plain.write(batch_info, value, drop_axes)

    async def read(self, batch_info: Iterable[Item], out: Any, drop_axes: tuple[int, ...] = ()) -> tuple[GetResult, ...]:
        """Read the chunks of a request into ``out``."""
        batch = list(batch_info)
        if not batch:
            return ()
        values = out.as_ndarray_like()
        store = getattr(batch[0][0], "store", None)
        found = store.array_behind(batch[0][0].path) if isinstance(store, ServesArrays) else None
        if (
            found is None
            or not isinstance(values, np.ndarray)
            or values.dtype != found[0].dtype
            or batch[0][1].config.read_missing_chunks is False
        ):
            return await self.plain.read(batch, out, drop_axes)  # type: ignore[no-any-return]
        array, grid, first, cache, name = found
        box = None if drop_axes else _box(batch, grid, first, store, values.shape)
        if box is not None:
            await asyncio.to_thread(array.read, box.windows, name, cache, values[box.insert])
        else:
            await asyncio.to_thread(_read_scattered, batch, store, values, drop_axes)
        return (GetResult(status="present"),) * len(batch)


@dataclass(frozen=True, slots=True)
class _Box:
    """Regularly spaced elements along each axis."""

    windows: tuple[Window, ...]
    insert: tuple[Any, ...]
    """Index that gives the result the axes that integers have dropped."""


def _box(batch: Sequence[Item], grid: ChunkGrid, first: Shape, store: Any, shape: Shape) -> _Box | None:
    """The request as one box, read off its first and last chunk; None if it is none.

    zarr-python's indexers give the chunks of a box in C order, so these two know the bounds; that the size of the result is
    that of the box is checked.
    """
    end = store.array_behind(batch[-1][0].path)
    if end is None:
        return None
    begin_selection, end_selection = batch[0][2], batch[-1][2]
    if not isinstance(begin_selection, tuple) or not len(begin_selection) == len(end_selection) == grid.ndim:
        return None
    windows: list[Window] = []
    insert: list[Any] = []
    kept: list[int] = []
    chunks = 1
    for axis, (a, b, chunk_a, chunk_b) in enumerate(zip(begin_selection, end_selection, first, end[2], strict=True)):
        start, stop = int(grid.axes[axis].starts[chunk_a]), int(grid.axes[axis].starts[chunk_b])
        if isinstance(a, slice) and isinstance(b, slice):
            step = a.step or 1
            span_a = range(*a.indices(int(grid.axes[axis].stored[chunk_a])))
            span_b = range(*b.indices(int(grid.axes[axis].stored[chunk_b])))
            if step < 1 or (b.step or 1) != step or not span_a or not span_b:
                return None
            low, high = start + span_a[0], stop + span_b[-1]
            windows.append(Window(low, (high - low) // step + 1, step))
            insert.append(slice(None))
            kept.append(windows[-1].count)
        elif isinstance(a, int | np.integer) and isinstance(b, int | np.integer) and chunk_a == chunk_b and a == b:
            windows.append(Window(start + int(a), 1))
            insert.append(np.newaxis)
            continue
        else:
            return None
        chunks *= chunk_b - chunk_a + 1
    unit = all(window.step == 1 for window in windows)
    if tuple(kept) != shape or (chunks != len(batch) if unit else chunks < len(batch)):
        return None
    return _Box(tuple(windows), tuple(insert) if insert else (...,))


def _read_scattered(batch: Sequence[Item], store: Any, out: AnyArray, drop_axes: tuple[int, ...]) -> None:
    """Read whole chunks, many by one request, and take listed elements of each."""
    array, grid, _, cache, name = store.array_behind(batch[0][0].path)
    most = max(1, SCATTERED_BYTES // max(1, array.dtype.itemsize * prod(batch[0][1].shape)))
    for start in range(0, len(batch), most):
        part = batch[start : start + most]
        boxes = [[Window(b.start, b.stop - b.start) for b in grid.box(store.array_behind(getter.path)[2])] for getter, *_ in part]
        for (_, spec, inside, outside, _), chunk in zip(part, array.read_many(boxes, name, cache), strict=True):
            values = chunk
            if values.shape != tuple(spec.shape):  # zarr-python counts elements of the whole last chunk
                values = np.full(tuple(spec.shape), array.fill_value, dtype=array.dtype)
                values[tuple(slice(0, n) for n in chunk.shape)] = chunk
            picked = values[inside]
            out[outside] = picked.squeeze(axis=drop_axes) if drop_axes else picked


OURS = f"{VirtualPipeline.__module__}.{VirtualPipeline.__qualname__}["


@cache
def pipeline_over(path: str) -> type[VirtualPipeline]:
    """Our pipeline over the one with this path, under a name of its own.

    The setting then says itself what other stores get: whoever returns to a setting of before, at the end of a ``with``,
    returns to that.
    """
    other = get_pipeline_class() if zarr.config.get(SETTING) == path else _class_at(path)
    qualname = f"{VirtualPipeline.__qualname__}[{path}]"
    names = {"path": path, "other": other, "__module__": VirtualPipeline.__module__, "__qualname__": qualname}
    made = type(VirtualPipeline.__name__, (VirtualPipeline,), names)
    register_pipeline(made)
    return made


def _class_at(path: str) -> type[CodecPipeline]:
    with zarr.config.set({SETTING: path}):
        return get_pipeline_class()


def _rebuilt(path: str, plain: Any) -> VirtualPipeline:
    with _LOCK:
        return pipeline_over(path)(plain)


_LOCK = Lock()


def activate() -> None:
    """Make ours the pipeline of zarr-python, unless the user does not want it; opening a `VirtualZarrStore` does this.

    zarr-python chooses pipelines by one setting of the process; ours then chooses by store, and every array that is not in
    a `VirtualZarrStore` gets the pipeline that was configured before.
    """
    with _LOCK:
        before = str(zarr.config.get(SETTING))
        if config.fast_pipeline and not before.startswith(OURS):
            ours = pipeline_over(before)
            zarr.config.set({SETTING: f"{ours.__module__}.{ours.__qualname__}"})


def use_fast_pipeline(active: bool = True) -> RestoreSettings:
    """Read stores by the fast pipeline, or no longer. Deprecated: use ``config.set(fast_pipeline=…)``."""
    warn_renamed("use_fast_pipeline(…)", "config.set(fast_pipeline=…)")
    undo = config.set(fast_pipeline=active)
    activate()
    return undo
