"""Write an array of a million chunks over a thousand files, of which only one file exists.

Usage: make_large.py DIR
"""

import json
import sys
from pathlib import Path

import numcodecs
import numpy as np

GRID = (100, 100, 100)
PAGE = (2, 100, 100)


def main(root):
    root = Path(root)
    lengths = np.random.default_rng(1).integers(2500, 4000, GRID, dtype="u8")
    chunk = np.arange(1000, dtype="<f4").tobytes()
    lengths[50, 7, 3] = len(chunk)
    per_file = lengths.reshape(1000, 1000)
    offsets = 4096 + np.cumsum(per_file, axis=1) - per_file
    refs = np.stack([np.repeat(np.arange(1000, dtype="u8"), 1000).reshape(GRID), offsets.reshape(GRID), lengths], axis=-1)
    write_pages(root / "store/big/manifest/refs", refs)
    sizes = [int(n) for n in 4096 + per_file.sum(axis=1)]
    for page in range(0, 1000, 256):
        rows = [{"url": f"{s:06d}.h5", "size": sizes[s], "last_modified": "2026-01-01T00:00:00Z"} for s in range(page, min(page + 256, 1000))]
        write_json(root / f"store/sources/{page // 256}.json", {"base": "../../data/", "list": rows})
    source, offset, length = (int(x) for x in refs[50, 7, 3])
    (root / "data").mkdir()
    with open(root / f"data/{source:06d}.h5", "wb") as file:
        file.truncate(sizes[source])
        file.seek(offset)
        file.write(chunk)
    write_documents(root)


def write_pages(folder, refs):
    blosc = numcodecs.Blosc("zstd", 5, 1, typesize=8)
    for t in range(0, GRID[0], PAGE[0]):
        page = refs[t : t + PAGE[0]].transpose(3, 0, 1, 2)
        path = folder / f"c/{t // PAGE[0]}/0/0/0"
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(blosc.encode(np.ascontiguousarray(page))))


def write_documents(root):
    base = {"zarr_format": 3, "node_type": "array", "attributes": {}, "fill_value": 0}
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    refs = base | {
        "shape": [*GRID, 3],
        "data_type": "uint64",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [*PAGE, 3]}},
        "chunk_key_encoding": {"name": "default"},
        "codecs": [
            {"name": "transpose", "configuration": {"order": [3, 0, 1, 2]}},
            little,
            {"name": "blosc", "configuration": {"cname": "zstd", "clevel": 5, "shuffle": "shuffle", "typesize": 8, "blocksize": 0}},
        ],
        "attributes": {"fields": ["source", "offset", "length"]},
    }
    write_json(root / "store/big/manifest/refs/zarr.json", refs)
    configuration = {"version": "0.1", "manifest": "manifest/refs", "sources": {"path": "../sources", "page_size": 256, "count": 1000}}
    big = base | {
        "shape": [1000, 1000, 1000],
        "data_type": "float32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [10, 10, 10]}},
        "chunk_key_encoding": {"name": "virtual"},
        "codecs": [little],
        "storage_transformers": [{"name": "chunk-manifest", "configuration": configuration}],
    }
    write_json(root / "store/big/zarr.json", big)
    consolidated = {"kind": "inline", "must_understand": False, "metadata": {"big": big}}
    write_json(root / "store/zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": {}, "consolidated_metadata": consolidated})


def write_json(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


if __name__ == "__main__":
    main(sys.argv[1])
