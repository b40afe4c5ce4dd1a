"""Long run of the fuzzer of documents.

    python tests/fuzz/run_documents.py [--inputs 200000] [--seconds 3600] [--seed 0] [--save FOLDER] [NAME …]

Prints counts, errors that are not `VirtualZarrError`, the slowest input and the peak of memory. Exit code 1 if any.

Runs of 28 and 29 November 2026: 80,000 inputs (seed 1128, before http and Parquet had other readers) and 33,500 on the code of that
night (seeds 41, 42, 44, 45, 46), 13 kinds of seeds, half of the inputs refused, no other error left, peak of memory 370 MiB,
334 MiB of it before the first input. Found and mended: rows whose ``raw`` is a number, paths that are no UTF-8.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import documents
from hdf5_mutations import at_most

LIMIT = 20.0
"""Processor time for one input [s]."""


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--inputs", type=int, default=200_000)
    options.add_argument("--seconds", type=float, default=3600)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--save", type=Path)
    options.add_argument("names", nargs="*")
    chosen = options.parse_args()
    outcomes: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    slowest = (0.0, "")
    start = time.monotonic()
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as place:
        names = chosen.names or list(documents.seeds())
        benches = {name: documents.Bench(name, Path(place) / str(n)) for n, name in enumerate(names)}
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(chosen.inputs):
            if time.monotonic() - start > chosen.seconds:
                break
            name = names[number % len(names)]
            began = time.process_time()
            try:
                with at_most(LIMIT):
                    outcome = benches[name].try_one(random.Random(f"{chosen.seed} {number}"))
                outcomes[f"{name}: {outcome}"] += 1
            except Exception as exc:
                label = f"{name}: {place_of(exc)}"
                if label not in failures and chosen.save is not None:
                    save(chosen.save, f"{chosen.seed}-{number}", benches[name].last, exc)
                failures[label] += 1
            slowest = max(slowest, (time.process_time() - began, f"{name} {number}"))
            if number % 5000 == 4999:
                report(number + 1, outcomes, failures, slowest, before)
        report(number + 1, outcomes, failures, slowest, before)
    for name, count in sorted(outcomes.items()):
        print(f"  {count:7d} {name}")
    return 1 if failures else 0


def report(count: int, outcomes: Counter[str], failures: Counter[str], slowest: tuple[float, str], before: int) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = sum(n for name, n in outcomes.items() if name.endswith("refused"))
    print(f"{count} inputs, {refused} refused, {sum(failures.values())} failed; slowest {slowest[0]:.2f} s ({slowest[1]}); "
          f"memory {before // 1024} -> {peak // 1024} MiB", flush=True)  # fmt: skip
    for label, n in failures.most_common(60):
        print(f"  FAILED {n}x {label}", flush=True)


def place_of(exc: Exception) -> str:
    """Kind of an error, and the deepest line of the package in its traceback."""
    frames = traceback.extract_tb(exc.__traceback__)
    own = [one for one in frames if "intake_virtualzarr" in one.filename or "stac_ext" in one.filename] or frames
    return f"{type(exc).__name__} at {'/'.join(own[-1].filename.split('/')[-2:])}:{own[-1].lineno}: {str(exc)[:80]}"


def save(folder: Path, name: str, last: tuple[str, bytes], exc: Exception) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}-{Path(last[0]).name}").write_bytes(last[1])
    (folder / f"{name}.txt").write_text("".join(traceback.format_exception(exc)))


if __name__ == "__main__":
    raise SystemExit(main())
