"""Search a STAC API, ingest what it finds, and open the result through Intake: by catalog file and STAC document."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

import intake
from pystac_client import Client

import intake_virtualzarr as ivz
from intake_virtualzarr.cli.demo_api import find_rustac, stac_api
from intake_virtualzarr.cli.demo_files import write_files
from intake_virtualzarr.cli.demo_items import COLLECTION, write_stac

with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
    root = Path(folder)
    collection, items = write_stac(write_files(root / "data"), root / "stac")

    program = find_rustac()
    if program is None:  # without a server, a static catalog does as well
        found = collection
    else:
        url = stack.enter_context(stac_api(program, root / "stac" / "api-collection.json", items))
        # what a server ignores is checked again: time, place and ids
        found = Client.open(url).search(method="POST", collections=[COLLECTION], datetime="2024-01-05/2024-01-14")

    report = ivz.ingest(found, root / "catalog", name="sst", datetime="2024-01-05/2024-01-14")
    print(f"{report.sources} files, {report.references} references, {report.manifest_bytes} bytes")

    by_file = intake.open_catalog(root / "catalog" / "catalog.yaml").sst.to_dask()
    by_stac = intake.open_catalog(str(root / "catalog" / "collection.json"), driver="virtualzarr_stac").sst.to_dask()
    assert by_file.equals(by_stac)
    print(by_file.sst.mean(("lat", "lon")).to_series())
