"""The loop that runs a format's sans-IO parser: it asks for ranges, and gets bytes, wherever these come from."""

from __future__ import annotations

from collections.abc import Sequence

from intake_virtualzarr.errors import FormatError, UnsupportedError
from intake_virtualzarr.formats.base import Format, ScannedFile, Wanted
from intake_virtualzarr.formats.other_files import OtherFailed, OtherFiles
from intake_virtualzarr.formats.parser_input import ParserInput, RemoteFile
from intake_virtualzarr.formats.registry import first_request, format_named, format_of
from intake_virtualzarr.storage.reader import Buffer, ByteRange
from intake_virtualzarr.storage.readers import Access
from intake_virtualzarr.storage.source import Source

__all__ = ["parse_file"]

ROUNDS = 10_000
"""A parser that asks more often than this, and once more for every `PER_ROUND` bytes of the file, is broken or led in circles."""
PER_ROUND = 256
"""Chains of messages or directories have no shorter links on average: a file of a hundred thousand messages takes more rounds
[bytes]."""
MOST_ROUNDS = 2_000_000
"""No file takes more."""


async def parse_file(file: ParserInput, name: str | None, access: Access | None = None) -> ScannedFile:
    """Scan a file by the parser of its format, and where that declines by another library.

    Parameters
    ----------
    file : ParserInput
        The file.
    name : str, optional
        Name of the format; default: detected by its first bytes.
    access : Access, optional
        How other files are opened that this one names, and which it may name.

    Raises
    ------
    SourceError
        If the file cannot be read.
    FormatError
        If it is of no known format, or damaged.
    UnsupportedError
        If neither can read it.
    """
    source, head = await file.head(first_request(file.label, name))
    plugin = format_named(name) if name else format_of(file.label, head)
    if not len(head):
        raise FormatError(f"{file.label}: is empty")
    others = OtherFiles(source.url, access or Access(), isinstance(file, RemoteFile))
    try:
        return await _rounds(plugin, source, file, others)
    except (UnsupportedError, FormatError) as exc:
        return await file.fallback(plugin, exc)
    finally:
        others.close()


async def _rounds(plugin: Format, source: Source, file: ParserInput, others: OtherFiles) -> ScannedFile:
    parse = plugin.parse(source)
    limit = min(ROUNDS + (source.size or 0) // PER_ROUND, MOST_ROUNDS)
    try:
        wanted = next(parse)
        for _ in range(limit):
            try:
                answers = await _answers(file, others, wanted)
            except OtherFailed as exc:
                wanted = parse.throw(exc.reason)
            else:
                wanted = parse.send(answers)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        parse.close()
    raise FormatError(f"{source.url}: gave no result after {limit} rounds of reading")


async def _answers(file: ParserInput, others: OtherFiles, wanted: Wanted) -> Sequence[Buffer]:
    """The bytes of ranges, of this file and of others, in their order."""
    by_file: dict[str, list[ByteRange]] = {}
    own: list[ByteRange] = []
    places: list[tuple[list[ByteRange], int]] = []
    for one in wanted:
        place, wish = (by_file.setdefault(one[0], []), one[1]) if isinstance(one[0], str) else (own, one)
        places.append((place, len(place)))
        place.append(wish)
    found = {id(own): await file.read(own)}
    for url, ranges in by_file.items():
        found[id(ranges)] = await others.read(url, ranges)
    return [found[id(place)][index] for place, index in places]
