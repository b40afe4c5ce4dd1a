"""What a reader may need to open files: options per URL prefix, what is allowed, and secrets that are never stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.errors import JoinError
from intake_virtualzarr.storage.places import fits, origin, place_of
from intake_virtualzarr.storage.policy import Allow, Policy, allow_list
from intake_virtualzarr.storage.source import Source
from intake_virtualzarr.storage.url_secrets import redact, strip_url

__all__ = ["Access", "StorageOptions", "merged_access"]

FLAT = ""
"""The prefix of options that were given without one."""


@dataclass(frozen=True, repr=False)
class Access:
    """Options for opening sources. Never written to any store, and never shown.

    Examples
    --------
    >>> access = Access({"s3://podaac/": {"region": "us-west-2"}, "s3://": {"skip_signature": True}})
    >>> access.options("s3://podaac/a.nc")
    {'region': 'us-west-2'}
    >>> access.options("s3://podaac-private/a.nc")
    {'skip_signature': True}
    """

    rules: Mapping[str, Attrs] = field(default_factory=dict)
    """URL prefix -> options of obstore (``config`` keys such as ``access_key_id``, ``skip_signature``, ``endpoint``; plus
    ``headers``), or of fsspec for URLs that obstore cannot open. Matched by scheme, host, port and whole segments of the path; the
    longest prefix wins."""
    modifier: Callable[[str], str] | None = None
    """Signs an URL just before it is opened."""
    policy: Policy = field(default_factory=Policy)
    """Which document asks, and what it may name."""
    secrets: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """URL prefix -> user information and query that its URLs were given with."""
    keep_query: tuple[str, ...] = ()
    """Names of query parameters that are stored with URLs; all others are kept in memory only."""

    def options(self, url: str) -> JsonObject:
        """The options of the longest prefix that fits."""
        prefix = self.prefix(url)
        return {} if prefix is None else dict(self.rules[prefix])

    def prefix(self, url: str) -> str | None:
        """The longest prefix that fits."""
        fitting = [prefix for prefix in self.rules if prefix == FLAT or fits(prefix, url)]
        return max(fitting, key=_reach, default=None)

    def signed(self, url: str) -> str:
        """The URL to open."""
        if self.modifier is not None:
            url = self.modifier(url)
        fitting = [prefix for prefix in self.secrets if fits(prefix, url)]
        return _with_secrets(url, [self.secrets[prefix] for prefix in sorted(fitting, key=_reach, reverse=True)])

    def stored(self, url: str) -> str:
        """The URL as it may be stored and shown."""
        return strip_url(url, self.keep_query)

    def asked_by(self, document: str) -> Access:
        """The access for what a document names: the policy asks for it, and options without prefix are those of its origin."""
        clean = strip_url(document)
        if self.policy.document == clean and FLAT not in self.rules:
            return self
        rules = {(origin(clean) if prefix == FLAT else prefix): options for prefix, options in self.rules.items()}
        return replace(self, policy=self.policy.asked_by(clean), rules=rules)

    def named(self, urls: Iterable[str]) -> Access:
        """The access for files that the user names: options without prefix are those of their origins."""
        if FLAT not in self.rules:
            return self
        flat = self.rules[FLAT]
        theirs = {origin(strip_url(url)): flat for url in urls}
        return replace(self, rules={**theirs, **{prefix: one for prefix, one in self.rules.items() if prefix != FLAT}})

    def allowing(self, urls: Iterable[str]) -> Access:
        """The access for a store that was made from these files: it may name them, wherever it lies."""
        places = (one if "::" in one else one.rpartition("/")[0] + "/" for one in urls if "://" in one)
        return replace(self, policy=replace(self.policy, allow=tuple(dict.fromkeys((*self.policy.allow, *places)))))

    def remembering(self, url: str) -> Access:
        """The access for what lies below a URL that holds a secret: its user information goes to its origin, its query below it."""
        clean = strip_url(url)
        if clean == url or "::" in url:
            return self
        parts = urlsplit(url)
        user = parts.netloc.rpartition("@")[0] if urlsplit(clean).netloc != parts.netloc else ""
        known = {origin(clean): (user, "")} if user else {}
        asked = {clean: ("", parts.query)} if parts.query else {}
        return replace(self, secrets={**self.secrets, **known, **asked})

    def source(self, url: str) -> Source:
        """The source that a document names.

        Raises
        ------
        NotAllowedError
            If it may not.
        """
        self.check(url)
        clean = self.stored(url)
        return Source(clean, signed=url if clean != url or "?" in url else None)

    def check(self, *urls: str) -> None:
        """Refuse what the document that asks may not name.

        Raises
        ------
        NotAllowedError
            Names the document, what it names, and the ``allow`` that would permit it.
        """
        self.policy.check(*urls)

    @classmethod
    def of(cls, value: StorageOptions, *, allow: Allow = None, keep_query: str | Iterable[str] = ()) -> Access:
        """Accept what users pass as ``storage_options``: an `Access`, a mapping by prefix, or options for the place that is opened.

        A mapping whose keys hold ``://`` is by prefix.
        """
        names = (keep_query,) if isinstance(keep_query, str) else tuple(keep_query or ())
        if isinstance(value, Access):
            access = value
        elif not value:
            access = cls()
        elif any("://" in key for key in value):
            access = cls({str(k): dict(v) for k, v in value.items()})
        else:
            access = cls({FLAT: dict(value)})
        if allow is None and not names:
            return access
        policy = replace(access.policy, allow=tuple(dict.fromkeys((*access.policy.allow, *allow_list(allow)))))
        return replace(access, policy=policy, keep_query=tuple(dict.fromkeys((*access.keep_query, *names))))

    def __repr__(self) -> str:
        shown = [f"options for {redact(prefix)!r}" if prefix else "options" for prefix in self.rules]
        if self.policy.allow:
            shown.append(f"allow={[redact(one) for one in self.policy.allow]!r}")
        return f"<Access {', '.join(shown)}>" if shown else "<Access>"


type StorageOptions = Access | Attrs | None
"""What users pass as ``storage_options``, see `Access.of`."""


def _reach(prefix: str) -> tuple[int, bool, int]:
    parts = place_of(prefix) if prefix else None
    return (0, False, 0) if parts is None else (len(parts), bool(parts[-1].host), len(parts[-1].segments))


def _with_secrets(url: str, found: list[tuple[str, str]]) -> str:
    if not found or "::" in url:
        return url
    parts = urlsplit(url)
    user = next((one for one, _ in found if one), "")
    query = next((one for _, one in found if one), "")
    if user and "@" not in parts.netloc:
        parts = parts._replace(netloc=f"{user}@{parts.netloc}")
    if query and not parts.query:
        parts = parts._replace(query=query)
    return parts.geturl()


def merged_access(accesses: Iterable[Access]) -> Access:
    """The options of several datasets that are joined.

    Raises
    ------
    JoinError
        If they hold different options for one prefix: the joined dataset could not tell which are meant.
    """
    distinct: list[Access] = []
    for access in accesses:
        if not any(access is one or access == one for one in distinct):
            distinct.append(access)
    rules = {prefix: options for access in distinct for prefix, options in access.rules.items()}
    secrets = {prefix: secret for access in distinct for prefix, secret in access.secrets.items()}
    for access in distinct:
        _refuse_other(access, rules, secrets)
    modifiers = list(dict.fromkeys(access.modifier for access in distinct if access.modifier is not None))
    allow = dict.fromkeys(one for access in distinct for one in access.policy.allow)
    keep = dict.fromkeys(one for access in distinct for one in access.keep_query)
    documents = {access.policy.document for access in distinct}
    # what documents name was checked when they were read; several of them have no rule in common
    document = documents.pop() if len(documents) == 1 else None
    return Access(rules, _all_of(modifiers), Policy(tuple(allow), document), secrets, tuple(keep))


def _refuse_other(access: Access, rules: Mapping[str, Attrs], secrets: Mapping[str, tuple[str, str]]) -> None:
    for prefix, options in rules.items():
        own = access.prefix(prefix) if prefix else (FLAT if FLAT in access.rules else None)
        if own is not None and dict(access.rules[own]) != dict(options):
            raise _conflict(own, prefix)
    for prefix, (user, _) in secrets.items():
        known, _ = access.secrets.get(prefix, ("", ""))
        if user and known and user != known:
            raise _conflict(prefix, prefix)


def _conflict(one: str, other: str) -> JoinError:
    names = [repr(redact(prefix)) if prefix else "all URLs" for prefix in (one, other)]
    return JoinError(
        f"these datasets were opened with different storage_options, one for {names[0]} and the other for {names[1]}; their join "
        "could not tell which are meant. Open them with the same options, or give each its own prefix "
        "(storage_options={prefix: …})"
    )


def _all_of(modifiers: list[Callable[[str], str]]) -> Callable[[str], str] | None:
    if len(modifiers) < 2:
        return modifiers[0] if modifiers else None
    return Chained(tuple(modifiers))


@dataclass(frozen=True, repr=False)
class Chained:
    """Modifiers of several datasets: the first that changes a URL counts."""

    modifiers: tuple[Callable[[str], str], ...]

    def __call__(self, url: str) -> str:
        """Return the URL to open."""
        return next((changed for one in self.modifiers if (changed := one(url)) != url), url)
