import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import * as zarr from "zarrita";
import { FormatError, openVirtual, SourceError, UnsupportedError } from "../src/index.js";
import { contents, describe as describeArray, locate } from "../src/inspect.js";
import { serve } from "./server.js";
import { asJson } from "./as_json.js";
import { serveVectors } from "./vectors.js";

let vectors;
before(async () => {
  vectors = await serveVectors();
});
after(() => vectors.close());
beforeEach(() => {
  vectors.main.log.length = vectors.other.log.length = 0;
});

async function open(path, options, location = vectors.store) {
  const store = await openVirtual(location, options);
  return { store, array: await zarr.open.v3(zarr.root(store).resolve(path), { kind: "array" }) };
}

const json = (object) => new TextEncoder().encode(JSON.stringify(object));
const little = { name: "bytes", configuration: { endian: "little" } };

/** The document of a virtual array of 4 int16, with changes; a manifest lists no chunk unless it is told to. */
function virtualArray(configuration, changes = {}, name = "chunk-manifest") {
  const chunks = name === "chunk-manifest" && !("manifest" in configuration) ? { chunks: {} } : {};
  return {
    zarr_format: 3, node_type: "array", shape: [4], data_type: "int16", fill_value: 7, attributes: {},
    chunk_grid: { name: "regular", configuration: { chunk_shape: [2] } }, chunk_key_encoding: { name: "virtual" }, codecs: [little],
    storage_transformers: [{ name, configuration: { version: "0.1", ...chunks, ...configuration } }],
    ...changes,
  };
}

const sourceReads = () => vectors.main.log.filter(({ path }) => path.startsWith("/data/"));

describe("how the plain array looks", () => {
  test("whole chunks are passed through with their own codecs", async () => {
    const { store, array } = await open("regular");
    const { mode, kind } = await describeArray(store, "regular");
    assert.deepEqual([kind, mode], ["chunk-manifest", "passthrough"]);
    assert.deepEqual(array.chunks, [10, 3, 8]);
    const shown = JSON.parse(new TextDecoder().decode(await store.get("/regular/zarr.json")));
    assert.deepEqual(shown.codecs.map(({ name }) => name), ["bytes", "numcodecs.shuffle", "numcodecs.zlib", "numcodecs.fletcher32"]);
    assert.equal(shown.chunk_key_encoding.name, "default");
    assert.deepEqual(shown.storage_transformers, []);
    assert.deepEqual(shown.dimension_names, ["time", "y", "x"]);
  });

  test("a uniform concatenation is passed through, an uneven one decoded", async () => {
    const { store } = await open("uniform");
    assert.equal((await describeArray(store, "uniform")).mode, "passthrough");
    assert.equal((await describeArray(store, "uneven")).mode, "decoded");
    assert.deepEqual((await describeArray(store, "uneven")).chunkShape, [12, 3, 8]);
  });

  test("an uneven grid that is regular after all is passed through", async () => {
    const { store } = await open("regular");
    assert.equal((await describeArray(store, "grids/really_regular")).mode, "passthrough");
    assert.equal((await describeArray(store, "grids/even_list")).mode, "passthrough");
    assert.equal((await describeArray(store, "grids/cropped_list")).mode, "decoded");
  });

  test("the root's consolidated metadata shows plain arrays and leaves out what cannot be read", async () => {
    const store = await openVirtual(vectors.store);
    const root = JSON.parse(new TextDecoder().decode(await store.get("/zarr.json")));
    const listed = root.consolidated_metadata.metadata;
    assert.equal(listed.uneven.chunk_grid.name, "regular");
    assert.ok(!("broken/transformer" in listed) && !("broken/szip" in listed) && "broken/checksum" in listed);
    const consolidated = await zarr.withConsolidatedMetadata(store);
    const array = await zarr.open.v3(zarr.root(consolidated).resolve("uneven"), { kind: "array" });
    const { data } = await zarr.get(array, [3, 1, null]);
    assert.deepEqual([...data], vectors.expected.uneven.values.slice(3 * 48 + 8, 3 * 48 + 16));
  });

  test("contents say what is there and why an array cannot be read", async () => {
    const nodes = new Map((await contents(await openVirtual(vectors.store))).map((node) => [node.path, node]));
    assert.equal(nodes.get("/types").kind, "group");
    assert.equal(nodes.get("/regular").reason, undefined);
    assert.match(nodes.get("/broken/szip").reason, /hdf5\.szip/);
  });
});

