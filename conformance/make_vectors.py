"""Write test vectors for readers of the format, byte by byte.

Nothing here uses the Python package: hierarchies are laid out from the format's description with NumPy, numcodecs and
json (zarr writes shards and text only), so that a mistake that writer and reader share would show. See README.md for the layout.

Usage: make_vectors.py DIR
"""

import base64
import json
import re
import shutil
import sys
import zlib
from itertools import product
from pathlib import Path
from urllib.parse import quote

import numcodecs
import numpy as np
import zarr

RULES = {
    "broken/uniform": "VC-13",
    "broken/uniform_place": "VC-13",
    "broken/in_place_ordinary": "VC-2",
    "broken/checksum": "CM-5",
    "broken/truncated": "CM-7",
    "broken/missing": "CM-5",
    "broken/stale": "CM-14",
    "broken/szip": "CM-5",
    "broken/short_chunk": "CM-5",
    "broken/version": "VK-1",
    "broken/transformer": "VK-1",
    "broken/encoding": "VK-1",
    "broken/neither": "CM-1",
    "broken/codec": "CM-17",
    "broken/source": "CM-6",
    "broken/member": "VC-6",
    "broken/loop": "VC-4",
    "broken/sum": "VC-1",
    "broken/dtype": "VC-7",
    "broken/dtype2": "VC-8",
    **{f"broken/member_{what}": "VC-5" for what in ("absent", "empty", "short", "altered")},
    "broken/page": "CM-11",
    "broken/table": "CM-13",
    "broken/unchecked": "CM-11",
    "broken/few_checks": "CM-11",
}
"""The rule of docs/specs that forbids what stands in each array that must not be read."""

BIG_FILL = -9223372036854775806
RNG = np.random.default_rng(7)


# --- values and codecs -----------------------------------------------------------------------------------------------


def little(data_type="little"):
    return {"name": "bytes", "configuration": {"endian": data_type}}


def shuffle(elementsize):
    return {"name": "numcodecs.shuffle", "configuration": {"elementsize": elementsize}}


ZLIB = {"name": "numcodecs.zlib", "configuration": {"level": 4}}
FLETCHER = {"name": "numcodecs.fletcher32", "configuration": {}}
HDF5_SHUFFLE = "hdf5.shuffle"


def unshuffled(data, elementsize):
    """Shuffle as HDF5 does: bytes after the last whole element stay."""
    whole = len(data) // elementsize * elementsize
    head = np.frombuffer(data[:whole], "u1").reshape(-1, elementsize).T.tobytes()
    return head + data[whole:]


def encode(values, codecs):
    """Encode one chunk with a Zarr codec pipeline."""
    data = None
    for codec in codecs:
        name, conf = codec["name"], codec.get("configuration", {})
        if name == "transpose":
            values = values.transpose(conf["order"])
        elif name == "bytes":
            order = ">" if conf["endian"] == "big" else "<"
            data = np.ascontiguousarray(values).astype(values.dtype.newbyteorder(order)).tobytes()
        elif name in ("numcodecs.shuffle", HDF5_SHUFFLE):
            data = unshuffled(data, conf["elementsize"])
        elif name == "numcodecs.zlib":
            data = zlib.compress(data, conf["level"])
        elif name == "numcodecs.fletcher32":
            data = bytes(numcodecs.Fletcher32().encode(data))
        elif name == "blosc":
            modes = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}
            blosc = numcodecs.Blosc(conf["cname"], conf["clevel"], modes[conf["shuffle"]], typesize=conf["typesize"])
            data = bytes(blosc.encode(data))
        elif name == "zstd":
            data = bytes(numcodecs.Zstd(conf["level"]).encode(data))
        elif name == "gzip":
            data = bytes(numcodecs.GZip(conf["level"]).encode(data))
        elif name == "numcodecs.lz4":
            data = bytes(numcodecs.LZ4().encode(data))
        elif name == "hdf5.lzf":
            data = lzf_literals(data)
        elif name == "crc32c":
            data = bytes(numcodecs.CRC32C(location="end").encode(bytes(data)))
        else:
            raise ValueError(name)
    return data


def lzf_literals(data):
    """A valid LZF stream: runs of one repeated byte as back references, all else as literals."""
    out, at = bytearray(), 0
    while at < len(data):
        run = 1
        while at + run < len(data) and data[at + run] == data[at] and run < 250:
            run += 1
        if run >= 5:
            out += bytes([0, data[at]])
            length = run - 1 - 2
            out += bytes([length << 5, 0]) if length < 7 else bytes([7 << 5, length - 7, 0])
            at += run
            continue
        part = data[at : at + 16]
        out += bytes([len(part) - 1]) + part
        at += len(part)
    return bytes(out)


