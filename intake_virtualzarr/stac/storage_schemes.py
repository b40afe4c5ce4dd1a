"""``storage:schemes`` for buckets and containers (STAC storage extension, version 2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.errors import StacError
from intake_virtualzarr.storage.readers import Access

__all__ = ["known_storage", "storage_schemes"]

S3_SCHEMES = frozenset({"s3", "s3a"})
AZURE_SCHEMES = frozenset({"abfs", "abfss", "az"})


def storage_schemes(
    hrefs: Iterable[str],
    *,
    regions: Mapping[str, str] | None = None,
    endpoints: Mapping[str, str] | None = None,
    accounts: Mapping[str, str] | None = None,
) -> tuple[dict[str, JsonObject], dict[str, tuple[str, ...]]]:
    """Describe the object stores that hrefs lie in; https URLs and paths need no scheme.

    Parameters
    ----------
    hrefs : iterable of str
        Of source files and of the store.
    regions, endpoints, accounts : mapping, optional
        Region, endpoint URL (of S3 outside AWS), or Azure account, by bucket or container.

    Returns
    -------
    schemes : dict
        ``storage:schemes``; without the buckets of which too little is known to say anything true.
    refs : dict
        Keys of ``schemes`` by ``scheme://bucket``, for `publication.source_prefixes`.

    Raises
    ------
    StacError
        If an endpoint holds credentials.

    Examples
    --------
    >>> schemes, refs = storage_schemes(["s3://archive/a.nc"], regions={"archive": "us-west-2"})
    >>> schemes["s3-archive"]["platform"], refs
    ('https://{bucket}.s3.{region}.amazonaws.com', {'s3://archive': ('s3-archive',)})
    """
    known = regions or {}, endpoints or {}, accounts or {}
    roots = sorted({f"{parts.scheme}://{parts.netloc}" for href in hrefs if (parts := urlsplit(href)).netloc})
    schemes: dict[str, JsonObject] = {}
    refs: dict[str, tuple[str, ...]] = {}
    for root in roots:
        protocol, _, place = root.partition("://")
        scheme = _scheme(protocol, place, *known)
        if scheme is not None:
            key = f"{protocol}-{place.partition('@')[0]}"
            schemes[key] = scheme
            refs[root] = (key,)
    return schemes, refs


OPTIONS = {
    "regions": ("region", "aws_region", "default_region", "aws_default_region"),
    "endpoints": ("endpoint", "aws_endpoint", "endpoint_url", "aws_endpoint_url"),
    "accounts": ("account_name", "azure_storage_account_name"),
}
"""Names that options for opening have for what may be published of them; keys and tokens are never looked at."""


def known_storage(hrefs: Iterable[str], access: Access) -> tuple[dict[str, JsonObject], dict[str, tuple[str, ...]]]:
    """Describe the object stores that hrefs lie in, as far as options for opening tell; see `storage_schemes`."""
    roots = sorted({f"{parts.scheme}://{parts.netloc}" for href in hrefs if (parts := urlsplit(href)).netloc})
    known: dict[str, dict[str, str]] = {what: {} for what in OPTIONS}
    for root in roots:
        options = access.options(f"{root}/")
        place = root.partition("://")[2].partition("@")[0]
        for what, names in OPTIONS.items():
            value = next((options[name] for name in names if options.get(name)), None)
            if value is not None:
                known[what][place] = str(value)
    return storage_schemes(roots, **known)


def _scheme(
    protocol: str,
    place: str,
    regions: Mapping[str, str],
    endpoints: Mapping[str, str],
    accounts: Mapping[str, str],
) -> JsonObject | None:
    bucket = place.partition("@")[0]
    if protocol in S3_SCHEMES and bucket in endpoints:
        endpoint = endpoints[bucket]
        if "@" in endpoint or "?" in endpoint:
            raise StacError(f"bucket {bucket!r}: its endpoint holds credentials; pass it without them")
        scheme = {"type": "custom-s3", "platform": endpoint, "bucket": bucket}
        return {**scheme, "region": regions[bucket]} if bucket in regions else scheme
    if protocol in S3_SCHEMES and bucket in regions:
        platform = "https://{bucket}.s3.{region}.amazonaws.com"
        return {"type": "aws-s3", "platform": platform, "bucket": bucket, "region": regions[bucket]}
    account = accounts.get(bucket) or (place.partition("@")[2].partition(".")[0] if "@" in place else "")
    if protocol in AZURE_SCHEMES and account:
        platform = "https://{account}.blob.core.windows.net"
        return {"type": "ms-azure", "platform": platform, "account": account, "container": bucket}
    return None
