"""Random series against plain xarray, as many as are asked for: ``python tests/fuzz/run_series.py --count 20000 --seed 1``."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import dask

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.random_series import PER_FAMILY, check_series

MEMORY = Path("/dev/shm")


def main() -> int:
    """Run; print seeds that fail, and a count of outcomes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="number of series")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first one; others follow")
    options = parser.parse_args()
    os.fsync = lambda descriptor: None  # files of a moment
    dask.config.set(scheduler="synchronous")
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        for seed in range(options.seed, options.seed + options.count):
            if seed % PER_FAMILY == 0:
                shutil.rmtree(Path(folder) / "families", ignore_errors=True)
            outcomes[_outcome(Path(folder), seed)] += 1
            if seed % 500 == 0:
                print(seed, dict(outcomes), f"{time.process_time():.0f} s of computing", flush=True)
    print(f"{options.count} series from seed {options.seed}: {dict(outcomes)}", flush=True)
    return int(outcomes["different"] > 0)


def _outcome(folder: Path, seed: int) -> str:
    try:
        return check_series(folder / "stores", seed, folder / "families")
    except Exception:
        print(f"seed {seed}\n{traceback.format_exc()}", flush=True)
        return "different"
    finally:
        shutil.rmtree(folder / "stores", ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
