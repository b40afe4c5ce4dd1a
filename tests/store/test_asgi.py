"""The plain Zarr view over http: answers, and programs that know nothing of this package."""

import json
import logging
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.storage import FsspecStore

import intake_virtualzarr as ivz
from intake_virtualzarr.store.asgi import STANDARD

pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")
from support.zarr_view import viewing

ZARRITA = Path(__file__).parents[2] / "js" / "node_modules" / "zarrita"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Three packed, shuffled, deflated files whose chunks do not meet, joined; and what plain xarray makes of them."""
    folder = tmp_path_factory.mktemp("archive")
    paths = []
    rng = np.random.default_rng(5)
    for k, days in enumerate((5, 4, 6)):
        path = folder / f"{k}.nc"
        time = np.arange(days) + 5 * k + 10 * (k > 1)
        one = xr.Dataset(
            {
                "sst": (("time", "lat", "lon"), rng.normal(290, 3, (days, 6, 8))),
                "plain": (("time", "lat"), rng.normal(0, 1, (days, 6)).astype("f4")),
            },
            {"time": time.astype("f8"), "lat": np.linspace(-50, 50, 6), "lon": np.arange(8.0)},
        )
        packed = {"dtype": "i2", "scale_factor": 0.01, "add_offset": 290.0, "_FillValue": -32768}
        one.to_netcdf(
            path,
            engine="h5netcdf",
            encoding={
                "sst": {**packed, "zlib": True, "shuffle": True, "chunksizes": (2, 3, 8)},
                "plain": {"chunksizes": (days, 6)},
            },
        )
        paths.append(str(path))
    ivz.open_virtual_mfdataset(paths).vzarr.to_zarr(folder / "s.vzarr")
    with xr.open_mfdataset(paths, engine="h5netcdf", mask_and_scale=False) as raw:
        return folder / "s.vzarr", raw.load()


def ask(url, method="GET", **headers):
    request = urllib.request.Request(url, method=method, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


# ---------------------------------------------------------------------- answers


@pytest.fixture(scope="module")
def view(archive):
    with viewing(archive[0]) as url:
        yield url


def test_a_chunk_is_whole_in_part_by_head_or_unchanged(view):
    status, headers, whole = ask(f"{view}/sst/c/0/0/0")
    assert (status, headers["Accept-Ranges"], headers["Access-Control-Allow-Origin"]) == (200, "bytes", "*")
    assert int(headers["Content-Length"]) == len(whole) > 0
    etag = headers["ETag"]
    status, headers, body = ask(f"{view}/sst/c/0/0/0", method="HEAD")
    assert (status, headers["Content-Length"], headers["ETag"], body) == (200, str(len(whole)), etag, b"")
    for asked, part in (("bytes=2-9", whole[2:10]), ("bytes=-4", whole[-4:]), (f"bytes={len(whole) - 1}-", whole[-1:])):
        status, headers, body = ask(f"{view}/sst/c/0/0/0", Range=asked)
        assert (status, body, headers["ETag"]) == (206, part, etag)
        assert headers["Content-Range"].endswith(f"/{len(whole)}")
    assert ask(f"{view}/sst/c/0/0/0", If_None_Match=etag)[0] == 304
    assert ask(f"{view}/sst/c/0/0/0", Range="bytes=0-3", If_Range='"another"')[::2] == (200, whole)
    status, headers, body = ask(f"{view}/sst/c/0/0/0", Range=f"bytes={len(whole)}-")
    assert (status, headers["Content-Range"], body) == (416, f"bytes */{len(whole)}", b"")


def test_no_two_keys_have_one_etag_and_every_start_gives_the_same(archive, view):
    keys = ["zarr.json", "sst/zarr.json", "sst/c/0/0/0", "sst/c/0/1/0"]
    tags = [ask(f"{view}/{key}", method="HEAD")[1]["ETag"] for key in keys]
    assert len(set(tags)) == len(keys)
    with viewing(archive[0]) as again:
        assert [ask(f"{again}/{key}", method="HEAD")[1]["ETag"] for key in keys] == tags


@pytest.mark.parametrize(
    "key", ["", "sst", "sst/c", "sst/c/99/0/0", "nothing/zarr.json", "../s.vzarr/zarr.json", "sst/c/0/0/0/0", "%00"]
)
def test_what_is_no_key_is_not_found(view, key):
    for method in ("GET", "HEAD"):
        assert ask(f"{view}/{key}", method=method)[0] == 404


def test_nothing_is_written_and_pages_may_ask(view):
    for method in ("PUT", "POST", "DELETE"):
        status, headers, _ = ask(f"{view}/zarr.json", method=method)
        assert (status, headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    status, headers, _ = ask(f"{view}/zarr.json", method="OPTIONS")
    assert (status, headers["Access-Control-Allow-Headers"]) == (204, "Range, If-None-Match, If-Range")


def test_a_source_that_is_gone_is_an_error_that_tells_clients_no_paths(archive, tmp_path, caplog):
    path = tmp_path / "lost.nc"
    xr.Dataset({"v": ("x", np.arange(5.0))}).to_netcdf(path, engine="h5netcdf")
    ivz.open_virtual_dataset(path, loadable_variables=[]).vzarr.to_zarr(tmp_path / "lost.vzarr")
    with viewing(tmp_path / "lost.vzarr") as url, caplog.at_level(logging.ERROR):
        path.unlink()
        status, _, body = ask(f"{url}/v/c/0")
    assert status == 502
    assert b"lost.nc" not in body
    assert "lost.nc" in caplog.text


def test_documents_name_standard_codecs_and_regular_grids(view):
    root = json.loads(ask(f"{view}/zarr.json")[2])
    arrays = root["consolidated_metadata"]["metadata"]
    assert set(arrays) == {"sst", "plain", "time", "lat", "lon"}
    for document in arrays.values():
        assert document["chunk_grid"]["name"] == "regular"
        assert {codec["name"] for codec in document["codecs"]} <= STANDARD
        assert "storage_transformers" not in document


def test_codecs_of_files_are_kept_for_clients_that_know_them(archive):
    paths = sorted(archive[0].parent.glob("*.nc"))[:1]
    with viewing(str(paths[0]), codecs="zarr-python") as url:
        names = {codec["name"] for codec in json.loads(ask(f"{url}/sst/zarr.json")[2])["codecs"]}
        assert {"numcodecs.shuffle", "numcodecs.zlib"} <= names
    with pytest.raises(ivz.ArgumentError, match="codecs is 'all'"):
        ivz.asgi(archive[0], codecs="all")


# ---------------------------------------------------------------------- other programs


def test_zarr_python_and_xarray_read_it(archive, view):
    store = FsspecStore.from_url(view, read_only=True)
    xr.testing.assert_identical(xr.open_zarr(store, mask_and_scale=False).load().drop_attrs(), archive[1].drop_attrs())
    np.testing.assert_array_equal(
        zarr.open_group(store, mode="r", use_consolidated=False)["sst"][3:9, 1, ::2], archive[1].sst[3:9, 1, ::2]
    )


def test_tensorstore_reads_it(archive, view):
    tensorstore = pytest.importorskip("tensorstore", reason="tensorstore is not installed")
    for name in ("sst", "plain", "time"):
        spec = {"driver": "zarr3", "kvstore": {"driver": "http", "base_url": f"{view}/", "path": f"{name}/"}}
        array = tensorstore.open(spec, open=True, read=True).result()
        np.testing.assert_array_equal(array.read().result(), archive[1][name].values)


GDAL = """
import sys, json, rasterio
with rasterio.open(f'ZARR:"/vsicurl/{sys.argv[1]}/":/plain') as file:
    print(json.dumps(file.read(1).tolist()))
