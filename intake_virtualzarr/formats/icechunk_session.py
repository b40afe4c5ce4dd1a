"""Opening Icechunk repositories: where they are, which version is meant, and where their source files are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import unquote, urlsplit

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.errors import FormatError, MissingExtraError, UnsupportedError, VirtualZarrError
from intake_virtualzarr.storage.key_value import keys_of
from intake_virtualzarr.storage.readers import Access
from intake_virtualzarr.storage.url_secrets import redact, shown_cause, strip_url
from intake_virtualzarr.storage.urls import absolute_url, is_local, local_path

__all__ = [
    "container_access",
    "icechunk_errors",
    "import_icechunk",
    "is_session_store",
    "open_store",
    "session_url",
    "storage_of",
    "version_of",
]

VERSION = re.compile(r"^(?P<url>[^|]*)\|icechunk:(//?@?(?P<ref>[^/|]*)(?P<group>/[^|]*)?)?(\|zarr3?:?)?$")
"""xarray makes one slash of two in what does not begin like an URL."""
HEADS = ("repo", "config.yaml")
"""What a repository has: of version 2, and of version 1 where its settings were changed."""
SNAPSHOT = re.compile(r"^[0-9A-HJKMNP-TV-Z]{20}$")


def is_session_store(target: Any) -> bool:
    """Whether an object is the store of an Icechunk session. Does not import Icechunk."""
    return type(target).__name__ == "IcechunkStore" and type(target).__module__.partition(".")[0] == "icechunk"


NEAR = re.compile(
    rb"\xa4type\xadObjectStorage\xa7backend[\x81\x82]\xbaobject_store_provider_type"
    rb"(\xd9'local_file_system_object_store_provider|\xbfin_memory_object_store_provider)"
)
"""How a pickled session tells that its repository is a directory, or in memory. The bytes are MessagePack's: no text in a
repository can hold them."""


def session_url(store: Any) -> str:
    """What stands for the repository of a session as the document that names files: nobody but its storage knows its URL.

    It counts as local if the session says that it is a directory or in memory, and else as something from a network.
    """
    session = store.session
    try:
        raw = session._session.as_bytes()
    except AttributeError:
        raw = b""
    near = len(NEAR.findall(raw))
    is_near = near > 0 and near == raw.count(b"\xbaobject_store_provider_type")
    return f"memory://icechunk/{session.snapshot_id}" if is_near else f"icechunk://session/{session.snapshot_id}"


def version_of(text: str) -> tuple[str, JsonObject, str]:
    """Take an URL apart that names a version, and perhaps a group, in the form of ZEP 8.

    Returns
    -------
    url : str
        The repository.
    version : dict
        What `icechunk.Repository.readonly_session` takes.
    group : str
        Path of the group that is to be the root.

    Raises
    ------
    UnsupportedError
        If what stands after ``|`` is something else.

    Examples
    --------
    >>> version_of("s3://bucket/repo|icechunk://tag.v5/daily/|zarr3")
    ('s3://bucket/repo', {'tag': 'v5'}, 'daily')
    >>> version_of("repo.icechunk")
    ('repo.icechunk', {'branch': 'main'}, '')
    """
    if "|" not in text:
        return text, {"branch": "main"}, ""
    found = VERSION.match(text)
    if found is None:
        raise UnsupportedError(f"{text}: expected '|icechunk://' and 'branch.NAME/', 'tag.NAME/' or the id of a snapshot after it")
    kind, dot, name = (found["ref"] or "branch.main").partition(".")
    group = (found["group"] or "").strip("/")
    if dot and kind in ("branch", "tag") and name:
        return found["url"], {kind: name}, group
    if not dot and SNAPSHOT.match(kind):
        return found["url"], {"snapshot_id": kind}, group
    raise UnsupportedError(f"{text}: {found['ref']!r} is not 'branch.NAME', 'tag.NAME' or id of a snapshot")


def open_store(path: str, access: Access) -> tuple[Any, str, str]:
    """The read-only store of one version of a repository, the URL of the repository, and the group that is to be the root.

    Parameters
    ----------
    path : str
        Path or URL; ``|icechunk://tag.NAME/GROUP/`` after it names a version and a group.
    access : Access
        Options for opening.

    Raises
    ------
    FormatError
        If there is no repository, or no such version.
    MissingExtraError
        If Icechunk is not installed.
    """
    icechunk = import_icechunk(path)
    place, version, group = version_of(path)
    url = absolute_url(place).rstrip("/")
    access.check(url)
    access = access.remembering(url)
    _check_redirects(url, access)
    with icechunk_errors(icechunk, f"{redact(path)}: cannot be opened by Icechunk"):
        repository = icechunk.Repository.open(storage_of(icechunk, url, access))
        return repository.readonly_session(**version).store, strip_url(url), group


def _check_redirects(url: str, access: Access) -> None:
    """Refuse a web server that leads elsewhere: Icechunk's client follows any redirect, and sends headers along.

    A server that redirects some files only, or not the first time, is not noticed.
    """
    if urlsplit(url).scheme in ("http", "https"):
        keys_of(url, access).get_many(list(HEADS))


def import_icechunk(what: str) -> Any:
    """Icechunk, or an error that names the extra."""
    try:
        import icechunk
    except ImportError as exc:
        raise MissingExtraError(
            f"{what}: Icechunk repositories need the extra 'icechunk': pip install intake-virtualzarr[icechunk]"
        ) from exc
    return icechunk


@contextmanager
def icechunk_errors(icechunk: Any, what: str, error: type[VirtualZarrError] = FormatError) -> Iterator[None]:
    """Turn the errors of Icechunk, which are pages of context, into one line of ours."""
    try:
        yield
    except icechunk.IcechunkError as exc:
        lines = (line.strip(" |x×→") for line in str(exc).splitlines())
        text = redact(next((line for line in lines if line), type(exc).__name__))
        raise error(f"{what}: {text}") from shown_cause(exc)


def storage_of(icechunk: Any, url: str, access: Access) -> Any:
    """The place of a repository, as Icechunk wants it.

    Raises
    ------
    UnsupportedError
        For schemes that are not opened here.
    """
    options = access.options(url)
    parts = urlsplit(url)
    prefix = unquote(parts.path).strip("/")
    if is_local(url):
        return icechunk.local_filesystem_storage(local_path(url))
    if parts.scheme in ("s3", "s3a"):
        key, secret = _option(options, "access_key_id"), _option(options, "secret_access_key")
        endpoint = _option(options, "endpoint")
        return icechunk.s3_storage(
            bucket=parts.netloc,
            prefix=prefix or None,
            region=_option(options, "region"),
            endpoint_url=endpoint,
            allow_http=str(endpoint or "").startswith("http://"),
            force_path_style=endpoint is not None,
            access_key_id=key,
            secret_access_key=secret,
            session_token=_option(options, "session_token"),
            anonymous=True if _option(options, "skip_signature") or options.get("anon") else None,
        )
    if parts.scheme in ("gs", "gcs"):
        return icechunk.gcs_storage(bucket=parts.netloc, prefix=prefix or None, anonymous=bool(_option(options, "skip_signature")))
    if parts.scheme in ("http", "https"):
        return icechunk.http_storage(url, headers=dict(options.get("headers", {})) or None)
    raise UnsupportedError(
        f"{url}: repositories are opened from directories, s3://, gs:// and http(s):// URLs; for others pass session.store"
    )


def _option(options: JsonObject, name: str) -> Any:
    """An option by obstore's short name, or with the prefix that names the provider."""
    found = [value for key, value in options.items() if key.lower() in (name, f"aws_{name}", f"google_{name}")]
    return found[0] if found else None


def container_access(store: Any, access: Access) -> Access:
    """Options for the files that virtual references lie in: those given, and where none are, what the repository says.

    A repository tells endpoint, region and whether access is anonymous for each place of files; never credentials.
    """
    rules: JsonObject = {}
    containers = store.session.config.virtual_chunk_containers or {}
    for container in containers.values():
        prefix = container.url_prefix
        options = getattr(container.store, "_0", None)
        if access.prefix(prefix) is not None or not prefix.startswith("s3"):
            continue
        told = {
            "region": getattr(options, "region", None),
            "endpoint": getattr(options, "endpoint_url", None),
            "skip_signature": True if getattr(options, "anonymous", False) else None,
        }
        if any(value is not None for value in told.values()):
            rules[prefix] = {name: value for name, value in told.items() if value is not None}
    return replace(access, rules={**rules, **access.rules}) if rules else access
