"""Bytes of the file that have been read so far, and the scheduler of those who need more.

Every object of a file is read by a *task*: a generator that yields the ``(address, size)`` ranges it lacks. One round runs
all tasks until each waits, asks for the union of what they lack, and goes on; so the number of rounds is the longest chain
of addresses that lead to addresses, however large the file is.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Generator, Sequence

from intake_virtualzarr.errors import FormatError
from intake_virtualzarr.formats.hdf5.trace import Trace
from intake_virtualzarr.storage.reader import Buffer, ByteRange

__all__ = ["HEAD", "WHOLE", "Memory", "Rounds", "Task", "fetch", "fetch_many", "run_tasks"]

type Task[T] = Generator[Sequence[ByteRange], None, T]
"""Yields ranges that are missing from memory, is resumed when they are there."""
type Rounds[T] = Generator[Sequence[ByteRange], Sequence[Buffer], T]

HEAD = 64 * 1024
"""Size of the first request [bytes]."""
WHOLE = 256 * 1024
"""Files up to this size are read whole at once [bytes]."""
READ_AHEAD = 2048
"""Least size of a later request [bytes]: a header is often longer than what is known of it at first."""
GAP = 4096
"""Ranges nearer than this are asked for as one [bytes]; readers merge more where that pays."""
MAX_ROUNDS = 2000
"""More rounds than any honest file needs."""


class Memory:
    """Blocks of the file, by address.

    Addresses are those of the HDF5 file: they count from its base address (the end of the user block).
    """

    __slots__ = ("base", "blocks", "size", "starts", "trace")

    def __init__(self, size: int | None) -> None:
        self.size = size
        self.trace: Trace | None = None
        self.base = 0
        self.starts: list[int] = []
        self.blocks: list[bytes] = []

    def add(self, start: int, block: Buffer) -> None:
        """Keep a block, given by its place in the file. No block ever lies within another."""
        stop = start + len(block)
        at = bisect_left(self.starts, start)
        if at and self.starts[at - 1] + len(self.blocks[at - 1]) >= stop:
            return
        end = at
        while end < len(self.starts) and self.starts[end] + len(self.blocks[end]) <= stop:
            end += 1
        self.starts[at:end] = [start]
        self.blocks[at:end] = [bytes(block)]

    def get(self, address: int, size: int) -> bytes | None:
        """The bytes at an address, or None if they have not been read (all of them)."""
        if self.trace is not None:
            self.trace.ranges.append((address + self.base, size))
        return self.peek(address, size)

    def peek(self, address: int, size: int) -> bytes | None:
        """`get` for bytes of which perhaps not all are looked at: those that are, the caller notes in the trace."""
        at = address + self.base
        index = bisect_right(self.starts, at) - 1 if len(self.starts) > 1 else 0
        if at < 0 or index < 0 or at < self.starts[index]:
            return None
        # blocks that start later also end later, so the last one that starts in time reaches furthest
        start = at - self.starts[index]
        block = self.blocks[index]
        stop = start + size
        return block[start:stop] if stop <= len(block) else None

    def get_many(self, ranges: Sequence[ByteRange]) -> list[bytes | None]:
        """`get` for many ranges: indexes of large datasets have thousands of nodes."""
        if self.trace is not None:
            self.trace.ranges.extend((address + self.base, size) for address, size in ranges)
        if len(self.starts) != 1:
            peek = self.peek
            return [peek(address, size) for address, size in ranges]
        (block,) = self.blocks
        shift, end = self.base - self.starts[0], len(block)
        return [
            block[address + shift : address + shift + size] if 0 <= address + shift <= end - size else None
            for address, size in ranges
        ]

    def check(self, address: int, size: int) -> None:
        """Refuse a range that leaves the file, before anybody allocates memory for it."""
        if size < 0 or address < 0 or (self.size is not None and address + self.base + size > self.size):
            raise FormatError(f"address {address:#x} names {size} bytes, the file has {self.size}: it is truncated or damaged")


def fetch(memory: Memory, address: int, size: int) -> Task[bytes]:
    """Read bytes.

    Raises
    ------
    FormatError
        If the range leaves the file.
    """
    data = memory.get(address, size)
    if data is None:
        memory.check(address, size)
        yield ((address, size),)
        data = memory.get(address, size)
        if data is None:
            raise FormatError(f"the file ends before the {size} bytes at address {address:#x}: it is truncated")
    return data


def fetch_many(memory: Memory, ranges: Sequence[ByteRange]) -> Task[list[bytes]]:
    """Read several ranges in one round."""
    found = memory.get_many(ranges)
    places = [place for place, data in enumerate(found) if data is None]
    if places:
        missing = [ranges[place] for place in places]
        for address, size in missing:
            memory.check(address, size)
        yield missing
        for place, (address, size), data in zip(places, missing, memory.get_many(missing), strict=True):
            if data is None:
                raise FormatError(f"the file ends before the {size} bytes at address {address:#x}: it is truncated")
            found[place] = data
    return found  # type: ignore[return-value]


def run_tasks(memory: Memory, ready: list[Task[None]], budget: int) -> Rounds[None]:
    """Run tasks round by round; tasks may append new ones to ``ready``.

    Raises
    ------
    FormatError
        If that takes more than `MAX_ROUNDS` rounds or ``budget`` bytes: the file leads in circles.
    """
    asked = 0
    for _ in range(MAX_ROUNDS):
        waiting: list[Task[None]] = []
        missing: list[ByteRange] = []
        while ready:
            task = ready.pop()
            try:
                missing.extend(next(task))
            except StopIteration:
                continue
            waiting.append(task)
        if not waiting:
            return
        ranges = _merged(missing, memory)
        asked += sum(size for _, size in ranges)
        if asked > budget:
            raise FormatError(f"metadata of more than {budget} bytes: the file is damaged")
        memory.trace = None  # the tasks of several objects take turns from here on
        blocks = yield ranges
        for (start, _), block in zip(ranges, blocks, strict=True):
            memory.add(start, block)
        # tasks were popped from the end; resume them in the order in which they were started
        ready.extend(waiting)
    raise FormatError(f"metadata takes more than {MAX_ROUNDS} dependent reads: the file is damaged")


def _merged(missing: Sequence[ByteRange], memory: Memory) -> list[ByteRange]:
    """Places in the file, ascending, near ones as one, each at least `READ_AHEAD` long."""
    merged: list[ByteRange] = []
    first = last = -1
    for address, size in sorted(missing):
        start = address + memory.base
        stop = start + max(size, READ_AHEAD)
        if memory.size is not None:
            stop = min(stop, memory.size)
        if first >= 0 and start <= last + GAP:
            last = max(last, stop)
            merged[-1] = (first, last - first)
        else:
            first, last = start, stop
            merged.append((start, stop - start))
    return merged
