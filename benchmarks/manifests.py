"""Manifests: memory, size on disk, cost of writing and joining, one cold reference; beside VirtualiZarr and icechunk."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from bench import Row, main, medians, times
from synthetic import arrays

import intake_virtualzarr.datasets.accessor  # noqa: F401 - the accessor
from intake_virtualzarr.hierarchy.reader import read_tree
from intake_virtualzarr.hierarchy.write_plan import plan_array
from intake_virtualzarr.storage.readers import Access


def dataset(joined: Any) -> xr.Dataset:
    return xr.Dataset({"v": (("time", "x"), joined)})


def numpy_only(parts: list[Any]) -> None:
    for column in ("source", "offset", "length"):
        np.concatenate([getattr(part.segments[0].stored.manifest, column) for part in parts], axis=0)


def virtualizarr_arrays(files: int, chunks: int) -> list[Any]:
    from virtualizarr.manifests import ChunkManifest, ManifestArray
    from virtualizarr.manifests.utils import create_v3_array_metadata

    metadata = create_v3_array_metadata(
        shape=(1, chunks * 10), data_type=np.dtype("i2"), chunk_shape=(1, 10), fill_value=0, codecs=[]
    )
    rng = np.random.default_rng(0)
    out = []
    for number in range(files):
        lengths = rng.normal(25_000, 600, (1, chunks)).astype("u8")
        offsets = np.cumsum(lengths, axis=1, dtype="u8")
        paths = np.full((1, chunks), f"https://example.org/data/{number:06}.nc", dtype=np.dtypes.StringDType())
        manifest = ChunkManifest.from_arrays(paths=paths, offsets=offsets, lengths=lengths)
        out.append(ManifestArray(metadata=metadata, chunkmanifest=manifest))
    return out


def rows(quick: bool) -> list[Row]:
    folder = Path(tempfile.mkdtemp())
    try:
        return [*joins(quick), *on_disk(folder, quick), *one_chunk_files(folder, quick), *peak(folder, quick)]
    finally:
        shutil.rmtree(folder)


def joins(quick: bool) -> list[Row]:
    files, chunks = (100, 100) if quick else (10_000, 1000)
    parts = arrays(files, chunks)
    count = files * chunks
    fused: Any = plan_array(np.concatenate(parts, axis=0))
    manifest = fused.stored.manifest
    per_reference = manifest.nbytes / count
    out = [
        Row("manifest in memory", f"{per_reference:.1f} B a reference", {}, "<= 16 B", per_reference <= 16),
    ]
    assert manifest.count == count
    if quick:
        return out
    ours = medians({"ours": lambda: plan_array(np.concatenate(parts, axis=0)), "NumPy": lambda: numpy_only(parts)}, 3)
    few = virtualizarr_arrays(1000, 1000)
    theirs = medians({"VirtualiZarr": lambda: np.concatenate(few, axis=0)}, 1)["VirtualiZarr"]
    cost = ours["ours"] * 1e9 / count
    out.append(
        Row(
            "join of 10,000 arrays of 1,000 references",
            f"{cost:.0f} ns a reference",
            {
                "NumPy alone": f"{ours['NumPy'] * 1e9 / count:.0f} ns",
                "VirtualiZarr (1,000 arrays)": f"{theirs * 1e9 / 1e6:.0f} ns",
            },
            "<= 40 ns",
            cost <= 40,
        )
    )
    return out


def on_disk(folder: Path, quick: bool) -> list[Row]:
    files, chunks = (100, 100) if quick else (1000, 1000)
    count = files * chunks
    plan: Any = plan_array(np.concatenate(arrays(files, chunks), axis=0))
    from intake_virtualzarr.arrays.array import VirtualZarrArray

    ready = dataset(VirtualZarrArray.from_stored(plan.stored))
    written = ready.vzarr.to_zarr(str(folder / "a.vzarr"), mode="w")
    size = sum(p.stat().st_size for p in (folder / "a.vzarr").rglob("c/*/*/*")) / count
    out = [Row("manifest on disk", f"{size:.2f} B a reference", {}, "<= 4 B", size <= 4)]
    assert written.references == count
    if quick:
        return out
    pages = medians({"ours": lambda: ready.vzarr.to_zarr(str(folder / "a.vzarr"), mode="w")}, 5)["ours"]
    icechunk = icechunk_write(folder, files, chunks)
    out[0] = Row(out[0].what, out[0].ours, {"icechunk": f"{icechunk['bytes'] / count:.1f} B"}, out[0].goal, out[0].held)
    cost = pages * 1e6 / count
    out.append(
        Row(
            "write of a store of 1M references",
            f"{cost:.2f} us a reference",
            {"icechunk": f"{icechunk['seconds'] * 1e6 / count:.2f} us"},
            "<= 0.15 us",
            cost <= 0.15,
        )
    )
    cold = medians({"ours": lambda: one_reference(folder / "a.vzarr"), "icechunk": icechunk["read"]}, 5)
    out.append(
        Row(
            "open a store of 1M references and look one up",
            f"{cold['ours'] * 1e3:.1f} ms",
            {"icechunk": f"{cold['icechunk'] * 1e3:.0f} ms"},
            "<= 10 ms",
            cold["ours"] <= 0.01,
        )
    )
    return out


def one_reference(path: Path) -> str:
    stored = read_tree(str(path), Access()).group("/").variables["v"].data.segments[0].stored
    found = stored.manifest.region((slice(500, 501), slice(7, 8)))
    return str(stored.sources[int(found.source[0, 0])].url)


def icechunk_write(folder: Path, files: int, chunks: int) -> dict[str, Any]:
    import icechunk
    import zarr

    path = folder / "icechunk"
    config = icechunk.RepositoryConfig.default()
    config.set_virtual_chunk_container(icechunk.VirtualChunkContainer("https://example.org/", icechunk.http_store(opts={})))
    repository = icechunk.Repository.create(icechunk.local_filesystem_storage(str(path)), config=config)
    session = repository.writable_session("main")
    zarr.create_array(session.store, name="v", shape=(files, chunks * 10), chunks=(1, 10), dtype="i2")
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    for number in range(files):
        lengths = rng.normal(25_000, 600, chunks).astype("u4").tolist()
        specs, at = [], 4096
        for chunk, length in enumerate(lengths):
            url = f"https://example.org/data/{number:06}.nc"
            specs.append(icechunk.VirtualChunkSpec([number, chunk], url, at, length, None, None))
            at += length
        session.store.set_virtual_refs("v", specs, validate_containers=False)
    session.commit("all")
    seconds = time.perf_counter() - start

    def read() -> None:
        opened = icechunk.Repository.open(icechunk.local_filesystem_storage(str(path)), config=config)
        store = opened.readonly_session("main").store
        zarr.open_group(store, mode="r")["v"]
        zarr.core.sync.sync(store.exists("v/c/500/7"))

    return {"bytes": sum(p.stat().st_size for p in path.rglob("*") if p.is_file()), "seconds": seconds, "read": read}


def one_chunk_files(folder: Path, quick: bool) -> list[Row]:
    files = 100 if quick else 10_000
    parts = arrays(files, 1)
    target = str(folder / "b.vzarr")

    def all_of_it() -> Any:
        return dataset(np.concatenate(parts, axis=0)).vzarr.to_zarr(target, mode="w")

    written = all_of_it()
    assert written.references == files
    out = [
        Row(
            f"{files} one-chunk arrays joined and written: objects",
            str(written.objects),
            goal=f"<= {4 + -(-files // 1024)}",
            held=written.objects <= 4 + -(-files // 1024),
        )
    ]
    if quick:
        return out
    plan: Any = plan_array(np.concatenate(parts, axis=0))
    from intake_virtualzarr.arrays.array import VirtualZarrArray

    ready = dataset(VirtualZarrArray.from_stored(plan.stored))
    took = medians(
        {
            "ours": all_of_it,
            "NumPy": lambda: numpy_only(parts),
            "pages": lambda: ready.vzarr.to_zarr(target, mode="w"),
        },
        5,
    )
    base = took["NumPy"] + took["pages"]
    out.append(
        Row(
            "10,000 one-chunk arrays joined and written, x of NumPy's joins and the page write",
            times(took["ours"] / base),
            {"ours": f"{took['ours'] * 1e3:.0f} ms", "NumPy and write": f"{base * 1e3:.0f} ms"},
            "< 2x",
            took["ours"] < 2 * base,
        )
    )
    return out


PEAK = """
import sys
def peak(): return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM")) / 1024
import xarray as xr, zarr, intake_virtualzarr.datasets.backend
from intake_virtualzarr.hierarchy import reader as read
xr.backends.list_engines()  # those of all installed packages
before = peak()  # what is imported is not memory of the store
ds = xr.open_dataset(sys.argv[1], engine="virtualzarr", decode_cf=False)
stored = ds.v.variable._data.segments[0].stored
for row in range(0, stored.shape[0], max(1, stored.shape[0] // 500)):
    stored.manifest.region((slice(row, row + 1), slice(0, 1)))
print(peak() - before)
"""


def peak(folder: Path, quick: bool) -> list[Row]:
    """Memory that opening a large store takes, in a process of its own, with lookups all over it."""
    files, chunks = (100, 100) if quick else (10_000, 1000)
    target = folder / "c.vzarr"
    dataset(np.concatenate(arrays(files, chunks), axis=0)).vzarr.to_zarr(str(target), mode="w")
    done = subprocess.run([sys.executable, "-c", PEAK, str(target)], capture_output=True, text=True, check=True)
    grown = float(done.stdout)
    return [
        Row(
            f"open a store of {files * chunks} references, 500 lookups spread over it: memory",
            f"{grown:.0f} MB",
            {"all references": f"{files * chunks * 16 / 1e6:.0f} MB"},
            "<= 64 MB",
            grown <= 64,
        )
    ]


if __name__ == "__main__":
    main(rows, __doc__)
