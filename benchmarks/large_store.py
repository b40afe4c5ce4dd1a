"""A store of 100 million references from NumPy columns, and one of 1,000 million that is there as far as a reader asks for it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import Row, main
from server import Running, serving

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from support.large_stores import VALUES, simulate

MEMORY = """
import sys, time
def memory(name): return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name)) / 1024
import numpy as np, xarray as xr
import intake_virtualzarr as ivz
xr.backends.list_engines()
"""

WRITE = (
    MEMORY
    + """
target, url, files, chunks = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
some = np.random.default_rng(0).normal(25_000, 600, (100, chunks)).astype("u4")
length = np.tile(some, (files // 100, 1))
offset = np.cumsum(length, axis=1, dtype="u8")
offset -= length
offset += np.uint64(4096)
length[files // 2, 7], offset[files // 2, 7] = 20, 0
source = np.arange(files, dtype="u4")[:, None]
urls = [f"https://example.org/data/{number:06}.nc" for number in range(files)]
urls[files // 2] = url
before, start = memory("VmHWM"), time.perf_counter()
array = ivz.VirtualZarrArray.from_references((files, chunks * 10), (1, 10), "<i2", urls, offset, length, source)
written = xr.Dataset({"v": (("time", "x"), array)}).vzarr.to_zarr(target)
print(written.references, written.objects, written.nbytes, time.perf_counter() - start, memory("VmHWM") - before)
"""
)

OPEN = (
    MEMORY
    + """
def read(store, row):
    with xr.open_dataset(store, engine="virtualzarr") as ds:
        return ds.v[row, 70:80].values.tolist()
small, store, row = sys.argv[1], sys.argv[2], int(sys.argv[3])
assert read(small, 50) == list(range(10))  # what is imported is not memory of the store
before = memory("VmRSS")
took = []
for turn in range(7):
    start = time.perf_counter()
    assert read(store, row) == list(range(10))
    took.append(time.perf_counter() - start)
print(float(np.median(took)), max(memory("VmRSS"), memory("VmHWM")) - before)
"""
)

REQUESTS = """
import sys, xarray as xr, zarr, intake_virtualzarr as ivz
url, row, way = sys.argv[1], int(sys.argv[2]), sys.argv[3]
if way == "engine":
    values = xr.open_dataset(url, engine="virtualzarr").v[row, 70:80].values
else:
    values = zarr.open_group(ivz.VirtualZarrStore(url), mode="r")["v"][row, 70:80]
assert values.tolist() == list(range(10))
"""


def run(code: str, *arguments: object) -> list[float]:
    """Numbers that a process of its own prints, so that its memory is its own, too."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return [float(word) for word in done.stdout.split()]


def rows(quick: bool) -> list[Row]:
    folder = Path(tempfile.mkdtemp())
    files, chunks = (1000, 1000) if quick else (100_000, 1000)
    try:
        (folder / "data.bin").write_bytes(VALUES.tobytes())
        with serving(folder) as server:
            url = f"{server.url}/data.bin"
            run(WRITE, folder / "small.vzarr", url, 100, 1000)
            return [
                *written(folder, url, files, chunks, quick),
                *opened(folder, server, "large.vzarr", files, files * chunks, quick),
                *opened(folder, server, simulate(folder, 10 * files, chunks, url).name, 10 * files, 10 * files * chunks, quick),
            ]
    finally:
        shutil.rmtree(folder)


def written(folder: Path, url: str, files: int, chunks: int, quick: bool) -> list[Row]:
    references, objects, nbytes, seconds, memory = run(WRITE, folder / "large.vzarr", url, files, chunks)
    out = [
        Row(
            f"store of {files * chunks} references written: objects, bytes a reference",
            f"{objects:.0f}, {nbytes / references:.2f}",
            goal="all references",
            held=references == files * chunks,
        )
    ]
    if not quick:
        columns = 12 * references / 2**20
        others = {"columns given": f"{columns:.0f} MB", "memory beside them": f"{memory:.0f} MB"}
        out.append(Row("the same, time", f"{seconds:.1f} s", others, "<= 30 s", seconds <= 30))
    return out


def opened(folder: Path, server: Running, name: str, files: int, references: int, quick: bool) -> list[Row]:
    row = files // 2
    kind = "simulated store" if name.startswith("simulated") else "store"
    seconds, memory = run(OPEN, folder / "small.vzarr", folder / name, row)
    what = f"open a {kind} of {references} references and read one chunk"
    out = [Row(f"{what}: memory", f"{memory:.1f} MB", goal="<= 64 MB", held=memory <= 64)]
    if not quick:
        out.append(Row(f"{what}: time", f"{seconds * 1e3:.1f} ms", goal="<= 50 ms", held=seconds <= 0.05))
    for way in ("engine", "zarr-python"):
        server.reset()
        run(REQUESTS, f"{server.url}/{name}", row, way)
        counts = server.counts()
        asked = f"{counts['requests']}, {counts['bytes'] / 1e3:.0f} kB"
        out.append(Row(f"{what} over http, {way}: requests, bytes", asked, goal="<= 7 requests", held=counts["requests"] <= 7))
    return out


if __name__ == "__main__":
    main(rows, __doc__)