describe("requests", () => {
  test("neighbouring chunks of one file come in one request", async () => {
    const { array } = await open("grids/cropped_chunks");
    vectors.main.log.length = 0;
    await zarr.get(array);
    assert.equal(sourceReads().length, 1);
  });

  test("a chunk that lies in two view chunks is read and decoded once", async () => {
    const { array } = await open("view_elsewhere");
    await array.getChunk([0, 0, 0]);
    const before = sourceReads().length;
    await array.getChunk([0, 0, 1]);
    assert.equal(sourceReads().length, before);
  });

  test("without room in the cache, values are the same and bytes are read again", async () => {
    const { array } = await open("view_elsewhere", { chunkCacheBytes: 0, pageCacheBytes: 0 });
    const { data } = await zarr.get(array);
    assert.deepEqual(Array.from(data, asJson), vectors.expected.view_elsewhere.values);
    const before = sourceReads().length;
    await array.getChunk([0, 0, 0]);
    assert.ok(sourceReads().length > before);
  });

  test("members that a selection does not touch are not opened", async () => {
    const { array } = await open("uneven");
    await zarr.get(array, [zarr.slice(0, 31), null, null]);
    assert.equal(vectors.other.log.length, 0);
    assert.equal((await zarr.get(array, [89, 0, null])).data.length, 8);
    assert.ok(vectors.other.log.length > 0, "the member on the other port");
  });

  test("a part of a chunk is read as a part", async () => {
    const { store } = await open("types/float64_little");
    const whole = await store.get("/types/float64_little/c/0/0");
    const part = await store.getRange("/types/float64_little/c/0/0", { offset: 5, length: 11 });
    assert.deepEqual(part, whole.slice(5, 16));
    assert.equal(vectors.main.log.at(-1).bytes, 11);
    assert.deepEqual(await store.getRange("/types/float64_little/c/0/0", { suffixLength: 4 }), whole.slice(-4));
    const decoded = await store.get("/uneven/c/0/0/0");
    assert.deepEqual(await store.getRange("/uneven/c/0/0/0", { offset: 8, length: 8 }), decoded.slice(8, 16));
    assert.equal(await store.getRange("/types/float64_little/c/1/1", { offset: 0, length: 4 }), undefined);
  });

  test("zarrita's search for Zarr v2 costs no request", async () => {
    const store = await openVirtual(vectors.store);
    await zarr.open(zarr.root(store).resolve("regular"), { kind: "array" });
    assert.equal(vectors.main.log.length, 1);
  });

  test("onRequest is told of every request, and fetch makes them", async () => {
    const records = [];
    let fetched = 0;
    const { array, store } = await open("refs", {
      onRequest: (record) => records.push(record),
      fetch: (request) => {
        fetched++;
        return fetch(request);
      },
    });
    await zarr.get(array, [0, 0, 0]);
    assert.equal(records.length, vectors.main.log.length);
    assert.equal(fetched, records.length);
    assert.equal(store.stats.bytes, records.reduce((sum, { bytes }) => sum + bytes, 0));
    assert.ok(records.some(({ range, status }) => range && status === 206));
  });

  test("a query string of the store's address goes with every key", async () => {
    const store = await openVirtual(`${vectors.store}?signature=abc`);
    await store.get("/regular/zarr.json");
    const { array } = await open("uneven", {}, `${vectors.store}?signature=abc`);
    await array.getChunk([0, 0, 0]);
    const inStore = vectors.main.log.filter(({ path }) => path.startsWith("/store/"));
    assert.ok(inStore.length > 2 && inStore.every(({ path }) => path.endsWith("?signature=abc")));
    assert.ok(sourceReads().every(({ path }) => !path.includes("signature")));
  });

  test("a busy server is asked again", async () => {
    let refusals = 2;
    const fetchBusy = (request) => (refusals-- > 0 ? Promise.resolve(new Response("busy", { status: 503 })) : fetch(request));
    const { array } = await open("regular", { fetch: fetchBusy });
    assert.equal((await zarr.get(array, [0, 0, null])).data.length, 8);
  });
});

