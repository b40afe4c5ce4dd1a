"""A year of nights in minutes: ingest, then updates with late, reprocessed, missing and changed files; values against xarray.

    python tests/stress/nightly.py [--items 400] [--nights 60] [--seed 0] [--folder FOLDER]

After every night: values equal those of plain xarray over the files that are there, counts and extents of the documents are true,
and the number of objects written and the time of the update are printed. Ends with 1 at the first difference.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import random
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pystac
import xarray as xr

import intake_virtualzarr as ivz

START = np.datetime64("2023-01-01", "ns")


def write(path: Path, day: int, value: float) -> Path:
    """One day of sea surface temperature, packed."""
    values = np.full((1, 6, 8), value) + np.arange(48.0).reshape(6, 8) / 16
    dataset = xr.Dataset(
        {"sst": (("time", "lat", "lon"), values, {"units": "degC", "standard_name": "sea_surface_temperature"})},
        coords={
            "time": [START + np.timedelta64(day, "D")],
            "lat": ("lat", np.linspace(-50, 50, 6), {"units": "degrees_north"}),
            "lon": ("lon", np.linspace(0, 350, 8), {"units": "degrees_east"}),
        },
        attrs={"title": "Nightly"},
    )
    encoding = {"sst": {"dtype": "i2", "scale_factor": 1 / 16, "_FillValue": -32768, "zlib": True}}
    dataset.to_netcdf(path, engine="h5netcdf", encoding={**encoding, "time": {"units": "hours since 2000-01-01", "dtype": "f8"}})
    return path


def item(path: Path, day: int, version: int) -> pystac.Item:
    when = dt.datetime(2023, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=day)
    one = pystac.Item(f"day-{day:04}", None, None, when, {"updated": f"2024-01-01T00:00:{version:02}Z"})
    one.add_asset("data", pystac.Asset(str(path), media_type="application/x-netcdf", roles=["data"]))
    return one


class Archive:
    """Files that arrive, change and vanish."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng = folder, rng
        self.versions: dict[int, int] = {}
        self._read: dict[tuple[int, int], xr.Dataset] = {}

    def path(self, day: int) -> Path:
        return self.folder / f"{day:04}.nc"

    def put(self, day: int) -> None:
        self.versions[day] = self.versions.get(day, 0) + 1
        write(self.path(day), day, self.rng.randrange(-20, 20))

    def drop(self, day: int) -> None:
        del self.versions[day]
        self.path(day).unlink()

    def items(self) -> pystac.ItemCollection:
        found = [item(self.path(day), day, version) for day, version in sorted(self.versions.items())]
        return pystac.ItemCollection(found, clone_items=False)

    def direct(self) -> xr.Dataset:
        parts = [self._one(day, version) for day, version in sorted(self.versions.items())]
        return xr.concat(parts, "time", data_vars="minimal", coords="minimal", compat="override", combine_attrs="override")

    def _one(self, day: int, version: int) -> xr.Dataset:
        """One file by plain xarray, read once for each version."""
        if (day, version) not in self._read:
            with xr.open_dataset(self.path(day), engine="h5netcdf") as one:
                self._read[day, version] = one.load()
        return self._read[day, version]


def check(archive: Archive, catalog: Path) -> None:
    """Raise if the store or its documents are not what the archive says."""
    with xr.open_dataset(catalog / "s.vzarr", engine="virtualzarr") as found:
        xr.testing.assert_equal(found.load(), archive.direct())
        times = found.time.values
    document = json.loads((catalog / "collection.json").read_text())
    assert document["assets"]["virtual"]["vzarr:source_count"] == len(archive.versions)
    interval = document["extent"]["temporal"]["interval"][0]
    expected = [np.datetime_as_string(one, unit="s") + "Z" for one in (times.min(), times.max())]
    assert interval == expected, (interval, expected)
    assert document["cube:variables"]["sst"]["shape"][0] == len(times)


def night(archive: Archive, pending: list[int], day: int) -> str:
    """What happens in one night: a new day, and perhaps one thing more."""
    rng = archive.rng
    event = rng.choice(["new", "new", "skipped", "late", "reprocessed", "missing"])
    if event == "skipped":
        pending.append(day)
        return event
    archive.put(day)
    if event == "late" and pending:
        archive.put(pending.pop(rng.randrange(len(pending))))
    elif event == "reprocessed":
        archive.put(rng.choice(sorted(archive.versions)[:-1]))
    elif event == "missing" and len(archive.versions) > 3:
        archive.drop(rng.choice(sorted(archive.versions)[1:-1]))
    return event


def run(folder: Path, items: int, nights: int, seed: int, say=print) -> None:
    archive = Archive(folder / "data", random.Random(seed))
    archive.folder.mkdir(parents=True)
    catalog = folder / "catalog"
    for day in range(items):
        archive.put(day)
    began = time.perf_counter()
    ivz.ingest(archive.items(), catalog, name="s")
    say(f"ingest of {items}: {time.perf_counter() - began:.1f} s")
    check(archive, catalog)
    pending: list[int] = []
    for n in range(nights):
        event = night(archive, pending, items + n)
        began = time.perf_counter()
        report = ivz.update(archive.items(), catalog, conflicts="rewrite")
        taken = time.perf_counter() - began
        check(archive, catalog)
        objects = sum(1 for path in (catalog / "s.vzarr").rglob("*") if path.is_file())
        count = len(archive.versions)
        say(f"night {n:3} {event:11} {report.action:8} {count:4} files {taken:6.2f} s, {objects} objects in the store")
    from intake_virtualzarr.catalog.compact import compact

    compact(catalog / "s.vzarr")
    check(archive, catalog)
    assert ivz.update(archive.items(), catalog).action == "nothing"
    say("compact: values equal, nothing to update")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=400)
    parser.add_argument("--nights", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as temporary:
        run((options.folder or Path(temporary)) / "nightly", options.items, options.nights, options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
