"""A store of many references over http: requests until a value is there; and objects that an append writes."""

from __future__ import annotations

import os
import shutil
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from bench import Row, agree, main, medians
from server import serving
from synthetic import arrays

import intake_virtualzarr as ivz
import intake_virtualzarr.datasets.accessor  # the accessor
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.segments import StoredArray
from intake_virtualzarr.codecs.spec import CodecSpec, bytes_codec
from intake_virtualzarr.storage.source import Source


def one_real_file(path: Path, url: str, chunks: int) -> VirtualZarrArray:
    """An array of one step whose first chunk is there."""
    data = zlib.compress(np.arange(10, dtype="<i2").tobytes())
    path.write_bytes(data)
    codecs = bytes_codec(np.dtype("i2")), CodecSpec.of("numcodecs.zlib", level=4)
    return VirtualZarrArray.from_references(
        (1, chunks * 10), (1, 10), "i2", [Source(url, len(data))], 0, len(data), codecs=codecs, fill_value=np.int16(0)
    )


def dataset(parts: list[Any]) -> xr.Dataset:
    return xr.Dataset({"v": (("time", "x"), np.concatenate(parts, axis=0))})


def plain_codecs(part: VirtualZarrArray) -> VirtualZarrArray:
    """The array with the codecs of `one_real_file`."""
    stored = part.segments[0].stored
    codecs = bytes_codec(stored.dtype), CodecSpec.of("numcodecs.zlib", level=4)
    return VirtualZarrArray.from_stored(
        StoredArray(stored.dtype, stored.fill_value, stored.grid, codecs, stored.manifest, stored.sources)
    )


def tree(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def state(folder: Path) -> dict[str, int]:
    return {name: os.stat(folder / name).st_mtime_ns for name in tree(folder)}


def rows(quick: bool) -> list[Row]:
    files, chunks = (100, 100) if quick else (1000, 1000)
    folder = Path(tempfile.mkdtemp())
    out = []
    try:
        with serving(folder, latency=0.0 if quick else 0.02) as server:
            parts = [plain_codecs(part) for part in arrays(files, chunks)]
            parts[files // 2] = one_real_file(folder / "real.bin", f"{server.url}/real.bin", chunks)
            dataset(parts).vzarr.to_zarr(str(folder / "s.vzarr"))
            url = f"{server.url}/s.vzarr"

            def through_engine() -> Any:
                return xr.open_dataset(url, engine="virtualzarr").v[files // 2, :10].values

            def through_zarr() -> Any:
                return xr.open_zarr(ivz.VirtualZarrStore(url), chunks=None).v[files // 2, :10].values

            for name, read in (("engine", through_engine), ("zarr-python", through_zarr)):
                server.reset()
                agree(read(), np.arange(10, dtype="i2"), name)
                counts = server.counts()
                out.append(
                    Row(
                        f"open a store of {files * chunks} references over http, read one chunk, {name}: requests, bytes",
                        f"{counts['requests']}, {counts['bytes'] / 1e3:.0f} kB",
                        goal="<= 7 requests",
                        held=counts["requests"] <= 7,
                    )
                )
            if not quick:
                took = medians({"engine": through_engine}, 5)["engine"]
                out.append(Row("the same, 20 ms latency", f"{took * 1e3:.0f} ms"))
        before = state(folder / "s.vzarr")
        written = dataset([one_real_file(folder / "more.bin", (folder / "more.bin").as_uri(), chunks)]).vzarr.to_zarr(
            str(folder / "s.vzarr"), append_dim="time"
        )
        after = state(folder / "s.vzarr")
        new = set(after) - set(before)
        changed = {name for name in set(after) & set(before) if after[name] != before[name]}
        pages = {name for name in new if "/c/" in name}
        documents = (new - pages) | changed
        old_pages = {name for name in changed if "/c/" in name}
        out.append(
            Row(
                f"append of one file to {files * chunks} references: documents, new pages, old pages changed",
                f"{len(documents)}, {len(pages)}, {len(old_pages)} ({written.objects} objects written)",
                goal="old pages stay",
                held=not old_pages and len(pages) <= 1,
            )
        )
    finally:
        shutil.rmtree(folder)
    return out


if __name__ == "__main__":
    main(rows, __doc__)
