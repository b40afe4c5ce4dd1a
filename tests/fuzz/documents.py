"""Damaged documents made from whole ones, opened by everything that reads them: a clean error, or what they say.

Seeds are directories in memory: stores of this package, kerchunk references, STAC items, collections and catalogs, what
`ingest` publishes. A mutation changes one file of one seed.
"""

from __future__ import annotations

import base64
import copy
import io
import json
import os
import random
import shutil
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import xarray as xr
from numcodecs import Blosc
from support.helpers import to_parquet

import intake_virtualzarr as ivz
from intake_virtualzarr.catalog.intake_yaml import merged_catalog
from intake_virtualzarr.catalog.publish import Target
from intake_virtualzarr.catalog.published_store import read_published
from intake_virtualzarr.drivers.stac_catalog import VirtualZarrStacCatalog
from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.formats.open import open_tree
from intake_virtualzarr.hierarchy.checks import Check
from intake_virtualzarr.stac.find_sources import find_sources
from intake_virtualzarr.storage.readers import Access

MOMENT = 1_500_000_000
"""When all files were changed [s]."""
MOST = 100_000
"""Values are read back only of arrays up to this size [elements]."""


@dataclass(frozen=True)
class Seed:
    """A directory, and how it is opened."""

    files: dict[str, bytes]
    """Content by path below the directory."""
    fuzzed: tuple[str, ...]
    """The files that are changed."""
    open: Callable[[Path], object]
    """Opens what lies in a directory, and reads it."""
    has_checks: bool = False
    """Whether documents tell checksums of other files, which are to fit after a change, too."""


# ---------------------------------------------------------------------- openers


def read_store(name: str) -> Callable[[Path], None]:
    """Open references or a store, and read all that is small."""

    def read(folder: Path) -> None:
        tree = open_tree(folder / name)
        for group in tree.groups.values():
            for variable in group.variables.values():
                array: Any = variable.data
                if prod(array.shape) <= MOST and not array.dtype.hasobject:
                    np.asarray(array)
                elif array.ndim:
                    np.asarray(array[tuple(slice(0, 1) for _ in array.shape)])

    return read


def read_sources(name: str) -> Callable[[Path], None]:
    """Find the sources that a STAC document names."""

    def read(folder: Path) -> None:
        find_sources(folder / name)

    return read


def read_entries(name: str) -> Callable[[Path], None]:
    """The entries of the STAC driver."""

    def read(folder: Path) -> None:
        catalog = VirtualZarrStacCatalog(str(folder / name))
        for key in list(catalog):
            catalog[key].describe()

    return read


def read_publication(folder: Path) -> None:
    """What an update reads of a published store."""
    found = read_published(Target(folder.as_uri(), Access()), None)
    found.documents_are_stale([])
    found.document_names(with_items=True)


def read_yaml(folder: Path) -> None:
    """Add an entry to a catalog file."""
    path = folder / "catalog.yaml"
    merged_catalog(path.read_bytes().decode("utf-8", "replace") if path.exists() else None, "s", "./s.vzarr")


# ---------------------------------------------------------------------- seeds


def day(path: Path, number: int) -> Path:
    """A small file of one day."""
    rng = np.random.default_rng(number)
    values = rng.integers(0, 100, (2, 4, 6)).astype("i2")
    data = xr.Dataset(
        {
            "sst": (("time", "lat", "lon"), values, {"scale_factor": 0.5, "add_offset": 1.0, "units": "K"}),
            "mask": (("lat", "lon"), np.arange(24, dtype="u1").reshape(4, 6)),
        },
        {
            "time": ("time", np.array([2 * number, 2 * number + 1], "i4"), {"units": "days since 2000-01-01", "axis": "T"}),
            "lat": ("lat", np.linspace(-10, 10, 4), {"standard_name": "latitude", "units": "degrees_north"}),
            "lon": ("lon", np.linspace(0, 50, 6), {"standard_name": "longitude", "units": "degrees_east"}),
        },
        {"title": "seed"},
    )
    chunks = {"sst": {"chunksizes": (1, 2, 3), "zlib": True, "shuffle": True}, "mask": {"chunksizes": (2, 6), "zlib": True}}
    data.to_netcdf(path, engine="h5netcdf", encoding=chunks)
    os.utime(path, (MOMENT, MOMENT))
    return path


