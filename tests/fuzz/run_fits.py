"""A long run over damaged FITS files: ``python tests/fuzz/run_fits.py COUNT [SEED]``. Prints what became of them, and memory."""

from __future__ import annotations

import sys
from functools import partial

from fits_mutations import mutations, outcome, seeds
from parser_runs import long_run

if __name__ == "__main__":
    long_run(
        "fits", seeds(), mutations, partial(outcome, read=True), int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    )
