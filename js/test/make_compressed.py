"""Write one file per compressor, level and kind of data for the tests of the codecs in plain JavaScript.

Usage: make_compressed.py DIR
"""

import json
import sys
from pathlib import Path

import numcodecs
import numpy as np


def samples():
    rng = np.random.default_rng(3)
    words = b" ".join(rng.choice([b"wind", b"sea", b"temperature", b"salinity", b"of", b"the"], 9000).tolist())
    yield "empty-ish", b"a"
    yield "short", b"abcabcabcabcabcabd"
    yield "zeros", bytes(300_000)
    yield "noise", rng.bytes(70_001)
    yield "words", words
    yield "ramp", np.arange(40_003, dtype="<u8").tobytes() + b"tail!"
    yield "waves", (np.sin(np.arange(60_000) / 50) * 900 + rng.normal(size=60_000)).astype("<i2").tobytes()
    yield "skewed", rng.choice(np.arange(256, dtype="u1"), 200_000, p=np.r_[0.6, np.full(255, 0.4 / 255)]).tobytes()
    yield "far", rng.bytes(40_000) + words[:9000] + rng.bytes(200_000) + words[:9000]


def codecs():
    for level in [1, 3, 9, 19]:
        yield f"zstd-{level}", numcodecs.Zstd(level), "zstd"
    yield "zstd-checksum", numcodecs.Zstd(3, checksum=True), "zstd"
    for cname in ["zstd", "lz4", "lz4hc", "blosclz", "zlib"]:
        for shuffle in [0, 1, 2]:
            for typesize in [1, 4, 8]:
                yield f"blosc-{cname}-{shuffle}-{typesize}", numcodecs.Blosc(cname, 5, shuffle, typesize=typesize), "blosc"
    yield "blosc-small-blocks", numcodecs.Blosc("zstd", 5, 1, blocksize=4096, typesize=8), "blosc"
    yield "blosc-9", numcodecs.Blosc("blosclz", 9, 1, typesize=4), "blosc"
    yield "lz4", numcodecs.LZ4(), "lz4"


def main(root):
    root = Path(root)
    cases = []
    for data_name, data in samples():
        (root / f"{data_name}.raw").write_bytes(data)
        for codec_name, codec, kind in codecs():
            name = f"{data_name}.{codec_name}"
            (root / name).write_bytes(bytes(codec.encode(data)))
            cases.append({"file": name, "raw": f"{data_name}.raw", "codec": kind})
    for data in [b"", b"a", b"ab", b"abc", bytes(range(256)) * 999, b"\xff" * 300_001]:
        checked = bytes(numcodecs.Fletcher32().encode(data)) if data else None
        if checked:
            name = f"fletcher-{len(data)}"
            (root / name).write_bytes(checked)
            (root / f"{name}.raw").write_bytes(data)
            cases.append({"file": name, "raw": f"{name}.raw", "codec": "numcodecs.fletcher32"})
    (root / "cases.json").write_text(json.dumps(cases))


if __name__ == "__main__":
    main(sys.argv[1])
