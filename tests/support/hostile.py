"""Documents that name what they may not, and everything that opens documents."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import h5py
import numpy as np
import pystac
import xarray as xr

import intake_virtualzarr as ivz
from tests.support.helpers import to_parquet, write_root

__all__ = ["ENTRIES", "SECRET", "TARGETS", "Document", "Place", "documents", "holds_secret", "write_secret"]

SECRET = np.array([31415.0, 92653.0, 58979.0, 32384.0])
"""Values that nobody may see."""


@dataclass(frozen=True)
class Place:
    """Where the secret lies, and where documents are served."""

    secret: Path
    """A file of raw values outside what is served."""
    archive: Path
    """An archive file with the same values, outside too."""
    www: Path
    """What is served."""
    near: str
    """URL of what is served."""
    far: str
    """URL of another server on another port, which serves the secret's directory."""


@dataclass(frozen=True)
class Document:
    """A hostile document."""

    name: str
    url: str
    kind: str
    """``data``: whatever opens data can be asked to open it; ``stac``, ``intake``: catalogs."""


def write_secret(directory: Path) -> tuple[Path, Path]:
    """The secret as raw values and as an archive file."""
    raw, archive = directory / "secret.bin", directory / "secret.nc"
    raw.write_bytes(SECRET.astype("<f8").tobytes())
    dataset = xr.Dataset({"v": ("x", SECRET)})
    dataset.to_netcdf(archive, engine="h5netcdf", encoding={"v": {"chunksizes": (4,)}})
    return raw, archive


TARGETS: dict[str, Callable[[Path, Place], str]] = {
    "file URL": lambda path, at: path.as_uri(),
    "file URL with host": lambda path, at: f"file://localhost{path}",
    "file URL in capitals": lambda path, at: f"FILE://{path}",
    "file URL, escaped dots": lambda path, at: f"file://{path.parent}/x/%2e%2e/{path.name}",
    "local URL": lambda path, at: f"local://{path}",
    "cached file URL": lambda path, at: f"simplecache::{path.as_uri()}",
    "cached path": lambda path, at: f"filecache::{path}",
    "other port": lambda path, at: f"{at.far}/{path.name}",
    "other port by a network path": lambda path, at: at.far.removeprefix("http:") + f"/{path.name}",
    "other port behind a user name": lambda path, at: at.far.replace("//", "//127.0.0.1@") + f"/{path.name}",
    "other port behind a backslash": lambda path, at: at.near + "\\@" + at.far.removeprefix("http://") + f"/{path.name}",
    "cached other port": lambda path, at: f"simplecache::{at.far}/{path.name}",
    "other name of the host": lambda path, at: at.far.replace("127.0.0.1", "localhost") + f"/{path.name}",
    "in a zip file": lambda path, at: f"zip://{path.name}::file://{path.parent}/secret.zip",
    "redirect": lambda path, at: f"{at.near}/redirect/{path.name}",
}
"""Ways to name the secret."""


def documents(place: Place) -> list[Document]:
    """Write all hostile documents."""
    found: list[Document] = []
    for number, (name, text_of) in enumerate(TARGETS.items()):
        found += [
            _kerchunk(f"kerchunk: {name}", place, number, text_of(place.secret, place)),
            _hierarchy(f"store: {name}", place, number, text_of(place.archive, place)),
            _item(f"item: {name}", place, number, text_of(place.archive, place)),
        ]
        if find_spec("pyarrow") is not None:  # nothing else reads Parquet of a network
            found.append(_parquet(f"parquet: {name}", place, number, text_of(place.secret, place)))
        if not name.startswith("redirect"):
            found.append(_intake(f"intake: {name}", place, number, text_of(place.archive, place)))
    return [*found, *_hdf5(place)]


