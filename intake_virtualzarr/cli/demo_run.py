"""The demo's steps, in order, and what it says about each."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import intake
import xarray as xr

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.arrays.repr_html import size_text
from intake_virtualzarr.catalog.ingest import IngestReport, ingest
from intake_virtualzarr.cli.demo_api import find_rustac, stac_api
from intake_virtualzarr.cli.demo_check import Comparison, compare
from intake_virtualzarr.cli.demo_files import DAYS, ODD_CHUNKS_DAY, ODD_SCALE_DAY, day_name, write_files
from intake_virtualzarr.cli.demo_items import COLLECTION, write_stac
from intake_virtualzarr.cli.http_server import RangeServer, serve_directory
from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.progress import progress_bar
from intake_virtualzarr.stac.client import open_client, search

__all__ = ["DemoReport", "run_demo"]

MARKER = ".intake-virtualzarr-demo"
"""File that marks a directory as made by the demo, which may be made again."""


@dataclass(frozen=True)
class DemoReport:
    """What the demo found."""

    equal: bool
    """Whether every value agrees with h5netcdf's."""
    values: int
    """Values compared."""
    different: tuple[tuple[str, int], ...]
    """Files in which values differ, and how many."""
    monthly_mean: float
    """Mean over all days and places with data [degree Celsius]."""
    data_bytes: int
    """Size of the files [bytes]."""
    manifest_bytes: int
    """Size of the virtual store [bytes]."""
    read_bytes: int
    """Bytes fetched for the mean, of catalog, manifests and data together."""
    requests: int
    """Requests for the mean."""
    seconds: float
    """Time for everything [s]."""
    catalog: str
    """The Intake catalog file."""

    def to_dict(self) -> JsonObject:
        """Return the fields as plain values."""
        return asdict(self)


def run_demo(directory: Path, *, say: Callable[[str], None] = print, progress: bool | None = None) -> DemoReport:
    """Make files, search, ingest, open through Intake, compare.

    Parameters
    ----------
    directory : Path
        Must be empty, absent, or made by an earlier demo.
    say : callable
        Takes lines of text.
    progress : bool, optional
        Show bars on stderr; by default if it is a terminal.

    Returns
    -------
    DemoReport
    """
    began = time.monotonic()
    _prepare(directory)
    with progress_bar("writing files", DAYS, progress) as step:
        paths = write_files(directory / "data", step)
    say(f"1. Wrote {DAYS} daily files to {directory / 'data'}: {size_text(sum(p.stat().st_size for p in paths))}.")
    say(f"   {day_name(ODD_CHUNKS_DAY)} has another chunk shape, {day_name(ODD_SCALE_DAY)} another scale_factor.")
    report = _ingest(directory, paths, say, progress)
    with serve_directory(directory) as server:
        mean, dataset = _mean(server)
        requests, read = server.requests, server.sent
        say(f"4. Monthly mean through Intake: {mean:.4f} degree Celsius, from {size_text(read)} in {requests} requests.")
        with progress_bar("comparing values", DAYS, progress) as step:
            found = compare(dataset, paths, step=step)
        dataset.close()
    _say_result(found, say)
    seconds = time.monotonic() - began
    catalog = directory / "catalog" / "catalog.yaml"
    _say_next(directory, catalog, seconds, say)
    return DemoReport(
        equal=found.equal,
        values=found.values,
        different=found.different,
        monthly_mean=mean,
        data_bytes=report.data_bytes,
        manifest_bytes=report.manifest_bytes,
        read_bytes=read,
        requests=requests,
        seconds=round(seconds, 2),
        catalog=str(catalog),
    )


def _prepare(directory: Path) -> None:
    """Empty the directory if an earlier demo made it; refuse to touch another one."""
    if directory.exists() and not directory.is_dir():
        raise VirtualZarrError(f"{directory}: is a file; give the demo a directory")
    if directory.exists() and any(directory.iterdir()):
        if not (directory / MARKER).exists():
            raise VirtualZarrError(f"{directory}: is not empty and was not made by the demo; give an empty or a new directory")
        for name in ("data", "stac", "catalog"):
            shutil.rmtree(directory / name, ignore_errors=True)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / MARKER).touch()


def _ingest(directory: Path, paths: list[Path], say: Callable[[str], None], progress: bool | None) -> IngestReport:
    with _items(directory, paths, say) as items:
        report = ingest(
            items,
            directory / "catalog",
            name="sst",
            title="Synthetic daily sea surface temperature",
            license="CC0-1.0",
            progress=progress,
            allow=directory / "data",  # the API, which is reached over http, names local files
        )
    share = report.manifest_bytes / report.data_bytes
    say(f"3. Scanned and joined {report.sources} files: {report.references} references to chunks.")
    say(
        f"   The store takes {size_text(report.manifest_bytes)}, coordinates included, "
        f"the data {size_text(report.data_bytes)}: {share:.1%}. No data was copied."
    )
    return report


@contextmanager
def _items(directory: Path, paths: list[Path], say: Callable[[str], None]) -> Iterator[Any]:
    """Give the files' items: found by a search of a real STAC API, else of a static catalog."""
    collection, items = write_stac(paths, directory / "stac")
    program = find_rustac()
    if program is None:
        say(f"2. STAC: static catalog {collection} (no STAC API: the program rustac is not installed).")
        yield collection
        return
    with stac_api(program, collection.with_name("api-collection.json"), items) as url:
        say(f"2. STAC: pystac-client searches the API of 'rustac serve' at {url} for January 2024.")
        yield search(open_client(url), collections=[COLLECTION], datetime="2024-01")


def _mean(server: RangeServer) -> tuple[float, xr.Dataset]:
    """Open the catalog as a stranger would, over http, and read all of it once."""
    server.reset()
    dataset = intake.open_catalog(f"{server.url}/catalog/catalog.yaml").sst.to_dask()
    return float(dataset["sst"].mean(dtype="float64").compute()), dataset


def _say_result(found: Comparison, say: Callable[[str], None]) -> None:
    if found.equal:
        say(f"5. Every value equals h5netcdf's: {found.values:,} compared, {found.missing:,} of them without data.")
        return
    say("5. VALUES DIFFER from h5netcdf's:")
    for name, count in found.different:
        say(f"   {name}: {count:,} values")


def _say_next(directory: Path, catalog: Path, seconds: float, say: Callable[[str], None]) -> None:
    say(f"Done in {seconds:.1f} s. Try next:")
    python, program = _program("python"), _program("intake-virtualzarr")
    say(f"  {python} -c \"import intake; print(intake.open_catalog('{catalog}').sst.to_dask())\"")
    say(f"  {program} describe {directory / 'catalog' / 'sst.vzarr'}")
    say(f"  {program} check {directory / 'catalog' / 'sst.vzarr'}")
    say(f"  {program} serve {directory}      # then open the page that it names")


def _program(name: str) -> str:
    """Name a program of this environment so that a shell finds it: shortly if it is on the path."""
    own = Path(sys.executable).parent / name
    found = shutil.which(name)
    if not own.exists() or (found is not None and Path(found).absolute() == own):
        return name
    near = os.path.relpath(own)
    return str(own) if near.startswith("..") else near