def item(path: Path, number: int) -> dict[str, Any]:
    """A STAC item of one day."""
    box = [0.0, -10.0, 50.0, 10.0]
    ring = [[0, -10], [50, -10], [50, 10], [0, 10], [0, -10]]
    asset = {"href": path.name, "type": "application/netcdf", "roles": ["data"], "file:size": path.stat().st_size}
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": f"day-{number}",
        "collection": "days",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": box,
        "properties": {"datetime": f"2000-01-0{number + 1}T00:00:00Z", "title": "a day", "proj:code": "EPSG:4326"},
        "links": [{"rel": "self", "href": f"./item{number}.json"}, {"rel": "collection", "href": "./collection.json"}],
        "assets": {"data": {**asset, "alternate": {"s3": {"href": f"s3://bucket/{path.name}"}}}},
    }


def collection(children: list[str]) -> dict[str, Any]:
    """A collection of items."""
    links = [{"rel": "item", "href": f"./{name}"} for name in children]
    interval = [["2000-01-01T00:00:00Z", None]]
    return {
        "type": "Collection",
        "stac_version": "1.1.0",
        "id": "days",
        "description": "days",
        "license": "other",
        "extent": {"spatial": {"bbox": [[0, -10, 50, 10]]}, "temporal": {"interval": interval}},
        "links": [{"rel": "root", "href": "./collection.json"}, *links],
        "summaries": {},
    }


