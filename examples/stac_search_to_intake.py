"""Search a STAC API, ingest what it finds, and open the result through Intake: by catalog file and STAC document."""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import intake
import numpy as np
import pystac
import xarray as xr
from pystac_client import Client

import intake_virtualzarr as ivz

BOX = [-180, -90, 180, 90]
RING = [[-180, -90], [180, -90], [180, 90], [-180, 90], [-180, -90]]


def write_day(folder: Path, day: int) -> pystac.Item:
    """A file, and the item that a catalog has for it."""
    noon, lat, lon = datetime(2024, 1, day, 12), np.arange(-87.5, 90, 5), np.arange(2.5, 360, 5)
    values = 28 * np.cos(np.radians(lat))[:, None] ** 2 + np.random.default_rng(day).normal(0, 1, (1, lat.size, lon.size))
    sst = xr.DataArray(values, {"time": [noon], "lat": lat, "lon": lon}, ("time", "lat", "lon"), "sst")
    path = folder / f"sst_{noon:%Y%m%d}.nc"
    sst.to_netcdf(path, engine="h5netcdf", encoding={"sst": {"zlib": True}, "time": {"units": "hours since 1970-01-01"}})
    item = pystac.Item(path.stem, {"type": "Polygon", "coordinates": [RING]}, BOX, noon, {})
    item.add_asset("data", pystac.Asset(path.as_uri(), media_type="application/x-netcdf", roles=["data"]))
    return item


@contextmanager
def stac_api(program: str, *documents: Path) -> Iterator[str]:
    """A STAC API on this machine (`rustac serve`), until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    with subprocess.Popen(
        [program, "serve", "-a", address, *documents], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            for _ in range(200):
                try:
                    urllib.request.urlopen(f"http://{address}", timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.05)
            yield f"http://{address}"
        finally:
            server.terminate()


with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
    root = Path(folder)
    extent = pystac.Extent(pystac.SpatialExtent([BOX]), pystac.TemporalExtent([[datetime(2024, 1, 1), datetime(2024, 1, 31)]]))
    collection = pystac.Collection("sst-daily", "Synthetic sea surface temperature", extent, license="CC0-1.0")
    items = [write_day(root, day) for day in range(1, 31)]

    program = shutil.which("rustac", path=Path(sys.executable).parent) or shutil.which("rustac")
    if program is None:  # without a server, a static catalog does as well
        collection.add_items(items)
        collection.normalize_and_save(str(root / "stac"), pystac.CatalogType.SELF_CONTAINED)
        found = root / "stac" / "collection.json"
    else:
        collection.save_object(include_self_link=False, dest_href=str(root / "collection.json"))
        for item in items:
            item.collection_id = collection.id
        pystac.ItemCollection(items).save_object(str(root / "items.json"))
        url = stack.enter_context(stac_api(program, root / "collection.json", root / "items.json"))
        # what a server ignores is checked again: time, place and ids
        found = Client.open(url).search(method="POST", collections=[collection.id], datetime="2024-01-05/2024-01-14")

    report = ivz.ingest(found, root / "catalog", name="sst", datetime="2024-01-05/2024-01-14", allow=root)
    print(f"{report.sources} files, {report.references} references, {report.manifest_bytes} bytes")

    by_file = intake.open_catalog(root / "catalog" / "catalog.yaml").sst.to_dask()
    by_stac = intake.open_catalog(str(root / "catalog" / "collection.json"), driver="virtualzarr_stac").sst.to_dask()
    assert by_file.equals(by_stac)
    print(by_file.sst.mean(("lat", "lon")).to_series())
