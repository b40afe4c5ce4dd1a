"""A long run over damaged TIFF files: ``python tests/fuzz/run_tiff.py COUNT [SEED]``. Prints what became of them, and memory."""

from __future__ import annotations

import sys
from functools import partial

from parser_runs import long_run
from tiff_mutations import mutations, outcome, seeds

if __name__ == "__main__":
    long_run("tif", seeds(), mutations, partial(outcome, read=True), int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
