"""Read a time series at one place from files on a web server, and count how little is fetched."""

import tempfile
from pathlib import Path

import intake

import intake_virtualzarr as ivz
from intake_virtualzarr.cli.demo_files import write_files
from intake_virtualzarr.cli.http_server import serve_directory

with tempfile.TemporaryDirectory() as folder:
    root = Path(folder)
    paths = write_files(root / "data")
    ivz.ingest(paths, root / "catalog", name="sst")

    with serve_directory(root) as server:  # any web server with byte ranges does
        ds = intake.open_catalog(f"{server.url}/catalog/catalog.yaml").sst(variables="sst").to_dask()
        opened = server.sent
        series = ds.sst.sel(lat=0.5, lon=200.5).load()
        fetched = server.sent - opened
    total = sum(path.stat().st_size for path in paths)
    print(series.to_series().describe())
    print(f"{fetched / 1e3:.0f} kB fetched for {series.size} days, of {total / 1e3:.0f} kB; {opened / 1e3:.0f} kB to open")
