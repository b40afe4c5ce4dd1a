"""Variable-length strings of a dataset: read while scanning, as they have no virtual form."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr.codecs.pipeline import compile_pipeline
from intake_virtualzarr.codecs.spec import CodecSpec
from intake_virtualzarr.errors import FormatError, UnsupportedError
from intake_virtualzarr.formats.hdf5.attributes import decode_text
from intake_virtualzarr.formats.hdf5.filters import codec_pipeline
from intake_virtualzarr.formats.hdf5.global_heap import parse_refs, read_heap
from intake_virtualzarr.formats.hdf5.memory import Task, fetch, fetch_many
from intake_virtualzarr.formats.hdf5.model import Chunked, Compact, Contiguous, RawFilter, Values
from intake_virtualzarr.formats.hdf5.state import State
from intake_virtualzarr.grid import Shape

__all__ = ["MAX_STRINGS", "read_strings", "too_many_strings"]

MAX_STRINGS = 65536
"""Strings of one variable that are kept."""
MAX_CHUNK_BYTES = 64 * 1024 * 1024


def too_many_strings(count: int) -> UnsupportedError:
    """The reason why a variable of many strings is left out."""
    return UnsupportedError(
        f"holds {count} variable-length strings, which lie scattered in the file; at most {MAX_STRINGS} are kept here, "
        "rewrite them as fixed-length strings"
    )


def read_strings(
    state: State,
    layout: Contiguous | Chunked | Compact,
    shape: Shape,
    itemsize: int,
    filters: tuple[RawFilter, ...],
) -> Task[Values]:
    """Read all strings of a dataset.

    Raises
    ------
    UnsupportedError
        If there are too many.
    FormatError
        If the file is damaged.
    """
    count = prod(shape)
    if count > MAX_STRINGS:
        raise too_many_strings(count)
    if isinstance(layout, Chunked):
        elements = yield from _chunk_elements(state, layout, shape, itemsize, filters)
    elif isinstance(layout, Compact):
        elements = _elements(layout.data, shape, itemsize)
    elif layout.offset is None or not count:
        elements = np.zeros(shape, f"V{itemsize}")
    else:
        raw = yield from fetch(state.memory, layout.offset - state.memory.base, count * itemsize)
        elements = _elements(raw, shape, itemsize)
    refs = parse_refs(state, np.ascontiguousarray(elements).tobytes())
    blobs = yield from read_heap(state, refs)
    values = np.empty(count, object)
    values[:] = [decode_text(blob[:length].partition(b"\0")[0]) for blob, (length, _, _) in zip(blobs, refs, strict=True)]
    return Values(values.reshape(shape))


def _elements(raw: bytes, shape: Shape, itemsize: int) -> npt.NDArray[Any]:
    size = prod(shape) * itemsize
    if len(raw) < size:
        raise FormatError(f"{len(raw)} bytes are stored, expected {size}")
    return np.frombuffer(raw[:size], f"V{itemsize}").reshape(shape)


def _chunk_elements(
    state: State, layout: Chunked, shape: Shape, itemsize: int, filters: tuple[RawFilter, ...]
) -> Task[npt.NDArray[Any]]:
    nbytes = prod(layout.chunk_shape) * itemsize
    if nbytes > MAX_CHUNK_BYTES:
        raise UnsupportedError(f"holds chunks of {nbytes} bytes of variable-length strings")
    out = np.zeros(shape, f"V{itemsize}")
    base = state.memory.base
    ranges = [(at - base, size) for at, size in zip(layout.offset.tolist(), layout.size.tolist(), strict=True)]
    data = yield from fetch_many(state.memory, ranges)
    everything = (1 << len(filters)) - 1
    for coords, mask, raw in zip(layout.coords.tolist(), layout.mask.tolist(), data, strict=True):
        box = tuple(slice(i * c, min((i + 1) * c, n)) for i, c, n in zip(coords, layout.chunk_shape, shape, strict=True))
        if any(s.start >= n for s, n in zip(box, shape, strict=True)):
            continue
        partial = any((i + 1) * c > n for i, c, n in zip(coords, layout.chunk_shape, shape, strict=True))
        skipped = everything if layout.raw_edges and partial else mask & everything
        pipeline = codec_pipeline(CodecSpec.of("bytes"), itemsize, nbytes, filters, skipped)
        values = compile_pipeline(pipeline, out.dtype)(raw, layout.chunk_shape)
        out[box] = values[tuple(slice(0, s.stop - s.start) for s in box)]
    return out
