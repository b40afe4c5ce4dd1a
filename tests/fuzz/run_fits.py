"""A long run over damaged FITS files: ``python tests/fuzz/run_fits.py COUNT [SEED]``. Prints what became of them, and memory."""

from __future__ import annotations

import resource
import sys
import tempfile
from collections import Counter
from pathlib import Path

from fits_mutations import mutations, outcome, seeds


def main(count: int, seed: int) -> None:
    files, found = seeds(), Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.fits"
        for number, data in enumerate(files):
            for changed in mutations(data, -(-count // len(files)), seed + number):
                try:
                    found[outcome(changed, path, read=True)] += 1
                except BaseException as exc:
                    kept = Path(tempfile.gettempdir()) / f"fits-{number}-{sum(found.values())}.fits"
                    kept.write_bytes(changed)
                    found[f"NOT OURS {type(exc).__name__}: {exc}"] += 1
    print(dict(found), sum(found.values()), "files,", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, "MiB at most")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
