"""Scans of remote files: dependent rounds and time for one file, and many files at once."""

from __future__ import annotations

import resource
from typing import Any

import peers
from bench import Row, main, medians, times
from data import cache, interleaved, small_files
from server import serving

import intake_virtualzarr as ivz
from intake_virtualzarr.formats.base import ScannedFile
from intake_virtualzarr.formats.scan import scan_many
from intake_virtualzarr.storage.http_reader import HttpReader

INDEX_DEPTH = 2
"""Levels of the chunk indexes of the interleaved files."""


def rows(quick: bool) -> list[Row]:
    return one_file(quick) + many_files(quick) + labels(quick)


def one_file(quick: bool) -> list[Row]:
    out = []
    cases = {"40 MB": (interleaved("scattered-40.h5", 40, 100, 10_000), 4.0)}
    if not quick:
        cases["400 MB"] = (interleaved("scattered-400.h5", 40, 1000, 10_000), 20.0)
        cases["40 MB paged"] = (interleaved("scattered-paged-40.h5", 40, 100, 10_000, paged=True), 1.5)
    with serving(cache(), latency=0.05, bandwidth=None if quick else 400e6) as server:
        for title, (path, goal) in cases.items():
            url = f"{server.url}/{path.name}"
            server.reset()
            found, rounds = counted(url)
            counts = server.counts()
            assert found.references == ivz.scan(path).references
            out.append(
                Row(
                    f"remote scan, {title} interleaved, {found.references} chunks: rounds, requests, bytes",
                    f"{rounds}, {counts['requests']}, {counts['bytes'] / 1e6:.1f} MB",
                    goal=f"<= {3 + INDEX_DEPTH} rounds",
                    held=rounds <= 3 + INDEX_DEPTH,
                )
            )
            if quick:
                continue
            ours = medians({"ours": lambda url=url: ivz.scan(url)}, 5)["ours"]
            server.reset()
            theirs = medians({"VirtualiZarr": lambda url=url: peers.virtualizarr_store(url)}, 0)
            seconds = theirs["VirtualiZarr"]
            theirs_rounds = server.counts()["rounds"]
            out.append(
                Row(
                    f"remote scan, {title}, 50 ms latency, x of VirtualiZarr",
                    times(seconds / ours),
                    {"ours": f"{ours:.2f} s", "VirtualiZarr": f"{seconds:.1f} s ({theirs_rounds} rounds)"},
                    f">= {goal:g}x",
                    seconds / ours >= goal,
                )
            )
    return out


def counted(url: str) -> tuple[ScannedFile, int]:
    """A scan, and the number of times that it had to wait for an answer before it could go on.

    The server cannot tell: more requests than may be under way at once look like rounds to it.
    """
    rounds = 0

    def counting(method: Any) -> Any:
        async def call(*args: Any) -> Any:
            nonlocal rounds
            rounds += 1
            return await method(*args)

        return call

    names = ("head_async", "read_merged_async")
    methods = {name: getattr(HttpReader, name) for name in names}
    try:
        for name, method in methods.items():
            setattr(HttpReader, name, counting(method))
        found = ivz.scan(url)
        return found, rounds
    finally:
        for name, method in methods.items():
            setattr(HttpReader, name, method)


def many_files(quick: bool) -> list[Row]:
    paths = small_files(10 if quick else 100)
    with serving(cache(), latency=0.05, bandwidth=None if quick else 400e6) as server:
        urls = [f"{server.url}/{path.parent.name}/{path.name}" for path in paths]
        server.reset()
        scans = scan_many(urls)
        counts = server.counts()
        references = sum(s.references for s in scans)
        expected = sum(s.references for s in scan_many([str(p) for p in paths]))
        out = [
            Row(
                f"remote scan of {len(urls)} small files: requests, most at once",
                f"{counts['requests']}, {counts['most_in_flight']}",
                goal="<= 3 a file, <= 128 at once",
                held=references == expected and counts["requests"] <= 3 * len(urls) and counts["most_in_flight"] <= 128,
            )
        ]
        if quick:
            return out
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        ours = medians({"ours": lambda: scan_many(urls)}, 7)["ours"]
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        theirs = medians({"VirtualiZarr": lambda: peers.virtualizarr_many(urls, 16)}, 1)["VirtualiZarr"]
        out.append(
            Row(
                "100 remote small files, one process, 50 ms latency, x of VirtualiZarr with 16 threads",
                times(theirs / ours),
                {
                    "ours": f"{100 / ours:.0f} files/s, {grown:.0f} MB more",
                    "VirtualiZarr": f"{100 / theirs:.1f} files/s",
                },
                ">= 50x",
                theirs / ours >= 50,
            )
        )
    return out


def labels(quick: bool) -> list[Row]:
    """Files opened and joined, labels included, beside their scan alone."""
    paths = small_files(8 if quick else 48)
    with serving(cache(), latency=0.05) as server:
        urls = [f"{server.url}/{path.relative_to(cache())}" for path in paths]
        server.reset()
        ivz.open_virtual_mfdataset(urls, progress=False)
        requests = server.counts()["requests"]
        out = [
            Row(
                f"{len(urls)} small remote files by open_virtual_mfdataset: requests",
                str(requests),
                goal="<= 2 a file",
                held=requests <= 2 * len(urls),
            )
        ]
        if quick:
            return out
        took = medians({"scan": lambda: scan_many(urls), "open": lambda: ivz.open_virtual_mfdataset(urls, progress=False)}, 5)
    ratio = took["open"] / took["scan"]
    shown = {name: f"{seconds:.2f} s" for name, seconds in took.items()}
    return [*out, Row("the same, 50 ms latency, x of their scan", times(ratio), shown, "<= 1.2x", ratio <= 1.2)]


if __name__ == "__main__":
    main(rows, __doc__)
