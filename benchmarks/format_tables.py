"""A table of what readers make of files of a format, beside an oracle: identical, refused, differs, missing.

``python benchmarks/format_tables.py grib FOLDER... [--peers PYTHON] [--list]``. Peers that live in another environment are run by
its Python. ``differs`` is the column that matters: a value that is not the file's, and nobody says so.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

WORKER = Path(__file__).with_name("format_readers.py")
GRIB_ENDINGS, TIFF_ENDINGS = (".grib", ".grib1", ".grib2", ".grb", ".grb2"), (".tif", ".tiff")
FORMATS = {
    "grib": ("ecCodes", ("intake-virtualzarr grib", "cfgrib", "kerchunk grib", "gribberish"), GRIB_ENDINGS),
    "tiff": ("rasterio", ("intake-virtualzarr tiff", "virtual-tiff", "kerchunk tiff"), TIFF_ENDINGS),
}
"""Oracle, readers and endings of names."""
OUTCOMES = ("identical", "refused", "missing", "differs")
QUIET = 60
"""A reader that is quiet for longer than this with one file is stopped [seconds]."""

type Answer = list[str] | str
"""Digests of the fields of a file, or an error."""


def answers(python: str, reader: str, paths: list[Path]) -> dict[Path, Answer]:
    """What a reader makes of files. One that ends its process is started again behind the file at which it did so."""
    found: dict[Path, Answer] = {}
    left = list(paths)
    while left:
        command = [python, str(WORKER), reader, *map(str, left)]
        said, why = _said(command)
        before = len(found)
        for line in said.splitlines():
            one = json.loads(line)
            found[Path(one["path"])] = "the process ended" if one.get("begun") else one.get("fields", one.get("error"))
        if len(found) == before:
            return found | dict.fromkeys(left, f"cannot be started: {why[-200:]}")
        left = [path for path in left if path not in found]
    return found


def _said(command: list[str]) -> tuple[str, str]:
    """What a process says until it ends, or until it says nothing more."""
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as why:
        running = subprocess.Popen(command, stdout=said, stderr=why)
        before = -1
        while True:
            try:
                running.wait(QUIET)
                break
            except subprocess.TimeoutExpired:
                now = os.fstat(said.fileno()).st_size
                if now == before:
                    running.kill()
                    running.wait()
                    break
                before = now
        said.seek(0)
        why.seek(0)
        return said.read(), why.read()


def outcome(found: Answer, expected: Answer) -> str:
    """How an answer compares with the oracle's."""
    if isinstance(found, str):
        return "refused"
    if isinstance(expected, str):
        return "read, the oracle does not"
    mine, wanted = Counter(found), Counter(expected)
    if mine - wanted:
        return "differs"
    return "identical" if mine == wanted else "missing"


def table(kind: str, folders: list[Path], peers: str, *, listed: bool) -> list[str]:
    """Rows of a table in Markdown."""
    oracle, readers, endings = FORMATS[kind]
    given = sorted(path.resolve() for folder in folders for path in folder.rglob("*") if path.suffix.lower() in endings)
    with tempfile.TemporaryDirectory() as copies:  # some readers write beside what they read
        paths = [
            Path(shutil.copy(path, Path(copies) / f"{number}-{path.name}"))
            for number, path in enumerate(given)
            if path.stat().st_size
        ]
        return _rows(kind, oracle, readers, paths, peers, listed=listed)


def _rows(kind: str, oracle: str, readers: tuple[str, ...], paths: list[Path], peers: str, *, listed: bool) -> list[str]:
    expected = answers(sys.executable, oracle, paths)
    lines = [f"| {len(paths)} files | {' | '.join(OUTCOMES)} |", "|---|" + "---|" * len(OUTCOMES)]
    for reader in readers:
        found = answers(sys.executable if reader.startswith("intake-virtualzarr") else peers, reader, paths)
        outcomes = {path: outcome(found[path], expected[path]) for path in paths}
        counts = Counter(outcomes.values())
        lines.append(f"| {reader.removesuffix(' ' + kind)} | {' | '.join(str(counts.pop(one, 0)) for one in OUTCOMES)} |")
        lines += [f"  {number} of {reader}: {what}" for what, number in counts.items()]
        if listed:
            lines += [
                f"  {outcomes[p]}: {p.name}: {found[p] if isinstance(found[p], str) else ''}"
                for p in paths
                if outcomes[p] != "identical"
            ]
    return lines


def _line(path: Path, what: str, found: Answer) -> str:
    return f"  {what}: {path.name}: {found if isinstance(found, str) else ''}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=FORMATS)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--peers", default=sys.executable, help="Python of the environment in which the peers are")
    parser.add_argument("--list", action="store_true", help="name the files that are not identical, with errors")
    given = parser.parse_args()
    print("\n".join(table(given.kind, given.folders, given.peers, listed=given.list)))


if __name__ == "__main__":
    main()
