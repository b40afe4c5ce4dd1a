"""The page of the architecture says how it is: its rooms, and its walks, each of which is carried out and watched."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType

import numpy as np
import pytest
import test_rooms
import xarray as xr

import intake_virtualzarr as ivz

PAGE = (Path(__file__).parents[2] / "docs/design/architecture.md").read_text(encoding="utf-8")
ROOT = Path(ivz.__file__).parent
STEP = re.compile(r"^( *)- `([\w.]+)`", re.MULTILINE)
TOOL = 4
"""Of `sys.monitoring`; 0 to 3 and 5 are for debuggers and the like."""


@dataclass(frozen=True)
class Step:
    """A function of a walk."""

    name: str
    caller: str | None
    """The step that stands above it and further out."""


def read_walk(text: str) -> list[Step]:
    steps: list[Step] = []
    above: list[str] = []
    for indent, name in STEP.findall(text):
        depth = len(indent) // 2
        assert depth <= len(above), f"{name} is indented too far"
        del above[depth:]
        steps.append(Step(name, above[-1] if above else None))
        above.append(name)
    return steps


def walks() -> dict[str, list[Step]]:
    _, _, text = PAGE.partition("## Five walks\n")
    text, _, _ = text.partition("\n## ")
    return {section.split("\n", 1)[0].lower(): read_walk(section) for section in re.split(r"^### ", text, flags=re.MULTILINE)[1:]}


WALKS = walks()


def name_of(code: CodeType) -> str | None:
    path = Path(code.co_filename)
    return f"{test_rooms.dotted(path, ROOT)}.{code.co_qualname}" if path.is_relative_to(ROOT) else None


def callers(frame: FrameType | None) -> Iterator[str]:
    while frame is not None:
        if name := name_of(frame.f_code):
            yield name
        frame = frame.f_back


@contextmanager
def watching(names: set[str]) -> Iterator[list[tuple[str, set[str] | None]]]:
    """Calls of these functions in all threads: the name, and who waits for it (None in a worker, whose callers lie elsewhere)."""
    calls: list[tuple[str, set[str] | None]] = []
    main = sys._getframe()

    def started(code: CodeType, _: int) -> object:
        name = name_of(code)
        if name not in names:
            return sys.monitoring.DISABLE
        frame = sys._getframe(1)
        outermost = frame
        while outermost.f_back is not None:
            outermost = outermost.f_back
        calls.append((name, set(callers(frame.f_back)) if outermost is bottom else None))
        return None

    bottom = main
    while bottom.f_back is not None:
        bottom = bottom.f_back
    start = sys.monitoring.events.PY_START
    sys.monitoring.use_tool_id(TOOL, "walks")
    try:
        sys.monitoring.register_callback(TOOL, start, started)
        sys.monitoring.restart_events()
        sys.monitoring.set_events(TOOL, start)
        yield calls
    finally:
        sys.monitoring.set_events(TOOL, 0)
        sys.monitoring.register_callback(TOOL, start, None)
        sys.monitoring.free_tool_id(TOOL)


def write_file(path: Path, first: int) -> Path:
    time = np.datetime64("2024-01-01", "ns") + np.arange(first, first + 4) * np.timedelta64(1, "D")
    values = np.random.default_rng(first).normal(size=(4, 6))
    sst = xr.DataArray(values, {"time": time, "x": np.arange(6.0)}, ("time", "x"), "sst", {"units": "K"})
    encoding = {"sst": {"zlib": True, "chunksizes": (2, 3)}, "time": {"units": "days since 1970-01-01"}}
    sst.to_netcdf(path, engine="h5netcdf", encoding=encoding)
    return path


@pytest.fixture
def files(tmp_path):
    return [write_file(tmp_path / f"{first:02}.nc", first) for first in (0, 4, 8)]


@pytest.fixture
def operation(request, files, tmp_path):
    """What a walk is about, ready to be carried out."""
    walk = request.param
    store = tmp_path / "sst.vzarr"
    if walk == "open":
        return lambda: ivz.open_virtual_dataset(files[0])
    if walk == "ingest":
        return lambda: ivz.ingest(files, tmp_path / "catalog", name="sst")
    both = ivz.open_virtual_mfdataset(files[:2])
    if walk == "write":
        return lambda: both.vzarr.to_zarr(store)
    both.vzarr.to_zarr(store)
    if walk == "read":
        return lambda: xr.open_dataset(store, engine="virtualzarr").sst.values
    more = ivz.open_virtual_dataset(files[2])
    return lambda: more.vzarr.to_zarr(store, append_dim="time")


def test_the_page_has_five_walks():
    assert list(WALKS) == ["open", "read", "write", "append", "ingest"]


def test_the_page_draws_and_lists_the_rooms_in_their_order():
    picture = re.findall(r"^  │ (\w+) ", PAGE, re.MULTILINE)
    table = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert [name for name in picture if name in test_rooms.ROOMS] == list(reversed(test_rooms.ROOMS))
    assert table == list(test_rooms.ROOMS)


def test_the_page_names_the_modules_beside_the_rooms():
    paragraph = re.search(r"^Beside the rooms.*?\n\n", PAGE, re.MULTILINE | re.DOTALL).group()
    assert set(re.findall(r"`(\w+)`", paragraph)) - {"stac_ext"} == set(test_rooms.GROUND)


@pytest.mark.parametrize("walk", WALKS)
def test_a_walk_never_goes_up(walk):
    for step in WALKS[walk]:
        assert test_rooms.room(step.name) in test_rooms.ROOMS, step.name
        if step.caller:
            assert test_rooms.floor(step.name) <= test_rooms.floor(step.caller), f"{step.caller} goes up to {step.name}"


def test_a_step_upwards_is_found():
    steps = read_walk("- `storage.urls.is_url` a\n  - `arrays.read.read_boxes` b\n")
    assert test_rooms.floor(steps[1].name) > test_rooms.floor(steps[1].caller)


@pytest.mark.parametrize(("walk", "operation"), [(name, name) for name in WALKS], indirect=["operation"], ids=list(WALKS))
def test_a_walk_names_what_data_passes_in_order(walk, operation):
    steps = WALKS[walk]
    with watching({step.name for step in steps}) as calls:
        operation()
    last = -1
    for step in steps:
        fits = [above is None or step.caller is None or step.caller in above for _, above in calls]
        under = [i for i, (name, _) in enumerate(calls) if name == step.name and fits[i]]
        assert under, f"{step.name} is not called by {step.caller}"
        later = [i for i in under if i > last]
        assert later, f"{step.name} is called before what the page has above it"
        last = later[0]