def content_of(folder: Path) -> dict[str, bytes]:
    """All files of a directory."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@cache
def seeds() -> dict[str, Seed]:
    """All seeds, by name."""
    with TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dict(_seeds(Path(place)))


def _seeds(place: Path) -> Iterator[tuple[str, Seed]]:
    data = place / "data"
    data.mkdir()
    days = [day(data / f"d{number}.nc", number) for number in range(3)]
    joined = ivz.open_virtual_mfdataset(days)
    joined.vzarr.to_zarr(data / "s.vzarr")
    joined.isel(lat=slice(1, 3)).vzarr.to_zarr(data / "cut.vzarr")
    for name in ("s.vzarr", "cut.vzarr"):
        files = unsealed(content_of(data), f"{name}/zarr.json")
        yield name, Seed(files, tuple(key for key in files if key.startswith(name)), read_store(name))
        shutil.rmtree(data / name)
    yield "paged.vzarr", paged(place / "paged")
    yield from _reference_seeds(data, joined)
    documents = {f"item{number}.json": item(path, number) for number, path in enumerate(days)}
    features = [
        {**one, "assets": {"data": {**one["assets"]["data"], "href": str(data / one["assets"]["data"]["href"])}}}
        for one in documents.values()
    ]
    documents["features.json"] = {"type": "FeatureCollection", "features": features}
    documents["collection.json"] = collection(list(documents)[:3])
    written = {name: json.dumps(document).encode() for name, document in documents.items()}
    written["lines.ndjson"] = b"\n".join(json.dumps(one).encode() for one in features)
    for name in ("item0.json", "features.json", "collection.json", "lines.ndjson"):
        fuzzed = (name, "item1.json") if name == "collection.json" else (name,)
        yield f"stac {name}", Seed(content_of(data) | written, fuzzed, read_sources(name))
    yield from _published_seeds(place, data, written)


def unsealed(files: dict[str, bytes], root: str) -> dict[str, bytes]:
    """A store whose root tells no checksum of its own, so that a change of it is looked at."""
    document = json.loads(files[root])
    document["attributes"]["_vzarr"].pop("check")
    return {**files, root: json.dumps(document, separators=(",", ":")).encode()}


def paged(folder: Path) -> Seed:
    """A store with objects of every kind: pages, source tables, values, parts. Their checksums follow their changes."""
    folder.mkdir()
    for number in range(2):
        values = np.arange(600.0).reshape(300, 2) + 1000 * number
        area = np.random.default_rng(0).random((60, 50))
        steps = np.arange(300) + 300 * number
        one = xr.Dataset({"v": (("time", "x"), values)}, {"time": steps, "area": (("p", "q"), area)})
        path = folder / f"{number}.nc"
        one.to_netcdf(path, engine="h5netcdf", unlimited_dims=["time"], encoding={"v": {"chunksizes": (1, 2)}})
        os.utime(path, (MOMENT, MOMENT))
        virtual = ivz.open_virtual_dataset(path, loadable_variables=["time", "area"])
        virtual.vzarr.to_zarr(folder / "s.vzarr", append_dim="time" if number else None)
    files = unsealed(content_of(folder), "s.vzarr/zarr.json")
    objects = tuple(key for key in files if "/generations/" in key)
    assert {"refs", "sources", "parts"} <= {part for key in objects for part in key.split("/")}
    return Seed(files, (*objects, "s.vzarr/zarr.json"), read_store("s.vzarr"), has_checks=True)


def with_checks(files: dict[str, bytes], key: str, content: bytes) -> dict[str, bytes]:
    """What changes with a file: the documents that tell its length and checksum, and those that tell theirs."""
    changed, waiting = {key: content}, [key]
    while waiting:
        one = waiting.pop()
        old, new = (Check.of(value).text.encode() for value in (files[one], changed[one]))
        for name, value in files.items():
            if name.endswith("zarr.json") and name != one and old in changed.get(name, value):
                changed[name] = changed.get(name, value).replace(old, new)
                waiting.append(name)
    return changed


def _reference_seeds(data: Path, joined: xr.Dataset) -> Iterator[tuple[str, Seed]]:
    text = json.dumps(joined[["sst"]].vzarr.to_kerchunk()).replace(data.as_uri() + "/", "").replace(f"{data}/", "")
    files = content_of(data)
    yield "kerchunk", Seed(files | {"r.json": text.encode()}, ("r.json",), read_store("r.json"))
    array = {"zarr_format": 2, "shape": [4], "chunks": [2], "dtype": "<i2", "compressor": None, "filters": None, "order": "C"}
    small = {
        ".zgroup": '{"zarr_format":2}',
        "v/.zarray": json.dumps({**array, "fill_value": 0}),
        "v/.zattrs": '{"_ARRAY_DIMENSIONS":["x"]}',
        "w/.zarray": json.dumps({**array, "fill_value": 0, "compressor": {"id": "zlib", "level": 1}}),
        "w/.zattrs": '{"_ARRAY_DIMENSIONS":["x"],"scale_factor":0.5}',
        "w/0": "base64:" + base64.b64encode(zlib.compress(bytes(4))).decode(),
    }
    generator = {"key": "v/{{i}}", "url": "{{u}}d0.nc", "offset": "{{i * 4}}", "length": "4", "dimensions": {"i": {"stop": 2}}}
    v1 = {"version": 1, "templates": {"u": "", "f": "{{c}}.nc"}, "gen": [generator], "refs": small}
    yield "kerchunk templates", Seed(files | {"r.json": json.dumps(v1).encode()}, ("r.json",), read_store("r.json"))
    table = {**small, "v/0": ["d0.nc", 0, 4], "v/1": ["d0.nc", 4, 4]}
    to_parquet({"version": 1, "refs": table}, data / "r.parq", record_size=4)
    found = content_of(data)
    yield "kerchunk parquet", Seed(found, ("r.parq/.zmetadata",), read_store("r.parq"))
    rows = tuple(key for key in found if key.endswith(".parq"))
    yield "kerchunk parquet rows", Seed(found, rows, read_store("r.parq"))
    shutil.rmtree(data / "r.parq")


def _published_seeds(place: Path, data: Path, written: dict[str, bytes]) -> Iterator[tuple[str, Seed]]:
    for name, content in written.items():
        (data / name).write_bytes(content)
    out = data / "out"
    ivz.ingest(data / "collection.json", out, name="days")
    files = content_of(data)
    kept = tuple(key for key in files if key.startswith("out/") and key.endswith((".json", ".yaml", ".parquet")))
    document = next(key for key in kept if key in ("out/collection.json", "out/days.json"))
    yield "published", Seed(files, kept, lambda folder: read_publication(folder / "out"))
    yield "driver", Seed(files, (document,), read_entries(document))
    yield "yaml", Seed({"catalog.yaml": files["out/catalog.yaml"]}, ("catalog.yaml",), read_yaml)


# ---------------------------------------------------------------------- mutations

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3.5, 2**31, 2**32, 2**40, 2**63 - 1, 2**63, 2**64, 10**30, -(2**63), 1e300, "", "a", "NaN",
    "0", "-1", "..", "/", "\0", "é", "{{a}}", "{% x %}", "base64:", "base64:AA", "c/0", [], {}, [[]], [None], [0], [1, 2], [-1],
    {"": None}, {"name": "x"}, [1, 2, 3, 4, 5], "<i4", "|S5", "string", "bytes", "2000-01-01T00:00:00Z", "s3://", "file:///", "://",
    "x" * 300, float("nan"), float("inf"), [[[1, 2**40]]], ["a", "b"], {"a": {"b": {"c": []}}},
)  # fmt: skip


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in a document."""
    found = [path]
    entries = document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    for key, value in entries:
        found += places(value, (*path, key))
    return found


