"""Files that differ from one that was parsed in nothing but what was to be expected: parsed by comparison with it.

The files of an archive repeat nearly all bytes of their metadata. What the parser makes of a file is a function of the bytes it
looks at (`Trace`). A file that has the same bytes in the same places therefore is the same, but for three things that are read
anew: the superblock, which tells the length of the file; the chunk B-trees, and where they lie; attributes of groups, such as a
history. Whatever else differs, the file is parsed as if there were no other.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.formats.base import ScannedFile, ScannedGroup
from intake_virtualzarr.formats.hdf5.checksum import check_sum
from intake_virtualzarr.formats.hdf5.model import Chunked, Contiguous, RawDataset, RawFile, Values
from intake_virtualzarr.formats.hdf5.netcdf4_dimensions import public_attrs, public_path
from intake_virtualzarr.formats.hdf5.parser import DAMAGE, Traces, read_group
from intake_virtualzarr.formats.hdf5.state import State
from intake_virtualzarr.formats.hdf5.superblock import read_superblock
from intake_virtualzarr.formats.hdf5.tasks import Memory, Task
from intake_virtualzarr.formats.hdf5.trace import Trace
from intake_virtualzarr.formats.series import Schema, SeriesArrays
from intake_virtualzarr.storage.reader import Buffer, ByteRange
from intake_virtualzarr.storage.source import Source

__all__ = ["Parsed", "Twins"]

MODELS = 8
"""Files that others are compared with."""
PATIENCE = 16
"""After so many models of which none was of use, one file in so many is made a model."""


@dataclass(frozen=True, eq=False)
class Parsed:
    """A file that was parsed, and what tells how."""

    block: Buffer
    """Its first bytes, in which all metadata lies."""
    raw: RawFile
    scanned: ScannedFile
    traces: Traces


class Twins:
    """The files that were parsed last. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Parsed] = []
        self._models: tuple[_Model, ...] = ()
        self._misses = 0

    def find(self, block: Buffer, source: Source) -> ScannedFile | None:
        """The scan of a file that is like an earlier one; None if it is like none of them."""
        if self._waiting:
            self._take_in()
        if source.size is None:
            return None
        data = bytes(block)
        for model in self._models:
            found = model.match(data, source)
            if found is not None:
                self._misses = 0
                return found
        return None

    def wants(self) -> bool:
        """Whether the next file that is parsed may become a model: where none ever helps, few do."""
        self._misses += 1
        return self._misses <= PATIENCE or not self._misses % PATIENCE

    def keep(self, parsed: Parsed) -> None:
        """Remember a file; it becomes a model when another one comes."""
        with self._lock:
            self._waiting = [*self._waiting[-1:], parsed]

    def _take_in(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
            for parsed in waiting:
                model = _model_of(parsed, [model.schema for model in self._models])
                if model is not None:
                    self._models = (model, *self._models[: MODELS - 1])

    def forget(self) -> None:
        """Forget all files."""
        with self._lock:
            self._waiting, self._models, self._misses = [], (), 0


@dataclass(frozen=True, eq=False)
class _LeafTable:
    """Chunk B-trees of one node each, of arrays of one rank."""

    holes: tuple[int, ...]
    """Where the addresses of the nodes stand in the file."""
    starts: tuple[bytes, ...]
    """Signature, kind, level and number of entries of each node."""
    sizes: tuple[tuple[int, int, int], ...]
    """Of each node: where its entries begin and end, and its size [bytes]."""
    entry: np.dtype[np.void]
    keys: bytes
    """Filter masks and coordinates of all entries."""
    order: npt.NDArray[np.intp]
    """Which place in the columns belongs to each entry."""
    plain: npt.NDArray[np.bool_]
    """Entries of arrays without filters ..."""
    plain_sizes: npt.NDArray[np.uint32]
    """... and their sizes [bytes]."""


@dataclass(frozen=True, eq=False)
class _GroupBytes:
    """What the attributes and links of a group were read from."""

    path: str
    address: int
    pieces: tuple[tuple[int, int, bytes], ...]
    links: object


@dataclass(frozen=True, eq=False)
class _Model:
    """A file that others are compared with."""

    schema: Schema
    scanned: ScannedFile
    state: State
    root: int
    pieces: tuple[tuple[int, int, bytes], ...]
    """Places whose bytes must be the same: start, stop, bytes."""
    groups: tuple[_GroupBytes, ...]
    sums: tuple[ByteRange, ...]
    """Blocks with a checksum in which the address of a B-tree stands."""
    leaves: tuple[_LeafTable, ...]
    offset: npt.NDArray[np.uint64]
    length: npt.NDArray[np.uint32]
    """Columns of what is stored in one piece."""
    least: int
    """A shorter file is cut off [bytes]."""

    def match(self, block: bytes, source: Source) -> ScannedFile | None:
        """The scan of a file with the same bytes where it matters; None for any other."""
        if not _holds(block, self.pieces) or (source.size or 0) < self.least:
            return None
        try:
            return self._matched(block, source)
        except (VirtualZarrError, *DAMAGE):
            return None  # whoever parses all of it says what is wrong

    def _matched(self, block: bytes, source: Source) -> ScannedFile | None:
        state = _opened(block, source)
        if _finished(read_superblock(state)) != self.root or not _alike(state, self.state):
            return None
        for start, size in self.sums:
            check_sum(block[start : start + size], "object header", start)
        columns = self._columns(block, state)
        groups = self._groups(block, state)
        if columns is None or groups is None:
            return None
        return ScannedFile(source, "hdf5", groups, SeriesArrays(self.schema, source, *columns), {})

    def _columns(self, block: bytes, state: State) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32]] | None:
        offset, length = self.offset.copy(), self.length.copy()
        base, width = state.memory.base, state.offset_size
        for table in self.leaves:
            parts: list[bytes] = []
            for hole, start, (first, last, size) in zip(table.holes, table.starts, table.sizes, strict=True):
                at = int.from_bytes(block[hole : hole + width], "little") + base
                if at + size > len(block) or block[at : at + 8] != start:
                    return None
                parts.append(block[at + first : at + last])
            rows = np.frombuffer(b"".join(parts), table.entry)
            if _keys(rows).tobytes() != table.keys:
                return None
            sizes = rows["size"]
            if not sizes.all() or (table.plain_sizes.size and (sizes[table.plain] != table.plain_sizes).any()):
                return None
            offset[table.order] = rows["child"] + np.uint64(base) if base else rows["child"]
            length[table.order] = sizes
        return offset, length

    def _groups(self, block: bytes, state: State) -> Mapping[str, ScannedGroup] | None:
        """The groups, those read anew whose bytes differ; None if that changes more than their attributes."""
        changed: dict[str, ScannedGroup] = {}
        for group in self.groups:
            if _holds(block, group.pieces):
                continue
            attributes, links = _finished(read_group(state, group.address))
            if attributes.damaged or links != group.links:
                return None
            known = self.scanned.groups[group.path]
            changed[group.path] = replace(known, attrs=public_attrs(attributes.values))
        return {**self.scanned.groups, **changed} if changed else self.scanned.groups