def sample(shape, dtype):
    """Values that differ everywhere and compress a little."""
    dtype = np.dtype(dtype)
    n = int(np.prod(shape))
    if dtype.kind == "b":
        return (np.arange(n) % 3 == 0).reshape(shape)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        values = RNG.integers(info.min, info.max, n, dtype=dtype, endpoint=True)
        values[: n // 2] = np.arange(n // 2) % 100
        return values.reshape(shape)
    return (np.round(RNG.normal(size=n) * 8) / 4).astype(dtype).reshape(shape)


def jsonable(values):
    flat = np.asarray(values).ravel()
    if flat.dtype.kind in "OU":
        return flat.tolist()
    if flat.dtype.kind in "iu" and flat.dtype.itemsize == 8:
        return [str(v) for v in flat.tolist()]
    if flat.dtype.kind == "b":
        return [int(v) for v in flat]
    return [v if np.isfinite(v) else {True: "NaN"}.get(bool(np.isnan(v)), "Infinity" if v > 0 else "-Infinity") for v in flat.tolist()]


def fill_json(fill):
    if isinstance(fill, np.generic):
        fill = fill.item()
    if isinstance(fill, float) and not np.isfinite(fill):
        return "NaN" if np.isnan(fill) else ("Infinity" if fill > 0 else "-Infinity")
    return fill


# --- files and documents ---------------------------------------------------------------------------------------------


class File:
    """A source file that chunks are appended to, with gaps as archive files have."""

    def __init__(self, path, url):
        self.path, self.url, self.data = path, url, bytearray(b"\x89HDF\r\n\x1a\n" + bytes(40))

    def add(self, data):
        self.data += RNG.bytes(int(RNG.integers(0, 30)))
        offset = len(self.data)
        self.data += data
        return offset, len(data)

    def save(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(self.data)
        return {"url": self.url, "size": len(self.data)}


def write_json(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def metadata(shape, dtype, chunk_grid, codecs, fill, transformer=None, attributes=None, names=None, key="virtual"):
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": np.dtype(dtype).name,
        "chunk_grid": chunk_grid,
        "chunk_key_encoding": {"name": key},
        "fill_value": fill_json(fill),
        "codecs": codecs,
        "attributes": attributes or {},
    }
    if names:
        document["dimension_names"] = names
    if transformer:
        name, configuration = transformer
        document["storage_transformers"] = [{"name": name, "configuration": {"version": "0.1", **configuration}}]
    return document


def regular(*chunk_shape):
    return {"name": "regular", "configuration": {"chunk_shape": list(chunk_shape)}}


def rectilinear(*shapes):
    return {"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": list(shapes)}}


def edges_of(spec, extent):
    if isinstance(spec, int):
        return [spec] * (-(-extent // spec))
    return [e for run in spec for e in ([run[0]] * run[1] if isinstance(run, list) else [run])]


def cut_chunks(values, grid, stored=None):
    """Yield coordinates and the values of each chunk, padded to its stored shape."""
    specs = grid["configuration"].get("chunk_shape") or grid["configuration"].get("chunk_shapes")
    edges = [edges_of(s, n) for s, n in zip(specs or [], values.shape, strict=True)]
    stored = [edges_of(s, n) for s, n in zip(stored or specs or [], values.shape, strict=True)]
    stored = [s if len(s) == len(e) else [s[0]] * len(e) for s, e in zip(stored, edges, strict=True)]
    for coords in product(*(range(len(e)) for e in edges)):
        starts = [sum(e[:c]) for e, c in zip(edges, coords, strict=True)]
        part = values[tuple(slice(a, a + e[c]) for a, e, c in zip(starts, edges, coords, strict=True))]
        shape = [s[c] for s, c in zip(stored, coords, strict=True)]
        chunk = np.full(shape, 77, values.dtype)  # padding that must never be seen
        chunk[tuple(slice(0, n) for n in part.shape)] = part
        yield coords, chunk


def grid_shape(grid, shape):
    specs = grid["configuration"].get("chunk_shape") or grid["configuration"].get("chunk_shapes")
    return [len(edges_of(s, n)) for s, n in zip(specs or [], shape, strict=True)]


def write_refs(folder, refs, page=None):
    """Write a manifest's array of references, in pages."""
    *grid, width = refs.shape
    page = list(page or [min(2, max(1, g)) for g in grid])
    order = [len(grid), *range(len(grid))]
    codecs = [
        {"name": "transpose", "configuration": {"order": order}},
        little(),
        {"name": "blosc", "configuration": {"cname": "zstd", "clevel": 5, "shuffle": "shuffle", "typesize": 8, "blocksize": 0}},
    ]
    document = metadata(refs.shape, "uint64", regular(*page, width), codecs, 0, key="default",
                        attributes={"fields": ["source", "offset", "length", "codec"][:width]})
    write_json(folder / "zarr.json", document)
    for coords, chunk in cut_chunks(refs, regular(*page, width)):
        if not chunk.any():
            continue
        path = folder / "/".join(["c", *map(str, coords)])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(chunk, codecs))


class Vectors:
    """The directory being written."""

    def __init__(self, root):
        self.root = Path(root)
        self.store = self.root / "store"
        self.roots = {}
        self.expected = {}
        self.nodes = {}

    def file(self, name):
        return File(self.root / "data" / name, name)

    def document(self, name, document, public=True, store=None):
        write_json((store or self.store) / name / "zarr.json", document)
        if public:
            self.nodes[name] = document

    def expect(self, name, values, needs=None):
        values = np.asarray(values)
        dtype = "string" if values.dtype.kind in "OU" else values.dtype.name
        self.expected[name] = {"shape": list(values.shape), "dtype": dtype, "values": jsonable(values)} | ({"needs": needs} if needs else {})

    def fail(self, name, text):
        stem = re.sub(r"_(uneven|etag|size|time|absent|empty|short|altered)$", "", name.removesuffix("_uneven"))
        self.expected[name] = {"error": text, "rule": RULES.get(name) or RULES[stem]}

    def manifest(self, name, values, grid, codecs, fill=0, files=1, form="chunks", stored=None, missing=(), inline=(),
                 alternatives=None, skip=None, source_extra=None, damage=None, shared=False, public=True, attributes=None,
                 names=None, store=None, data=None, page=None, save=True):
        """Write a manifest array; returns its values with missing chunks filled."""
        values = np.asarray(values)
        seen = values.copy()
        store = store or self.store
        base = (data or self.root / "data")
        sources = [File(base / f"{name.replace('/', '-')}-{i}.h5", f"{name.replace('/', '-')}-{i}.h5") for i in range(files)]
        skip = skip or {}
        width = 4 if alternatives else 3
        refs = np.zeros([*grid_shape(grid, values.shape), width], "u8")
        chunks = {}
        edges = [edges_of(s, n) for s, n in zip(grid["configuration"].get("chunk_shape") or grid["configuration"].get("chunk_shapes") or [], values.shape, strict=True)]
        for number, (coords, chunk) in enumerate(cut_chunks(values, grid, stored)):
            key = ".".join(map(str, coords)) or "0"
            if key in missing:
                where = tuple(slice(sum(e[:c]), sum(e[: c + 1])) for e, c in zip(edges, coords, strict=True))
                seen[where] = fill
                continue
            codec = skip.get(key, 0)
            encoded = encode(chunk, alternatives[codec - 1] if codec else codecs)
            if damage == key:
                encoded = encoded[:5] + bytes([encoded[5] ^ 0xFF]) + encoded[6:]
            if key in inline:
                chunks[key] = {"inline": base64.b64encode(encoded).decode()}
                continue
            source = number % files
            offset, length = sources[source].add(encoded)
            chunks[key] = {"source": source, "offset": offset, "length": length, **({"codec": codec} if codec else {})}
            refs[coords] = [source, offset, length, codec][:width]
        rows = [s.save() | (source_extra or {}) for s in sources]
        up = "../" * (len(Path(name).parts) + 1)
        configuration = {}
        if alternatives:
            configuration["codec_alternatives"] = alternatives
        if stored:
            configuration["stored_chunk_shapes"] = stored
        if shared:
            pages = store / f"{name}-sources"
            for p in range(0, len(rows), 2):
                write_json(pages / f"{p // 2}.json", {"base": f"{'../' * (1 + len(Path(name).parts))}data/", "list": rows[p : p + 2]})
            configuration["sources"] = {"path": f"../{Path(name).name}-sources", "page_size": 2, "count": len(rows)}
        else:
            configuration["sources"] = {"base": f"{up}data/", "list": rows}
        if form == "refs":
            configuration["manifest"] = "manifest/refs"
            write_refs(store / name / "manifest" / "refs", refs, page)
        else:
            configuration["chunks"] = chunks
        self.document(name, metadata(values.shape, values.dtype, grid, codecs, fill, ("chunk-manifest", configuration), attributes, names), public, store)
        return seen

    def concatenate(self, name, values, grid, axis, members, fill=0, codecs=None, uniform=False, public=True):
        configuration = {"axis": axis, "members": members, **({"uniform": True} if uniform else {})}
        self.document(name, metadata(values.shape, values.dtype, grid, codecs or [little()], fill, ("virtual-concatenation", configuration)), public)

    def finish(self):
        groups = {str(p) for n in self.nodes for p in Path(n).parents if str(p) != "."}
        for group in groups:
            self.document(group, {"zarr_format": 3, "node_type": "group", "attributes": {}})
        consolidated = {"kind": "inline", "must_understand": False, "metadata": self.nodes}
        write_json(self.store / "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": {"title": "vectors"}, "consolidated_metadata": consolidated})
        write_json(self.root / "expected.json", {"generator": "conformance/make_vectors.py", "arrays": self.expected, "roots": self.roots})


# --- the vectors -----------------------------------------------------------------------------------------------------


def manifests(v):
    nan = float("nan")
    temp = sample((31, 6, 8), "f4")
    pipeline = [little(), shuffle(4), ZLIB, FLETCHER]
    v.expect("regular", v.manifest("regular", temp, regular(10, 3, 8), pipeline, nan, files=3, shared=True, names=["time", "y", "x"]))
    v.expect("refs", v.manifest("refs", temp, regular(10, 3, 8), pipeline, nan, files=5, form="refs", shared=True, missing=["1.0.0", "2.0.0", "2.1.0", "3.0.0", "3.1.0"]))
    v.expect("masked", v.manifest("masked", temp, regular(10, 3, 8), pipeline, nan, files=2, form="refs", alternatives=[[little()], [little(), ZLIB]], skip={"2.0.0": 1, "0.1.0": 2}))
    v.expect("masked_chunks", v.manifest("masked_chunks", temp, regular(10, 3, 8), pipeline, nan, alternatives=[[little()]], skip={"1.1.0": 1}))
    v.expect("inlined", v.manifest("inlined", temp, regular(10, 3, 8), pipeline, 1.5, missing=["1.0.0", "3.1.0"], inline=["0.1.0", "2.0.0"]))
    v.expect("nothing", v.manifest("nothing", np.full((4, 5), 3, "i2"), regular(2, 5), [little()], 3, missing=["0.0", "1.0"]))
    v.expect("scalar", v.manifest("scalar", np.float64(12.25), regular(), [little()], 0.0))
    v.expect("scalar_inline", v.manifest("scalar_inline", np.int32(-7), regular(), [little("big")], 0, inline=["0"]))
    v.expect("scalar_refs", v.manifest("scalar_refs", np.int64(2**60 + 1), regular(), [little()], 0, form="refs"))
    v.expect("scalar_missing", v.manifest("scalar_missing", np.float32(0), regular(), [little()], np.float32(2.5), missing=["0"]))
    for name in ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"]:
        values = sample((5, 7), name)
        for endian in ["little", "big"]:
            codecs = [little(endian), ZLIB] if name not in ("bool", "int8", "uint8") else [{"name": "bytes"}, ZLIB]
            if name in ("bool", "int8", "uint8"):
                codecs = [{"name": "bytes", "configuration": {"endian": "little"}}, ZLIB]
            fill = False if name == "bool" else 1
            v.expect(f"types/{name}_{endian}", v.manifest(f"types/{name}_{endian}", values, regular(2, 4), codecs, fill, missing=["1.1"]))
        v.expect(f"types/{name}_uneven", v.manifest(f"types/{name}_uneven", values, rectilinear([2, 3], [[3, 2], 1]), codecs, fill, missing=["1.1"]))
    for endian in ["little", "big"]:
        half = sample((5, 7), "f2")
        v.expect(f"types/float16_{endian}", v.manifest(f"types/float16_{endian}", half, regular(2, 4), [little(endian), ZLIB], 1.0, missing=["1.1"]), needs="Float16Array")
    v.expect("types/float16_uneven", v.manifest("types/float16_uneven", half, rectilinear([2, 3], [[3, 2], 1]), [little(), ZLIB], 1.0), needs="Float16Array")
    fills = {"infinite": ("f4", "-Infinity", -np.inf), "bits": ("f4", "0x7fc00001", np.nan), "bits64": ("f8", "0x4009000000000000", 3.125), "true": ("?", True, True)}
    for name, (dtype, stated, value) in fills.items():
        for suffix, grid in {"": regular(2, 4), "_uneven": rectilinear([2, 3], [[3, 2], 1])}.items():
            seen = v.manifest(f"fills/{name}{suffix}", sample((5, 7), dtype), grid, [little(), ZLIB], value, missing=["1.1"])
            edit(v, f"fills/{name}{suffix}", lambda d, stated=stated: d.update(fill_value=stated))
            v.expect(f"fills/{name}{suffix}", seen)
    v.expect("grids/empty", v.manifest("grids/empty", np.zeros((0, 5), "f4"), regular(3, 5), [little()], 0.0))
    v.expect("grids/long_chunk", v.manifest("grids/long_chunk", sample((3, 5), "f4"), regular(64, 5), [little(), ZLIB], 0.0))
    big = sample((4, 3), "i8")
    v.expect("types/int64_fill", v.manifest("types/int64_fill", big, regular(2, 3), [little()], BIG_FILL, missing=["1.0"]))
    v.expect("types/int64_fill_uneven", v.manifest("types/int64_fill_uneven", big, rectilinear([1, 3], 3), [little()], BIG_FILL, missing=["1.0"]))


def codecs(v):
    values = sample((5, 7), "i4")
    pipelines = {
        "shuffle_tail": [little(), shuffle(3), ZLIB],
        "hdf5_shuffle": [little(), {"name": HDF5_SHUFFLE, "configuration": {"elementsize": 8}}, ZLIB],
        "lzf": [little(), shuffle(4), {"name": "hdf5.lzf"}],
        "fletcher_odd": [little(), FLETCHER],
        "transpose": [{"name": "transpose", "configuration": {"order": [1, 0]}}, little("big"), ZLIB],
        "zstd": [little(), {"name": "zstd", "configuration": {"level": 3, "checksum": False}}],
        "gzip": [little(), {"name": "gzip", "configuration": {"level": 5}}],
        "lz4": [little(), {"name": "numcodecs.lz4", "configuration": {"acceleration": 1}}],
        "blosc_lz4": [little(), {"name": "blosc", "configuration": {"cname": "lz4", "clevel": 5, "shuffle": "bitshuffle", "typesize": 4, "blocksize": 0}}],
    }
    for name, pipeline in pipelines.items():
        v.expect(f"codecs/{name}", v.manifest(f"codecs/{name}", values, regular(3, 7), pipeline))
        v.expect(f"codecs/{name}_uneven", v.manifest(f"codecs/{name}_uneven", values, rectilinear([3, 2], [[3, 2], 1]), pipeline))
    odd = sample((7,), "u1")
    v.expect("codecs/fletcher_bytes", v.manifest("codecs/fletcher_bytes", odd, regular(5), [little(), FLETCHER]))
    cube = sample((3, 4, 5), "i2")
    v.expect("codecs/transpose3", v.manifest("codecs/transpose3", cube, rectilinear([2, 1], 4, [[2, 2], 1]), [{"name": "transpose", "configuration": {"order": [2, 0, 1]}}, little()]))


def grids(v):
    temp = sample((59, 6, 8), "f4")
    pipeline = [little(), shuffle(4), ZLIB]
    grid = rectilinear([[10, 3], 1, [10, 2], 8], 3, 8)
    for form in ["chunks", "refs"]:
        v.expect(f"grids/cropped_{form}", v.manifest(f"grids/cropped_{form}", temp, grid, pipeline, -1.0, form=form, stored=[10, 3, 8], missing=["4.0.0"]))
    v.expect("grids/cropped_list", v.manifest("grids/cropped_list", temp, grid, pipeline, -1.0, stored=[[[10, 3], 4, [10, 2], 9], [3, 4], 9]))
    v.expect("grids/really_regular", v.manifest("grids/really_regular", temp, rectilinear([[10, 5], 9], [3, 3], 8), pipeline, 0.0, stored=[10, 3, 8]))
    v.expect("grids/even_list", v.manifest("grids/even_list", temp[:50], rectilinear([[10, 5]], 3, [8]), pipeline, 0.0))
    v.expect("grids/regular_cropped", v.manifest("grids/regular_cropped", temp, regular(10, 3, 8), pipeline, 0.0, stored=[12, 3, 8]))
    # an ordinary array with an uneven grid: zarrita cannot open it by itself
    plain = sample((5, 4), "i2")
    grid = rectilinear([2, 3], [3, 1])
    v.document("grids/plain", metadata(plain.shape, "i2", grid, [little(), ZLIB], 0, key="default"))
    for coords, chunk in cut_chunks(plain, grid):
        path = v.store / "grids/plain" / "/".join(["c", *map(str, coords)])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(chunk, [little(), ZLIB]))
    v.expect("grids/plain", plain)


