"""Options for opening, as users of Intake write them: fsspec's names, for the place of the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.storage.url_secrets import redact

__all__ = ["access_rules", "public_options"]

S3_NAMES = {
    "key": "access_key_id",
    "secret": "secret_access_key",
    "token": "session_token",
    "anon": "skip_signature",
    "endpoint_url": "endpoint",
    "region_name": "region",
}
"""fsspec's names (s3fs) -> those of the readers."""

PUBLIC = frozenset(
    {
        *("anon", "skip_signature", "region", "region_name", "endpoint", "endpoint_url", "requester_pays", "request_payer"),
        *("aws_region", "aws_endpoint", "aws_skip_signature", "virtual_hosted_style_request", "client_kwargs", "project"),
    }
)
"""Options that hold no secret; of others nobody knows."""

OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss")


def access_rules(options: Any, url: str) -> Any:
    """Turn the options of an entry into rules by URL prefix.

    Parameters
    ----------
    options : mapping, Access or None
        By URL prefix: returned as they are. Without prefixes, as Intake passes on what a catalog was opened with: fsspec's
        names become those of the readers.
    url : str
        The store. Its options go to the object stores of its kind, or to its own web server: what authorises there must not
        be sent to other hosts, where sources may lie.

    Returns
    -------
    mapping, Access or None

    Examples
    --------
    >>> access_rules({"key": "me", "secret": "hush", "client_kwargs": {"region_name": "eu-central-1"}}, "s3://b/x.vzarr")
    {'s3://': {'access_key_id': 'me', 'secret_access_key': 'hush', 'region': 'eu-central-1'}}
    >>> access_rules({"headers": {"Authorization": "hush"}}, "https://host/x.vzarr")
    {'https://host/': {'headers': {'Authorization': 'hush'}}}
    """
    if not options or not isinstance(options, Mapping) or any("://" in str(key) for key in options):
        return options
    parts = urlsplit(url)
    if parts.scheme in OBJECT_STORES:
        return {f"{parts.scheme}://": _renamed(options) if parts.scheme.startswith("s3") else dict(options)}
    if parts.scheme in ("http", "https"):
        return {f"{parts.scheme}://{parts.netloc}/": _http(options)}
    return options


def public_options(options: Any) -> Any:
    """Options as they may be shown, and written to a catalog: without the values of all that may be secret.

    Examples
    --------
    >>> public_options({"s3://b/": {"anon": True, "secret": "hush"}})
    {'s3://b/': {'anon': True}}
    """
    if not isinstance(options, Mapping):
        return None
    found: JsonObject = {}
    for name, value in options.items():
        inside = isinstance(value, Mapping) and ("://" in str(name) or name in PUBLIC)
        if inside:
            found[redact(name, mark="")] = public_options(value)
        elif name in PUBLIC:
            found[str(name)] = redact(value, mark="") if isinstance(value, str) else value
    return found


def _renamed(options: Attrs) -> JsonObject:
    flat = {**{name: one for name, one in options.items() if name != "client_kwargs"}, **options.get("client_kwargs", {})}
    return {S3_NAMES.get(name, name): one for name, one in flat.items() if one is not None}


def _http(options: Attrs) -> JsonObject:
    inner = options.get("client_kwargs", {})
    headers = {**inner.get("headers", {}), **options.get("headers", {})}
    rest = {name: one for name, one in options.items() if name not in ("client_kwargs", "headers")}
    return {**rest, "headers": headers} if headers else rest
