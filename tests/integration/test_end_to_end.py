"""The whole way on real parts: a STAC API, a join, a published catalog, readers of it."""

import subprocess
import sys

import intake
import numpy as np
import pytest
import xarray as xr
import zarr
from pystac_client import Client

import intake_virtualzarr as ivz
from intake_virtualzarr.cli.demo_api import find_rustac, stac_api
from intake_virtualzarr.cli.demo_files import write_files
from intake_virtualzarr.cli.demo_items import COLLECTION, write_stac
from intake_virtualzarr.errors import SourceChangedError, SourceError


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Thirty files, and their values joined by xarray."""
    root = tmp_path_factory.mktemp("archive")
    paths = write_files(root / "data")
    write_stac(paths, root / "stac")
    with xr.open_mfdataset(paths, engine="h5netcdf") as direct:
        return root, direct.load()


def allowed(archive):
    """The directory that an API on another origin may name."""
    return archive[0].as_uri() + "/"


@pytest.fixture(scope="module")
def api(archive):
    program = find_rustac()
    if program is None:
        pytest.skip("rustac is not installed")
    stac = archive[0] / "stac"
    with stac_api(program, stac / "api-collection.json", stac / "items.json") as url:
        yield url


def test_a_search_of_a_real_api_becomes_one_dataset(api, archive):
    search = Client.open(api).search(method="POST", collections=[COLLECTION], datetime="2024-01-10/2024-01-22")
    dataset = ivz.virtualize(search, allow=[allowed(archive)]).vzarr.decode().chunk()
    expected = archive[1].sel(time=slice("2024-01-10", "2024-01-22"))
    xr.testing.assert_equal(dataset.compute(), expected)
    assert dataset.sst.chunks is not None


def test_a_search_is_ingested_and_opened_by_every_door(api, archive, tmp_path):
    _, direct = archive
    search = Client.open(api).search(method="POST", collections=[COLLECTION])
    report = ivz.ingest(search, tmp_path / "c", name="sst", allow=[allowed(archive)])
    assert (report.sources, report.references) == (30, 125)
    doors = {
        "intake": intake.open_catalog(tmp_path / "c" / "catalog.yaml").sst.to_dask(),
        "stac": intake.open_catalog(str(tmp_path / "c" / "collection.json"), driver="virtualzarr_stac").sst.to_dask(),
        "xarray": xr.open_dataset(tmp_path / "c" / "sst.vzarr", engine="virtualzarr"),
        "zarr": xr.open_zarr(ivz.VirtualZarrStore(tmp_path / "c" / "sst.vzarr")),
    }
    for name, dataset in doors.items():
        assert dataset.sst.dtype == direct.sst.dtype, name
        xr.testing.assert_equal(dataset.load(), direct)


def test_a_static_catalog_gives_the_same_as_the_api(api, archive):
    search = Client.open(api).search(method="POST", collections=[COLLECTION])
    static = ivz.virtualize(archive[0] / "stac" / "collection.json")
    xr.testing.assert_identical(
        ivz.virtualize(search, allow=[allowed(archive)]).vzarr.decode().load(), static.vzarr.decode().load()
    )


def test_a_store_is_read_over_http_where_fsspec_cannot_be_imported(published_once, serve):
    server = serve(published_once.root)
    code = (
        # zarr-python imports fsspec by itself wherever it is installed
        "import sys; sys.modules['fsspec'] = sys.modules['upath'] = None\n"
        "import zarr, intake_virtualzarr as ivz\n"
        f"store = ivz.VirtualZarrStore('{server.url}/catalog/sst.vzarr')\n"
        "values = zarr.open_group(store, mode='r')['sst'][:]\n"
        "print(values.shape, sys.modules['fsspec'])"
    )
    out = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "(40, 6, 8) None"


@pytest.mark.parametrize("rectilinear", [False, True])
def test_plain_zarr_refuses_the_hierarchy_instead_of_returning_fill(published_once, rectilinear):
    store = str(published_once.catalog / "sst.vzarr")
    message = "virtual" if rectilinear else "virtual|Rectilinear chunk grids"
    with zarr.config.set({"array.rectilinear_chunks": rectilinear}):
        with pytest.raises(ValueError, match=message):
            zarr.open_group(store, mode="r")["sst"]
        with pytest.raises(ValueError, match=message):
            zarr.open_array(f"{store}/sst", mode="r")
        with pytest.raises(ValueError, match=message):
            xr.open_zarr(store)


def test_a_changed_source_raises_when_it_is_read_and_never_gives_other_values(published):
    path = published.paths[0]
    dataset = intake.open_catalog(published.catalog / "catalog.yaml").sst.to_dask()
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(SourceChangedError, match=path.name):
        dataset.sst.load()
    path.unlink()
    with pytest.raises(SourceError, match=path.name):
        dataset.sst.load()
    np.testing.assert_array_equal(dataset.sst.isel(time=slice(20, 40)), published.direct.sst.isel(time=slice(20, 40)))
