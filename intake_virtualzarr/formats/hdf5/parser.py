"""The parser: from the superblock to a `RawFile`, without any input or output of its own."""

from __future__ import annotations

from struct import error as StructError
from typing import Any

from intake_virtualzarr._typing import Shape
from intake_virtualzarr.codecs.hdf5_datatype import parse_datatype
from intake_virtualzarr.codecs.hdf5_elements import unwrap
from intake_virtualzarr.errors import FormatError, UnsupportedError, VirtualZarrError
from intake_virtualzarr.formats.hdf5.attribute_messages import Attributes, read_attributes
from intake_virtualzarr.formats.hdf5.chunk_index import read_chunks
from intake_virtualzarr.formats.hdf5.compound_strings import holds_texts
from intake_virtualzarr.formats.hdf5.group_links import Link, read_links, read_local_names
from intake_virtualzarr.formats.hdf5.header_messages import (
    CHUNKED,
    COMPACT,
    CONTIGUOUS,
    Layout,
    parse_dataspace,
    parse_fill,
    parse_filters,
    parse_layout,
    parse_old_fill,
)
from intake_virtualzarr.formats.hdf5.model import (
    Chunked,
    Compact,
    Contiguous,
    External,
    ExternalPart,
    RawDataset,
    RawFile,
    RawGroup,
)
from intake_virtualzarr.formats.hdf5.object_header import SHARED, Message, read_header, resolve_shared
from intake_virtualzarr.formats.hdf5.soft_links import Links
from intake_virtualzarr.formats.hdf5.state import DeclinedError, State
from intake_virtualzarr.formats.hdf5.stored_arrays import reason_of
from intake_virtualzarr.formats.hdf5.superblock import read_superblock
from intake_virtualzarr.formats.hdf5.tasks import HEAD, WHOLE, Memory, Rounds, Task, run_tasks
from intake_virtualzarr.formats.hdf5.trace import Trace
from intake_virtualzarr.formats.hdf5.vlen_strings import read_strings
from intake_virtualzarr.storage.reader import Buffer, ByteRange

__all__ = ["DAMAGE", "Traces", "first_range", "parse_file", "read_group"]

DATASPACE, DATATYPE, OLD_FILL, FILL, EXTERNAL, LAYOUT, FILTERS = 0x01, 0x03, 0x04, 0x05, 0x07, 0x08, 0x0B
GROUP_MESSAGES = {0x02, 0x06, 0x11}
MAX_PATHS = 1_000_000
MAX_VISITS = 64
"""Times that one group may be reached by hard links."""
MAX_DEPTH = 200
MAX_ELEMENT = 16 * 1024 * 1024
"""A larger element comes of a damaged datatype: its fill value alone would take as much memory [bytes]."""
MAX_METADATA = 4 * 1024**3
"""Metadata of one file [bytes]."""

DAMAGE = (StructError, IndexError, ValueError, OverflowError)
"""What reading past the end of a short message raises."""


def first_range(size: int | None) -> ByteRange:
    """What is asked for first of a file of a length [bytes]: all of a small one."""
    return 0, HEAD if size is None or size > WHOLE else size


def parse_file(url: str, size: int | None, block: Buffer | None = None, traces: Traces | None = None) -> Rounds[RawFile]:
    """Parse a file.

    Parameters
    ----------
    url : str
        For messages.
    size : int or None
        Length of the file, if known [bytes].
    block : bytes, optional
        The bytes of `first_range`, if they are here.
    traces : Traces, optional
        Is told what each object was read from.

    Raises
    ------
    DeclinedError
        If the file holds something that HDF5's own library must read.
    FormatError
        If the file is damaged beyond use.
    """
    memory = Memory(size)
    if block is None:
        (block,) = yield (first_range(size),)
    memory.add(0, block)
    state = State(url, memory)
    walk = _Walk(state, {} if traces is None else traces.objects)
    memory.trace = None if traces is None else Trace(0)
    try:
        state.ready.append(walk.start())
        budget = MAX_METADATA if size is None else min(MAX_METADATA, 4 * size + 1024 * 1024)
        yield from run_tasks(memory, state.ready, budget)
    except FormatError as exc:
        if str(exc).startswith(url):
            raise
        raise FormatError(f"{url}: damaged HDF5 file ({exc})") from exc
    except DAMAGE as exc:
        raise FormatError(f"{url}: damaged HDF5 file ({type(exc).__name__}: {exc})") from exc
    if traces is not None and memory.trace is not None and not walk.links.soft:
        traces.state = state
    return walk.links.file(walk.groups, walk.datasets, walk.left_out)


