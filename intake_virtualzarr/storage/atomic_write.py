"""Writing files whole or not at all, and not at all if nothing changed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.storage.local_switch import replace_file

__all__ = ["file_fields", "to_json", "write_atomically", "write_if_changed"]


def to_json(document: Attrs) -> bytes:
    """Encode a document: two spaces, UTF-8, a newline at the end; members keep their order."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def file_fields(content: bytes) -> JsonObject:
    """Return the fields of the file extension for what an asset holds: size, and SHA-256 as a multihash.

    Examples
    --------
    >>> file_fields(b"")["file:checksum"][:12]
    '1220e3b0c442'
    """
    return {"file:size": len(content), "file:checksum": f"1220{hashlib.sha256(content).hexdigest()}"}


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file, and the directories above it; readers see the old one or the new one, never a part."""
    replace_file(path, content)


def write_if_changed(path: Path, content: bytes) -> bool:
    """Replace a file atomically, unless it has this content already.

    Returns
    -------
    bool
        Whether it was written.
    """
    if path.is_file() and path.read_bytes() == content:
        return False
    write_atomically(path, content)
    return True
