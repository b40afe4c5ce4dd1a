"""All benchmarks, side by side with the peers.

    python benchmarks/run.py [--quick] [names …]

Prints a table and writes ``benchmarks/RESULTS.md``. ``--quick`` uses small files and looks at counts (requests, bytes,
rounds, objects) and values only, so that it says the same on every machine; it writes nothing.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
import time
import traceback
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from bench import Row, table  # noqa: E402

NAMES = [
    "scan_files",
    "scan_remote",
    "read_full",
    "read_small",
    "point_series",
    "manifests",
    "store_http",
    "zarr_view",
    "large_store",
    "dask_mean",
    "cluster",
]
PACKAGES = ["h5py", "h5netcdf", "xarray", "zarr", "virtualizarr", "kerchunk", "icechunk", "deflate", "distributed"]


def results(rows: list[Row]) -> str:
    """The contents of RESULTS.md."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    missed = [row for row in rows if row.held is False]
    return f"""# Results of the benchmarks

One run of `make bench` on {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.system()}, Python \
{platform.python_version()}; {packages}. Medians of runs in turn. Absolute times move by 30 % between runs and \
ratios by 10 to 20 % while others use the machine; {len(missed)} of {sum(r.held is not None for r in rows)} goals \
were missed in this run.

{table(rows)}

{(HERE / "NOTES.md").read_text()}"""


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="counts and values only, on small files")
    options.add_argument("names", nargs="*", choices=[*NAMES, []], help=f"which: {', '.join(NAMES)}")
    chosen = options.parse_args()
    rows: list[Row] = []
    for name in chosen.names or NAMES:
        start = time.perf_counter()
        try:
            found = importlib.import_module(name).rows(chosen.quick)
        except Exception:
            traceback.print_exc()
            found = [Row(name, "failed", held=False)]
        print(f"\n{name} ({time.perf_counter() - start:.0f} s)\n{table(found)}", flush=True)
        rows += found
    if not chosen.quick and not chosen.names:
        (HERE / "RESULTS.md").write_text(results(rows))
    missed = [row.what for row in rows if row.held is False]
    print(f"\n{len(missed)} of {sum(row.held is not None for row in rows)} goals missed")
    for what in missed:
        print(f"  {what}")
    # times are not a reason to fail: they depend on who else uses the machine
    return 1 if chosen.quick and missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