"""


def test_gdal_reads_it(archive, view):
    pytest.importorskip("rasterio", reason="rasterio, which brings GDAL, is not installed")
    done = subprocess.run([sys.executable, "-c", GDAL, view], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.array(json.loads(done.stdout), "f4"), archive[1]["plain"].values)


NODE = """
import * as zarr from "zarrita";
const store = new zarr.FetchStore(process.argv[2]);
const group = await zarr.open(store, { kind: "group" });
for (const name of ["sst", "plain"]) {
  const array = await zarr.open(group.resolve(name), { kind: "array" });
  const { data, shape } = await zarr.get(array);
  console.log(JSON.stringify({ shape, data: Array.from(data) }));
}
"""


@pytest.mark.skipif(not ZARRITA.exists(), reason="js/node_modules is not installed")
def test_zarrita_reads_it(archive, view):
    script = ["node", "--input-type=module", "-e", NODE.replace("process.argv[2]", json.dumps(view))]
    done = subprocess.run(script, capture_output=True, text=True, timeout=120, check=False, cwd=ZARRITA.parents[1])
    assert done.returncode == 0, done.stderr
    for line, name in zip(done.stdout.splitlines(), ("sst", "plain"), strict=True):
        found = json.loads(line)
        np.testing.assert_array_equal(np.reshape(found["data"], found["shape"]), archive[1][name].values)


# ---------------------------------------------------------------------- the command


def test_the_command_serves_until_it_is_ended(archive):
    command = [sys.executable, "-m", "intake_virtualzarr", "serve", "--zarr", str(archive[0]), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as server:
        line = server.stdout.readline()
        url = line.split(" at ")[1].split("/ (")[0]
        assert ask(f"{url}/zarr.json")[0] == 200
        assert ask(f"{url}/zarr.json", Host="elsewhere.example")[0] == 421
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=60) == 0