def at(document: Any, path: tuple[Any, ...]) -> Any:
    """The value at a path."""
    for key in path:
        document = document[key]
    return document


def mutate_json(document: Any, rng: random.Random) -> Any:
    """Change one to three values: replace, remove, rename, repeat, swap, nest."""
    document = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        found = [path for path in places(document) if path]
        if not found:
            return rng.choice(VALUES)
        path = rng.choice(found)
        holder, key = at(document, path[:-1]), path[-1]
        kind = rng.randrange(10)
        if kind <= 4:
            holder[key] = copy.deepcopy(rng.choice(VALUES))
        elif kind == 5:
            del holder[key]
        elif kind == 6:
            holder[key] = copy.deepcopy(at(document, rng.choice(found)))
        elif kind == 7 and isinstance(holder, dict):
            holder[rng.choice((str(key).upper(), f"{key}x", "", "name", "0"))] = holder.pop(key)
        elif kind == 8:
            holder[key] = [holder[key]] if rng.random() < 0.5 else {"a": holder[key]}
        elif kind == 9:
            holder[key] = _nudged(holder[key], rng)
    return document


def _nudged(value: Any, rng: random.Random) -> Any:
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int):
        return value + rng.choice((-1, 1, -value, value, 2**16))
    if isinstance(value, float):
        return -value
    if isinstance(value, str):
        text = mutate_text(value, rng)
        return text
    if isinstance(value, list):
        return value + value if rng.random() < 0.5 else value[:-1]
    return {**value, "": None}


def mutate_text(text: str, rng: random.Random) -> str:
    """Change text, also text that is JSON itself."""
    if text[:1] in "{[" and rng.random() < 0.8:
        try:
            return json.dumps(mutate_json(json.loads(text), rng))
        except ValueError:
            pass
    at_ = rng.randrange(len(text) + 1)
    return text[:at_] + rng.choice(("", "/", ":", "-", "9", "{{", "é", ".", " ")) + text[at_ + rng.randrange(2) :]


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Change bytes, or the length."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        place = rng.randrange(len(out)) if out else 0
        kind = rng.randrange(5)
        if kind <= 1 and out:
            out[place] = rng.randrange(256)
        elif kind == 2:
            out[place : place + 4] = rng.choice((0, 1, 2**31, 2**32 - 1)).to_bytes(4, "little")
        elif kind == 3:
            del out[place:]
        elif out:
            out[place] ^= 1 << rng.randrange(8)
    return bytes(out)