describe("aborting", () => {
  test("rejects with the signal's reason and stops the request", async () => {
    const gone = [];
    const slow = (request) => {
      if (!request.url.includes("/data/")) return fetch(request);
      return new Promise((_, reject) => request.signal.addEventListener("abort", () => {
        gone.push(request.url);
        reject(request.signal.reason);
      }));
    };
    const { array } = await open("uneven", { fetch: slow });
    const controller = new AbortController();
    const read = array.getChunk([0, 0, 0], { signal: controller.signal });
    setTimeout(() => controller.abort(new Error("enough")), 50);
    await assert.rejects(read, /enough/);
    await new Promise((resume) => setTimeout(resume, 10));
    assert.equal(gone.length, 1);
  });

  test("leaves other readers of the same chunk alone, and later ones", async () => {
    for (const path of ["regular", "uneven"]) {
      const { array } = await open(path);
      const controller = new AbortController();
      const first = array.getChunk([0, 0, 0], { signal: controller.signal });
      const second = array.getChunk([0, 0, 0]);
      controller.abort();
      await assert.rejects(first, { name: "AbortError" });
      const { data } = await second;
      assert.equal(asJson(data[0]), vectors.expected[path].values[0]);
      assert.equal((await array.getChunk([0, 0, 0])).data.length, data.length);
    }
  });
});

