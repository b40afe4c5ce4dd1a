"""STAC API clients that retry, and that say what a server will not do."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

from pystac_client import Client, ItemSearch
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from pystac_client.warnings import DoesNotConformTo
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.errors import StacError, own_error
from intake_virtualzarr.stac.guard import RedirectGuard, guarded
from intake_virtualzarr.stac.pages import iter_pages
from intake_virtualzarr.stac.signing import Modifier, strip_signature
from intake_virtualzarr.storage.policy import Allow, Policy, allow_list, is_same_server

__all__ = ["PatientStacApiIO", "open_client", "patient_copy", "patient_io", "search"]

RETRIED_STATUS = (429, 500, 502, 503, 504)

HARMLESS = frozenset({"SORT", "FIELDS"})
"""What a server may ignore: sources are ordered here, and whole items are read well."""


class PatientStacApiIO(StacApiIO):
    """A `StacApiIO` that follows ``next`` links past empty pages, and sends its headers to the first server it asks only."""

    def __init__(self, *, headers: Mapping[str, str] | None, policy: Policy, max_retries: Retry, timeout: float) -> None:
        super().__init__(max_retries=max_retries, timeout=timeout)
        self.policy = policy
        self._headers = dict(headers or {})
        self._home: str | None = None
        self.session.hooks["response"].append(RedirectGuard(policy))

    def request(
        self, href: str, method: str | None = None, headers: dict[str, str] | None = None, parameters: JsonObject | None = None
    ) -> str:
        """Send a request. Parameters and errors as pystac-client's."""
        self._home = self._home or href
        own = self._headers if is_same_server(self._home, href) else {}
        return super().request(href, method, {**own, **(headers or {})}, parameters)

    def get_pages(self, url: str, method: str | None = None, parameters: JsonObject | None = None) -> Iterator[JsonObject]:
        """Iterate over pages; those without items are left out, but do not end the search."""
        for page in iter_pages(self, url, method, parameters, policy=self.policy):
            if page.get("features") or page.get("collections"):
                yield page


def patient_io(
    *,
    headers: Mapping[str, str] | None = None,
    retries: int = 5,
    backoff: float = 0.5,
    timeout: float = 60.0,
    policy: Policy | None = None,
) -> PatientStacApiIO:
    """Make the object that reads documents over http.

    Parameters
    ----------
    headers : mapping, optional
        Sent with every request to the server that is asked first, e.g. ``{"Authorization": …}``; never stored.
    retries : int
        Attempts after the first one, on connection errors and on status 429, 500, 502, 503 and 504. POST is
        retried too: a search changes nothing on the server.
    backoff : float
        Waiting time before the second retry, doubled each time; ``Retry-After`` is respected [s].
    timeout : float
        Waiting time for an answer [s].
    policy : Policy, optional
        Where redirects may lead beside their own server.
    """
    retry = _retry(retries, backoff)
    return PatientStacApiIO(headers=headers, policy=policy or Policy(), max_retries=retry, timeout=timeout)


def _retry(retries: int = 5, backoff: float = 0.5) -> Retry:
    return Retry(
        total=retries,
        backoff_factor=backoff,
        status_forcelist=RETRIED_STATUS,
        allowed_methods=None,
        raise_on_status=False,
    )


def patient_copy(stac_io: StacApiIO, policy: Policy) -> StacApiIO:
    """Return a reader like the one of a client that somebody else opened, which asks a busy server again.

    The client itself is not changed. If its owner has chosen which answers are repeated, it stays so. Redirects are checked.
    """
    patient = guarded(stac_io, policy)
    if any(_repeats_answers(adapter) for adapter in stac_io.session.adapters.values()):
        return patient
    patient.session.adapters = OrderedDict(stac_io.session.adapters)
    for prefix in ("http://", "https://"):
        patient.session.mount(prefix, HTTPAdapter(max_retries=_retry()))
    return patient


def _repeats_answers(adapter: Any) -> bool:
    return bool(getattr(getattr(adapter, "max_retries", None), "status_forcelist", None))


def open_client(
    url: str,
    *,
    modifier: Modifier | None = None,
    headers: Mapping[str, str] | None = None,
    retries: int = 5,
    backoff: float = 0.5,
    timeout: float = 60.0,
    allow: Allow = None,
) -> Client:
    """Open a STAC API; see `patient_io` for the parameters.

    Parameters
    ----------
    url : str
        Landing page.
    modifier : callable, optional
        Signs items in place as they are read, e.g. ``planetary_computer.sign_inplace``.
    allow : str or list of str, optional
        URL prefixes to which the server may redirect, and where its ``next`` links may lead.

    Raises
    ------
    NotAllowedError
        If it redirects elsewhere.
    StacError
        If the server cannot be reached or answers with an error.
    """
    policy = Policy(allow_list(allow))
    stac_io = patient_io(headers=headers, retries=retries, backoff=backoff, timeout=timeout, policy=policy)
    try:
        return Client.open(url, stac_io=stac_io, modifier=modifier)
    except APIError as exc:
        if (ours := own_error(exc)) is not None:
            raise ours from None
        raise StacError(f"{strip_signature(url)}: no STAC API: {exc}") from exc


def search(client: Client, *, allow_unfiltered: bool = False, **parameters: Any) -> ItemSearch:
    """Search, and refuse what the server says it would ignore.

    Parameters
    ----------
    client : pystac_client.Client
    allow_unfiltered : bool
        Warn, as pystac-client does, instead of refusing. ``datetime``, ``bbox``, ``intersects``, ``ids`` and
        ``collections`` are checked again here in any case; ``filter`` and ``query`` cannot be.
    **parameters
        As for `pystac_client.Client.search`.

    Raises
    ------
    StacError
        If the server does not conform to what a parameter needs.
    """
    methods = {link.extra_fields.get("method", "GET") for link in client.get_links("search")}
    parameters.setdefault("method", "GET" if methods == {"GET"} else "POST")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found: ItemSearch = client.search(**parameters)
        except DoesNotConformTo as exc:  # pystac-client raises it where there is no search at all
            raise StacError(f"{client.get_self_href()}: the server offers no item search: {exc}") from exc
    lacking = {str(name) for one in caught if isinstance(one.message, DoesNotConformTo) for name in one.message.args} - HARMLESS
    if lacking and not allow_unfiltered:
        names = ", ".join(sorted(lacking))
        raise StacError(
            f"{client.get_self_href()}: the server does not conform to {names}, so it may return items that "
            "were not asked for; leave the parameter out, or pass allow_unfiltered=True to take them"
        )
    for one in caught:
        if not isinstance(one.message, DoesNotConformTo) or set(one.message.args) - HARMLESS:
            warnings.warn(one.message, one.category, stacklevel=2)
    return found
