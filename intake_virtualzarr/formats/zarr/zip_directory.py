"""The directory of a zip file, without I/O: where each member lies.

Source: .ZIP File Format Specification (APPNOTE.TXT) 6.3, sections 4.3 to 4.5.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from intake_virtualzarr.errors import FormatError, UnsupportedError
from intake_virtualzarr.storage.limits import MAX_DOCUMENT, MAX_NODES
from intake_virtualzarr.storage.reader import Buffer, ByteRange

__all__ = ["ENCRYPTED", "STORED", "Member", "Steps", "content_of", "read_directory", "with_starts"]

type Steps[T] = Generator[Sequence[ByteRange], Sequence[Buffer], T]
"""Asks for ranges, is sent their bytes."""

END, END64, LOCATOR64, ENTRY, LOCAL = b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\1\2", b"PK\3\4"
END_SIZE, LOCATOR_SIZE, END64_SIZE, ENTRY_SIZE, LOCAL_SIZE = 22, 20, 56, 46, 30
TAIL = END_SIZE + LOCATOR_SIZE + 65535
"""The end record, with the longest comment [bytes]."""
STORED, DEFLATED = 0, 8
"""Methods of compression."""
ENCRYPTED, LATER_SIZES, UTF8 = 1, 8, 0x800
"""Flags of a member."""
MAX_MEMBERS = 16 * MAX_NODES
"""Members of one file that are read."""
FULL32 = 2**32 - 1
"""Stands for a number that a ZIP64 field holds."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member."""

    name: str
    """Its path in the zip file."""
    method: int
    """How it is compressed."""
    flags: int
    header: int
    """Where its own header begins [bytes]."""
    size: int
    """Its length in the zip file [bytes]."""
    full_size: int
    """Its length [bytes]."""
    name_size: int
    """Length of its name in the header [bytes]."""
    extra_size: int
    """Length of the extra fields in the directory [bytes]; those in the header are most often as long."""
    end: int = 0
    """Where the next header begins, or the directory [bytes]."""
    start: int = 0
    """Where its bytes begin; 0 if that is not known yet [bytes]."""


def read_directory(size: int, url: str) -> Steps[list[Member]]:
    """Find all members; of several with one name the last, as Python's `zipfile` does.

    Raises
    ------
    FormatError
        If it is no zip file, or damaged.
    UnsupportedError
        If it is one part of several.
    """
    tail_start = max(0, size - TAIL)
    (raw,) = yield [(tail_start, size - tail_start)]
    tail = bytes(raw)
    at = _end_record(tail, url)
    disk, first, _, count, length, offset = struct.unpack_from("<HHHHII", tail, at + 4)
    end = tail_start + at
    if tail[max(0, at - LOCATOR_SIZE) : at].startswith(LOCATOR64):
        where = struct.unpack_from("<Q", tail, at - LOCATOR_SIZE + 8)[0]
        (record,) = yield [(where, END64_SIZE)]
        if len(record) < END64_SIZE or bytes(record[:4]) != END64:
            raise FormatError(f"{url}: is damaged: the ZIP64 end record is not at byte {where}")
        disk, first, _, count, length, offset = struct.unpack_from("<IIQQQQ", record, 16)
        end = where
    if disk or first:
        raise UnsupportedError(f"{url}: is one part of a zip file in several")
    shift = end - length - offset  # what somebody put in front
    if shift < 0 or length > MAX_DOCUMENT or count > MAX_MEMBERS or count * ENTRY_SIZE > length:
        raise FormatError(f"{url}: is damaged: a directory of {count} members and {length} bytes at {offset}")
    start = offset + shift
    if start >= tail_start:
        directory = tail[start - tail_start : start - tail_start + length]
    else:
        (block,) = yield [(start, length)]
        directory = bytes(block)
    members = _members(directory, count, shift, start, url)
    return list({one.name: one for one in _with_ends(members, start)}.values())


def _end_record(tail: bytes, url: str) -> int:
    at = tail.rfind(END)
    while at >= 0:
        if at + END_SIZE <= len(tail) and at + END_SIZE + struct.unpack_from("<H", tail, at + 20)[0] == len(tail):
            return at
        at = tail.rfind(END, 0, at)
    raise FormatError(f"{url}: is damaged: a zip file without its directory; was it written to its end?")


