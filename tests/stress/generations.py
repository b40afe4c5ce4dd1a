"""A store under its readers, its writers and kills, for as long as one likes; the suite has a short form of each.

    PYTHONPATH=tests python tests/stress/generations.py rewrites --reads 2000 [--s3]
    PYTHONPATH=tests python tests/stress/generations.py writers --rounds 100 [--s3]
    PYTHONPATH=tests python tests/stress/generations.py kills --rounds 300 [--s3]

Prints what was counted; exit code 1 if anything was wrong. ``--s3`` starts SeaweedFS.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import xarray as xr
import zarr

import intake_virtualzarr as ivz
from intake_virtualzarr.errors import ConflictError, VirtualZarrError
from intake_virtualzarr.storage.key_value import LocalKeys, ObjectKeys

SHAPE = (1, 3, 4)
BLOCK = np.arange(12.0).reshape(SHAPE)


def write_file(path: Path, day: int, version: int) -> str:
    """One day; every value tells the day and the version."""
    data = BLOCK + 100 * day + 10_000 * version + 1
    coords = {"time": np.datetime64("2024-01-01", "ns") + np.array([day], "m8[D]"), "lat": np.arange(3.0), "lon": np.arange(4.0)}
    encoding = {"v": {"zlib": True, "chunksizes": SHAPE}, "time": {"units": "days since 2000-01-01", "dtype": "i4"}}
    xr.Dataset({"v": (("time", "lat", "lon"), data)}, coords).to_netcdf(path, engine="h5netcdf", encoding=encoding)
    return str(path)


def version_of(values: np.ndarray, times: np.ndarray) -> int | None:
    """The version that all values belong to; None if they are mixed, or others."""
    days = (times - np.datetime64("2024-01-01")).astype("m8[D]").astype(int)
    rest = values - BLOCK - 100 * days[:, None, None] - 1
    found = np.unique(rest)
    return int(found[0]) // 10_000 if found.size == 1 and found[0] % 10_000 == 0 else None


class Place:
    """Where stores lie in a run."""

    def __init__(self, folder: Path, server=None) -> None:
        self.folder = folder
        self.options = None if server is None else server.with_keys
        self.remote = server is not None
        self.count = 0

    def new(self, name: str) -> str:
        self.count += 1
        return f"s3://private/run{self.count}/{name}" if self.remote else str(self.folder / f"run{self.count}" / name)

    def open(self, store: str, **kwargs) -> xr.Dataset:
        options = {} if self.options is None else {"backend_kwargs": {"storage_options": self.options}}
        return xr.open_dataset(store, engine="virtualzarr", **options, **kwargs)


def virtual(files):
    return ivz.open_virtual_mfdataset(files) if len(files) > 1 else ivz.open_virtual_dataset(files[0])


# ---------------------------------------------------------------------- rewrites under open readers


def rewriting(sets, store, options, stop):
    """Replace a store by one version after the other."""
    turn = 0
    while not stop.is_set():
        turn += 1
        virtual(sets[turn % len(sets)]).vzarr.to_zarr(store, mode="w", storage_options=options)


def readers(place: Place, store: str):
    """Ways to open a store: each gives the values of one step at a time, and its times."""
    plain = place.open(store)
    yield "engine", (lambda i: plain.v[i : i + 1].values), plain.time.values
    lazy = place.open(store, chunks={"time": 1})
    yield "dask", (lambda i: lazy.v[i : i + 1].values), lazy.time.values
    group = zarr.open_group(ivz.VirtualZarrStore(store, storage_options=place.options), mode="r")
    days = group["time"][:]
    array = group["v"]
    yield "VirtualZarrStore", (lambda i: array[i : i + 1]), np.datetime64("2000-01-01") + days.astype("m8[D]")


def rewrites(place: Place, reads: int, http: str | None = None) -> Counter:
    sets = [[write_file(place.folder / f"{v}-{d}.nc", d, v) for d in range(12)] for v in range(2)]
    store = place.new("s.vzarr")
    virtual(sets[0]).vzarr.to_zarr(store, storage_options=place.options)
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    writer = context.Process(target=rewriting, args=(sets, store, place.options, stop))
    writer.start()
    found: Counter = Counter()
    try:
        while found["reads"] < reads:
            for kind, read, times in readers(place, store):
                seen = set()
                for i in range(len(times)):
                    seen.add(version_of(np.asarray(read(i), "f8"), times[i : i + 1]))
                    found["reads"] += 1
                found[f"{kind}: {'one version' if len(seen) == 1 and None not in seen else 'WRONG'}"] += 1
                found["WRONG"] += len(seen) != 1 or None in seen
    finally:
        stop.set()
        writer.join()
    found["rewrites went well"] = int(writer.exitcode == 0)
    found["WRONG"] += writer.exitcode != 0
    return found


# ---------------------------------------------------------------------- two writers at once


def write_at(file, store, options, mode, start, result):
    """Append or replace as soon as the others are ready."""
    dataset = virtual([file])
    result.put("ready")
    start.wait()
    how = {"append_dim": "time"} if mode == "append" else {"mode": "w"}
    try:
        dataset.vzarr.to_zarr(store, storage_options=options, **how)
        result.put("ok")
    except ConflictError:
        result.put("conflict")
    except VirtualZarrError as exc:
        result.put("refused: " + str(exc).rpartition(": ")[2][:60])


def writers(place: Place, rounds: int) -> Counter:
    files = [write_file(place.folder / f"w{d}.nc", d, 0) for d in range(3)]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["intake_virtualzarr", "h5netcdf", __name__])
    found: Counter = Counter()
    for _ in range(rounds):
        store = place.new("s.vzarr")
        virtual(files[:1]).vzarr.to_zarr(store, storage_options=place.options)
        start, result = context.Event(), context.Queue()
        children = [context.Process(target=write_at, args=(f, store, place.options, "append", start, result)) for f in files[1:]]
        for child in children:
            child.start()
        assert [result.get(timeout=120) for _ in children] == ["ready"] * 2
        start.set()
        told = sorted(result.get(timeout=120) for _ in children)
        for child in children:
            child.join()
        dataset = place.open(store).load()
        whole = version_of(dataset.v.values, dataset.time.values) == 0
        kept = dataset.sizes["time"] == 1 + told.count("ok")
        found[" + ".join(told)] += 1
        found["LOST or MIXED"] += not (whole and kept)
        found["WRONG"] += not (whole and kept)
    return found


# ---------------------------------------------------------------------- kills


def killed_before(step: int) -> None:
    """End this process before its write with this number."""
    left = [step]
    for kind in (LocalKeys, ObjectKeys):
        for name in ("create", "switch", "set", "delete_below"):
            real = getattr(kind, name)

            def wrapped(self, *args, real=real):
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
                return real(self, *args)

            setattr(kind, name, wrapped)


def operate(what, files, store, options, step):
    """One write, which is killed before a step, if one is given."""
    if step is not None:
        killed_before(step)
    if what == "ingest":
        ivz.ingest(files, store, name="s", storage_options=options)
    elif what == "update":
        ivz.update(files, store, name="s", storage_options=options)
    elif what == "append":
        virtual(files[-1:]).vzarr.to_zarr(store, append_dim="time", storage_options=options)
    else:
        virtual(files).vzarr.to_zarr(store, mode=None if what == "to_zarr" else "w", storage_options=options)


def kills(place: Place, rounds: int) -> Counter:
    files = [write_file(place.folder / f"k{d}.nc", d, 0) for d in range(4)]
    other = [write_file(place.folder / f"o{d}.nc", d, 1) for d in range(4)]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["intake_virtualzarr", "h5netcdf", "pystac", __name__])
    found: Counter = Counter()
    for turn in range(rounds):
        what = ("to_zarr", "rewrite", "append", "ingest", "update")[turn % 5]
        published = what in ("ingest", "update")
        target = place.new("catalog" if published else "s.vzarr")
        store = f"{target}/s.vzarr" if published else target
        before = {"to_zarr": None, "ingest": None, "rewrite": other, "append": files[:3], "update": files[:3]}[what]
        if before is not None:
            operate("ingest" if published else "to_zarr", before, target, place.options, None)
        hooked = turn // 5 % 2 == 0
        args = (what, files, target, place.options, random.randrange(10) if hooked else None)
        child = context.Process(target=operate, args=args)
        child.start()
        if not hooked:
            time.sleep(random.random() * (1.5 if place.remote else 0.8))
            child.kill()
        child.join()
        died = child.exitcode == -signal.SIGKILL
        state = state_of(place, store, before, files, other)
        again = run(context, what, files, target, place.options)
        good = state != "BROKEN" and again and state_of(place, store, None, files, other) == "new"
        found[f"{what}: {'killed' if died else 'done'}, then {state}"] += 1
        found["WRONG"] += not good
        if not good:
            print("wrong:", what, args[-1], state, again, store, flush=True)
    return found


def run(context, what, files, target, options) -> bool:
    """Do it again; whether that goes on (an append that was made before is refused as such)."""
    result = context.Queue()
    child = context.Process(target=operated, args=(what, files, target, options, result))
    child.start()
    told = result.get(timeout=300)
    child.join()
    fits = told == "ok" or (what == "append" and "is there already" in told) or (what == "to_zarr" and "is not empty" in told)
    if not fits:
        print(what, told, flush=True)
    return fits


def operated(what, files, target, options, result):
    try:
        operate(what, files, target, options, None)
        result.put("ok")
    except Exception as exc:
        result.put(f"{type(exc).__name__}: {exc}")


def state_of(place: Place, store: str, before, files, other) -> str:
    """``old`` or ``new``, if it is one of them."""
    try:
        dataset = place.open(store).load()
    except VirtualZarrError:
        return "none" if before is None else "BROKEN"
    except (OSError, ValueError):
        return "none" if before is None else "BROKEN"
    version = version_of(dataset.v.values, dataset.time.values)
    if version == 0 and dataset.sizes["time"] == len(files):
        return "new"
    old = before is not None and version == (1 if before is other else 0) and dataset.sizes["time"] == len(before)
    return "old" if old else "BROKEN"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("rewrites", "writers", "kills"))
    parser.add_argument("--reads", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--s3", action="store_true")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ["INTAKE_VIRTUALZARR_ALLOW"] = folder.as_uri() + "/"  # stores in a bucket that name local files
        server = None
        if options.s3:
            from support.servers.s3 import s3_server

            server = stack.enter_context(s3_server())
        place = Place(folder, server)
        begin = time.monotonic()
        count = options.reads if options.what == "rewrites" else options.rounds
        found = {"rewrites": rewrites, "writers": writers, "kills": kills}[options.what](place, count)
        for name, number in sorted(found.items()):
            print(f"{number:6}  {name}")
        print(f"{time.monotonic() - begin:6.0f}  seconds")
    return int(found["WRONG"] > 0)


if __name__ == "__main__":
    sys.exit(main())
