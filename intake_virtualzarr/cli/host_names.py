"""Which ``Host`` headers name a server: a page of another name may have been led here by its name server."""

from __future__ import annotations

import re
import socket

__all__ = ["names_server"]

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
EVERYWHERE = frozenset({"0.0.0.0", "::", ""})
ADDRESS = re.compile(r"[0-9.]+|[0-9a-f:.]*:[0-9a-f:.]*")


def names_server(host: str | None, address: str, given: str) -> bool:
    """Whether a ``Host`` header names a server.

    A server that listens on more than this machine goes by names that it does not know; it is asked by address or by the name that
    its user gave.

    Parameters
    ----------
    host : str or None
        The header; None in HTTP/1.0.
    address : str
        On which the server listens.
    given : str
        What its user asked it to listen on.
    """
    if host is None:
        return True
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    name = name.strip("[]").rstrip(".").lower()
    own = address.lower()
    if name in LOOPBACK or name in (own, given.strip("[]").lower(), socket.gethostname().lower()) or name.endswith(".localhost"):
        return True
    return own in EVERYWHERE and ADDRESS.fullmatch(name) is not None