def _references(target: str) -> dict[str, Any]:
    """References of one chunk to a place."""
    zarray = {
        "zarr_format": 2, "shape": [4], "chunks": [4], "dtype": "<f8", "fill_value": None, "order": "C", "filters": None,
        "compressor": None,
    }  # fmt: skip
    return {
        ".zgroup": '{"zarr_format": 2}', "v/.zarray": json.dumps(zarray), "v/.zattrs": '{"_ARRAY_DIMENSIONS": ["x"]}',
        "v/0": [target, 0, 32],
    }  # fmt: skip


def _kerchunk(name: str, place: Place, number: int, target: str) -> Document:
    (place.www / f"k{number}.json").write_text(json.dumps({"version": 1, "refs": _references(target)}))
    return Document(name, f"{place.near}/k{number}.json", "data")


def _parquet(name: str, place: Place, number: int, target: str) -> Document:
    to_parquet(_references(target), place.www / f"p{number}.parq")
    return Document(name, f"{place.near}/p{number}.parq", "data")


def _hierarchy(name: str, place: Place, number: int, target: str) -> Document:
    store = place.www / f"s{number}.vzarr"
    shutil.copy2(place.archive, place.www / "a.nc")
    ivz.open_virtual_dataset(place.www / "a.nc").vzarr.to_zarr(store)
    (place.www / "a.nc").unlink()
    changed = 0
    for path in store.rglob("*.json"):
        document = json.loads(path.read_text())
        changed += _renamed(document, target)
        if path == store / "zarr.json":
            write_root(path, document)  # its author can compute a checksum that fits
        else:
            path.write_text(json.dumps(document))
    assert changed
    return Document(name, f"{place.near}/s{number}.vzarr", "data")


def _renamed(node: Any, target: str) -> int:
    """Name another file in every source list of a document."""
    if isinstance(node, list):
        return sum(_renamed(one, target) for one in node)
    if not isinstance(node, dict):
        return 0
    count = 0
    if isinstance(node.get("url"), str):
        node["url"], count = target, 1
        for state in ("etag", "last_modified", "size", "sha256"):
            node.pop(state, None)
    return count + sum(_renamed(one, target) for one in node.values())


def _item(name: str, place: Place, number: int, target: str) -> Document:
    item = {
        "type": "Feature", "stac_version": "1.1.0", "id": f"i{number}", "bbox": [0, 0, 1, 1], "geometry": None, "links": [],
        "properties": {"datetime": "2024-01-01T00:00:00Z"},
        "assets": {
            "data": {"href": target, "type": "application/x-netcdf", "roles": ["data"]},
            "virtual": {"href": target, "vzarr:manifest_format": "vzarr", "vzarr:sources": [{"href": target}]},
        },
    }  # fmt: skip
    (place.www / f"i{number}.json").write_text(json.dumps(item))
    return Document(name, f"{place.near}/i{number}.json", "stac")


def _intake(name: str, place: Place, number: int, target: str) -> Document:
    args = {"urlpath": target, "allow": [target, "file:///", place.far]}
    source = {"v": {"driver": "virtualzarr", "args": args}}
    (place.www / f"c{number}.yaml").write_text(json.dumps({"sources": source}))
    return Document(name, f"{place.near}/c{number}.yaml", "intake")


def _hdf5(place: Place) -> list[Document]:
    """Archive files with external storage, external links, virtual datasets, and links through links."""
    exotic = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    exotic.set_chunk((4,))
    exotic.set_filter(400, h5py.h5z.FLAG_OPTIONAL, ())
    names = {"absolute": str(place.secret), "relative": "../../secret.bin", "proc": "/proc/self/environ"}
    found = []
    for how, target in names.items():
        for declined in (False, True):
            path = place.www / f"external-{how}-{declined}.h5"
            with h5py.File(path, "w") as file:
                file.create_dataset("v", (4,), "<f8", external=[(target, 0, 32)])
                if declined:  # the parser leaves such a file to h5py
                    space = h5py.h5s.create_simple((4,))
                    h5py.h5d.create(file.id, b"odd", h5py.h5t.NATIVE_INT32, space, exotic)
                    file.create_dataset("texts", (1,), h5py.string_dtype(), external=[(target, 0, 16)])
            found.append(Document(f"hdf5: external storage, {how}, {declined}", f"{place.near}/{path.name}", "data"))
    archive = place.archive
    with h5py.File(place.www / "link.h5", "w") as file:
        file["v"] = h5py.ExternalLink(str(archive), "/v")
    with h5py.File(place.www / "through.h5", "w") as file:
        file["outside"] = h5py.ExternalLink(str(archive), "/")
        file["v"] = h5py.SoftLink("/outside/v")
        file.create_dataset("odd", (2,), h5py.ref_dtype)
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource(str(archive), "v", (4,))
    with h5py.File(place.www / "mapped.h5", "w") as file:
        file.create_virtual_dataset("v", layout)
    return [*found, *(Document(f"hdf5: {n}", f"{place.near}/{n}.h5", "data") for n in ("link", "through", "mapped"))]