def _holds(block: bytes, pieces: Sequence[tuple[int, int, bytes]]) -> bool:
    """Whether the bytes of a file are the same in all these places."""
    return all(block[start:stop] == expected for start, stop, expected in pieces)


def _opened(block: bytes, source: Source) -> State:
    memory = Memory(source.size)
    memory.add(0, block)
    return State(source.url, memory)


def _finished[T](task: Task[T]) -> T:
    """What a task gives that finds all it needs in memory."""
    try:
        next(task)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    task.close()
    raise IndexError  # it lies further on in the file


def _alike(one: State, other: State) -> bool:
    """Whether all that the superblock tells is the same."""
    return _told(one) == _told(other)


def _told(state: State) -> tuple[Any, ...]:
    ks = state.chunk_k, state.group_leaf_k, state.group_k
    return state.memory.base, state.offset_size, state.length_size, ks, state.shared_heaps


def _keys(rows: npt.NDArray[np.void]) -> npt.NDArray[np.uint8]:
    """Filter masks and coordinates of the entries of a B-tree."""
    rank = rows.dtype["at"].shape[0]
    whole: npt.NDArray[np.uint8] = rows.view(np.uint8).reshape(-1, rows.dtype.itemsize)
    return whole[:, 4 : 8 + 8 * rank]


# ---------------------------------------------------------------------- models


def _model_of(parsed: Parsed, schemas: Sequence[Schema]) -> _Model | None:
    """A model of a file; None if there is something in it that no comparison covers."""
    state, scanned = parsed.traces.state, parsed.scanned
    if state is None or scanned.left_out or set(parsed.traces.objects) != {*parsed.raw.groups, *parsed.raw.datasets}:
        return None
    if any(isinstance(one.layout, Values) or one.source is not None for one in parsed.raw.datasets.values()):
        return None
    schema = Schema.of(scanned)
    if schema is None:
        return None
    schema = next((known for known in schemas if known.same_as(schema)), schema)
    block = bytes(parsed.block)
    fixed: list[ByteRange] = []
    holes: list[ByteRange] = []
    sums: list[ByteRange] = []
    leaves: list[tuple[RawDataset, Trace, int]] = []
    for path, dataset in parsed.raw.datasets.items():
        trace = parsed.traces.objects[path]
        fixed += trace.ranges
        if trace.leaf is None:
            continue
        hole = _hole(block, trace, state)
        if hole is None or public_path(path) not in schema.places:
            return None
        leaves.append((dataset, trace, hole))
        holes.append((hole, state.offset_size))
        blocks = _checked_blocks(block, trace, hole)
        sums += blocks
        holes += [(start + size - 4, 4) for start, size in blocks]
    tables = _tables(leaves, schema, scanned)
    if tables is None:
        return None
    root = _finished(read_superblock(_opened(block, scanned.source)))
    groups = tuple(_group_bytes(block, path, parsed.traces.objects[path]) for path in parsed.raw.groups)
    offset, length = schema.columns(scanned.arrays)
    state.ready.clear()
    least = max((_end_of(one) for one in parsed.raw.datasets.values()), default=0)
    pieces = tuple(_pieces(block, fixed, holes))
    return _Model(schema, scanned, state, root, pieces, groups, tuple(sums), tables, offset, length, least)


