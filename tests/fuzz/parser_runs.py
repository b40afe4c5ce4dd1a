"""What the fuzz runs of all formats share: parsing bytes as the loop does, and a long run that keeps what fails."""

from __future__ import annotations

import resource
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.formats.base import Format, ScannedFile
from intake_virtualzarr.storage.source import Source

__all__ = ["EXTREMES", "LARGEST_READ", "asked_bytes", "long_run", "scanned"]

EXTREMES = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
LARGEST_READ = 4 * 1024 * 1024
"""Chunks of more bytes are not decoded."""


def scanned(plugin: Format, data: bytes, path: Path) -> tuple[ScannedFile, int]:
    """The scan of bytes, and how many the parser asked for."""
    parse = plugin.parse(Source(path.as_uri(), size=len(data)))
    asked = 0
    try:
        wanted = next(parse)
        while True:
            asked += sum(length for _, length in wanted)
            wanted = parse.send([data[max(start, 0) : max(start, 0) + length] for start, length in wanted])
    except StopIteration as stop:
        return stop.value, asked


def asked_bytes(plugin: Format, data: bytes, path: Path) -> int:
    """Bytes that the parser asks for, 0 if it refuses the file."""
    try:
        return scanned(plugin, data, path)[1]
    except VirtualZarrError:
        return 0


def long_run(
    name: str,
    files: Sequence[bytes],
    mutations: Callable[[bytes, int, int], Iterator[bytes]],
    outcome: Callable[[bytes, Path], str],
    count: int,
    seed: int,
) -> None:
    """Try so many mutations of files, and print what became of them, and memory.

    Parameters
    ----------
    name : str
        Ending of the files, without a dot. Those with an error that is not ours are kept in the temporary folder.
    """
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{name}"
        for number, data in enumerate(files):
            for changed in mutations(data, -(-count // len(files)), seed + number):
                try:
                    found[outcome(changed, path)] += 1
                except BaseException as exc:
                    kept = Path(tempfile.gettempdir()) / f"{name}-{number}-{sum(found.values())}.{name}"
                    kept.write_bytes(changed)
                    found[f"NOT OURS {type(exc).__name__}: {exc}"] += 1
    print(dict(found), sum(found.values()), "files,", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, "MiB at most")
