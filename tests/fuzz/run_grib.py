"""A long run over damaged GRIB files: ``python tests/fuzz/run_grib.py COUNT [SEED]``. Prints what became of them, and memory.

Each kind of file has a process of its own. One that ends, or takes longer than `LONGEST` for a file, is counted with the file,
which is kept; the run goes on behind it.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
from collections import Counter
from itertools import islice
from pathlib import Path

from grib_mutations import mutations, outcome, seeds

LONGEST = 60
"""No file may take longer [seconds]."""
KEPT = Path(tempfile.gettempdir())


def part(data: bytes, start: int, count: int, seed: int, said: Path) -> None:
    """Try mutations from one on; after each, note what became of all."""
    found: Counter[str] = Counter()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # ecCodes tells of each damaged message
    with tempfile.TemporaryDirectory() as folder, said.open("w") as notes:
        for number, changed in enumerate(islice(mutations(data, count, seed), start, None), start):
            signal.alarm(LONGEST)
            try:
                what = outcome(changed, Path(folder) / "a.grib")
            except BaseException as exc:
                what = f"NOT OURS {type(exc).__name__}: {exc}"
                (KEPT / f"grib-{seed}-{number}.grib").write_bytes(changed)
            found[what] += 1
            notes.seek(0)
            notes.write(json.dumps([number + 1, found]) + "\n")
            notes.flush()


def forked(data: bytes, start: int, count: int, seed: int, said: Path) -> int:
    """How a process of its own ended."""
    said.write_text(json.dumps([start, {}]) + "\n")
    child = os.fork()
    if not child:
        part(data, start, count, seed, said)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def main(count: int, seed: int) -> None:
    files, total = seeds(), Counter[str]()
    said = KEPT / f"grib-{os.getpid()}.json"
    for number, data in enumerate(files):
        each, start = -(-count // len(files)), 0
        while start < each:
            status = forked(data, start, each, seed + number, said)
            start, found = json.loads(said.read_text().partition("\n")[0])
            total.update(found)
            if status:
                kept = KEPT / f"grib-{seed + number}-{start}.grib"
                kept.write_bytes(next(islice(mutations(data, each, seed + number), start, None)))
                total[f"ENDED THE PROCESS by signal {os.waitstatus_to_exitcode(status)}: {kept.name}"] += 1
                start += 1
    said.unlink()
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print(dict(total), sum(total.values()), "files,", most, "MiB at most")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