# ---------------------------------------------------------------- entry points


def _values(dataset: Any) -> bytes:
    return b"".join(np.asarray(one.values).tobytes() for one in dataset.variables.values() if one.dtype.kind != "O")


def _tree_bytes(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


def _engine(url: str, out: Path) -> bytes:
    return _values(xr.open_dataset(url, engine="virtualzarr").load())


def _virtual(url: str, out: Path) -> bytes:
    return _values(ivz.open_virtual_dataset(url).load())


def _tree(url: str, out: Path) -> bytes:
    return b"".join(_values(node.to_dataset().load()) for node in ivz.open_virtual_datatree(url).subtree)


def _joined(url: str, out: Path) -> bytes:
    return _values(ivz.open_virtual_mfdataset([url, url], combine="nested", concat_dim="n").load())


def _store(url: str, out: Path) -> bytes:
    return _values(xr.open_zarr(ivz.VirtualZarrStore(url), consolidated=False, decode_cf=False).load())


def _virtual_store(url: str, out: Path) -> bytes:
    return _values(xr.open_zarr(ivz.open_virtual_store(url), consolidated=False, decode_cf=False).load())


def _laundered(url: str, out: Path) -> bytes:
    ivz.open_virtual_dataset(url).vzarr.to_zarr(out / "own.vzarr")
    return _engine(str(out / "own.vzarr"), out)


def _kerchunk_laundered(url: str, out: Path) -> bytes:
    ivz.open_virtual_dataset(url).vzarr.to_kerchunk(out / "own.json")
    return _engine(str(out / "own.json"), out)


def _scanned(url: str, out: Path) -> bytes:
    scan = ivz.scan(url)
    names = {source.opened for one in scan.arrays.values() for part in one.segments for source in part.stored.sources}
    from intake_virtualzarr.storage.readers import open_reader

    return b"".join(bytes(open_reader(name).head(4096)[1]) for name in names if not name.startswith(("inline:", url)))


def _driver(url: str, out: Path) -> bytes:
    from intake_virtualzarr.drivers.intake1_source import VirtualZarrSource

    return _values(VirtualZarrSource(url).read())


def _virtualized(url: str, out: Path) -> bytes:
    return _values(ivz.virtualize(url).load())


def _ingested(url: str, out: Path) -> bytes:
    ivz.ingest(url, out / "published", name="own")
    return _engine(str(out / "published/own.vzarr"), out) + _tree_bytes(out / "published")


def _item_dictionary(url: str) -> dict[str, Any]:
    """An item as pystac-client's ``items_as_dicts`` gives it: it says where it comes from."""
    with urlopen(url) as answer:  # of a server on this machine
        found: dict[str, Any] = json.load(answer)
    return {**found, "links": [{"rel": "self", "href": url}, *found["links"]]}


def _item_object(url: str) -> pystac.Item:
    """An item of a search: its root is the API."""
    one = pystac.Item.from_dict({**_item_dictionary(url), "links": []})
    root = pystac.Catalog("api", "an API", href=url.rpartition("/")[0] + "/")
    one.set_root(root)
    return one


def _virtualized_dictionaries(url: str, out: Path) -> bytes:
    return _values(ivz.virtualize([_item_dictionary(url)]).load())


def _virtualized_objects(url: str, out: Path) -> bytes:
    return _values(ivz.virtualize([_item_object(url)]).load())


def _virtualized_collection(url: str, out: Path) -> bytes:
    return _values(ivz.virtualize(pystac.ItemCollection([_item_object(url)])).load())


def _ingested_dictionaries(url: str, out: Path) -> bytes:
    ivz.ingest((one for one in [_item_dictionary(url)]), out / "published", name="own")
    return _engine(str(out / "published/own.vzarr"), out) + _tree_bytes(out / "published")


def _ingested_features(url: str, out: Path) -> bytes:
    ivz.ingest({"type": "FeatureCollection", "features": [_item_dictionary(url)]}, out / "published", name="own")
    return _engine(str(out / "published/own.vzarr"), out) + _tree_bytes(out / "published")


def _stac_driver(url: str, out: Path) -> bytes:
    from intake_virtualzarr.drivers.stac_catalog import VirtualZarrStacCatalog

    catalog = VirtualZarrStacCatalog(url)
    return b"".join(_values(catalog[name].read()) for name in catalog)


def _stac_serialized(url: str, out: Path) -> bytes:
    import intake

    from intake_virtualzarr.drivers.stac_catalog import VirtualZarrStacCatalog

    (out / "own.yaml").write_text(VirtualZarrStacCatalog(url).serialize())
    catalog = intake.open_catalog(str(out / "own.yaml"))
    return b"".join(_values(catalog[name].read()) for name in catalog)


def _intake_catalog(url: str, out: Path) -> bytes:
    import intake

    catalog = intake.open_catalog(url)
    return b"".join(_values(catalog[name].read()) for name in catalog)


def _command(*words: str) -> Callable[[str, Path], bytes]:
    def run(url: str, out: Path) -> bytes:
        import contextlib
        import io

        from intake_virtualzarr.cli.main import main

        told = io.StringIO()
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told), contextlib.suppress(SystemExit):
            main([one.format(url=url, out=out) for one in words])
        return told.getvalue().encode() + _tree_bytes(out)

    return run


