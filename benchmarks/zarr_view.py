"""The plain Zarr view over http beside reading the store directly: chunks of 1 MB, from this machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import zarr
from bench import Row, agree, main, medians, times
from data import field
from zarr.storage import FsspecStore

import intake_virtualzarr as ivz


@contextmanager
def serving(store: Path, codecs: str) -> Iterator[tuple[str, int]]:
    """URL and process id of `serve --zarr` in a process of its own."""
    command = [sys.executable, "-u", "-m", "intake_virtualzarr", "serve", "--zarr", str(store), "--port", "0", "--codecs", codecs]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().split(" at ")[1].split("/ (")[0], server.pid
        finally:
            server.terminate()


def peak(process: int) -> int:
    """Most memory that a process has had so far [bytes]."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def rows(quick: bool) -> list[Row]:
    folder = Path(tempfile.mkdtemp())
    steps = 4 if quick else 64
    path = field(f"view-{steps}.nc", shape=(steps, 512, 1024), chunks=(1, 512, 512), packed=False)
    store = folder / "s.vzarr"
    ivz.open_virtual_dataset(path).vzarr.to_zarr(store)
    found = []
    try:
        for codecs in ("standard", "zarr-python"):
            with serving(store, codecs) as (url, process):

                def view(url: str = url) -> object:
                    return zarr.open_array(FsspecStore.from_url(url, read_only=True), path="v", mode="r")[...]

                def direct() -> object:
                    return zarr.open_array(ivz.VirtualZarrStore(store), path="v", mode="r")[...]

                agree(view(), direct(), "the view")
                what = f"zarr-python over `serve --zarr --codecs {codecs}`, float32, 1 MB chunks"
                if quick:
                    found.append(Row(f"{what}: values", "those of the store", goal="alike", held=True))
                    continue
                took = medians({"view": view, "direct": direct}, 5)
                ratio = took["view"] / took["direct"]
                figures = {"direct": f"{took['direct'] * 1e3:.0f} ms", "memory of the server": f"{peak(process) / 1e6:.0f} MB"}
                if codecs == "standard":
                    found.append(Row(f"{what}, time x of direct", times(ratio), figures, "<= 1.3x", ratio <= 1.3))
                else:  # the client inflates and unshuffles, with its own codecs
                    found.append(Row(f"{what}, time x of direct", times(ratio), figures))
        return found
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(rows, __doc__)