def _members(directory: bytes, count: int, shift: int, limit: int, url: str) -> list[Member]:
    out: list[Member] = []
    at = 0
    for _ in range(count):
        if directory[at : at + 4] != ENTRY or at + ENTRY_SIZE > len(directory):
            raise FormatError(f"{url}: is damaged: its directory ends after {len(out)} of {count} members")
        flags, method = struct.unpack_from("<HH", directory, at + 8)
        size, full_size, name_size, extra_size, comment = struct.unpack_from("<IIHHH", directory, at + 20)
        header = struct.unpack_from("<I", directory, at + 42)[0]
        body = at + ENTRY_SIZE
        extra = directory[body + name_size : body + name_size + extra_size]
        full_size, size, header = _wide(extra, (full_size, size, header), url)
        name = directory[body : body + name_size].decode("utf-8" if flags & UTF8 else "cp437", "replace")
        if header + shift + LOCAL_SIZE + size > limit:
            raise FormatError(f"{url}: is damaged: member {name!r} of {size} bytes at {header} leaves the file")
        out.append(Member(name, method, flags, header + shift, size, full_size, name_size, extra_size))
        at = body + name_size + extra_size + comment
    return out


def _wide(extra: bytes, numbers: tuple[int, int, int], url: str) -> list[int]:
    """Numbers of 64 bits in place of those that do not fit in 32."""
    wide: list[int] = []
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            field = extra[at + 4 : at + 4 + length]
            wide = [n for (n,) in struct.iter_unpack("<Q", field[: len(field) // 8 * 8])]
            break
        at += 4 + length
    out: list[int] = []
    for number in numbers:
        if number == FULL32:
            if not wide:
                raise FormatError(f"{url}: is damaged: a member lacks its ZIP64 sizes")
            number = wide.pop(0)
        out.append(number)
    return out


def _with_ends(members: Sequence[Member], directory: int) -> list[Member]:
    """Members with the place where the next begins, and where their bytes begin if that follows from it.

    Headers are 30 bytes, the name, and extra fields whose length stands in the header only. A member that fills the room up to
    the next header, if its extra fields are as long as in the directory, begins there: no request is needed to learn it.
    """
    order = sorted(range(len(members)), key=lambda i: members[i].header)
    ends = dict(pairwise([*(members[i].header for i in order), directory]))
    out = []
    for one in members:
        end = ends[one.header]
        start = one.header + LOCAL_SIZE + one.name_size + one.extra_size
        known = not one.flags & LATER_SIZES and start + one.size == end
        out.append(_replaced(one, end, start if known else 0))
    return out


def _replaced(one: Member, end: int, start: int) -> Member:
    fields = (one.name, one.method, one.flags, one.header, one.size, one.full_size, one.name_size, one.extra_size)
    return Member(*fields, end, start)


def with_starts(members: Sequence[Member], url: str) -> Steps[list[Member]]:
    """Members whose bytes have a known place; the headers of the others are read.

    Raises
    ------
    FormatError
        If there is no header where one should be.
    """
    unknown = [one for one in members if not one.start]
    if not unknown:
        return list(members)
    headers = yield [(one.header, LOCAL_SIZE) for one in unknown]
    starts = {}
    for one, raw in zip(unknown, headers, strict=True):
        if len(raw) < LOCAL_SIZE or bytes(raw[:4]) != LOCAL:
            raise FormatError(f"{url}: is damaged: member {one.name!r} has no header at {one.header}")
        starts[one.header] = one.header + LOCAL_SIZE + sum(struct.unpack_from("<HH", raw, 26))
    return [one if one.start else _replaced(one, one.end, starts[one.header]) for one in members]


def content_of(member: Member, raw: Buffer, url: str) -> bytes:
    """The content of a member, of which ``raw`` are the stored bytes.

    Raises
    ------
    UnsupportedError
        If it is encrypted, or compressed by another method than deflate.
    FormatError
        If it is damaged.
    """
    if member.flags & ENCRYPTED or member.method not in (STORED, DEFLATED):
        raise UnsupportedError(f"{url}: member {member.name!r} is encrypted, or compressed by method {member.method}")
    content = bytes(raw)
    if member.method == DEFLATED:
        try:
            inflate = zlib.decompressobj(-15)
            content = inflate.decompress(content, min(member.full_size, MAX_DOCUMENT) + 1)
        except zlib.error as exc:
            raise FormatError(f"{url}: member {member.name!r} is damaged: {exc}") from exc
    if len(content) != member.full_size:
        raise FormatError(f"{url}: member {member.name!r} has {len(content)} bytes, its directory says {member.full_size}")
    return content
