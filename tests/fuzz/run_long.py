"""Long run of the mutation fuzzer.

    python tests/fuzz/run_long.py [--seconds 3600] [--seed 0] [--save FOLDER]

Prints inputs and outcomes; inputs that crash, hang or take too much memory are written to FOLDER. Exit code 1 if any.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import resource
import sys
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import hdf5_mutations as mutations
import hdf5_seeds as seeds

LIMIT = 10.0
"""Processor time for one input [s]."""
HUNGRY = 100 << 20
"""Inputs that make the process grow by more are kept [bytes]."""
MEMORY = 1 << 30
"""Growth of the process over all inputs [bytes]."""


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--save", type=Path, default=None)
    options.add_argument("files", nargs="*", type=Path, help="more seeds: HDF5 files")
    chosen = options.parse_args()
    warnings.simplefilter("error")
    faulthandler.enable()
    corpus = {name: seeds.seed_bytes(name) for name in seeds.SEEDS}
    corpus |= {str(path): path.read_bytes() for path in chosen.files}
    rng = random.Random(chosen.seed)
    outcomes: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    slowest = 0.0
    start = time.monotonic()
    hungry = 0
    highest = before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    while time.monotonic() - start < chosen.seconds:
        name = rng.choice(sorted(corpus))
        change = mutations.mutate if rng.random() < 0.3 else mutations.mutate_metadata
        data = change(corpus[name], rng)
        if chosen.save is not None:  # a crash of a library underneath leaves this one behind
            _save(chosen.save, "last", data, 0)
        began = time.process_time()
        try:
            with mutations.at_most(LIMIT), mutations.without_checksums():
                outcomes[mutations.try_one(data)] += 1
        except mutations.HangError:
            failures[f"{name}: hang"] += 1
            _save(chosen.save, name, data, 1000 + sum(failures.values()))
        except Exception as exc:
            where = traceback.extract_tb(exc.__traceback__)[-1]
            label = f"{type(exc).__name__}: {exc} at {Path(where.filename).name}:{where.lineno}"
            if label not in failures:
                _save(chosen.save, name, data, 1 + len(failures))
                traceback.print_exc()
            failures[label] += 1
        slowest = max(slowest, time.process_time() - began)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if peak > highest + HUNGRY // 1024:
            _save(chosen.save, f"hungry-{name}", data, 2000 + hungry)
            hungry += 1
        highest = max(highest, peak)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    print(f"{sum(outcomes.values())} inputs: {dict(outcomes)}; slowest {slowest:.2f} s; memory grew by {grown >> 20} MiB")
    for label, count in failures.most_common():
        print(f"  FAILED {count}x {label}")
    return 1 if failures or grown > MEMORY else 0


def _save(folder: Path | None, name: str, data: bytes, number: int) -> None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:04d}-{Path(name).stem}.h5").write_bytes(data)


if __name__ == "__main__":
    raise SystemExit(main())
