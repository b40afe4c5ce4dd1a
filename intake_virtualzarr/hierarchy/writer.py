"""Writing a hierarchy: documents, manifests and source table as a new generation, and the root document last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from intake_virtualzarr._typing import AnyArray, Attrs, JsonObject
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.errors import HierarchyError, UnsupportedError
from intake_virtualzarr.hierarchy.commit import ROOT, Commit, remove_leftovers
from intake_virtualzarr.hierarchy.documents import group_document
from intake_virtualzarr.hierarchy.generation import GENERATIONS, is_generation
from intake_virtualzarr.hierarchy.held_values import holds_values, values_document
from intake_virtualzarr.hierarchy.manifest_writer import ArrayHeader, DocumentWriter, write_plan
from intake_virtualzarr.hierarchy.write_plan import Leaf, plan_array
from intake_virtualzarr.storage.key_value import Keys, LocalKeys, Seen

__all__ = ["NodeArray", "NodeGroup", "WriteReport", "holds_leftovers_only", "write_array", "write_hierarchy"]


@dataclass(frozen=True, eq=False)
class NodeArray:
    """One array to write, undecoded."""

    dims: tuple[str, ...]
    data: VirtualZarrArray | AnyArray
    attrs: Attrs


@dataclass(frozen=True, eq=False)
class NodeGroup:
    """One group to write."""

    attrs: Attrs
    arrays: Mapping[str, NodeArray]

    def __post_init__(self) -> None:
        for name in self.arrays:
            if "/" in name or name in ("", ".", "..", "zarr.json"):
                raise HierarchyError(f"{name!r} is not a name for an array in a Zarr hierarchy; rename the variable")


@dataclass(frozen=True)
class WriteReport:
    """What was written."""

    url: str
    """URL of the hierarchy."""
    objects: int
    """Number of objects (files) written."""
    nbytes: int
    """Their size [bytes]."""
    references: int
    """References to chunks in source files."""
    sources: int
    """Source files."""


def write_hierarchy(
    keys: Keys,
    groups: Mapping[str, NodeGroup],
    *,
    overwrite: bool = False,
    fuse: bool = True,
    base: Seen | None = None,
    made_from: str | None = None,
) -> WriteReport:
    """Write groups and arrays as a new hierarchy.

    Everything goes under the name of a new generation; then the root document is switched to it in one step. Until then, and for
    whoever opened it before, a hierarchy that is there stays as it is.

    Parameters
    ----------
    keys : Keys
        Where to.
    groups : mapping
        Groups by path (``""`` or ``"/"`` is the root).
    overwrite : bool
        Whether an existing hierarchy may be replaced.
    fuse : bool
        Whether joined arrays become one manifest where they can; False keeps the members.
    base : Seen, optional
        The root for which all this was made; by default the one that is there now.
    made_from : str, optional
        Digest of the sources, to be recorded.

    Raises
    ------
    HierarchyError
        If there is something already and ``overwrite`` is False.
    ConflictError
        If another writer published something there in the meantime.
    """
    if isinstance(keys, LocalKeys) and keys.root.exists() and not keys.root.is_dir():
        raise HierarchyError(f"{keys.root}: is a file; choose another place")
    seen = keys.look(ROOT) if base is None else base
    _check_place(keys, seen, overwrite)
    remove_leftovers(keys, seen.value)
    commit = Commit(keys, seen)
    sink = DocumentWriter(commit)
    with commit.undone_on_error():
        members, root_attrs = _write(groups, sink, fuse)
        commit.switch(group_document(root_attrs, members), replaces=True, made_from=made_from)
    commit.write_documents(members)
    if seen.value is None:
        keys.delete([name for name in V2_DOCUMENTS if keys.size(name) is not None] if overwrite else [])
    count = len(sink.rows) or _inline_sources(members)
    return WriteReport(keys.url, commit.objects, commit.nbytes, sum(sink.counts.values()), count)


V2_DOCUMENTS = (".zgroup", ".zattrs", ".zarray", ".zmetadata")
"""What makes a directory a hierarchy of Zarr v2."""


def _check_place(keys: Keys, seen: Seen, overwrite: bool) -> None:
    """Raise if a hierarchy cannot be written there."""
    if seen.value is None and holds_leftovers_only(keys):
        return
    if not overwrite:
        raise HierarchyError(
            f"{keys.url}: is not empty; choose another place, or mode='w' to replace it, or append_dim=… to append"
        )
    if seen.value is None and not any(keys.size(name) is not None for name in V2_DOCUMENTS):
        raise HierarchyError(f"{keys.url}: holds no Zarr hierarchy, so mode='w' does not replace it; choose another place")


def holds_leftovers_only(keys: Keys) -> bool:
    """Whether there is nothing, or nothing but what a writer began that was killed or is still at work."""
    if keys.is_empty():
        return True
    names = set(keys.names(""))
    if not names <= {GENERATIONS} or keys.size(ROOT) is not None:
        return False
    return all(is_generation(name) for name in keys.names(GENERATIONS))


def _write(groups: Mapping[str, NodeGroup], sink: DocumentWriter, fuse: bool) -> tuple[dict[str, JsonObject], Attrs]:
    """Write the objects of all arrays; the documents by path, and the attributes of the root."""
    members: dict[str, JsonObject] = {}
    root_attrs: Attrs = {}
    for group_path, group in groups.items():
        path = group_path.strip("/")
        if path:
            for parent in _parents(path):
                members.setdefault(parent, group_document({}))
            members[path] = group_document(group.attrs)
        else:
            root_attrs = group.attrs
        for name, array in group.arrays.items():
            where = f"{path}/{name}" if path else name
            try:
                members[where] = write_array(array, where, sink, fuse=fuse)
            except UnsupportedError as exc:
                if str(exc).startswith(f"{where}:"):
                    raise
                raise UnsupportedError(f"{where}: {exc}; drop it to write the others") from exc
    sink.finish()
    return members, root_attrs


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:i]) for i in range(1, len(parts))]


def write_array(array: NodeArray, path: str, sink: DocumentWriter, *, fuse: bool) -> JsonObject:
    """Write the parts of one array; returns its document."""
    if not isinstance(array.data, VirtualZarrArray):
        return values_document(array.data, array.dims, array.attrs, path, sink)
    data = array.data
    plan = plan_array(data, fuse=fuse)
    # what covers all of the array keeps the fill value of its own missing chunks; the array's own shows nowhere
    fill = plan.stored.fill_value if isinstance(plan, Leaf) and plan.is_plain else data.fill_value
    return write_plan(plan, data.shape, ArrayHeader(data.dtype, fill, array.dims, array.attrs), path, sink)


def _inline_sources(members: Mapping[str, JsonObject]) -> int:
    urls: set[Any] = set()
    for document in members.values():
        for transformer in [] if holds_values(document) else document.get("storage_transformers", []):
            sources = transformer["configuration"].get("sources") or {}
            urls.update((sources.get("base"), row["url"]) for row in sources.get("list", []))
    return len(urls)