def mutate_rows(content: bytes, rng: random.Random) -> bytes:
    """Change values, types, names or the number of rows of a Parquet file, which stays a whole one."""
    import fastparquet
    import pandas as pd

    table = fastparquet.ParquetFile(io.BytesIO(content)).to_pandas().astype({"path": object})
    kind, name = rng.randrange(8), rng.choice(list(table))
    if kind <= 3:
        row = rng.randrange(len(table))
        value = rng.choice(NUMBERS if table[name].dtype.kind in "iu" else TEXTS)
        value = value.encode() if name == "raw" and isinstance(value, str) else value
        values = [*table[name].iloc[:row], value, *table[name].iloc[row + 1 :]]
        table[name] = pd.Series(values, dtype="int64" if isinstance(value, int) else object)
    elif kind == 4:
        table = table.drop(columns=name)
    elif kind == 5:
        table = table.rename(columns={name: rng.choice(("path", "size", "x", "raw2"))})
        table = table.loc[:, ~table.columns.duplicated()]
    elif kind == 6:
        table = table.iloc[: rng.randrange(1, len(table) + 1)] if rng.random() < 0.5 else pd.concat([table, table])
    else:
        table[name] = rng.choice(([0.5] * len(table), ["a"] * len(table), [True] * len(table), [-1] * len(table)))
    out = io.BytesIO()
    out.close = lambda: None  # type: ignore[method-assign]  fastparquet closes what it wrote
    kinds = {one: "bytes" if one == "raw" else "utf8" for one in table if table[one].dtype == object}
    try:
        fastparquet.write(
            "rows", table, open_with=lambda *_: out, compression="ZSTD", write_index=False, stats=False, object_encoding=kinds
        )
    except (TypeError, ValueError):  # it cannot write such a table
        return content
    return out.getvalue()


NUMBERS = (0, 1, -1, 2, 4, 2**31, 2**32, 2**32 - 1, 2**62, 2**63 - 1, -(2**63))
TEXTS = (None, "", "a", "../../etc/passwd", "file:///etc/passwd", "file://x/y", "base64:AA==", "base64:?", "\0", "é",
         "simplecache::file:///etc/passwd", "x" * 3000, "d0.nc?a=b", "{{u}}", "memory://a", "d1.nc")  # fmt: skip


def mutated(name: str, content: bytes, rng: random.Random) -> bytes:
    """A damaged form of a file."""
    if name.endswith(".parq"):
        # damaged bytes can end a process that reads them by fastparquet
        by_rows = find_spec("pyarrow") is None or rng.random() < 0.2
        return mutate_rows(content, rng) if by_rows else mutate_bytes(content, rng)
    if name.endswith((".json", ".zmetadata", ".ndjson")) and rng.random() < 0.93:
        try:
            if name.endswith(".ndjson"):
                lines = content.split(b"\n")
                number = rng.randrange(len(lines))
                lines[number] = json.dumps(mutate_json(json.loads(lines[number]), rng)).encode()
                return b"\n".join(lines)
            return json.dumps(mutate_json(json.loads(content), rng)).encode()
        except ValueError:
            pass
    if name.endswith(".yaml"):
        return mutate_text(content.decode(), rng).encode("utf-8", "surrogatepass")
    if "/refs/c/" in name and rng.random() < 0.7:
        return bytes(Blosc("zstd", 1, typesize=8).encode(mutate_bytes(bytes(Blosc().decode(content)), rng)))
    return mutate_bytes(content, rng)


class Bench:
    """A directory that holds a seed, one file of which is damaged at a time."""

    def __init__(self, name: str, folder: Path) -> None:
        self.seed = seeds()[name]
        self.folder = folder
        for key, content in self.seed.files.items():
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            os.utime(path, (MOMENT, MOMENT))

    def whole(self) -> str:
        """Open the seed itself."""
        return self._open()

    def try_one(self, rng: random.Random) -> str:
        """Damage one file, open, and put it back.

        Returns
        -------
        str
            ``"read"`` or ``"refused"``; every error but `VirtualZarrError` is raised.
        """
        key = rng.choice(self.seed.fuzzed)
        path = self.folder / key
        self.last = key, mutated(key, self.seed.files[key], rng)
        if rng.random() < 0.02:
            path.unlink()
        else:
            path.write_bytes(self.last[1])
        others = with_checks(self.seed.files, *self.last) if self.seed.has_checks and rng.random() < 0.95 else {}
        others.pop(key, None)
        for name, content in others.items():
            (self.folder / name).write_bytes(content)
        try:
            return self._open()
        finally:
            for name in (key, *others):
                (self.folder / name).write_bytes(self.seed.files[name])

    def _open(self) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self.seed.open(self.folder)
            except VirtualZarrError:
                return "refused"
        return "read"
