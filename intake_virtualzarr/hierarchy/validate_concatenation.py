"""The rules of ``virtual-concatenation`` (docs/specs/virtual-concatenation), VC-1 to VC-13, as far as a store can break them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from intake_virtualzarr._typing import Attrs, DType, JsonObject, Shape
from intake_virtualzarr.codecs.spec import pipeline_from_json
from intake_virtualzarr.errors import HierarchyError
from intake_virtualzarr.hierarchy.chunk_grid_json import shape_from_json
from intake_virtualzarr.hierarchy.data_types import data_type_from_json
from intake_virtualzarr.hierarchy.documents import is_virtual
from intake_virtualzarr.hierarchy.findings import ArrayFindings
from intake_virtualzarr.hierarchy.reader import Hierarchy
from intake_virtualzarr.hierarchy.source_table import resolve
from intake_virtualzarr.hierarchy.virtual_concatenation import check_of_member, packing_from_json, selected_shape
from intake_virtualzarr.storage.limits import MAX_NESTING
from intake_virtualzarr.storage.parsing import as_list, as_whole
from intake_virtualzarr.storage.urls import quoted

__all__ = ["Descend", "validate_concatenation"]

type Descend = Callable[[Hierarchy, str, JsonObject, str, tuple[str, ...]], None]
"""Validates an array: hierarchy, path, document, name for messages, names of the arrays above."""
SEEN = ("select", "decode", "axes")


def validate_concatenation(
    hierarchy: Hierarchy,
    path: str,
    document: JsonObject,
    configuration: Attrs,
    found: ArrayFindings,
    descend: Descend,
    above: tuple[str, ...],
) -> None:
    """Look at every rule of one array and of its members, which are validated in turn.

    Parameters
    ----------
    hierarchy, path, document, configuration, found
        As for `validate_manifest`.
    descend : callable
        Validates a member.
    above : tuple of str
        URLs of the arrays that this one is a member of.
    """
    label = f"{hierarchy.keys.url}/{path}"
    shape = shape_from_json(document["shape"], label)
    axis, members = configuration.get("axis"), configuration.get("members")
    if not found.expect("VC-1", isinstance(axis, int) and 0 <= axis < len(shape), f"axis is {axis!r} of {len(shape)} axes"):
        return
    if not found.expect("VC-2", isinstance(members, list), f"members are a {type(members).__name__}; expected a list"):
        return
    assert isinstance(members, list)
    assert isinstance(axis, int)
    with found.rule("VC-1"):
        total = sum(as_whole(member["length"], "length of a member", HierarchyError) for member in members)
        if total != shape[axis]:
            raise HierarchyError(f"members sum to {total} along axis {axis}, the array has {shape[axis]}")
    found.expect("VC-4", len(above) < MAX_NESTING, f"concatenations are nested deeper than {MAX_NESTING}")
    own = f"{hierarchy.keys.url}/{quoted(path)}/"
    for number, member in enumerate(members if len(above) < MAX_NESTING else ()):
        if isinstance(member, dict) and "array" in member:
            one = found.all.of(f"{found.array}, member {number}")
            _Member(hierarchy, path, own, document, axis, one).look(member, bool(configuration.get("uniform")), descend, above)


class _Member:
    """One member of a concatenation."""

    def __init__(self, hierarchy: Hierarchy, path: str, own: str, document: JsonObject, axis: int, found: ArrayFindings) -> None:
        self._hierarchy = hierarchy
        self._path = path
        self._own = own
        self._document = document
        self._shape = shape_from_json(document["shape"], own)
        self._axis = axis
        self._found = found

    def look(self, member: JsonObject, uniform: bool, descend: Descend, above: tuple[str, ...]) -> None:
        """Look at one, and below it."""
        named = member["array"]
        opened = self._in_place(named) if not isinstance(named, str) else self._elsewhere(member, named, above)
        if opened is None:
            return
        hierarchy, path, document = opened
        shape: Shape | None = None
        dtype: DType | None = None
        with self._found.rule("VC-6"):
            shape = shape_from_json(document["shape"], path)
            dtype = data_type_from_json(document["data_type"])
        if shape is not None and dtype is not None:
            self._seen(member, shape, dtype)
            if uniform:
                self._promise(member, document)
        if is_virtual(document):
            descend(hierarchy, path, document, self._found.array, (*above, self._own))

    def _in_place(self, named: Any) -> tuple[Hierarchy, str, JsonObject] | None:
        document = named.get("zarr.json") if isinstance(named, dict) else None
        fits = isinstance(document, dict) and is_virtual(document)
        if not self._found.expect("VC-2", fits, "stands in place and is no document of a virtual array"):
            return None
        assert isinstance(document, dict)
        return self._hierarchy, self._path, document

    def _elsewhere(self, member: Attrs, named: str, above: tuple[str, ...]) -> tuple[Hierarchy, str, JsonObject] | None:
        url = resolve(self._own, named)
        again = url.rstrip("/") in [one.rstrip("/") for one in (*above, self._own)]
        if not self._found.expect("VC-4", not again, f"is {url}: the array is a member of itself"):
            return None
        opened = None
        with self._found.rule("VC-5" if "check" in member else "VC-6"):
            path = self._hierarchy.key_of(url)
            hierarchy = self._hierarchy
            if path is None:
                hierarchy, path = hierarchy.elsewhere(url)
            opened = hierarchy, path, hierarchy.document(path, check_of_member(member))
        return opened

    def _seen(self, member: Attrs, shape: Shape, dtype: DType) -> None:
        """What the array shows of the member."""
        with self._found.rule("VC-7"):
            if "select" in member:
                shape = selected_shape(as_list(member["select"], "select", HierarchyError), shape, "it")
        own = data_type_from_json(self._document["data_type"])
        with self._found.rule("VC-8"):
            if "decode" in member:
                packing_from_json(member["decode"])
            elif dtype != own:
                raise HierarchyError(f"has data type {dtype}, the array {own}; expected decode")
        wanted = (*self._shape[: self._axis], int(member["length"]), *self._shape[self._axis + 1 :])
        axes = member.get("axes", list(range(len(shape))))
        named = [axis for axis in axes if axis is not None]
        legal = all(isinstance(axis, int) and 0 <= axis < len(shape) for axis in named) and len(set(named)) == len(named)
        dropped = [n for axis, n in enumerate(shape) if axis not in named]
        fits = self._found.expect("VC-9", legal and all(n == 1 for n in dropped), f"of shape {shape} is shown with axes {axes}")
        if fits:
            shown = tuple(wanted[i] if axis is None and i < len(wanted) else shape[axis or 0] for i, axis in enumerate(axes))
            self._found.expect("VC-10", shown == wanted, f"has shape {shown}, expected {wanted}")

    def _promise(self, member: Attrs, document: JsonObject) -> None:
        more = [key for key in SEEN if key in member]
        self._found.expect("VC-13", not more, f"has {', '.join(more)} in a uniform concatenation")
        with self._found.rule("VC-13"):
            for key in ("data_type", "fill_value"):
                if document[key] != self._document[key]:
                    raise HierarchyError(f"has {key} {document[key]!r}, the uniform concatenation {self._document[key]!r}")
            if pipeline_from_json(document["codecs"]) != pipeline_from_json(self._document["codecs"]):
                raise HierarchyError("has other codecs than the uniform concatenation")
