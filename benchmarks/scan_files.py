"""Scans of local files beside h5py, VirtualiZarr and kerchunk, as a table (`scan_local.py` has the candidates)."""

from __future__ import annotations

import h5py
import peers
import scan_local
from bench import Row, leasts, main, medians, times
from data import made, small_files

import intake_virtualzarr as ivz

INDEXES = ("btree_v1", "fixed_array", "extensible_array", "btree_v2")


def rows(quick: bool) -> list[Row]:
    path = small_files(1)[0]
    with h5py.File(path) as file:
        chunks = sum(node.id.get_num_chunks() for node in file.values() if node.chunks)
    found = scan_local.with_parser(path)
    out = [Row("scan of a small netCDF-4 file: chunks", str(found), {"h5py": str(chunks)}, "alike", found >= chunks)]
    if quick:
        return out
    took = leasts(
        {
            "h5py": lambda: scan_local.with_h5py(path),
            "parser": lambda: scan_local.with_parser(path),
            "scan": lambda: ivz.scan(path),
            "open": lambda: ivz.open_virtual_dataset(path),
            "undecoded": lambda: ivz.open_virtual_dataset(path, loadable_variables=[]),
            "xarray": scan_local.same_dataset_by_xarray(path),
        },
        101,
    )
    took |= leasts(
        {
            "VirtualiZarr parser": lambda: scan_local.with_virtualizarr(path),
            "VirtualiZarr open": lambda: peers.virtualizarr_dataset(f"file://{path}"),
            "kerchunk": lambda: scan_local.with_kerchunk(path),
        },
        15,
    )
    base = took["h5py"]
    out += [
        Row(
            "scan of a small netCDF-4 file, parser, x of h5py's open and chunk_iter",
            times(took["parser"] / base),
            {"VirtualiZarr": times(took["VirtualiZarr parser"] / base), "kerchunk": times(took["kerchunk"] / base)},
            "<= 1.0x",
            took["parser"] <= base,
        ),
        Row("the same, scan", times(took["scan"] / base), {}, "<= 1.0x", took["scan"] <= base),
        Row(
            "the same, open_virtual_dataset",
            times(took["open"] / base),
            {
                "VirtualiZarr": times(took["VirtualiZarr open"] / base),
                "xarray alone, the same dataset from NumPy arrays": times(took["xarray"] / base),
            },
            "<= 1.5x",
            took["open"] <= 1.5 * base,
        ),
        Row(
            "the same, no labels decoded",
            times(took["undecoded"] / base),
            {"VirtualiZarr": times(took["VirtualiZarr open"] / base)},
            "<= 1.5x",
            took["undecoded"] <= 1.5 * base,
        ),
    ]
    return out + [many(index) for index in INDEXES]


def many(index: str) -> Row:
    path = made(f"{index}-200000.h5", lambda target: scan_local.many_chunks(target, index, 200_000) and None)
    took = medians({"h5py": lambda: scan_local.with_h5py(path), "ours": lambda: scan_local.with_parser(path)}, 5)
    theirs = medians({"VirtualiZarr": lambda: scan_local.with_virtualizarr(path)}, 0)["VirtualiZarr"]
    ratio = took["ours"] / took["h5py"]
    return Row(
        f"scan of 200,000 chunks, {index}, x of chunk_iter",
        times(ratio),
        {"VirtualiZarr": times(theirs / took["h5py"])},
        "<= 0.25x",
        ratio <= 0.25,
    )


if __name__ == "__main__":
    main(rows, __doc__)
