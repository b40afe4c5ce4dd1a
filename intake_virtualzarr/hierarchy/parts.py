"""Making an array a member of itself: its manifest stays where it is."""

from __future__ import annotations

import posixpath

from intake_virtualzarr._typing import Attrs, JsonObject
from intake_virtualzarr.hierarchy.documents import dump
from intake_virtualzarr.hierarchy.embedded import IN_PLACE_BYTES, in_place
from intake_virtualzarr.hierarchy.manifest_writer import reference
from intake_virtualzarr.hierarchy.transaction import HierarchyTransaction

__all__ = ["as_member", "as_part"]


def as_member(addition: HierarchyTransaction, path: str, document: Attrs, axis: int) -> JsonObject:
    """The member that an array becomes of itself: its document in place, or as a part of it if that is large."""
    bare = _bare(document)
    if len(dump(bare)) > IN_PLACE_BYTES:
        return as_part(addition, path, document, axis)
    return {"array": in_place(bare, {}), "length": int(document["shape"][axis])}


def as_part(addition: HierarchyTransaction, path: str, document: Attrs, axis: int) -> JsonObject:
    """Write a copy of an array's document as a part of it; the member that names the part."""
    part = addition.sink.new_part(path)
    entry: JsonObject = {"array": reference(part, path), "length": int(document["shape"][axis])}
    back = reference(path, part) + "/"
    addition.sink.part(part, lambda: _moved(_bare(document), back), entry)
    return entry


def _bare(document: Attrs) -> JsonObject:
    """What only the array itself needs to say is left out."""
    return {**{key: value for key, value in document.items() if key != "dimension_names"}, "attributes": {}}


def _moved(document: Attrs, back: str) -> JsonObject:
    """The same document in another directory, from which ``back`` leads to where it lay."""
    transformer = document["storage_transformers"][0]
    moved = {"name": transformer["name"], "configuration": _rebased(transformer["configuration"], back)}
    return {**document, "storage_transformers": [moved]}


def _rebased(configuration: Attrs, back: str) -> JsonObject:
    """The same configuration, seen from another directory."""
    out = dict(configuration)
    manifest = out.get("manifest")
    if isinstance(manifest, str):
        out["manifest"] = _seen(manifest, back)
    elif manifest is not None and "objects" in manifest:
        objects = manifest["objects"]
        out["manifest"] = {**manifest, "objects": {**objects, "path": _seen(objects["path"], back)}}
    if "sources" in out:
        sources = dict(out["sources"])
        if "path" in sources:
            sources["path"] = _seen(sources["path"], back)
        elif sources.get("base"):
            sources["base"] = _with(sources["base"], back)
        else:
            sources["list"] = [{**row, "url": _with(row["url"], back)} for row in sources.get("list", [])]
        out["sources"] = sources
    if "members" in out:
        out["members"] = [_rebased_member(member, back) for member in out["members"]]
    return out


def _rebased_member(member: Attrs, back: str) -> Attrs:
    named = member.get("array")
    if named is None:
        return member
    if isinstance(named, str):
        return {**member, "array": _seen(named, back)}
    return {**member, "array": {**named, "zarr.json": _moved(named["zarr.json"], back)}}


def _with(url: str, back: str) -> str:
    return url if "://" in url or "::" in url or url.startswith("/") else back + url


def _seen(url: str, back: str) -> str:
    """As `_with`, for what has no query: the way is the shortest one."""
    moved = _with(url, back)
    return moved if moved == url else posixpath.normpath(moved)
