"""A STAC API for the demo: ``rustac serve``, where that program is installed."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from intake_virtualzarr.errors import StacError

__all__ = ["find_rustac", "stac_api"]

WAIT = 20.0
"""How long to wait for the server [s]."""


def find_rustac() -> str | None:
    """Return the program, beside this Python or on the path; ``None`` if it is not installed."""
    return shutil.which("rustac", path=str(Path(sys.executable).parent)) or shutil.which("rustac")


@contextmanager
def stac_api(program: str, *documents: Path) -> Iterator[str]:
    """Serve documents as a STAC API on a free port of this machine, until the block ends.

    Yields
    ------
    str
        URL of the landing page.

    Raises
    ------
    StacError
        If the server does not come up.
    """
    address = f"127.0.0.1:{_free_port()}"
    command = [program, "serve", "-a", address, *map(str, documents)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        _wait(f"http://{address}", process)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(10)
        if process.stderr is not None:
            process.stderr.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        if process.poll() is not None:
            text = process.stderr.read().decode(errors="replace").strip() if process.stderr is not None else ""
            raise StacError(f"rustac serve ended at once: {text.rpartition(chr(10))[2] or process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise StacError(f"rustac serve gave no answer at {url} within {WAIT:.0f} s")
