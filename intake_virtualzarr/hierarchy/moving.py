"""Making an array a part of itself: its document moves below it, its manifest stays where it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from intake_virtualzarr.hierarchy.documents import dump

if TYPE_CHECKING:
    from intake_virtualzarr.hierarchy.append import Addition

__all__ = ["as_part", "next_part"]

UP = "../../"
"""From ``array/parts/N/`` to ``array/``."""


def next_part(addition: Addition, path: str) -> int:
    """The first number that no part of an array has."""
    names = addition.hierarchy.keys.names(f"{path}/parts")
    numbers = [int(name) for name in names if name.isdigit()]
    used = [_number(m) for m in _members(addition.hierarchy.documents[path])]
    return max([-1, *numbers, *used]) + 1


def _members(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(document["storage_transformers"][0]["configuration"].get("members", []))


def _number(member: Mapping[str, Any]) -> int:
    head, _, tail = str(member.get("array", "")).partition("/")
    return int(tail) if head == "parts" and tail.isdigit() else -1


def as_part(addition: Addition, path: str, document: Mapping[str, Any], axis: int) -> dict[str, Any]:
    """Write a copy of an array's document as a part of it; the member that names the part."""
    number = next_part(addition, path)
    moved = {k: v for k, v in document.items() if k != "dimension_names"}
    moved["attributes"] = {}
    transformer = document["storage_transformers"][0]
    moved["storage_transformers"] = [{"name": transformer["name"], "configuration": _rebased(transformer["configuration"])}]
    addition.sink.put(f"{path}/parts/{number}/zarr.json", dump(moved))
    return {"array": f"parts/{number}", "length": int(document["shape"][axis])}


def _rebased(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The same configuration, seen from two directories deeper."""
    out = dict(configuration)
    if "manifest" in out:
        out["manifest"] = _deeper(out["manifest"])
    if "sources" in out:
        sources = dict(out["sources"])
        if "path" in sources:
            sources["path"] = _deeper(sources["path"])
        elif sources.get("base"):
            sources["base"] = _deeper(sources["base"])
        else:
            sources["list"] = [{**row, "url": _deeper(row["url"])} for row in sources.get("list", [])]
        out["sources"] = sources
    if "members" in out:
        out["members"] = [{**m, "array": _deeper(m["array"])} if "array" in m else m for m in out["members"]]
    return out


def _deeper(url: str) -> str:
    return url if "://" in url or "::" in url or url.startswith("/") else UP + url
