"""Scans of local files beside h5py, VirtualiZarr and kerchunk, as a table (`scan_local.py` has the candidates)."""

from __future__ import annotations

import h5py
import peers
import scan_local
from bench import Row, main, medians, times
from data import made

import intake_virtualzarr as ivz

INDEXES = ("btree_v1", "fixed_array", "extensible_array", "btree_v2")


def rows(quick: bool) -> list[Row]:
    path = made("small.nc", lambda target: scan_local.small_netcdf(target) and None)
    with h5py.File(path) as file:
        chunks = sum(node.id.get_num_chunks() for node in file.values() if node.chunks)
    found = scan_local.with_parser(path)
    out = [Row("scan of a small netCDF-4 file: chunks", str(found), {"h5py": str(chunks)}, "alike", found >= chunks)]
    if quick:
        return out
    took = medians(
        {
            "h5py": lambda: scan_local.with_h5py(path),
            "parser": lambda: scan_local.with_parser(path),
            "open": lambda: ivz.open_virtual_dataset(path, loadable_variables=[]),
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
        Row(
            "the same, open_virtual_dataset",
            times(took["open"] / base),
            {"VirtualiZarr": times(took["VirtualiZarr open"] / base)},
            "<= 1.5x",
            took["open"] <= 1.5 * base,
        ),
    ]
    for index in INDEXES:
        many = made(f"{index}-200000.h5", lambda target, index=index: scan_local.many_chunks(target, index, 200_000) and None)
        took = medians({"h5py": lambda: scan_local.with_h5py(many), "ours": lambda: scan_local.with_parser(many)}, 3)
        theirs = medians({"VirtualiZarr": lambda: scan_local.with_virtualizarr(many)}, 0)["VirtualiZarr"]
        ratio = took["ours"] / took["h5py"]
        out.append(
            Row(
                f"scan of 200,000 chunks, {index}, x of chunk_iter",
                times(ratio),
                {"VirtualiZarr": times(theirs / took["h5py"])},
                "<= 0.25x",
                ratio <= 0.25,
            )
        )
    return out


if __name__ == "__main__":
    main(rows, __doc__)
