"""Requests for STAC documents stay where they are allowed: redirects are checked, and headers go to their own server only."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from pystac_client.stac_api_io import StacApiIO
from requests import Response, Session

from intake_virtualzarr.errors import NotAllowedError
from intake_virtualzarr.storage.policy import Policy, is_same_server

__all__ = ["RedirectGuard", "guarded", "without_secrets"]

KEPT_HEADERS = frozenset({"accept", "accept-encoding", "connection", "content-length", "content-type", "user-agent"})
"""Headers that go along to another server (lower case)."""


@dataclass(frozen=True)
class RedirectGuard:
    """A hook of `requests` sessions, which sees every answer before its redirect is followed."""

    policy: Policy

    def __call__(self, response: Response, **_: Any) -> None:
        """Refuse a redirect that is not allowed; take headers away from one that leads to another server."""
        if not response.is_redirect:
            return
        target = urljoin(response.url, response.headers["location"])
        try:
            self.policy.check_redirect(response.url, target)
        except NotAllowedError:
            response.close()  # nobody else has it
            raise
        if not is_same_server(response.url, target):
            headers = response.request.headers  # those of the next request are copied from here
            for name in [name for name in headers if name.lower() not in KEPT_HEADERS]:
                del headers[name]


def guarded(stac_io: StacApiIO, policy: Policy) -> StacApiIO:
    """A reader like the one of somebody else's client, which follows allowed redirects only; the client stays as it is."""
    found = copy(stac_io)
    found.session = copy(stac_io.session)
    known = [hook for hook in stac_io.session.hooks.get("response", ()) if not isinstance(hook, RedirectGuard)]
    found.session.hooks = {**stac_io.session.hooks, "response": [*known, RedirectGuard(policy)]}
    return found


def without_secrets(stac_io: StacApiIO) -> StacApiIO:
    """A reader for another server: repeats and checks alike, but knows no headers, parameters, logins or modifiers."""
    found = copy(stac_io)
    found.session = Session()
    found.session.adapters = stac_io.session.adapters
    found.session.hooks = stac_io.session.hooks
    found.session.verify = stac_io.session.verify
    found._req_modifier = None
    return found
