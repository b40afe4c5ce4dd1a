"""Measuring side by side, and the table of results."""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    """What was measured, and in what unit."""
    ours: str
    """Our figure."""
    peers: Mapping[str, str] = field(default_factory=dict)
    """Figures of the peers, of the same run."""
    goal: str = ""
    """What is wanted of ours."""
    held: bool | None = None
    """Whether it is reached; None if there is no goal."""


def medians(candidates: Mapping[str, Callable[[], Any]], repeat: int) -> dict[str, float]:
    """Median time of each [s], run in turn, so that all see the same machine; the first round does not count."""
    return {name: float(np.median(values)) for name, values in _in_turn(candidates, repeat).items()}


def leasts(candidates: Mapping[str, Callable[[], Any]], repeat: int) -> dict[str, float]:
    """Least time of each [s], run in turn: for what takes about a millisecond, to which a busy machine only ever adds."""
    return {name: min(values) for name, values in _in_turn(candidates, repeat).items()}


def _in_turn(candidates: Mapping[str, Callable[[], Any]], repeat: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(max(1, repeat + 1)):
        for name, run in candidates.items():
            gc.collect()
            start = time.perf_counter()
            run()
            if turn or not repeat:
                times[name].append(time.perf_counter() - start)
    return times


def cpu(run: Callable[[], Any], repeat: int = 3) -> float:
    """Least processor time of all threads together [s]: it does not tell how well they share, but no neighbour moves it."""
    least = float("inf")
    for _ in range(repeat):
        start = time.process_time()
        run()
        least = min(least, time.process_time() - start)
    return least


def times(x: float) -> str:
    """A ratio."""
    return f"{x:.2f}x" if x < 10 else f"{x:.0f}x"


def agree(a: Any, b: Any, what: str) -> None:
    """Raise unless values and types are the same."""
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype != b.dtype or not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
        raise SystemExit(f"{what}: values differ")


def table(rows: Sequence[Row]) -> str:
    """Rows as Markdown."""
    lines = ["| what | ours | peers | goal | held |", "|---|---|---|---|---|"]
    for row in rows:
        peers = ", ".join(f"{name} {value}" for name, value in row.peers.items())
        held = {True: "yes", False: "**no**", None: ""}[row.held]
        lines.append(f"| {row.what} | {row.ours} | {peers} | {row.goal} | {held} |")
    return "\n".join(lines)


def main(rows: Callable[[bool], list[Row]], doc: str | None) -> None:
    """Run one benchmark from the command line."""
    options = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="small files; counts and values only")
    print(table(rows(options.parse_args().quick)))