ENTRIES: dict[str, dict[str, Callable[[str, Path], bytes]]] = {
    "data": {
        "xarray engine": _engine,
        "open_virtual_dataset": _virtual,
        "open_virtual_datatree": _tree,
        "open_virtual_mfdataset": _joined,
        "VirtualZarrStore": _store,
        "open_virtual_store": _virtual_store,
        "to_zarr and back": _laundered,
        "to_kerchunk and back": _kerchunk_laundered,
        "scan": _scanned,
        "intake driver": _driver,
    },
    "stac": {
        "virtualize": _virtualized,
        "ingest": _ingested,
        "stac driver": _stac_driver,
        "stac driver, serialized": _stac_serialized,
        "virtualize, dictionaries": _virtualized_dictionaries,
        "virtualize, pystac items": _virtualized_objects,
        "virtualize, pystac item collection": _virtualized_collection,
        "ingest, dictionaries": _ingested_dictionaries,
        "ingest, feature collection": _ingested_features,
        "ingest command": _command("ingest", "{url}", "--to", "{out}/p", "--name", "own"),
    },
    "intake": {"intake catalog": _intake_catalog, "describe command": _command("describe", "{url}")},
}
"""Entry points by kind of document: each gives all bytes that it let out."""


def holds_secret(content: bytes) -> bool:
    """Whether bytes hold any of the secret values, in either byte order, or the secret's store of an environment."""
    forms = (SECRET.astype("<f8"), SECRET.astype(">f8"), SECRET.astype("<f4"))
    return any(form[i : i + 1].tobytes() in content for form in forms for i in range(SECRET.size))


def quiet(call: Callable[[], bytes]) -> bytes:
    """Call without warnings: what is left out is warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()
