"""Variable-length strings of a dataset, alone or in compounds: read while scanning, as they cannot be stored by reference."""

from __future__ import annotations

from math import prod

import numpy as np

from intake_virtualzarr._typing import AnyArray, Shape
from intake_virtualzarr.codecs.hdf5_datatype import Datatype
from intake_virtualzarr.codecs.hdf5_elements import convert, unwrap
from intake_virtualzarr.codecs.pipeline import compile_pipeline
from intake_virtualzarr.codecs.spec import CodecSpec
from intake_virtualzarr.errors import FormatError, UnsupportedError
from intake_virtualzarr.formats.hdf5.attribute_values import decode_text
from intake_virtualzarr.formats.hdf5.compound_strings import MAX_BYTES, fixed_lengths, text_count, text_places, text_sizes
from intake_virtualzarr.formats.hdf5.filter_pipeline import codec_pipeline
from intake_virtualzarr.formats.hdf5.global_heap import parse_refs, read_heap
from intake_virtualzarr.formats.hdf5.model import Chunked, Compact, Contiguous, RawFilter, Values
from intake_virtualzarr.formats.hdf5.state import State
from intake_virtualzarr.formats.hdf5.tasks import Task, fetch, fetch_many

__all__ = ["MAX_STRINGS", "read_strings", "too_many_strings"]

MAX_STRINGS = 65536
"""Strings of one variable that are kept."""
MAX_TEXT_BYTES = 256 * 1024 * 1024
"""Size of all strings of a variable [bytes]."""
MAX_CHUNK_BYTES = 64 * 1024 * 1024
"""Size of a chunk of elements that hold strings, and of all elements [bytes]."""


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
    datatype: Datatype,
    filters: tuple[RawFilter, ...],
    fill: bytes | None,
) -> Task[Values]:
    """Read all strings of a dataset: elements that are strings, arrays of strings, or compounds with strings in them.

    Raises
    ------
    UnsupportedError
        If there are too many.
    FormatError
        If the file is damaged.
    """
    elements_here = max(prod(shape), 1)
    if elements_here * text_count(datatype) > MAX_STRINGS:
        raise too_many_strings(elements_here * text_count(datatype))
    if elements_here * datatype.size > MAX_CHUNK_BYTES:
        raise UnsupportedError(f"holds variable-length strings in elements of {datatype.size} bytes")
    places = text_places(datatype)
    width = 8 + state.offset_size
    if text_sizes(datatype) != {width}:
        raise FormatError(f"variable-length strings take {sorted(text_sizes(datatype))} bytes in an element, expected {width}")
    if fill is not None and len(fill) != datatype.size:
        raise FormatError(f"fill value has {len(fill)} bytes, the datatype {datatype.size}")
    empty = np.frombuffer(fill or bytes(datatype.size), f"V{datatype.size}")[0]
    elements = yield from _all_elements(state, layout, shape, datatype.size, filters, empty)
    # the fill value comes last, as one more element
    raw = np.append(np.ascontiguousarray(elements).reshape(-1), empty).view(np.uint8).reshape(-1, datatype.size)
    stored = np.stack([raw[:, at : at + width] for at in places], axis=1).tobytes()
    refs = parse_refs(state, stored)
    blobs = yield from read_heap(state, refs)
    sizes = [min(length, len(blob)) for blob, (length, _, _) in zip(blobs, refs, strict=True)]
    if sum(sizes) > MAX_TEXT_BYTES:  # many strings may be one object of the heap
        raise UnsupportedError(f"holds variable-length strings of {sum(sizes)} bytes together")
    texts = [blob[:length].partition(b"\0")[0] for blob, (length, _, _) in zip(blobs, refs, strict=True)]
    inner, base = unwrap(datatype)
    if base.kind == "vlen-string":
        values = np.empty(len(texts), object)
        values[:] = [decode_text(text) for text in texts]
        count = prod(shape) * prod(inner)
        return Values(values[:count].reshape(shape + inner), values[-1])
    if max(sizes) * len(sizes) > MAX_BYTES:
        raise UnsupportedError(
            f"holds {len(sizes) - len(places)} variable-length strings of up to {max(sizes)} bytes in compounds, which are shown "
            f"with one length; they may take {MAX_BYTES} bytes"
        )
    known = {stored[i * width : (i + 1) * width]: text for i, text in enumerate(texts)}
    fixed, raw = fixed_lengths(base, raw.reshape(-1, base.size), lambda reference: known[reference[:width]])
    compounds = convert(fixed, raw)
    count = prod(shape) * prod(inner)
    return Values(compounds[:count].reshape(shape + inner), compounds[-1])


def _all_elements(
    state: State,
    layout: Contiguous | Chunked | Compact,
    shape: Shape,
    itemsize: int,
    filters: tuple[RawFilter, ...],
    empty: np.void,
) -> Task[AnyArray]:
    count = prod(shape)
    if isinstance(layout, Chunked):
        return (yield from _chunk_elements(state, layout, shape, itemsize, filters, empty))
    if isinstance(layout, Compact):
        return _elements(layout.data, shape, itemsize) if layout.data else np.full(shape, empty)
    if layout.offset is None or not count:
        return np.full(shape, empty)
    raw = yield from fetch(state.memory, layout.offset - state.memory.base, count * itemsize)
    return _elements(raw, shape, itemsize)


def _elements(raw: bytes, shape: Shape, itemsize: int) -> AnyArray:
    size = prod(shape) * itemsize
    if len(raw) < size:
        raise FormatError(f"{len(raw)} bytes are stored, expected {size}")
    return np.frombuffer(raw[:size], f"V{itemsize}").reshape(shape)


def _chunk_elements(
    state: State, layout: Chunked, shape: Shape, itemsize: int, filters: tuple[RawFilter, ...], empty: np.void
) -> Task[AnyArray]:
    nbytes = prod(layout.chunk_shape) * itemsize
    if nbytes > MAX_CHUNK_BYTES:
        raise UnsupportedError(f"holds chunks of {nbytes} bytes of variable-length strings")
    out = np.full(shape, empty)
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
