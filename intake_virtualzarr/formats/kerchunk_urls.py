"""Where a reference points: kerchunk's texts and our URLs.

kerchunk hands what stands in a reference to fsspec. Except in ``http(s)`` URLs nothing is escaped there, a text without scheme is
a path, and a relative path is one of the working directory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

from intake_virtualzarr.errors import UnsupportedError
from intake_virtualzarr.hierarchy.source_table import resolve
from intake_virtualzarr.storage.urls import is_local, is_url, local_path, quoted

__all__ = ["kerchunk_text", "source_url"]

ESCAPED = ("http://", "https://")
"""What begins like this is an URL in references, too, with its escapes."""


def source_url(text: Any, base: str) -> str:
    """The URL of a file that a kerchunk reference names.

    Parameters
    ----------
    text : str
        As it stands in the reference.
    base : str
        URL of the references. A relative path is looked for beside them, then (as kerchunk does) in the working directory.

    Raises
    ------
    UnsupportedError
        If it is not text, or two different files fit.
    """
    if not isinstance(text, str) or not text:
        raise UnsupportedError(f"a reference names {text!r} as its file, expected a path or URL")
    if "::" in text or text.startswith(ESCAPED):
        return text
    if is_url(text):
        scheme, _, rest = text.partition("://")
        return f"{'file' if scheme == 'local' else scheme}://{quoted(rest)}"
    if not is_local(base):
        return resolve(base, quoted(text))
    path = Path(text)
    if path.is_absolute():
        return path.as_uri()
    beside, here = Path(local_path(base)).parent / path, Path(text).absolute()
    if beside != here and _exists(here):
        if not _exists(beside):
            return here.as_uri()
        if not beside.samefile(here):
            raise UnsupportedError(
                f"a reference names the relative path {text!r}, and both {beside} and {here} are there; use absolute URLs"
            )
    return beside.as_uri()


def _exists(path: Path) -> bool:
    """Whether there is such a file; no, where its name is none that a file can have."""
    try:
        return path.exists()
    except OSError:
        return False


def kerchunk_text(url: str) -> str:
    """Our URL as kerchunk writes it: without escapes where fsspec would not undo them."""
    return url if "::" in url or url.startswith(ESCAPED) else unquote(url)