def ordinary(v, name, values, chunk, codecs, fill=0, missing=(), key="default", store=None):
    """An ordinary Zarr array, chunks in the hierarchy."""
    grid = regular(*chunk)
    document = metadata(values.shape, values.dtype, grid, codecs, fill, key=key)
    v.document(name, document, public=store is None, store=store)
    seen = values.copy()
    for coords, part in cut_chunks(values, grid):
        if coords in missing:
            seen[tuple(slice(c * n, (c + 1) * n) for c, n in zip(coords, chunk, strict=True))] = fill
            continue
        path = (store or v.store) / name / ("/".join(["c", *map(str, coords)]) if key == "default" else ".".join(map(str, coords)))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(part, codecs))
    return seen


def concatenations(v):
    pipeline = [little(), shuffle(4), ZLIB]
    a, b, c = sample((31, 6, 8), "f4"), sample((28, 6, 8), "f4"), sample((31, 6, 8), "f4")
    a = v.manifest("parts/a", a, regular(10, 3, 8), pipeline, -1.0, form="refs", missing=["1.1.0"])
    b = v.manifest("parts/b", b, regular(10, 3, 8), [little("big"), ZLIB], -2.0, missing=["0.0.0"])
    c = v.manifest("parts/c", c, regular(12, 3, 8), pipeline, -3.0, missing=["2.0.0"], public=False, store=v.root / "other", data=v.root / "data")
    view = rectilinear([[10, 3], 1, [10, 2], 8, [12, 2], 7], 3, 8)
    whole = np.concatenate([a, b, c])
    members = [{"array": "../parts/a", "length": 31}, {"array": "../parts/b", "length": 28}, {"array": "{{OTHER}}/other/parts/c", "length": 31}]
    v.concatenate("uneven", whole, view, 0, members, 9.0)
    v.expect("uneven", whole)
    v.concatenate("view_elsewhere", whole, regular(7, 6, 5), 0, members, 9.0)
    v.expect("view_elsewhere", whole)

    even = [sample((20, 6), "i2") for _ in range(3)]
    for i, part in enumerate(even):
        even[i] = v.manifest(f"uniform/parts/{i}", part, regular(10, 6), [little(), ZLIB], 5, missing=["1.0"] if i == 1 else (), public=False)
    short = v.manifest("uniform/parts/3", sample((7, 6), "i2"), regular(10, 6), [little(), ZLIB], 5, public=False)
    joined = np.concatenate([*even, np.full((10, 6), 5, "i2"), short])
    members = [{"array": f"parts/{i}", "length": 20} for i in range(3)] + [{"length": 10}, {"array": "parts/3", "length": 7}]
    v.concatenate("uniform", joined, regular(10, 6), 0, members, 5, [little(), ZLIB], uniform=True)
    v.expect("uniform", joined)
    v.concatenate("broken/uniform", joined, regular(10, 6), 0, [{**m, "array": f"../../uniform/{m['array']}"} if "array" in m else m for m in members], 5, [little()], uniform=True)
    v.fail("broken/uniform", "promises uniform members")
    v.concatenate("broken/uniform_place", joined[:47], regular(10, 6), 0, [{"array": "../../uniform/parts/3", "length": 7}, {"array": "../../uniform/parts/0", "length": 20}, {"array": "../../uniform/parts/1", "length": 20}], 5, [little(), ZLIB], uniform=True)
    v.fail("broken/uniform_place", "promises uniform members")

    rows = []
    for r in range(2):
        parts = [v.manifest(f"nested/parts/{r}/parts/{i}", sample((4, n), "f8"), regular(4, 3), [little()], 0.5, missing=["0.1"] if i else (), public=False) for i, n in enumerate([5, 7])]
        rows.append(np.concatenate(parts, axis=1))
        v.concatenate(f"nested/parts/{r}", rows[-1], regular(4, 3), 1, [{"array": "parts/0", "length": 5}, {"array": "parts/1", "length": 7}], public=False)
    v.concatenate("nested", np.concatenate(rows), regular(4, 3), 0, [{"array": "parts/0", "length": 4}, {"array": "parts/1", "length": 4}])
    v.expect("nested", np.concatenate(rows))
    v.expect("ordinary", ordinary(v, "ordinary", sample((6, 5), "f8"), (4, 3), [little(), ZLIB], 0.25, missing=[(1, 1)]))
    w = ordinary(v, "ordinary_v2", sample((6, 5), "f8"), (4, 3), [little("big")], 0.75, missing=[(0, 0)], key="v2")
    v.expect("ordinary_v2", w)
    both = np.concatenate([v.array("ordinary"), w])
    v.concatenate("of_ordinary", both, regular(5, 5), 0, [{"array": "../ordinary", "length": 6}, {"array": "../ordinary_v2", "length": 6}])
    v.expect("of_ordinary", both)