class Traces:
    """What a parse has read, if it could be told."""

    def __init__(self) -> None:
        self.objects: dict[str, Trace] = {}
        """By path."""
        self.state: State | None = None
        """State of the parse; None if some bytes were read that are in no trace."""


def read_group(state: State, address: int) -> Task[tuple[Attributes, list[Link]]]:
    """Attributes and links of a group.

    Raises
    ------
    FormatError
        If it is damaged.
    """
    messages = yield from read_header(state, address)
    attributes, links = yield from gather(read_attributes(state, messages), read_links(state, messages))
    return attributes, links


def gather(*tasks: Task[Any]) -> Task[list[Any]]:
    """Run tasks side by side; their results in order."""
    results: list[Any] = [None] * len(tasks)
    live: list[tuple[int, Task[Any]]] = list(enumerate(tasks))
    while live:
        missing: list[tuple[int, int]] = []
        waiting = []
        for index, task in live:
            try:
                missing.extend(next(task))
                waiting.append((index, task))
            except StopIteration as stop:
                results[index] = stop.value
        live = waiting
        if missing:
            yield missing
    return results


class _Walk:
    """Objects found so far."""

    def __init__(self, state: State, traces: dict[str, Trace]) -> None:
        self.state = state
        self.traces = traces
        self.groups: dict[str, RawGroup] = {}
        self.datasets: dict[str, RawDataset] = {}
        self.left_out: dict[str, str] = {}
        self.links = Links()
        self.visits: dict[int, int] = {}

    def start(self) -> Task[None]:
        root = yield from read_superblock(self.state)
        self._trace("/", root)
        messages = yield from read_header(self.state, root)
        yield from self._group("/", root, messages, ())

    def _trace(self, path: str, address: int) -> None:
        """Note what is read from here on as read for that object."""
        if self.state.memory.trace is not None:
            self.traces[path] = self.state.memory.trace = Trace(address)

    def visit(self, path: str, address: int, above: tuple[int, ...]) -> Task[None]:
        """Read one object; what is wrong with it stays with it."""
        self._trace(path, address)
        try:
            messages = yield from read_header(self.state, address)
            kinds = {message[0] for message in messages}
            if LAYOUT in kinds:
                self.datasets[path] = yield from self._dataset(path, address, messages)
            elif kinds & GROUP_MESSAGES:
                yield from self._group(path, address, messages, above)
        except DeclinedError:
            raise
        except VirtualZarrError as exc:
            self.left_out[path] = reason_of(path, exc)
        except DAMAGE as exc:
            self.left_out[path] = f"{path}: damaged object at address {address:#x} ({exc})"

    # ------------------------------------------------ groups

    def _group(self, path: str, address: int, messages: list[Message], above: tuple[int, ...]) -> Task[None]:
        if address in above or len(above) >= MAX_DEPTH:
            raise UnsupportedError("links back to a group that holds it")
        visits = self.visits[address] = self.visits.get(address, 0) + 1
        if visits > MAX_VISITS:
            raise UnsupportedError(f"is a group that more than {MAX_VISITS} links reach")
        attributes, links = yield from gather(read_attributes(self.state, messages), read_links(self.state, messages))
        self._damaged(path, attributes)
        self.groups[path] = RawGroup(path, attributes.values)
        trace = self.state.memory.trace
        if trace is not None:
            trace.links = links
        inside = (*above, address)
        prefix = path.rstrip("/")
        children: list[str] = []
        for link in links:
            child = f"{prefix}/{link.name}"
            children.append(child)
            self._follow(child, path, link, inside)
        self.links.children[path] = children

    def _follow(self, child: str, path: str, link: Link, inside: tuple[int, ...]) -> None:
        self.state.objects += 1
        if self.state.objects > MAX_PATHS:
            raise FormatError(f"more than {MAX_PATHS} paths; do the links of the file form a lattice?")
        if link.address is not None:
            self.state.ready.append(self.visit(child, link.address, inside))
        elif link.file is not None:
            raise DeclinedError(f"{child}: is a link to {link.target} of {link.file}")
        elif link.target is not None:
            self.links.soft[child] = link.target if link.target.startswith("/") else f"{path}/{link.target}"
        else:
            self.left_out[child] = f"{child}: is a link of a kind that only its writer understands"

    def _damaged(self, path: str, attributes: Attributes) -> None:
        for name, reason in attributes.damaged.items():
            self.left_out[f"{path}@{name}"] = f"{path}@{name}: {reason}"

    # ------------------------------------------------ datasets

    def _dataset(self, path: str, address: int, messages: list[Message]) -> Task[RawDataset]:
        state = self.state
        found: dict[int, bytes] = {}
        for message in messages:
            number, flags, content = message
            if number in _DATASET_MESSAGES and number not in found:
                found[number] = (yield from resolve_shared(state, message)) if flags & SHARED else content
        if DATASPACE not in found or DATATYPE not in found:
            raise FormatError("has no dataspace or datatype")
        encoded = found[DATATYPE]
        datatype = parse_datatype(encoded)
        element = unwrap(datatype)[1].size  # arrays become axes
        if element > MAX_ELEMENT:
            raise UnsupportedError(f"one element has {element} bytes, more than {MAX_ELEMENT}")
        shape, maxshape = parse_dataspace(found[DATASPACE], state.length_size)
        filters = parse_filters(found[FILTERS]) if FILTERS in found else ()
        fill = parse_fill(found[FILL]) if FILL in found else None
        if fill is None and FILL not in found and OLD_FILL in found:
            fill = parse_old_fill(found[OLD_FILL])
        layout = parse_layout(state, found[LAYOUT])
        where: Any
        attributes, where = yield from gather(
            read_attributes(state, messages), self._place(layout, shape, maxshape, found, bool(filters))
        )
        trace = state.memory.trace
        if trace is not None and trace.leaf is not None:
            trace.layout = found[LAYOUT]
        if shape is not None and (datatype.kind == "vlen-string" or holds_texts(datatype)):
            if isinstance(where, External):
                raise UnsupportedError("holds variable-length strings in external files")
            where = yield from read_strings(state, where, shape, datatype, filters, fill)
            fill = None
        self._damaged(path, attributes)
        return RawDataset(
            path,
            address,
            shape,
            maxshape,
            datatype.encoded,
            where,
            filters,
            fill,
            attributes.values,
            attributes.scales,
        )

    def _place(
        self,
        layout: Layout,
        shape: Shape | None,
        maxshape: tuple[int | None, ...] | None,
        found: dict[int, bytes],
        filtered: bool,
    ) -> Task[Contiguous | Chunked | Compact | External]:
        state = self.state
        if shape is None or maxshape is None:
            return Contiguous(None, 0)
        if layout.kind == CHUNKED:
            return (yield from read_chunks(state, layout, shape, maxshape, filtered=filtered))
        if layout.kind == COMPACT:
            return Compact(layout.data)
        if layout.kind != CONTIGUOUS:
            raise DeclinedError("is a virtual dataset")
        if EXTERNAL in found:
            return (yield from self._external(found[EXTERNAL]))
        if layout.address == state.undefined:
            return Contiguous(None, 0)
        size = layout.size if layout.size >= 0 else 1 << 62
        return Contiguous(layout.address + state.memory.base, size)

    def _external(self, data: bytes) -> Task[External]:
        state = self.state
        used = int.from_bytes(data[6:8], "little")
        heap = state.address(data, 8)
        pos, n = 8 + state.offset_size, state.length_size
        if pos + 3 * n * used > len(data):
            raise FormatError(f"list of {used} external files is cut short")
        numbers = [[state.length(data, pos + (3 * i + j) * n) for j in range(3)] for i in range(used)]
        names = yield from read_local_names(state, heap, [number[0] for number in numbers])
        unlimited = (1 << 8 * n) - 1
        return External(
            tuple(
                ExternalPart(name, offset, None if size == unlimited else size)
                for name, (_, offset, size) in zip(names, numbers, strict=True)
            )
        )


_DATASET_MESSAGES = {DATASPACE, DATATYPE, OLD_FILL, FILL, EXTERNAL, LAYOUT, FILTERS}
