"""pytest plugin: xarray's own tests write files by the engines that they name, and read them by ``engine="virtualzarr"``.

What each test ended as goes to the file that the environment variable ``OUTCOMES`` names, one line of JSON each.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from xarray.backends import BackendEntrypoint, api, plugins

from intake_virtualzarr.datasets.backend import VirtualZarrBackendEntrypoint
from intake_virtualzarr.datasets.decode import decoded_dataset
from intake_virtualzarr.datasets.open_options import name_set
from intake_virtualzarr.formats.open import open_tree

ENGINES = ("netcdf4", "h5netcdf", "scipy")
"""Engines whose files are read."""
OF_ENGINES = frozenset(
    {
        "autoclose",
        "clobber",
        "decode_vlen_strings",
        "diskless",
        "driver",
        "driver_kwds",
        "format",
        "invalid_netcdf",
        "lock",
        "mmap",
        "mode",
        "open_kwargs",
        "persist",
        "phony_dims",
        "storage_options",
        "cache",
        "auto_complex",
    }
)
"""Keywords that say how another engine is to read."""


class Reading(BackendEntrypoint):
    """An engine whose files on disk are read by ours; open files and bytes stay its own."""

    supports_groups = True

    def __init__(self, engine: BackendEntrypoint) -> None:
        self._engine = engine
        self._ours = VirtualZarrBackendEntrypoint()
        self.open_dataset_parameters = engine.open_dataset_parameters
        self.description, self.url = engine.description, engine.url

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """As the engine."""
        return self._engine.guess_can_open(filename_or_obj)

    def _call(self, name: str, place: Any, options: dict[str, Any]) -> Any:
        if isinstance(place, str | os.PathLike) and Path(os.fspath(place)).expanduser().is_file():
            own = {key: value for key, value in options.items() if key not in OF_ENGINES}
            path = Path(os.fspath(place)).expanduser()
            if not any(own.get(key, True) for key in ("mask_and_scale", "decode_times", "decode_coords")):
                if name == "open_dataset":
                    return _raw(path, own)
                raw = {group: _raw(path, {**own, "group": group}) for group in open_tree(path).groups}
                return xr.DataTree.from_dict(raw) if name == "open_datatree" else raw
            return getattr(self._ours, name)(path, **own)
        return getattr(self._engine, name)(place, **options)

    def open_dataset(self, filename_or_obj: Any, **options: Any) -> Any:  # type: ignore[override]
        """One group."""
        return self._call("open_dataset", filename_or_obj, options)

    def open_groups_as_dict(self, filename_or_obj: Any, **options: Any) -> Any:  # type: ignore[override]
        """All groups."""
        return self._call("open_groups_as_dict", filename_or_obj, options)

    def open_datatree(self, filename_or_obj: Any, **options: Any) -> Any:  # type: ignore[override]
        """All groups as a tree."""
        return self._call("open_datatree", filename_or_obj, options)


def _raw(path: Path, options: dict[str, Any]) -> xr.Dataset:
    """Stored numbers: ``decode_cf=False`` asks this engine for references, which compute nothing; the tests mean the numbers."""
    tree = open_tree(path)
    dropped = name_set(options.pop("drop_variables", None))
    return decoded_dataset(tree, tree.group(options.pop("group", None)), dropped, options)


def pytest_configure(config: pytest.Config) -> None:
    """Swap the reading engines."""
    if os.environ.get("READ_BY") == "themselves":
        return
    original = plugins.get_backend

    def get_backend(engine: Any) -> BackendEntrypoint:
        found = original(engine)
        return Reading(found) if engine in ENGINES else found

    plugins.get_backend = api.plugins.get_backend = get_backend


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What xarray's own configuration leaves out: the network, and what fails now and then."""
    for item in items:
        for mark in ("network", "flaky"):
            if item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=mark))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Record how a test ended."""
    report = yield
    if report.when == "call" or report.outcome == "failed":
        name = item.nodeid.partition("::")[2]
        why = str(call.excinfo.value)[:300] if call.excinfo else ""
        line = {"file": item.path.name, "test": name, "outcome": report.outcome, "when": report.when, "why": why}
        with Path(os.environ["OUTCOMES"]).open("a") as out:
            out.write(json.dumps(line) + "\n")
    return report