def shards(v):
    """Ordinary arrays in shards, written by zarr-python: as members, and as a manifest's references."""
    for name, dtype in {"h/ints": "i2", "h/bools": "?", "h/big": ">f8", "h/index_first": "u4"}.items():
        values = sample((10, 9), np.dtype(dtype).newbyteorder("="))
        sharding = {"shape": (4, 6), "index_location": "start" if name == "h/index_first" else "end"}
        array = zarr.create_array(v.store / name, shape=values.shape, dtype=values.dtype, chunks=(2, 3), shards=sharding, fill_value=0)
        values[:4, :6] = 0
        array[:] = values
        v.nodes[name] = json.loads((v.store / name / "zarr.json").read_text())
        v.expect(name, values)
        if name == "h/ints":
            twice = np.concatenate([values[:8], values[:8]])
            short = zarr.create_array(v.store / "h/short", shape=(8, 9), dtype="i2", chunks=(2, 3), shards=(4, 6), fill_value=0)
            short[:] = values[:8]
            document = json.loads((v.store / "h/short/zarr.json").read_text())
            members = [{"array": "../../h/short", "length": 8}] * 2
            v.concatenate("sharded/uniform", twice, regular(4, 6), 0, members, 0, document["codecs"], uniform=True)
            v.expect("sharded/uniform", twice)
        joined = np.concatenate([values, values[::-2]])
        members = [{"array": f"../../{name}", "length": 10}, {"array": f"../../{name}", "length": 5, "select": [[9, -1, -2], [0, 9, 1]]}]
        v.concatenate(f"sharded/{name[2:]}", joined, regular(4, 9), 0, members)
        v.expect(f"sharded/{name[2:]}", joined)
    temp = sample((31, 6, 8), "f4")
    seen = v.manifest("sharded/refs", temp, regular(10, 3, 8), [little(), ZLIB], 1.0, form="refs", missing=["1.0.0"])
    folder = v.store / "sharded/refs/manifest/refs"
    refs = zarr.open_array(folder)[:]
    shutil.rmtree(folder)
    array = zarr.create_array(folder, shape=refs.shape, dtype="u8", chunks=(1, 2, 1, 3), shards=(2, 2, 1, 3), fill_value=0, attributes={"fields": ["source", "offset", "length"]})
    array[:] = refs
    v.expect("sharded/refs", seen)


