"""What of a source cannot be stored by reference: a warning, or an error."""

from __future__ import annotations

import warnings

from intake_virtualzarr.arrays.tree import VirtualTree
from intake_virtualzarr.errors import UnsupportedError

__all__ = ["raise_left_out", "warn_left_out"]


def warn_left_out(tree: VirtualTree, group: str, dropped: frozenset[str]) -> None:
    """Warn once per file of what cannot be stored by reference (what the caller drops anyway is not named)."""
    missing = {
        path: reason
        for path, reason in tree.left_out.items()
        if path.rpartition("/")[0] in (group.rstrip("/"),) and path.rpartition("/")[2] not in dropped
    }
    if missing:
        lines = "\n".join(f"  {path}: {reason}" for path, reason in missing.items())
        warnings.warn(
            f"{tree.url}: {len(missing)} variable{'s' if len(missing) > 1 else ''} left out:\n{lines}\n"
            "(drop_variables=… silences this, on_unsupported='raise' makes it an error)",
            UserWarning,
            stacklevel=4,
        )


def raise_left_out(tree: VirtualTree) -> None:
    """Raise if anything cannot be stored by reference."""
    if tree.left_out:
        path, reason = next(iter(tree.left_out.items()))
        more = f" (and {len(tree.left_out) - 1} more)" if len(tree.left_out) > 1 else ""
        raise UnsupportedError(f"{tree.url}: {path}: {reason}{more}")
