"""Decoders that other packages register by entry points."""

import subprocess
import sys
from textwrap import dedent

import numpy as np
import pytest
import xarray as xr

from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.chunk_grid import ChunkGrid
from intake_virtualzarr.arrays.manifest import ChunkManifest
from intake_virtualzarr.arrays.segments import StoredArray
from intake_virtualzarr.codecs.pipeline import compile_pipeline
from intake_virtualzarr.codecs.spec import CodecSpec, bytes_codec
from intake_virtualzarr.datasets.to_zarr import write_dataset
from intake_virtualzarr.errors import CodecError
from intake_virtualzarr.storage.source import Source

PLUGIN = dedent("""
    from intake_virtualzarr.codecs.registry import register_bytes

    @register_bytes("test.invert")
    def invert(configuration):
        return lambda data, chunk: bytes(255 - b for b in bytes(data))
""")
ENTRIES = "[intake_virtualzarr.codecs]\ntest.invert = {module}\ntest.absent = {module}\ntest.broken = no_such_package_here\n"


def plugin_package(folder):
    """A package with an entry point, as pip leaves it."""
    (folder / "invert_plugin.py").write_text(PLUGIN)
    info = folder / "invert_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: invert-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRIES.format(module="invert_plugin"))
    return folder


def written_store(tmp_path, codec):
    values = np.arange(10, dtype="i2")
    path = tmp_path / "values.bin"
    path.write_bytes(bytes(255 - b for b in values.tobytes()))
    grid = ChunkGrid.regular((10,), (10,))
    manifest = ChunkManifest.from_columns((1,), 0, 20)
    codecs = (bytes_codec(values.dtype), CodecSpec.of(codec))
    stored = StoredArray(values.dtype, np.int16(0), grid, codecs, manifest, (Source(path.as_uri(), size=20),))
    data = xr.Dataset({"v": ("x", VirtualZarrArray.from_stored(stored))})
    write_dataset(data, tmp_path / "out.vzarr")
    return tmp_path / "out.vzarr"


def read_in_a_new_process(store, packages):
    opened = f"xr.open_dataset({str(store)!r}, engine='virtualzarr').v.values.tolist()"
    code = f"import sys; sys.path.insert(0, {str(packages)!r}); import xarray as xr; print({opened})"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_a_new_process_reads_a_store_whose_codec_is_a_plugin(tmp_path):
    packages = tmp_path / "packages"
    packages.mkdir()
    found = read_in_a_new_process(written_store(tmp_path, "test.invert"), plugin_package(packages))
    assert found.stdout.strip() == str(list(range(10))), found.stderr[-500:]


@pytest.mark.parametrize(
    ("codec", "message"),
    [
        ("test.absent", "registers no decoder of that name"),
        ("test.broken", "its plug-in 'no_such_package_here' cannot be imported"),
        ("test.nobody", "is unknown here"),
    ],
)
def test_a_plugin_that_does_not_work_is_named(tmp_path, codec, message):
    packages = tmp_path / "packages"
    packages.mkdir()
    found = read_in_a_new_process(written_store(tmp_path, codec), plugin_package(packages))
    assert found.returncode == 1
    assert codec in found.stderr
    assert message in found.stderr


def test_an_unknown_codec_says_where_decoders_come_from():
    with pytest.raises(CodecError, match=r"'nobody\.has' is unknown here.*entry point 'nobody\.has' in the group"):
        compile_pipeline((bytes_codec(np.dtype("i2")), CodecSpec.of("nobody.has")), np.dtype("i2"))