def places(v):
    """URLs of every kind: of sources, of members, of shared tables; names that must be escaped."""
    temp = sample((5, 6), "f4")
    pipeline = [little(), ZLIB]
    grid = regular(2, 6)

    def moved(name, change):
        """A manifest whose source table is written anew by ``change(rows)``."""
        v.manifest(name, temp, grid, pipeline, files=2)
        edit(v, name, lambda d: config(d).update(sources=change(config(d)["sources"]["list"])))
        v.expect(name, temp)

    moved("places/other_host", lambda rows: {"base": "{{OTHER}}/data/", "list": rows})
    moved("places/absolute_path", lambda rows: {"base": "/data/", "list": rows})
    moved("places/no_base", lambda rows: {"list": [rows[0] | {"url": f"../../../data/{rows[0]['url']}"}, rows[1] | {"url": f"{{{{OTHER}}}}/data/./x/../{rows[1]['url']}"}]})
    moved("places/up_and_down", lambda rows: {"base": "../../../data/x/y/", "list": [{"url": f"../../{row['url']}"} for row in rows]})

    odd = "places/a b é+"
    v.manifest(odd, temp, grid, pipeline)
    name = "näme #1 100%?.h5"
    (v.root / "data" / f"{odd.replace('/', '-')}-0.h5").rename(v.root / "data" / name)
    edit(v, odd, lambda d: config(d)["sources"]["list"][0].update(url=quote(name)))
    v.expect(odd, temp)
    v.concatenate("places/of_odd", np.concatenate([temp, temp]), regular(3, 6), 0, [{"array": "../" + quote("a b é+"), "length": 5}] * 2)
    v.expect("places/of_odd", np.concatenate([temp, temp]))

    # a member with references and shared sources of its own, in a directory that holds no group
    bare = v.manifest("bare/d", temp, grid, pipeline, 7.0, files=3, form="refs", shared=True, missing=["1.0"], public=False, store=v.root / "other")
    v.concatenate("places/bare", np.concatenate([bare, temp]), regular(5, 6), 0, [{"array": "{{OTHER}}/other/bare/d", "length": 5}, {"array": "../other_host", "length": 5}])
    v.expect("places/bare", np.concatenate([bare, temp]))

    # inlined chunks of a packed manifest: one file of the hierarchy, a source like any other
    seen = v.manifest("places/inlined_refs", temp, grid, pipeline, 1.0, form="refs", missing=["2.0"])
    (v.root / "data/places-inlined_refs-0.h5").rename(v.store / "places/inlined_refs/manifest/inlined-0.bin")
    edit(v, "places/inlined_refs", lambda d: config(d).update(sources={"list": [{"url": "manifest/inlined-0.bin"}]}))
    v.expect("places/inlined_refs", seen)


def texts(v):
    """Text: written by zarr-python, as an ordinary array and as chunks of another file."""
    names = np.array(["Bergen", "", "Cádiz", "<b>Nuuk</b>", "東京"], dtype=object)
    folder = v.store / "texts/ordinary"
    array = zarr.create_array(folder, shape=names.shape, chunks=(2,), dtype=str)
    array[:] = names
    document = json.loads((folder / "zarr.json").read_text())
    v.nodes["texts/ordinary"] = document
    v.expect("texts/ordinary", names)
    file = v.file("texts.h5")
    chunks = {}
    for i in range(3):
        offset, length = file.add((folder / f"c/{i}").read_bytes())
        chunks[str(i)] = {"source": 0, "offset": offset, "length": length}
    del chunks["1"]
    sources = {"base": "../../../data/", "list": [file.save()]}
    transformer = {"name": "chunk-manifest", "configuration": {"version": "0.1", "sources": sources, "chunks": chunks}}
    v.document("texts/manifest", document | {"chunk_key_encoding": {"name": "virtual"}, "fill_value": "none", "storage_transformers": [transformer]})
    v.expect("texts/manifest", np.array([*names[:2], "none", "none", names[4]], dtype=object))


def members(v):
    f8 = sample((6, 5, 4), "f8")
    v.manifest("m/cube", f8, regular(4, 2, 3), [little(), ZLIB], 0.0, form="refs")
    cube = {"array": "../../m/cube"}

    def one(name, values, axis, *entries, grid=None):
        v.concatenate(f"select/{name}", values, grid or regular(*[2] * values.ndim), axis, list(entries))
        v.expect(f"select/{name}", values)

    one("steps", f8[1:6:2, ::3, 1:4], 0, {**cube, "length": 3, "select": [[1, 6, 2], [0, 5, 3], [1, 4, 1]]})
    one("negative", f8[::-1, 3::-2, ::-3], 0, {**cube, "length": 6, "select": [[5, -1, -1], [3, -1, -2], [3, -1, -3]]})
    one("transposed", f8.transpose(2, 0, 1), 1, {**cube, "length": 6, "axes": [2, 0, 1]})
    one("dropped", f8[4, :, ::-1].T, 1, {**cube, "length": 5, "select": [[4, 5, 1], [0, 5, 1], [3, -1, -1]], "axes": [2, 1]})
    one("inserted", np.broadcast_to(f8[2, :, 1][None, :, None], (3, 5, 2)), 0, {**cube, "length": 2, "select": [[2, 3, 1], [0, 5, 1], [1, 2, 1]], "axes": [None, 1, None]},
        {**cube, "length": 1, "select": [[2, 3, 1], [0, 5, 1], [1, 2, 1]], "axes": [None, 1, None]})
    stacked = np.stack([f8[0], np.zeros((5, 4)), f8[3]])
    one("stacked", stacked, 0, {**cube, "length": 1, "select": [[0, 1, 1], [0, 5, 1], [0, 4, 1]]}, {"length": 1}, {**cube, "length": 1, "select": [[3, 4, 1], [0, 5, 1], [0, 4, 1]]})
    outer = np.full((6, 9, 4), np.nan)
    outer[:, 2:7] = f8
    v.concatenate("select/padded", outer, rectilinear(6, [2, 5, 2], 4), 1, [{"length": 2}, {**cube, "length": 5}, {"length": 2}], float("nan"))
    v.expect("select/padded", outer)

    # nested selections: a reversed piece of a concatenation that has holes
    chain = np.concatenate([f8[::-1], np.full((2, 5, 4), 4.0), f8])
    v.concatenate("select/chain", chain, regular(5, 5, 4), 0, [{**cube, "length": 6, "select": [[5, -1, -1], [0, 5, 1], [0, 4, 1]]}, {"length": 2}, {**cube, "length": 6}], 4.0)
    v.expect("select/chain", chain)
    picked = chain[12:0:-5, 1, :]
    one("of_chain", picked, 0, {"array": "../chain", "length": 3, "select": [[12, 0, -5], [1, 2, 1], [0, 4, 1]], "axes": [0, 2]}, grid=regular(2, 4))


