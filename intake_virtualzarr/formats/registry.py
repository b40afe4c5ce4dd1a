"""Which formats are installed, and which of them a file is of."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

from intake_virtualzarr.errors import FormatError
from intake_virtualzarr.formats.base import Format
from intake_virtualzarr.storage.reader import Buffer

__all__ = ["GROUP", "HEAD", "OWN", "first_request", "format_named", "format_of", "formats"]

GROUP = "intake_virtualzarr.formats"
"""Entry point group of format plug-ins of other packages."""
OWN = {
    "fits": "intake_virtualzarr.formats.fits",
    "grib": "intake_virtualzarr.formats.grib",
    "hdf5": "intake_virtualzarr.formats.hdf5",
    "kerchunk": "intake_virtualzarr.formats.kerchunk_json",
    "netcdf3": "intake_virtualzarr.formats.netcdf3",
    "tiff": "intake_virtualzarr.formats.tiff",
    "zarr": "intake_virtualzarr.formats.zarr",
}
"""The plug-ins of this package: modules with a ``FORMAT``."""
HEAD = 64 * 1024
"""First request of a remote file, where its format does not say better [bytes]."""


@cache
def formats() -> dict[str, Format]:
    """The plug-ins by name: our own, and those of other packages."""
    found: dict[str, Format] = {name: import_module(module).FORMAT for name, module in OWN.items()}
    for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name):
        if entry.name in OWN:
            continue
        plugin = entry.load()
        if not isinstance(plugin, Format):
            raise FormatError(f"entry point {entry.name!r} of {GROUP} is {plugin!r}, which is not a format plug-in")
        found[entry.name] = plugin
    return dict(sorted(found.items()))


def first_request(url: str, name: str | None) -> int:
    """Size of the first request of a remote file: what its format, or the end of its name, suggests [bytes]."""
    if name:
        return int(getattr(format_named(name), "first_request", HEAD))
    path = url.partition("?")[0].partition("#")[0].lower()
    for plugin in formats().values():
        if path.endswith(tuple(getattr(plugin, "endings", ()))):
            return int(getattr(plugin, "first_request", HEAD))
    return HEAD


def format_named(name: str) -> Format:
    """The plug-in of that name."""
    try:
        return formats()[name]
    except KeyError:
        raise FormatError(f"no format {name!r} is installed; there are {', '.join(formats())}") from None


def format_of(url: str, head: Buffer) -> Format:
    """The format of a file by its first bytes.

    Raises
    ------
    FormatError
        If no installed format knows them.
    """
    for plugin in formats().values():
        if plugin.sniff(head):
            return plugin
    raise FormatError(f"{url}: is not a file of any format known here ({', '.join(formats())}); it {_looks(head)}")


def _looks(head: Buffer) -> str:
    first = bytes(head[:16])
    if not first:
        return "is empty"
    if first.startswith(b"CDF"):
        return "is netCDF-3 (classic)"
    if first.startswith(b"GRIB"):
        return "is GRIB"
    if first.startswith(b"\x0e\x03\x13\x01"):
        return "is HDF4"
    if first.lstrip().startswith((b"<", b"{")):
        return "looks like text or a web page, such as a login form or an error message"
    return f"begins with {first!r}"