describe("faults", () => {
  test("a server that ignores ranges is noticed, and its answer is not read", async () => {
    const plain = await serve(vectors.path, { ranges: false });
    try {
      for (const path of ["regular", "grids/cropped_chunks"]) {
        const { array } = await open(path, {}, `${plain.url}/store`);
        await assert.rejects(zarr.get(array), (error) => error instanceof SourceError && /ignores ranges/.test(error.message) && error.message.includes(path));
      }
    } finally {
      await plain.close();
    }
  });

  test("an error names array, chunk and file", async () => {
    const { array } = await open("broken/missing_uneven");
    await assert.rejects(zarr.get(array), /broken\/missing_uneven: chunk [\d.]+: http:.*broken-missing_uneven-0\.h5: the server answered 404/);
    const { array: checksum } = await open("broken/checksum_uneven");
    await assert.rejects(zarr.get(checksum), /broken\/checksum_uneven: chunk 1\.0: .*fletcher32.*corrupt/);
  });

  test("a failure is not remembered", async () => {
    let fail = true;
    const flaky = (request) => (fail && request.url.includes("/data/") ? Promise.resolve(new Response("", { status: 403 })) : fetch(request));
    const { array } = await open("uneven", { fetch: flaky });
    await assert.rejects(array.getChunk([0, 0, 0]), /403/);
    fail = false;
    assert.ok((await array.getChunk([0, 0, 0])).data.length);
  });

  test("no hierarchy at all is said so", async () => {
    await assert.rejects(openVirtual(`${vectors.store}/nowhere`), /nowhere.*no zarr\.json/);
    await assert.rejects(openVirtual(new Map([["/zarr.json", new TextEncoder().encode("<html>")]])), FormatError);
  });

  const faults = {
    "an unknown key of zarr.json": [virtualArray({}, { hidden: 1 }), /key 'hidden'/],
    "two transformers": [virtualArray({}, { storage_transformers: [{ name: "a" }, { name: "b" }] }), /\[a, b\]/],
    "an ordinary key encoding with a transformer": [virtualArray({}, { chunk_key_encoding: { name: "v2" } }), /'v2'/],
    "a transformer of an ordinary array": [virtualArray({}, { chunk_key_encoding: { name: "default" }, storage_transformers: [{ name: "secret" }] }), /secret/],
    "another chunk grid": [virtualArray({}, { chunk_grid: { name: "hexagonal" } }), /hexagonal/],
    "edges that do not cover the array": [virtualArray({}, { chunk_grid: { name: "rectilinear", configuration: { kind: "inline", chunk_shapes: [[2, 1]] } } }), /sum to 3/],
    "stored chunks that are too small": [virtualArray({ stored_chunk_shapes: [1] }), /stored with edge 1/],
    "both forms of a manifest": [virtualArray({ manifest: "m", chunks: {} }), /both 'manifest' and 'chunks'/],
    "neither form of a manifest": [virtualArray({ chunks: undefined }), /neither 'manifest' nor 'chunks'/],
    "an unknown setting": [virtualArray({ chunkz: {} }), /chunkz/],
    "no version": [virtualArray({ version: undefined }), /version/],
    "a data type without values": [virtualArray({ stored_chunk_shapes: [3] }, { data_type: "complex64" }), /complex64/],
    "a member with another key": [virtualArray({ axis: 0, members: [{ length: 4, sel: [] }] }, {}, "virtual-concatenation"), /'sel'/],
    "an axis out of range": [virtualArray({ axis: 1, members: [{ length: 4 }] }, {}, "virtual-concatenation"), /axis 1/],
  };
  for (const [what, [document, message]] of Object.entries(faults)) {
    test(`${what} is refused when the array is opened`, async () => {
      const store = await openVirtual(new Map([["/zarr.json", json(document)]]));
      await assert.rejects(zarr.open.v3(store), (error) => {
        assert.ok(error instanceof FormatError || error instanceof UnsupportedError);
        assert.match(error.message, message);
        return true;
      });
    });
  }

  test("an absent manifest page is fill, an absent source page an error", async () => {
    const refs = {
      zarr_format: 3, node_type: "array", shape: [2, 3], data_type: "uint64", fill_value: 0, attributes: {},
      chunk_grid: { name: "regular", configuration: { chunk_shape: [1, 3] } }, chunk_key_encoding: { name: "default" }, codecs: [little],
    };
    const page = new Uint8Array(BigUint64Array.of(0n, 8n, 4n).buffer);
    const keys = new Map([
      ["/zarr.json", json(virtualArray({ manifest: "manifest/refs", sources: { path: "sources", page_size: 8, count: 1 } }))],
      ["/manifest/refs/zarr.json", json(refs)],
      ["/manifest/refs/c/1/0", page],
    ]);
    const array = await zarr.open.v3(await openVirtual(keys), { kind: "array" });
    assert.deepEqual([...(await zarr.get(array, [zarr.slice(0, 2)])).data], [7, 7]);
    await assert.rejects(zarr.get(array, [3]), /sources\/0\.json.*absent/);
  });

  test("inlined bytes may be a source inside a store that has no address", async () => {
    const sources = { list: [{ url: "manifest/inlined-0.bin", size: 6 }] };
    const keys = new Map([
      ["/zarr.json", json(virtualArray({ chunks: { 1: { source: 0, offset: 2, length: 4 } }, sources }))],
      ["/manifest/inlined-0.bin", Uint8Array.of(9, 9, 1, 0, 2, 0)],
    ]);
    const array = await zarr.open.v3(await openVirtual(keys), { kind: "array" });
    assert.deepEqual([...(await zarr.get(array)).data], [7, 7, 1, 2]);
  });

  test("a source outside a store that has no address needs baseUrl", async () => {
    const name = "types-int16_little-0.h5";
    const document = virtualArray({ chunks: { 0: { source: 0, offset: 1, length: 4 } }, sources: { base: "../data/", list: [{ url: name }] } });
    const keys = new Map([["/zarr.json", json(document)]]);
    const array = await zarr.open.v3(await openVirtual(keys), { kind: "array" });
    await assert.rejects(zarr.get(array), /baseUrl/);
    const based = await zarr.open.v3(await openVirtual(keys, { baseUrl: `${vectors.store}/` }), { kind: "array" });
    assert.equal((await zarr.get(based)).data[0], 0x4448);
  });

  test("a reference beyond the end that the scan saw is refused without a request", async () => {
    const document = virtualArray({ chunks: { 0: { source: 0, offset: 98, length: 4 } }, sources: { list: [{ url: "http://127.0.0.1:1/a.h5", size: 100 }] } });
    const array = await zarr.open.v3(await openVirtual(new Map([["/zarr.json", json(document)]])), { kind: "array" });
    await assert.rejects(zarr.get(array), /beyond the file's 100 bytes/);
  });
});

describe("what a server says of a source", () => {
  const seen = { size: 100, etag: '"abc"', last_modified: "2026-01-01T00:00:00.25Z" };
  const good = { "Content-Range": "bytes 10-13/100", ETag: '"abc"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT" };

  /** Read an array of one chunk at byte 10 through a server that answers so. */
  async function read(headers, { source = seen, status = 206, body = Uint8Array.of(1, 0, 2, 0) } = {}) {
    const sources = { list: [{ url: "http://h/a.h5", ...source }] };
    const document = virtualArray({ chunks: { 0: { source: 0, offset: 10, length: 4 } }, sources });
    const answer = async () => new Response(body, { status, headers });
    const store = await openVirtual(new Map([["/zarr.json", json(document)]]), { fetch: answer });
    return [...(await zarr.get(await zarr.open.v3(store, { kind: "array" }), [zarr.slice(0, 2)])).data];
  }

  test("the same file is read, whatever of it can be seen", async () => {
    for (const headers of [good, {}, { ...good, ETag: 'W/"abc"' }, { "Content-Range": "bytes 10-13/*" }, { ETag: '"abc"', "Last-Modified": "Sun, 01 Feb 2026 00:00:00 GMT" }]) {
      assert.deepEqual(await read(headers), [1, 2], JSON.stringify(headers));
    }
  });

  const changes = {
    "another size": [{ ...good, "Content-Range": "bytes 10-13/101" }, {}, /http:\/\/h\/a\.h5: the file is 101 bytes long, but 100 bytes when it was scanned/],
    "another ETag": [{ ...good, ETag: '"xyz"' }, {}, /found with ETag "xyz", but "abc"/],
    "another time, where no ETag can be compared": [{ "Last-Modified": "Sun, 01 Feb 2026 00:00:00 GMT" }, {}, /found modified at 2026-02-01T00:00:00\.000Z, but 2026-01-01/],
    "other bytes than were asked for": [{ "Content-Range": "bytes 0-3/100" }, {}, /bytes 0 to 3 came for 4 bytes from 10/],
    "fewer bytes than were asked for": [good, { body: Uint8Array.of(1, 0) }, /2 bytes came for the 4 bytes from 10/],
    "the whole file": [{}, { status: 200, body: new Uint8Array(100) }, /answered 200 to a request for 4 bytes from 10, expected 206; it ignores ranges/],
    "a range beyond the end": [{}, { status: 416, body: new Uint8Array() }, /answered 416.*truncated or replaced/],
    "nothing": [{}, { status: 404, body: new Uint8Array() }, /answered 404/],
    "no permission": [{}, { status: 403, body: new Uint8Array() }, /answered 403/],
  };
  for (const [what, [headers, answer, message]] of Object.entries(changes)) {
    test(`${what} is an error that names the file`, async () => {
      await assert.rejects(read(headers, answer), (error) => error instanceof SourceError && message.test(error.message) && error.message.includes("chunk 0"));
    });
  }
});

describe("where the bytes lie", () => {
  test("locate names file and bytes of every piece, and what is fill", async () => {
    const store = await openVirtual(vectors.store);
    const [piece, ...none] = await locate(store, "regular", [0, 0, 0], [1, 1, 1]);
    assert.equal(none.length, 0);
    assert.equal(piece.kind, "stored");
    assert.equal(piece.url, `${vectors.main.url}/data/regular-0.h5`);
    assert.ok(piece.offset > 0 && piece.length > 0);
    assert.deepEqual(await locate(store, "refs", [10, 0, 0], [1, 1, 1]), [{ kind: "fill" }]);
    const kinds = new Set((await locate(store, "inlined", [0, 0, 0], [31, 6, 8])).map(({ kind }) => kind));
    assert.deepEqual(kinds, new Set(["stored", "inline", "fill"]));
    const hosts = new Set((await locate(store, "uneven", [0, 0, 0], [90, 6, 8])).filter(({ url }) => url).map(({ url }) => new URL(url).host));
    assert.deepEqual(hosts, new Set([new URL(vectors.main.url).host, new URL(vectors.other.url).host]));
  });
});