def in_place(v):
    """Arrays that stand in the document of another, key by key: a manifest's references, and members."""

    def placed(name):
        """An array that was written beside its document, as it stands in another."""
        folder = v.store / name
        files = {str(p.relative_to(folder)): base64.b64encode(p.read_bytes()).decode() for p in folder.rglob("*") if p.is_file() and p.name != "zarr.json"}
        document = json.loads((folder / "zarr.json").read_text())
        shutil.rmtree(folder)
        return {"zarr.json": document, **files}

    def refs_in_place(name):
        edit(v, name, lambda d: config(d).update(manifest=placed(f"{name}/manifest/refs")))

    pipeline = [little(), shuffle(4), ZLIB]
    for name, page in {"in_place/refs": (4, 2, 1), "in_place/pages": (2, 1, 1)}.items():
        seen = v.manifest(name, sample((31, 6, 8), "f4"), regular(10, 3, 8), pipeline, 1.5, files=2, form="refs", missing=["1.1.0"], page=page)
        refs_in_place(name)
        v.expect(name, seen)

    # members whose references lie beside the array that holds them, in place, and in the readable form
    first = v.manifest("in_place/members", sample((8, 6), "i2"), regular(3, 6), [little(), ZLIB], 7, form="refs", missing=["1.0"])
    folder = v.store / "in_place/members"
    document = json.loads((folder / "zarr.json").read_text())
    second = v.manifest("in_place/later", sample((5, 6), "i2"), regular(2, 6), [little("big")], -3, files=2, form="refs", missing=["2.0"], page=(3, 1))
    refs_in_place("in_place/later")
    later = json.loads((v.store / "in_place/later/zarr.json").read_text())
    third = v.manifest("in_place/readable", sample((4, 6), "i2"), regular(4, 6), [little()], 9)
    readable = json.loads((v.store / "in_place/readable/zarr.json").read_text())
    for name, values in {"in_place/later": second, "in_place/readable": third}.items():
        v.expect(name, values)
    inner = np.concatenate([second[::-1], third[1:3]])
    nested = metadata(inner.shape, "int16", regular(3, 6), [little()], 0, ("virtual-concatenation", {"axis": 0, "members": [
        {"array": {"zarr.json": later}, "length": 5, "select": [[4, -1, -1], [0, 6, 1]]},
        {"array": {"zarr.json": readable}, "length": 2, "select": [[1, 3, 1], [0, 6, 1]]},
    ]}))
    members = [{"array": {"zarr.json": document}, "length": 8}, {"array": {"zarr.json": nested}, "length": 7}, {"length": 1}]
    joined = np.concatenate([first, inner, np.full((1, 6), 4, "i2")])
    v.concatenate("in_place/members", joined, rectilinear([3, 3, 2, 3, 3, 1, 1], 6), 0, members, 4)
    v.expect("in_place/members", joined)

    v.expect("in_place/plain", ordinary(v, "in_place/plain", sample((4, 6), "i2"), (4, 6), [little()]))
    plain = json.loads((v.store / "in_place/plain/zarr.json").read_text())
    v.concatenate("broken/in_place_ordinary", sample((4, 6), "i2"), regular(4, 6), 0, [{"array": {"zarr.json": plain}, "length": 4}])
    v.fail("broken/in_place_ordinary", "ordinary")


def decoding(v):
    packed = sample((6, 4), "i2")
    packed[0, :3] = [-32767, -32768, 7]
    packed = v.manifest("d/short", packed, regular(3, 4), [little(), ZLIB], np.int16(-32767), missing=["1.0"])
    byte = sample((3, 4), "i1")
    v.manifest("d/byte", byte, regular(3, 4), [little()], 0)
    ubyte = sample((2, 4), "u1")
    v.manifest("d/ubyte", ubyte, regular(2, 4), [little()], 0)
    long = np.array([[2**62 + 1, 5, BIG_FILL, -3]])
    v.manifest("d/long", long, regular(1, 4), [little("big")], 0)
    single = sample((2, 4), "f4")
    v.manifest("d/single", single, regular(2, 4), [little()], 0.0)

    def decoded(raw, dtype, mask=(), scale=None, offset=None):
        values = raw.astype(dtype)
        values[np.isin(raw, np.array(list(mask), raw.dtype))] = np.nan
        if scale is not None:
            values = (values.astype("f8") * scale).astype(dtype)
        if offset is not None:
            values = (values.astype("f8") + offset).astype(dtype)
        return values

    for out in ["f4", "f8"]:
        name = np.dtype(out).name
        parts = [
            decoded(packed, out, [-32767], 0.01, 273.15),
            decoded(packed, out, [-32767, 7], 0.002, None),
            decoded(byte.view("u1"), "f4", [255], 0.5, -3.25).astype(out),
            decoded(ubyte.view("i1"), out, [], None, 1e-3),
            decoded(long, "f8", [BIG_FILL]).astype(out),
            single.astype(out),
        ]
        whole = np.concatenate(parts)
        members = [
            {"array": "../../d/short", "length": 6, "decode": {"dtype": name, "mask": [-32767], "scale_factor": 0.01, "add_offset": 273.15}},
            {"array": "../../d/short", "length": 6, "decode": {"dtype": name, "mask": [-32767, 7], "scale_factor": 0.002}},
            {"array": "../../d/byte", "length": 3, "decode": {"dtype": "float32", "unsigned": True, "mask": [255], "scale_factor": 0.5, "add_offset": -3.25}},
            {"array": "../../d/ubyte", "length": 2, "decode": {"dtype": name, "unsigned": False, "add_offset": 1e-3}},
            {"array": "../../d/long", "length": 1, "decode": {"dtype": "float64", "mask": [str(BIG_FILL)]}},
            {"array": "../../d/single", "length": 2, "decode": {"dtype": name}},
        ]
        v.concatenate(f"decode/{name}", whole, regular(5, 4), 0, members, float("nan"))
        v.expect(f"decode/{name}", whole)
    cast = np.concatenate([packed.astype("i8"), ubyte.astype("i8")])
    v.concatenate("decode/cast", cast, regular(8, 4), 0, [{"array": "../../d/short", "length": 6, "decode": {"dtype": "int64"}}, {"array": "../../d/ubyte", "length": 2, "decode": {"dtype": "int64"}}])
    v.expect("decode/cast", cast)

    # numbers that float32 cannot hold: each product and each sum is that of the numbers as stated, rounded once
    wide = np.arange(-6000, 6000, 4, dtype="i2").reshape(-1, 4)
    v.manifest("d/wide", wide, regular(200, 4), [little(), ZLIB], 0)
    scale, offset = 0.0017, 271.3
    rounded_once = decoded(wide, "f4", (), scale, offset)
    rounded_before = wide.astype("f4") * np.float32(scale) + np.float32(offset)
    assert (rounded_once != rounded_before).any(), "no value tells one rule from the other"
    decode = {"dtype": "float32", "scale_factor": scale, "add_offset": offset}
    v.concatenate("decode/rounding", rounded_once, regular(500, 4), 0, [{"array": "../../d/wide", "length": len(wide), "decode": decode}])
    v.expect("decode/rounding", rounded_once)


