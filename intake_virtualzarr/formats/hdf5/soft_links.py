"""Soft links, followed once all hard links are known, and the order of the file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from intake_virtualzarr.formats.hdf5.model import RawDataset, RawFile, RawGroup

__all__ = ["Links"]

MAX_HOPS = 32
MAX_ALIASES = 100_000


@dataclass(slots=True)
class Links:
    """Children of each group, and soft links."""

    children: dict[str, list[str]] = field(default_factory=dict)
    """Paths in a group, in the order of the file."""
    soft: dict[str, str] = field(default_factory=dict)
    """Path of a soft link -> absolute path of its target."""

    def file(self, groups: dict[str, RawGroup], datasets: dict[str, RawDataset], left_out: dict[str, str]) -> RawFile:
        """All objects in the order of the file, soft links followed."""
        ordered = RawFile({}, {}, left_out)
        self._copy("/", "/", groups, datasets, ordered, ())
        return ordered

    def _copy(
        self,
        path: str,
        shown: str,
        groups: dict[str, RawGroup],
        datasets: dict[str, RawDataset],
        out: RawFile,
        above: tuple[str, ...],
    ) -> None:
        assert isinstance(out.groups, dict)
        assert isinstance(out.datasets, dict)
        assert isinstance(out.left_out, dict)
        if path in above:
            out.left_out[shown] = f"{shown}: links back to a group that holds it"
            return
        group = groups[path]
        out.groups[shown] = group if path == shown else replace(group, path=shown)
        for child in self.children.get(path, ()):
            name = f"{shown.rstrip('/')}/{child.rpartition('/')[2]}"
            target: str | None = child
            if child in self.soft:
                target = self.resolve(child)
            if target in datasets:
                dataset = datasets[target]
                out.datasets[name] = dataset if target == name else replace(dataset, path=name)
            elif target in groups:
                if len(out.groups) < MAX_ALIASES:
                    self._copy(target, name, groups, datasets, out, (*above, path))
            elif child in self.soft and name not in out.left_out:
                out.left_out[name] = f"{name}: is a link to {self.soft[child]}, which cannot be opened"

    def resolve(self, path: str) -> str | None:
        """Where a path leads when soft links are followed; None for a circle of links."""
        hops = 0
        parts = [part for part in path.split("/") if part not in ("", ".")]
        here = ""
        while parts:
            here = f"{here}/{parts.pop(0)}"
            target = self.soft.get(here)
            if target is not None:
                hops += 1
                if hops > MAX_HOPS:
                    return None
                parts = [part for part in target.split("/") if part not in ("", ".")] + parts
                here = ""
        return here or "/"
