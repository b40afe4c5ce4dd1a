"""``serve --zarr``: one store as plain Zarr over http, by uvicorn."""

from __future__ import annotations

import socket

from intake_virtualzarr.cli.arguments import print_text
from intake_virtualzarr.cli.host_names import names_server
from intake_virtualzarr.errors import MissingExtraError, VirtualZarrError
from intake_virtualzarr.store.asgi import Message, Receive, Send, ZarrApplication, asgi

__all__ = ["OwnNames", "serve_zarr"]


class OwnNames:
    """An ASGI application that answers requests by the server's own names only."""

    def __init__(self, inner: ZarrApplication, address: str, given: str) -> None:
        self._inner = inner
        self._address = address
        self._given = given

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer, or say that another server was meant."""
        host = dict(scope.get("headers", ())).get(b"host")
        if scope["type"] == "http" and not names_server(
            None if host is None else host.decode("latin-1"), self._address, self._given
        ):
            await send({"type": "http.response.start", "status": 421, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
        await self._inner(scope, receive, send)


def serve_zarr(target: str, codecs: str, host: str, port: int) -> int:
    """Serve until interrupted or terminated.

    Raises
    ------
    MissingExtraError
        If uvicorn is not installed.
    VirtualZarrError
        If there is no store, or the port is taken.
    """
    try:
        import uvicorn
    except ImportError as exc:
        raise MissingExtraError(
            "serve --zarr needs uvicorn, which is not installed; install the extra: pip install 'intake-virtualzarr[serve]'"
        ) from exc
    application = asgi(target, codecs=codecs)
    try:
        listening = socket.create_server((host, port), backlog=256)
    except OSError as exc:
        raise VirtualZarrError(f"cannot listen on {host}:{port}: {exc.strerror or exc}") from exc
    address, bound = listening.getsockname()[:2]
    print_text(f"serving {target} as plain Zarr at http://{address}:{bound}/ (Ctrl-C ends)")
    config = uvicorn.Config(
        OwnNames(application, str(address), host), log_level="warning", access_log=False, server_header=False, lifespan="off"
    )
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:
        pass
    finally:
        listening.close()
    return 0
