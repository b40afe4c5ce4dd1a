"""The directories (IFDs) of a TIFF or BigTIFF file: their tags, read in as few rounds as their chain allows.

Source: TIFF 6.0 (Adobe, 1992), and Adobe's BigTIFF design.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from intake_virtualzarr._typing import AnyArray
from intake_virtualzarr.errors import FormatError
from intake_virtualzarr.storage.reader import Buffer, ByteRange

__all__ = ["Directories", "Directory", "Tag", "read_directories"]

type Tag = str | bytes | AnyArray
"""Value of a tag: text, undefined bytes, or an array of numbers (rationals as two columns)."""
type Ask[T] = Generator[Sequence[ByteRange], Sequence[Buffer], T]

ASCII, UNDEFINED = 2, 7
RATIONALS = {5: "u4", 10: "i4"}
NUMBERS = {1: "u1", 3: "u2", 4: "u4", 6: "i1", 8: "i2", 9: "i4", 11: "f4", 12: "f8", 13: "u4", 16: "u8", 17: "i8", 18: "u8"}
SIZES = {ASCII: 1, UNDEFINED: 1, **dict.fromkeys(RATIONALS, 8), **{t: np.dtype(c).itemsize for t, c in NUMBERS.items()}}

USED = frozenset(
    (254, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 330, 338, 339, 347, 530, 532)
) | frozenset((270, 292, 305, 306, 33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113, 50674))
"""Tags that are read; others (ICC profiles, EXIF, what cameras add) may be large, and tell nothing of where values lie."""
SUB_DIRECTORIES = 330
FIRST_ENTRIES = 40
"""Entries of a directory that are asked for before its length is known."""
MOST_ENTRIES = 4096
"""A directory with more is damage."""
MOST_DIRECTORIES = 100_000
MOST_BYTES = 2**29
"""Tags of one file that are read [bytes]: 32 million tiles."""
AHEAD = 64
"""Directories that are asked for at once where their distance repeats: pages of one size, one after the other."""


@dataclass(frozen=True, eq=False)
class Directory:
    """One directory."""

    at: int
    """Its first byte."""
    parent: int | None
    """Number of the directory that names it as a part of it; None in the chain of pages."""
    tags: Mapping[int, Tag] = field(repr=False)

    def number(self, tag: int, default: int | None = None) -> int:
        """A single whole number.

        Raises
        ------
        FormatError
            If the tag is absent and has no default, or is none.
        """
        value = self.tags.get(tag)
        if value is None and default is not None:
            return default
        if not isinstance(value, np.ndarray) or value.size < 1 or value.dtype.kind not in "iu":
            raise FormatError(f"directory at byte {self.at}: tag {tag} is {value!r:.60}, expected a whole number")
        return int(value.reshape(-1)[0])

    def numbers(self, tag: int) -> AnyArray | None:
        """Numbers, or None if the tag is absent or holds none."""
        value = self.tags.get(tag)
        return value.reshape(-1) if isinstance(value, np.ndarray) else None

    def text(self, tag: int) -> str | None:
        """A text, or None if the tag is absent or holds none."""
        value = self.tags.get(tag)
        return value if isinstance(value, str) else None


@dataclass(frozen=True, eq=False)
class Directories:
    """All directories of a file, each one's parts behind it."""

    big_endian: bool
    directories: tuple[Directory, ...]


@dataclass(frozen=True)
class _Layout:
    """Sizes of what the header tells."""

    order: str
    is_big: bool

    @property
    def count(self) -> int:
        return 8 if self.is_big else 2

    @property
    def entry(self) -> int:
        return 20 if self.is_big else 12

    @property
    def word(self) -> int:
        return 8 if self.is_big else 4

    def whole(self, data: bytes) -> int:
        return int.from_bytes(data, "big" if self.order == ">" else "little")


def read_directories(url: str, size: int | None) -> Ask[Directories]:
    """Read all directories.

    Raises
    ------
    FormatError
        If they are damaged, cut off, or lead in circles.
    """
    (head,) = yield [(0, 16)]
    layout, first = _header(bytes(head), url)
    reader = _Reader(url, size, layout)
    directories = yield from reader.chain(first)
    return Directories(layout.order == ">", tuple(directories))


def _header(head: bytes, url: str) -> tuple[_Layout, int]:
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        raise FormatError(f"{url}: begins with {head[:4]!r}, no TIFF file does")
    magic = struct.unpack(order + "H", head[2:4])[0]
    if magic == 42:
        return _Layout(order, False), struct.unpack(order + "I", head[4:8])[0]
    if magic != 43 or len(head) < 16 or struct.unpack(order + "HH", head[4:8]) != (8, 0):
        raise FormatError(f"{url}: begins with {head[:8]!r}: neither TIFF nor BigTIFF with offsets of 8 bytes")
    return _Layout(order, True), struct.unpack(order + "Q", head[8:16])[0]


