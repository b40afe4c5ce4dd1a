"""The page that shows a store in a browser: the files of the package, and the address under which they show one."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from urllib.parse import quote

from intake_virtualzarr.storage.atomic_write import write_if_changed

__all__ = ["PAGE", "page_directory", "page_href", "write_page"]

PAGE = "preview.html"
"""The file that a browser opens; the others stand beside it."""
FILES = (PAGE, "preview.js")


def page_directory() -> Path:
    """Where the page's files lie."""
    return Path(str(resources.files("intake_virtualzarr") / "catalog" / "preview_page"))


def page_href(store: str) -> str:
    """The page beside a store, showing it.

    Examples
    --------
    >>> page_href("sea ice.vzarr")
    './preview.html?store=sea%20ice.vzarr'
    """
    return f"./{PAGE}?store={quote(store)}"


def write_page(directory: Path) -> list[str]:
    """Write the page's files into a directory.

    Returns
    -------
    list of str
        Names of those that were absent or of another version.
    """
    written = []
    for name in FILES:
        if write_if_changed(directory / name, (page_directory() / name).read_bytes()):
            written.append(name)
    return written