def _end_of(dataset: RawDataset) -> int:
    """Where values end that lie in one piece: whether that is in the file depends on its length."""
    layout = dataset.layout
    return layout.offset + layout.size if isinstance(layout, Contiguous) and layout.offset is not None else 0


def _hole(block: bytes, trace: Trace, state: State) -> int | None:
    """Where the address of a chunk B-tree stands; None if that is not plain."""
    at = 8 if trace.layout[0] in (1, 2) else 3
    found: set[int] = set()
    for start, size in trace.ranges:
        place = block.find(trace.layout, start, start + size)
        while place >= 0:
            found.add(place)
            place = block.find(trace.layout, place + 1, start + size)
    inside = at + state.offset_size <= len(trace.layout)
    return found.pop() + at if len(found) == 1 and inside else None


def _checked_blocks(block: bytes, trace: Trace, hole: int) -> list[ByteRange]:
    """Blocks of an object header with a checksum in which a place lies."""
    return [
        (start, size)
        for start, size in dict.fromkeys(trace.ranges)
        if block[start : start + 4] in (b"OHDR", b"OCHK") and start <= hole < start + size
    ]


def _group_bytes(block: bytes, path: str, trace: Trace) -> _GroupBytes:
    return _GroupBytes(path, trace.address, tuple(_pieces(block, trace.ranges, [])), trace.links)


def _pieces(block: bytes, ranges: Sequence[ByteRange], holes: Sequence[ByteRange]) -> Iterator[tuple[int, int, bytes]]:
    """Places that are covered by ranges and not by holes, near ones as one; with their bytes."""
    covered = np.zeros(len(block) + 1, np.int8)
    for start, size in ranges:
        covered[start : start + size] = 1
    for start, size in holes:
        covered[start : start + size] = 0
    edges = np.flatnonzero(np.diff(covered, prepend=0)).tolist()
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        yield start, stop, block[start:stop]


def _tables(leaves: Sequence[tuple[RawDataset, Trace, int]], schema: Schema, scanned: ScannedFile) -> tuple[_LeafTable, ...] | None:
    by_entry: dict[Any, list[tuple[RawDataset, Trace, int]]] = {}
    for one in leaves:
        leaf = one[1].leaf
        assert leaf is not None
        by_entry.setdefault(leaf.entry, []).append(one)
    tables = [_table(entry, members, schema, scanned) for entry, members in by_entry.items()]
    found = tuple(table for table in tables if table is not None)
    return found if len(found) == len(tables) else None


def _table(
    entry: np.dtype[np.void], members: Sequence[tuple[RawDataset, Trace, int]], schema: Schema, scanned: ScannedFile
) -> _LeafTable | None:
    starts, sizes, keys, order, plain, plain_sizes = [], [], [], [], [], []
    for dataset, trace, _ in members:
        leaf, layout = trace.leaf, dataset.layout
        assert leaf is not None
        assert isinstance(layout, Chunked)
        count = int.from_bytes(leaf.node[6:8], "little")
        stop = leaf.head + count * entry.itemsize
        rows = np.frombuffer(leaf.node[leaf.head : stop], entry)
        place = schema.places[public_path(dataset.path)]
        stored = scanned.arrays[public_path(dataset.path)].segments[0].stored
        counts = stored.grid.grid_shape
        rank = layout.coords.shape[1]
        if len(layout.coords) != count or (layout.coords >= np.array(counts[:rank], np.int64)).any():
            return None  # chunks that a shrunk dataset has kept
        flat: AnyArray = np.zeros(count, np.int64)
        for axis, extent in enumerate(counts[:rank]):
            flat = flat * extent + layout.coords[:, axis]
        flat = flat * int(np.prod(counts[rank:], dtype=np.int64))
        starts.append(leaf.node[:8])
        sizes.append((leaf.head, stop, len(leaf.node)))
        keys.append(_keys(rows))
        order.append(flat + place.start)
        plain.append(np.full(count, not dataset.filters))
        plain_sizes.append(rows["size"][: 0 if dataset.filters else count])
    return _LeafTable(
        tuple(hole for _, _, hole in members),
        tuple(starts),
        tuple(sizes),
        entry,
        np.concatenate(keys).tobytes(),
        np.concatenate(order),
        np.concatenate(plain),
        np.concatenate(plain_sizes),
    )
