"""Pages of a STAC API: an empty page with a ``next`` link is not the last one."""

from __future__ import annotations

from collections.abc import Iterator

from pystac import Link
from pystac.utils import make_absolute_href
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.errors import StacError, own_error
from intake_virtualzarr.stac.guard import without_secrets
from intake_virtualzarr.storage.policy import Policy, is_same_server

__all__ = ["MAX_EMPTY_PAGES", "iter_pages"]

MAX_EMPTY_PAGES = 1000
"""Empty pages in a row after which a server is taken to be broken."""


def iter_pages(
    stac_io: StacApiIO,
    url: str,
    method: str | None = None,
    parameters: Attrs | None = None,
    *,
    policy: Policy | None = None,
) -> Iterator[JsonObject]:
    """Iterate over the pages of a search, in the order the server gives them.

    pystac-client takes the first page without items to be the last. Servers that filter after paging send
    empty pages in the middle, so here only a missing ``next`` link ends the search. A link to another server must be
    allowed; headers and logins are not sent there.

    Raises
    ------
    NotAllowedError
        If a ``next`` link leads where the policy does not permit it.
    StacError
        If the server answers with an error, sends one ``next`` link twice in a row, or sends
        `MAX_EMPTY_PAGES` empty pages in a row.
    """
    query = dict(parameters or {})
    page = _read(stac_io, url, url, method, query)
    empty, last = 0, None
    while True:
        yield page
        empty = 0 if page.get("features") or page.get("collections") else empty + 1
        link = next((link for link in page.get("links") or [] if link.get("rel") == "next"), None)
        if link is None:
            return
        if link == last:
            raise StacError(f"{url}: the server's 'next' link leads to the same page again: {link.get('href')}")
        if empty >= MAX_EMPTY_PAGES:
            raise StacError(f"{url}: {empty} empty pages in a row, each with a 'next' link; giving up")
        last = link
        href = make_absolute_href(link["href"], url)
        (policy or Policy()).asked_by(url).check(href)
        if not is_same_server(url, href):
            stac_io, query = without_secrets(stac_io), {}
        page = _read(stac_io, Link.from_dict({**link, "href": href}), url, None, query)


def _read(stac_io: StacApiIO, source: str | Link, url: str, method: str | None, parameters: JsonObject) -> JsonObject:
    keywords: JsonObject = {"parameters": parameters}
    if method is not None:
        keywords["method"] = method
    try:
        page = stac_io.read_json(source, **keywords)
    except APIError as exc:
        if (ours := own_error(exc)) is not None:
            raise ours from None
        raise StacError(f"{url}: the STAC API answered {getattr(exc, 'status_code', None) or 'nothing'}: {exc}") from exc
    if not isinstance(page, dict):
        raise StacError(f"{url}: a page of the STAC API is not a JSON object but a {type(page).__name__}")
    return page