def failures(v):
    temp = sample((20, 6), "f4")
    checked = [little(), ZLIB, FLETCHER]
    for suffix, grid in {"": regular(10, 6), "_uneven": rectilinear([[10, 1], [10, 1]], [4, 2])}.items():
        damaged = "1.0"
        v.manifest(f"broken/checksum{suffix}", temp, grid, checked, damage=damaged)
        v.fail(f"broken/checksum{suffix}", "fletcher32")
        v.manifest(f"broken/truncated{suffix}", temp, grid, [little()])
        path = v.root / "data" / f"broken-truncated{suffix}-0.h5"
        path.write_bytes(path.read_bytes()[:-10])
        v.fail(f"broken/truncated{suffix}", f"broken-truncated{suffix}-0.h5")
        v.manifest(f"broken/missing{suffix}", temp, grid, [little()])
        (v.root / "data" / f"broken-missing{suffix}-0.h5").unlink()
        v.fail(f"broken/missing{suffix}", f"broken-missing{suffix}-0.h5")
        for what, extra in {"size": {"size": 123456}, "etag": {"etag": '"another"'}, "time": {"last_modified": "2001-02-03T04:05:06Z"}}.items():
            v.manifest(f"broken/stale_{what}{suffix}", temp, grid, [little()], source_extra=extra)
            v.fail(f"broken/stale_{what}{suffix}", f"broken-stale_{what}{suffix}-0.h5")
        v.manifest(f"broken/szip{suffix}", temp, grid, [little()])
        edit(v, f"broken/szip{suffix}", lambda d: d["codecs"].append({"name": "hdf5.szip", "configuration": {}}))
        v.fail(f"broken/szip{suffix}", "hdf5.szip")
        v.manifest(f"broken/short_chunk{suffix}", temp, grid, [little()], alternatives=[[little()]])
        edit(v, f"broken/short_chunk{suffix}", lambda d: [c.update(length=c["length"] - 4) for c in config(d)["chunks"].values()])
        v.fail(f"broken/short_chunk{suffix}", "expected")
    v.manifest("broken/version", temp, regular(10, 6), [little()])
    edit(v, "broken/version", lambda d: config(d).update(version="0.9"))
    v.fail("broken/version", "0.9")
    v.manifest("broken/transformer", temp, regular(10, 6), [little()])
    edit(v, "broken/transformer", lambda d: d["storage_transformers"][0].update(name="chunk-lottery"))
    v.fail("broken/transformer", "chunk-lottery")
    v.manifest("broken/encoding", temp, regular(10, 6), [little()])
    edit(v, "broken/encoding", lambda d: d["chunk_key_encoding"].update(name="default"))
    v.fail("broken/encoding", "default")
    v.manifest("broken/neither", temp, regular(10, 6), [little()])
    edit(v, "broken/neither", lambda d: config(d).pop("chunks"))
    v.fail("broken/neither", "neither 'manifest' nor 'chunks'")
    v.manifest("broken/codec", temp, regular(10, 6), [little()])
    edit(v, "broken/codec", lambda d: config(d)["chunks"]["1.0"].update(codec=1))
    v.fail("broken/codec", "codec 1")
    v.manifest("broken/source", temp, regular(10, 6), [little()])
    edit(v, "broken/source", lambda d: config(d)["chunks"]["1.0"].update(source=1))
    v.fail("broken/source", "source 1")
    v.concatenate("broken/member", temp, regular(10, 6), 0, [{"array": "parts/none", "length": 20}])
    v.fail("broken/member", "parts/none")
    v.concatenate("broken/loop", temp, regular(10, 6), 0, [{"array": "../loop", "length": 20}])
    v.fail("broken/loop", "member of itself")
    v.concatenate("broken/sum", temp, regular(10, 6), 0, [{"length": 19}])
    v.fail("broken/sum", "19")
    v.concatenate("broken/dtype", temp, regular(10, 6), 0, [{"array": "../../d/short", "length": 20, "select": [[0, 20, 1], [0, 4, 1]]}])
    v.fail("broken/dtype", "select")
    v.concatenate("broken/dtype2", temp[:6, :4], regular(10, 6), 0, [{"array": "../../d/short", "length": 6}])
    v.fail("broken/dtype2", "int16")


def checks_of(blobs):
    """Length and CRC-32C of each, little-endian, in base64; b"" stands for what is not stored."""
    crc = numcodecs.CRC32C(location="end")
    parts = [len(b).to_bytes(4, "little") + (bytes(crc.encode(b))[-4:] if b else bytes(4)) for b in blobs]
    return base64.b64encode(b"".join(parts)).decode()


