"""A process that was forked after its parent used the network: it reads from web servers, and is told about buckets."""

import os
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from support.helpers import serving

import intake_virtualzarr as ivz

CHILD = """
import os, signal
import intake_virtualzarr as ivz

def read():
    return float(ivz.open_virtual_dataset({url!r}).v.load().sum())

expected = read()
child = os.fork()
if child == 0:
    signal.alarm(60)
    os._exit(0 if read() == expected else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), read() == expected)
"""

BUCKET = """
import os, signal
import intake_virtualzarr as ivz

def read():
    try:
        ivz.open_virtual_dataset("s3://bucket/a.nc", storage_options={options!r})
    except ivz.SourceError as exc:
        return str(exc)

read()
child = os.fork()
if child == 0:
    signal.alarm(60)
    os._exit(0 if "'spawn'" in read() else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_reads_from_a_web_server(tmp_path):
    xr.Dataset({"v": ("x", np.arange(9.0))}).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with serving(tmp_path) as server:
        assert run(CHILD.format(url=f"{server.url}/a.nc")) == ["0", "True"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_that_reads_from_a_bucket_is_told_to_be_spawned(tmp_path):
    with serving(tmp_path) as server:
        options = {"s3://bucket/": {"endpoint_url": server.url, "skip_signature": True, "allow_http": True, "region": "us-east-1"}}
        assert run(BUCKET.format(options=options)) == ["0"]


def test_an_option_that_obstore_does_not_know_is_named():
    with pytest.raises(ivz.SourceError, match="endpiont"):
        ivz.open_virtual_dataset("s3://bucket/a.nc", storage_options={"s3://bucket/": {"endpiont": "http://127.0.0.1:1"}})
