"""Answers of a read-only http server of values by key: ranges, validators, CORS (RFC 9110)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Answer", "allows", "cors", "is_unchanged"]

METHODS = "GET, HEAD, OPTIONS"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def cors() -> dict[str, str]:
    """Headers that let pages of any origin read: there is nothing here but what is published."""
    return {
        "access-control-allow-origin": "*",
        "access-control-allow-methods": METHODS,
        "access-control-allow-headers": "Range, If-None-Match, If-Range",
        "access-control-expose-headers": "Accept-Ranges, Content-Length, Content-Range, ETag",
        "access-control-max-age": "86400",
    }


def allows(method: str) -> Answer | None:
    """The answer to a method that is not for reading; None for one that is."""
    if method == "OPTIONS":
        return Answer(204, {"allow": METHODS})
    return None if method in ("GET", "HEAD") else Answer(405, {"allow": METHODS}, b"this server is read-only\n")


def is_unchanged(etag: str, headers: Mapping[str, str]) -> bool:
    """Whether the client says that it holds this state already."""
    named = headers.get("if-none-match", "")
    return named.strip() == "*" or etag in [one.strip().removeprefix("W/") for one in named.split(",")]
