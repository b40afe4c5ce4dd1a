"""What users may say about requests to web servers: headers, certificates, proxies."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any
from urllib.request import proxy_bypass

from intake_virtualzarr._typing import Attrs
from intake_virtualzarr.errors import VirtualZarrError

__all__ = ["HttpOptions", "http_options"]


@dataclass(frozen=True, slots=True, repr=False)
class HttpOptions:
    """Options of one URL prefix, checked. Never shown: headers hold secrets."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every request to the origin of the URL."""
    proxy: str | None = None
    """URL of a proxy; default: what the environment says (``HTTP_PROXY``, ``HTTPS_PROXY``, ``NO_PROXY``)."""
    trusts_all: bool = False
    """Whether certificates are not checked."""
    root_certificate: str | None = None
    """A certificate that is trusted beside those of the system, as PEM."""

    def tls(self) -> ssl.SSLContext:
        """How certificates are checked."""
        return _tls(self.trusts_all, self.root_certificate)

    def without_headers(self) -> HttpOptions:
        """The options for another server."""
        return replace(self, headers={})

    def proxy_for(self, scheme: str, host: str) -> str | None:
        """URL of the proxy to ask for a host; None if it is asked itself."""
        if self.proxy is not None:
            return self.proxy
        names = (f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
        found = next((os.environ[name] for name in names if os.environ.get(name)), None)
        if found is None or proxy_bypass(host):
            return None
        return found if "://" in found else f"http://{found}"


@lru_cache(maxsize=64)
def _tls(trusts_all: bool, root_certificate: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if root_certificate is not None:
        context.load_verify_locations(cadata=root_certificate)
    if trusts_all:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def http_options(options: Attrs) -> HttpOptions:
    """The options of a prefix, in the words of obstore: ``headers``, and ``client_options`` with ``default_headers``,
    ``allow_invalid_certificates``, ``root_certificate``, ``proxy_url``, ``user_agent``.

    Raises
    ------
    VirtualZarrError
        If headers are not texts by name.
    """
    client: Mapping[str, Any] = options.get("client_options") or {}
    certificate = client.get("root_certificate")
    if isinstance(certificate, bytes):
        certificate = certificate.decode("ascii", "replace")
    headers: dict[str, str] = {}
    if client.get("user_agent"):
        headers["User-Agent"] = str(client["user_agent"])
    for given in (client.get("default_headers") or {}, options.get("headers") or {}):
        if not isinstance(given, Mapping):
            what = type(given).__name__
            raise VirtualZarrError(f"headers are a {what}, expected texts by name, as {{'Authorization': 'Bearer …'}}")
        headers |= {str(name): value.decode("latin-1") if isinstance(value, bytes) else str(value) for name, value in given.items()}
    return HttpOptions(headers, client.get("proxy_url"), bool(client.get("allow_invalid_certificates")), certificate)
