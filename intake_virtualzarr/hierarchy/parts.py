"""Making an array a member of itself: its manifest stays where it is."""

from __future__ import annotations

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.hierarchy.documents import dump
from intake_virtualzarr.hierarchy.embedded import IN_PLACE_BYTES, in_place
from intake_virtualzarr.hierarchy.transaction import HierarchyTransaction

__all__ = ["as_member", "as_part", "next_part"]

UP = "../../"
"""From ``array/parts/N/`` to ``array/``."""


def next_part(addition: HierarchyTransaction, path: str) -> int:
    """The first number that no part of an array has."""
    names = addition.hierarchy.keys.names(f"{path}/parts")
    numbers = [int(name) for name in names if name.isdigit()]
    used = [_number(m) for m in _members(addition.hierarchy.documents[path])]
    return max([-1, *numbers, *used]) + 1


def _members(document: Attrs) -> list[JsonObject]:
    return list(document["storage_transformers"][0]["configuration"].get("members", []))


def _number(member: Attrs) -> int:
    named = member.get("array")
    head, _, tail = named.partition("/") if isinstance(named, str) else ("", "", "")
    return int(tail) if head == "parts" and tail.isdigit() else -1


def as_member(addition: HierarchyTransaction, path: str, document: Attrs, axis: int) -> JsonObject:
    """The member that an array becomes of itself: its document in place, or as a part of it if that is large."""
    bare = _bare(document)
    if len(dump(bare)) > IN_PLACE_BYTES:
        return as_part(addition, path, document, axis)
    return {"array": in_place(bare, {}), "length": int(document["shape"][axis])}


def as_part(addition: HierarchyTransaction, path: str, document: Attrs, axis: int) -> JsonObject:
    """Write a copy of an array's document as a part of it; the member that names the part."""
    number = next_part(addition, path)
    addition.sink.put(f"{path}/parts/{number}/zarr.json", dump(_moved(_bare(document))))
    return {"array": f"parts/{number}", "length": int(document["shape"][axis])}


def _bare(document: Attrs) -> JsonObject:
    """What only the array itself needs to say is left out."""
    return {**{key: value for key, value in document.items() if key != "dimension_names"}, "attributes": {}}


def _moved(document: Attrs) -> JsonObject:
    """The same document, two directories deeper."""
    transformer = document["storage_transformers"][0]
    deeper = {"name": transformer["name"], "configuration": _rebased(transformer["configuration"])}
    return {**document, "storage_transformers": [deeper]}


def _rebased(configuration: Attrs) -> JsonObject:
    """The same configuration, seen from two directories deeper."""
    out = dict(configuration)
    if isinstance(out.get("manifest"), str):
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
        out["members"] = [_rebased_member(member) for member in out["members"]]
    return out


def _rebased_member(member: Attrs) -> Attrs:
    named = member.get("array")
    if named is None:
        return member
    if isinstance(named, str):
        return {**member, "array": _deeper(named)}
    return {**member, "array": {**named, "zarr.json": _moved(named["zarr.json"])}}


def _deeper(url: str) -> str:
    return url if "://" in url or "::" in url or url.startswith("/") else UP + url
