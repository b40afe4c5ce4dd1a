"""Read a time series at one place from files on a web server, and see how little is fetched."""

import subprocess
import sys
import tempfile
from pathlib import Path

import intake
import numpy as np
import xarray as xr

import intake_virtualzarr as ivz


def write_day(path: Path, day: int) -> None:
    lat, lon = np.arange(-89.5, 90), np.arange(0.5, 360)
    values = 28 * np.cos(np.radians(lat))[:, None] ** 2 + np.random.default_rng(day).normal(0, 1, (1, lat.size, lon.size))
    time = np.datetime64("2024-01-01", "ns") + np.timedelta64(day, "D")
    sst = xr.DataArray(values.astype("float32"), {"time": [time], "lat": lat, "lon": lon}, ("time", "lat", "lon"), "sst")
    encoding = {"sst": {"zlib": True, "chunksizes": (1, 45, 90)}, "time": {"units": "days since 1970-01-01"}}
    sst.to_netcdf(path, engine="h5netcdf", encoding=encoding)


with tempfile.TemporaryDirectory() as folder:
    root = Path(folder)
    paths = [root / f"sst_{day:02}.nc" for day in range(30)]
    for day, path in enumerate(paths):
        write_day(path, day)
    ivz.ingest(paths, root / "catalog", name="sst")

    # any web server with byte ranges does; this one counts
    command = [Path(sys.executable).with_name("intake-virtualzarr"), "serve", root, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            url = server.stdout.readline().split(" at ")[1].split()[0]
            ds = intake.open_catalog(f"{url}catalog/catalog.yaml").sst(variables="sst").to_dask()
            series = ds.sst.sel(lat=0.5, lon=200.5).load()
        finally:
            server.terminate()
        counts = server.stdout.read().splitlines()[-1]
    total = sum(path.stat().st_size for path in paths)
    print(series.to_series().describe())
    print(f"{counts} to open the catalog and read {series.size} days, of {total} bytes in {len(paths)} files")
