"""Damaged HDF5 files made from whole ones, and a run of the parser that must end in a clean error or a scan."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from types import FrameType

import numpy as np
from support import hdf5_oracle

from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.formats.base import ScannedFile
from intake_virtualzarr.formats.hdf5 import (
    FORMAT,
    TWINS,
    array_indexes,
    btree_v2,
    chunk_index,
    fractal_heap,
    object_header,
    superblock,
    twins,
)
from intake_virtualzarr.storage.source import Source

INTERESTING = (0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 254, 255)
WIDE = (0, 1, 2**8, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1)
MAX_VALUES = 4 * 1024 * 1024
"""Values are read back only of arrays up to this size [bytes]."""
CHECKED = (btree_v2, chunk_index, fractal_heap, object_header, superblock, array_indexes, twins)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Change a few places of a file: bytes, numbers, stretches, its length."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        kind = rng.randrange(9)
        at = rng.randrange(max(len(out), 1)) if out else 0
        if kind <= 2 and out:
            out[at] = rng.randrange(256)
        elif kind == 3 and out:
            out[at] = rng.choice(INTERESTING)
        elif kind == 4 and out:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 5:
            width = rng.choice((2, 4, 8))
            out[at : at + width] = (rng.choice(WIDE) & (1 << 8 * width) - 1).to_bytes(width, "little")
        elif kind == 6 and len(out) > 16:
            # another address or size of the same file in this place: cycles, overlaps
            width = rng.choice((2, 4, 8))
            source = rng.randrange(len(out) - width)
            out[at : at + width] = out[source : source + width]
        elif kind == 7 and len(out) > 64:
            length = rng.randrange(1, 64)
            source = rng.randrange(len(out) - length)
            out[at : at + length] = out[source : source + length]
        elif kind == 8 and rng.random() < 0.2:
            del out[at:]
    return bytes(out)


def mutate_metadata(data: bytes, rng: random.Random) -> bytes:
    """The same, but near a signature, where structures lie."""
    signature = rng.choice((b"TREE", b"HEAP", b"SNOD", b"OHDR", b"OCHK", b"FRHP", b"FHDB", b"FHIB", b"BTHD", b"BTLF",
                            b"BTIN", b"GCOL", b"FAHD", b"FADB", b"EAHD", b"EAIB", b"EASB", b"EADB", b"\x89HDF"))  # fmt: skip
    places = []
    start = data.find(signature)
    while start >= 0:
        places.append(start)
        start = data.find(signature, start + 1)
    if not places:
        return mutate(data, rng)
    at = rng.choice(places)
    stop = min(len(data), at + 256)
    return data[:at] + mutate(data[at:stop], rng)[: stop - at].ljust(stop - at, b"\0") + data[stop:]


@contextmanager
def without_checksums() -> Iterator[None]:
    """Accept wrong checksums, so that damage gets past the first structure."""
    saved = [(module, module.check_sum) for module in CHECKED if hasattr(module, "check_sum")]
    for module, _ in saved:
        module.check_sum = lambda data, what, address: None
    try:
        yield
    finally:
        TWINS.forget()  # what was taken then is no pattern for others
        for module, check in saved:
            module.check_sum = check


class HangError(Exception):
    """An input took too long."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise `HangError` in the main thread after a processor time: a parser that waits for nothing hangs busily."""

    def alarm(number: int, frame: FrameType | None) -> None:
        raise HangError

    previous = signal.signal(signal.SIGPROF, alarm)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)


def parse_bytes(data: bytes) -> ScannedFile:
    """Run the parser on bytes; ranges that leave the file are answered with what exists."""
    parse = FORMAT.parse(Source("file:///mutated.h5", size=len(data)))
    try:
        ranges = next(parse)
        while True:
            ranges = parse.send([data[start : start + size] for start, size in ranges])
    except StopIteration as stop:
        return stop.value


def try_one(data: bytes) -> str:
    """Parse and read back; the outcome in one word. Anything but a clean error escapes."""
    try:
        scan = parse_bytes(data)
    except VirtualZarrError:
        return "refused"
    clean = True
    for array in scan.arrays.values():
        if prod(array.shape) * max(array.dtype.itemsize, 1) > MAX_VALUES:
            continue
        if any(prod(segment.stored.grid.grid_shape) > 20_000 for segment in array.segments):
            continue
        try:
            _read(array, data)
        except VirtualZarrError:
            clean = False
    return "read" if clean and not scan.left_out else "read in part"


def _read(array: hdf5_oracle.ScannedArray, data: bytes) -> None:
    from intake_virtualzarr.codecs.pipeline import compile_pipeline
    from intake_virtualzarr.errors import SourceError

    for segment in array.segments:
        stored = segment.stored
        manifest = stored.manifest.load()
        pipelines = (stored.codecs, *stored.alternatives)
        for coords in np.argwhere(manifest.length > 0)[:200].tolist():
            ref = manifest.get(coords)
            assert ref is not None
            shape = stored.grid.stored_shape(coords)
            if prod(shape) * stored.dtype.itemsize > MAX_VALUES:
                continue
            source = stored.sources[ref.source]
            content = data if source.content is None else source.content
            raw = content[ref.offset : ref.offset + ref.length]
            if len(raw) != ref.length or (source.content is None and source.url != "file:///mutated.h5"):
                raise SourceError("cut short")
            compile_pipeline(pipelines[ref.codec], stored.dtype)(raw, shape)


def seconds_since(start: float) -> float:
    return time.monotonic() - start