class _Reader:
    """Follows the chain of directories, and what they name."""

    def __init__(self, url: str, size: int | None, layout: _Layout) -> None:
        self._url = url
        self._size = size
        self._layout = layout
        self._asked = 0
        self._seen: set[int] = set()
        self._guessed: dict[int, bytes] = {}

    def chain(self, first: int) -> Ask[list[Directory]]:
        """All directories from the first one on."""
        found: list[Directory] = []
        todo: list[tuple[int, int | None]] = [(first, None)]
        pages: list[int] = []
        while todo:
            at, parent = todo.pop()
            if at in self._seen:
                if parent is None:
                    break  # GDAL, too, ends a chain that bites its tail
                continue
            self._seen.add(at)
            if len(found) >= MOST_DIRECTORIES:
                raise FormatError(f"{self._url}: has more than {MOST_DIRECTORIES} directories")
            pages += [at] if parent is None else []
            tags, following = yield from self._directory(at, pages)
            found.append(Directory(at, parent, tags))
            if parent is None and following:
                todo.append((following, None))
            parts = tags.get(SUB_DIRECTORIES)
            if parent is None and isinstance(parts, np.ndarray) and parts.dtype.kind == "u":
                todo += [(int(part), len(found) - 1) for part in parts.reshape(-1)[::-1] if part]
        return found

    def _directory(self, at: int, pages: Sequence[int]) -> Ask[tuple[dict[int, Tag], int]]:
        layout = self._layout
        wanted = layout.count + layout.entry * FIRST_ENTRIES + layout.word
        raw = self._guessed.pop(at, None)
        if raw is None:
            raw = yield from self._with_guesses(at, wanted, pages)
        if len(raw) < layout.count:
            raise FormatError(f"{self._url}: the directory at byte {at} lies behind the end of the file")
        entries = layout.whole(raw[: layout.count])
        if not 0 < entries <= MOST_ENTRIES:
            raise FormatError(f"{self._url}: the directory at byte {at} has {entries} entries: it is damaged")
        length = layout.count + layout.entry * entries
        if len(raw) < length + layout.word:
            (more,) = yield [self._range(at, length + layout.word)]
            raw = bytes(more)
        if len(raw) < length:
            raise FormatError(f"{self._url}: the directory at byte {at} is cut off: the file is truncated")
        tags = yield from self._tags(raw[layout.count : length])
        # a last directory without the place of the next one, at the end of a file
        return tags, layout.whole(raw[length : length + layout.word])

    def _with_guesses(self, at: int, wanted: int, pages: Sequence[int]) -> Ask[bytes]:
        """Ask for a directory, and where distances repeat for those that should follow."""
        places = [at]
        if len(pages) > 3 and pages[-1] == at and pages[-1] - pages[-2] == pages[-2] - pages[-3] > 0:
            places += [at + step * (pages[-1] - pages[-2]) for step in range(1, min(AHEAD, len(pages)))]
        if self._size is not None:
            places = [at, *(place for place in places[1:] if place < self._size)]
        first, *others = yield [self._range(place, wanted) for place in places]
        self._guessed = {place: bytes(data) for place, data in zip(places[1:], others, strict=True)}
        return bytes(first)

    def _range(self, at: int, length: int) -> ByteRange:
        self._asked += length
        if self._asked > MOST_BYTES:
            raise FormatError(f"{self._url}: has more than {MOST_BYTES} bytes of directories and tags: it is damaged")
        return at, length

    def _tags(self, raw: bytes) -> Ask[dict[int, Tag]]:
        layout = self._layout
        tags: dict[int, Tag] = {}
        far: list[tuple[int, int, int, ByteRange]] = []
        for start in range(0, len(raw), layout.entry):
            tag, kind = struct.unpack(layout.order + "HH", raw[start : start + 4])
            count = layout.whole(raw[start + 4 : start + 4 + layout.word])
            value = raw[start + 4 + layout.word : start + layout.entry]
            if tag not in USED or kind not in SIZES or tag in tags:
                continue
            length = SIZES[kind] * count
            if length <= layout.word:
                tags[tag] = _value(value[:length], kind, layout.order)
            else:
                far.append((tag, kind, length, self._tag_range(tag, layout.whole(value), length)))
        if far:
            answers = yield [place for *_, place in far]
            for (tag, kind, length, place), answer in zip(far, answers, strict=True):
                if len(answer) < length:
                    raise FormatError(f"{self._url}: tag {tag} at byte {place[0]} reaches behind the end: the file is truncated")
                tags[tag] = _value(bytes(answer), kind, layout.order)
        return tags

    def _tag_range(self, tag: int, at: int, length: int) -> ByteRange:
        if self._size is not None and at + length > self._size:
            raise FormatError(f"{self._url}: tag {tag} at byte {at} has {length} bytes, the file has {self._size}: it is truncated")
        return self._range(at, length)


def _value(data: bytes, kind: int, order: str) -> Tag:
    if kind == ASCII:
        return data.partition(b"\0")[0].decode("utf-8", "replace")
    if kind == UNDEFINED:
        return data
    if kind in RATIONALS:
        return np.frombuffer(data, order + RATIONALS[kind]).reshape(-1, 2).astype(RATIONALS[kind])
    return np.frombuffer(data, order + NUMBERS[kind]).astype(NUMBERS[kind])
