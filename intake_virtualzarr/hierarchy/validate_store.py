"""Whether a store holds to the specifications of docs/specs, rule by rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from intake_virtualzarr._typing import JsonObject
from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.hierarchy.documents import READABLE_VERSIONS, is_virtual
from intake_virtualzarr.hierarchy.findings import Finding, Findings
from intake_virtualzarr.hierarchy.reader import Hierarchy
from intake_virtualzarr.hierarchy.validate_concatenation import validate_concatenation
from intake_virtualzarr.hierarchy.validate_manifest import validate_manifest
from intake_virtualzarr.storage.key_value import keys_of
from intake_virtualzarr.storage.options import Access, StorageOptions
from intake_virtualzarr.storage.policy import Allow

__all__ = ["ValidationReport", "validate"]

KNOWN = ("chunk-manifest", "virtual-concatenation")


@dataclass(frozen=True)
class ValidationReport:
    """What a validation looked at, and what it found."""

    store: str
    """URL of the store."""
    arrays: int
    """Virtual arrays looked at, members included."""
    checked: Mapping[str, int]
    """How often each rule was looked at."""
    findings: Sequence[Finding]
    """Where a rule does not hold."""


def validate(target: Any, *, storage_options: StorageOptions = None, allow: Allow = None) -> ValidationReport:
    """Look at every virtual array of a hierarchy, its members, pages and tables.

    Parameters
    ----------
    target : path, URL or zarr store
        The hierarchy.
    storage_options, allow
        As for `VirtualZarrStore`.

    Returns
    -------
    ValidationReport
        Rules are numbered as in docs/specs: VK of the chunk key encoding, CM of ``chunk-manifest``, VC of
        ``virtual-concatenation``.

    Raises
    ------
    HierarchyError
        If there is no Zarr v3 hierarchy.
    NotAllowedError
        If a store from a network names what it may not (CM-16), and ``allow`` does not say so.

    Notes
    -----
    Rules for readers (how chunks are read, decoded and shown: CM-4, CM-5, CM-7, VC-3, VC-11, VC-12, VK-2, VK-3) are not a matter of
    a store; `conformance/` tries readers. Source files are not opened: `check` compares them.
    """
    hierarchy = Hierarchy(keys_of(target, Access.of(storage_options, allow=allow)))
    walk = _Walk(Findings())
    for path in list(hierarchy.documents):
        document = hierarchy.documents[path]
        if document.get("node_type") == "array" and is_virtual(document):
            walk.array(hierarchy, path, document, path, ())
    return ValidationReport(hierarchy.keys.url, walk.arrays, dict(sorted(walk.findings.checked.items())), walk.findings.found)


class _Walk:
    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.arrays = 0

    def array(self, hierarchy: Hierarchy, path: str, document: JsonObject, name: str, above: tuple[str, ...]) -> None:
        """Validate an array, and those below it."""
        self.arrays += 1
        found = self.findings.of(name)
        encoding = document.get("chunk_key_encoding")
        transformers = document.get("storage_transformers")
        count = len(transformers) if isinstance(transformers, list) else 0
        encoded = isinstance(encoding, dict) and encoding.get("name") == "virtual"
        message = f"chunk_key_encoding is {encoding!r} with {count} storage transformers; expected 'virtual' with one"
        if not found.expect("VK-1", encoded and count == 1, message):
            return
        assert isinstance(transformers, list)
        entry = transformers[0] if isinstance(transformers[0], dict) else {}
        configuration = entry.get("configuration")
        if not found.expect("VK-1", entry.get("name") in KNOWN and isinstance(configuration, dict), f"transformer is {entry!r}"):
            return
        assert isinstance(configuration, dict)
        if not above:
            with suppress(VirtualZarrError):  # a web server lists nothing
                beside = "c" in hierarchy.keys.names(path)
                found.expect("VK-4", not beside, f"{path}/c holds keys of the default encoding")
        version = configuration.get("version", READABLE_VERSIONS[0])
        if not found.expect("VK-1", version in READABLE_VERSIONS, f"version is {version!r}, known are {READABLE_VERSIONS}"):
            return
        if entry["name"] == "chunk-manifest":
            validate_manifest(hierarchy, path, document, configuration, found)
            return
        validate_concatenation(hierarchy, path, document, configuration, found, self.array, above)
