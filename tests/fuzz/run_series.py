"""Random series against plain xarray, as many as are asked for: ``python tests/fuzz/run_series.py --count 20000 --seed 1``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.random_series import check_series


def main() -> int:
    """Run; print seeds that fail, and a count of outcomes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="number of series")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first one; others follow")
    options = parser.parse_args()
    outcomes: Counter[str] = Counter()
    for seed in range(options.seed, options.seed + options.count):
        with tempfile.TemporaryDirectory() as folder:
            try:
                outcomes[check_series(Path(folder), seed)] += 1
            except Exception:
                outcomes["different"] += 1
                print(f"seed {seed}\n{traceback.format_exc()}", flush=True)
        if seed % 500 == 0:
            print(seed, dict(outcomes), flush=True)
    print(f"{options.count} series from seed {options.seed}: {dict(outcomes)}")
    return int(outcomes["different"] > 0)


if __name__ == "__main__":
    raise SystemExit(main())