def into_objects(v, name):
    """A packed manifest of format 0.1 becomes one of 0.2: metadata in the document, pages and source tables with checks."""
    document, folder = v.nodes[name], v.store / name
    configuration = config(document)
    refs = folder / "manifest" / "refs"
    described = json.loads((refs / "zarr.json").read_text())
    (refs / "zarr.json").unlink()
    counts = [-(-n // p) for n, p in zip(described["shape"], described["chunk_grid"]["configuration"]["chunk_shape"], strict=True)]
    pages = [refs / "c" / "/".join(map(str, at)) for at in np.ndindex(*counts)]
    blobs = [page.read_bytes() if page.exists() else b"" for page in pages]
    configuration["manifest"] = {"zarr.json": described, "objects": {"path": "manifest/refs", "checks": checks_of(blobs)}}
    if "path" in configuration["sources"]:
        table = folder / configuration["sources"]["path"]
        count = -(-configuration["sources"]["count"] // configuration["sources"]["page_size"])
        configuration["sources"]["checks"] = checks_of([(table / f"{i}.json").read_bytes() for i in range(count)])
    configuration["version"] = "0.2"
    v.document(name, document)
    return [page for page in pages if page.exists()]


def generations(v):
    """Format 0.2: documents tell what each object holds that they name."""
    values = sample((37, 7, 11), "i4")
    pipeline = [little(), ZLIB]
    v.expect("checked/pages", v.manifest("checked/pages", values, regular(10, 3, 8), pipeline, form="refs", page=(2, 3, 2), missing=["1.1.0"]))
    into_objects(v, "checked/pages")
    v.expect("checked/no_page", v.manifest("checked/no_page", values, regular(10, 3, 8), pipeline, form="refs", page=(1, 1, 2), missing=["2.1.0", "2.1.1"]))
    into_objects(v, "checked/no_page")
    v.expect("checked/sources", v.manifest("checked/sources", values, regular(10, 3, 8), pipeline, form="refs", files=5, shared=True))
    into_objects(v, "checked/sources")
    first = v.manifest("checked/joined/parts/a", values, regular(10, 3, 8), pipeline, public=False)
    raw = (v.store / "checked/joined/parts/a/zarr.json").read_bytes()
    member = {"array": "parts/a", "length": 37, "check": checks_of([raw])}
    v.concatenate("checked/joined", first, regular(10, 3, 8), 0, [member])
    config(v.nodes["checked/joined"])["version"] = "0.2"
    v.expect("checked/joined", first)
    held = v.manifest("checked/held", np.arange(30.0), regular(8), [little(), {"name": "crc32c"}], inline=["1"])
    edit(v, "checked/held", lambda d: config(d).update(version="0.2", holds_values=True))
    (row,) = config(v.nodes["checked/held"])["sources"]["list"]
    row["check"] = checks_of([(v.root / "data" / row["url"]).read_bytes()])
    v.document("checked/held", v.nodes["checked/held"])
    v.expect("checked/held", held)
    damage = {
        "absent": (lambda page: page.unlink(), "absent"),
        "empty": (lambda page: page.write_bytes(b""), "expected"),
        "short": (lambda page: page.write_bytes(page.read_bytes()[:-3]), "expected"),
        "altered": (lambda page: page.write_bytes(bytes([page.read_bytes()[0] ^ 1]) + page.read_bytes()[1:]), "checksum"),
    }
    for what, (change, text) in damage.items():
        v.manifest(f"broken/page_{what}", values, regular(10, 3, 8), pipeline, form="refs")
        change(into_objects(v, f"broken/page_{what}")[0])
        v.fail(f"broken/page_{what}", text)
        v.manifest(f"broken/table_{what}", values, regular(10, 3, 8), pipeline, form="refs", files=3, shared=True)
        into_objects(v, f"broken/table_{what}")
        change(v.store / f"broken/table_{what}-sources" / "1.json")
        v.fail(f"broken/table_{what}", text)
        v.manifest(f"broken/member_{what}/parts/a", values, regular(10, 3, 8), pipeline, public=False)
        document = v.store / f"broken/member_{what}/parts/a/zarr.json"
        v.concatenate(f"broken/member_{what}", values, regular(10, 3, 8), 0, [{"array": "parts/a", "length": 37, "check": checks_of([document.read_bytes()])}])
        config(v.nodes[f"broken/member_{what}"])["version"] = "0.2"
        change(document)
        v.fail(f"broken/member_{what}", text)
    v.manifest("broken/unchecked", values, regular(10, 3, 8), pipeline, form="refs")
    edit(v, "broken/unchecked", lambda d: config(d).update(version="0.2"))
    v.fail("broken/unchecked", "without the checks")
    v.manifest("broken/few_checks", values, regular(10, 3, 8), pipeline, form="refs", page=(1, 1, 2))
    into_objects(v, "broken/few_checks")
    edit(v, "broken/few_checks", lambda d: config(d)["manifest"]["objects"].update(checks=checks_of([b"1"])))
    v.fail("broken/few_checks", "1")


def roots(v):
    """Hierarchies whose root tells its own length and checksum."""
    values = np.array([1.5, -2.0, 4.25, 8.0])
    transformer = ("chunk-manifest", {"version": "0.2", "sources": {"base": "../../data/", "list": [{"url": "a.h5", "size": 9}]}, "chunks": {"0": {"inline": base64.b64encode(values.tobytes()).decode()}}})
    title = 'Größe in "mm": check, \\ and a  space'
    document = metadata(values.shape, values.dtype, regular(4), [little()], 0.5, transformer, {"long_name": title})
    record = {"version": "0.2", "generation": "1ngpf2qmtv1eryx9fmq1", "written": "2026-11-28T20:40:56Z", "check": ""}
    consolidated = {"kind": "inline", "must_understand": False, "metadata": {"v": document}}
    attributes = {"title": title, "check": "", "_vzarr": record}
    root = {"zarr_format": 3, "node_type": "group", "attributes": attributes, "consolidated_metadata": consolidated}
    empty = json.dumps(root, separators=(",", ":"), ensure_ascii=False)
    record["check"] = checks_of([empty.replace('"url":"a.h5"', '"url":""').replace('"base":"../../data/"', '"base":""').encode()])
    whole = json.dumps(root, separators=(",", ":"), ensure_ascii=False)
    read = {"v": {"shape": [4], "dtype": "float64", "values": jsonable(values)}}
    refused = {"error": "not as it was written"}
    without = {"title": title, "_vzarr": {name: value for name, value in record.items() if name != "check"}}
    for name, text, want in [
        ("written", whole, read),
        ("spaced", json.dumps(root, indent=2, ensure_ascii=False), read),
        ("moved", whole.replace('"url":"a.h5"', '"url":"https://example.org/a \\" b.h5"').replace("../../data/", "../../moved/"), read),
        ("size", whole.replace('"size":9', '"size":8'), refused),
        ("not_checked", json.dumps({**root, "attributes": without}), read),
        ("number", whole.replace('"fill_value":0.5', '"fill_value":0.6'), refused),
        ("values", whole.replace('"inline":"AAAAAAAA+D8', '"inline":"AAAAAAAA+T8'), refused),
        ("shorter", whole.replace('"shape":[4]', '"shape":[]'), refused),
        ("attribute", whole.replace("a  space", "a space"), refused),
        ("record", whole.replace("20:40:56Z", "20:40:57Z"), refused),
        ("dropped", json.dumps({name: value for name, value in root.items() if name != "consolidated_metadata"}, indent=2), refused),
        ("no_base64", whole.replace(record["check"], "?" * 12), {"error": "base64"}),
    ]:
        assert text == whole or name != "written"
        path = v.root / "roots" / name / "zarr.json"
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
        v.roots[name] = want


def config(document):
    return document["storage_transformers"][0]["configuration"]


def edit(v, name, change):
    change(v.nodes[name])
    v.document(name, v.nodes[name])


def array(self, name):
    entry = self.expected[name]
    return np.array([float(x) for x in entry["values"]]).reshape(entry["shape"]).astype(entry["dtype"])


Vectors.array = array


def main(root):
    v = Vectors(root)
    for part in [manifests, codecs, grids, concatenations, shards, places, texts, members, in_place, decoding, failures, generations, roots]:
        part(v)
    v.finish()


if __name__ == "__main__":
    main(sys.argv[1])
