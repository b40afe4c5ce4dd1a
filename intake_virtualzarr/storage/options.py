"""What a reader may need to open files: options per URL prefix, and a hook that signs URLs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from intake_virtualzarr._typing import Attrs, JsonObject

__all__ = ["Access"]


@dataclass(frozen=True)
class Access:
    """Options for opening sources. Never written to any store.

    Examples
    --------
    >>> access = Access({"s3://podaac/": {"region": "us-west-2"}, "s3://": {"skip_signature": True}})
    >>> access.options("s3://podaac/a.nc")
    {'region': 'us-west-2'}
    """

    rules: Mapping[str, Attrs] = field(default_factory=dict)
    """URL prefix -> options of obstore (``config`` keys such as ``access_key_id``, ``skip_signature``, ``endpoint``; plus
    ``headers``), or of fsspec for URLs that obstore cannot open. The longest prefix wins."""
    modifier: Callable[[str], str] | None = None
    """Signs an URL just before it is opened."""

    def options(self, url: str) -> JsonObject:
        """The options of the longest prefix that fits."""
        fitting = [prefix for prefix in self.rules if url.startswith(prefix)]
        return dict(self.rules[max(fitting, key=len)]) if fitting else {}

    def prefix(self, url: str) -> str | None:
        """The longest prefix that fits."""
        return max((prefix for prefix in self.rules if url.startswith(prefix)), key=len, default=None)

    def signed(self, url: str) -> str:
        """The URL to open."""
        return url if self.modifier is None else self.modifier(url)

    @classmethod
    def of(cls, value: Access | Attrs | None) -> Access:
        """Accept what users pass as ``storage_options``: an `Access`, a mapping by prefix, or options for all URLs.

        A mapping whose keys hold ``://`` is by prefix.
        """
        if isinstance(value, Access):
            return value
        if not value:
            return cls()
        if any("://" in key for key in value):
            return cls({str(k): dict(v) for k, v in value.items()})
        return cls({"": dict(value)})
