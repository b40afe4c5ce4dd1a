import assert from "node:assert/strict";
import { utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as zarr from "zarrita";
import { openVirtual } from "../src/index.js";
import { serve } from "./server.js";
import { runPython, temporary } from "./vectors.js";

const SIMULATED = fileURLToPath(new URL("../../tests/support/large_stores.py", import.meta.url));

let directory;
let server;
before(async () => {
  directory = temporary();
  runPython(fileURLToPath(new URL("make_large.py", import.meta.url)), directory.path);
  const scanned = new Date("2026-01-01T00:00:00Z");
  utimesSync(join(directory.path, "data", "000500.h5"), scanned, scanned);
  server = await serve(directory.path);
});
after(async () => {
  await server.close();
  directory.remove();
});

test("one chunk of a million takes 4 requests and 0.15 MB from a cold start", async (t) => {
  const store = await openVirtual(`${server.url}/store`);
  const array = await zarr.open.v3(zarr.root(store).resolve("big"), { kind: "array" });
  const { data } = await array.getChunk([50, 7, 3]);
  assert.deepEqual(Array.from(data), Array.from({ length: 1000 }, (_, i) => i));
  const { requests, bytes } = server.count();
  t.diagnostic(`${requests} requests, ${bytes} bytes: ${server.log.map(({ path, bytes: n }) => `${path} ${n}`).join(", ")}`);
  assert.ok(requests <= 4, `${requests} requests: root, page, sources, chunk`);
  assert.ok(bytes <= 150_000, `${bytes} bytes`);
  assert.deepEqual(store.stats, { requests, bytes });
});

test("another chunk of the same page takes one request more", async () => {
  const store = await openVirtual(`${server.url}/store`);
  const array = await zarr.open.v3(zarr.root(store).resolve("big"), { kind: "array" });
  await array.getChunk([50, 7, 3]);
  const { requests } = server.count();
  await array.getChunk([50, 7, 4]);
  assert.equal(server.count().requests, requests + 1);
});

test("one chunk of a thousand million takes the same requests", async () => {
  runPython(SIMULATED, directory.path, "1000000", "1000", `${server.url}/data/numbers.bin`);
  writeFileSync(join(directory.path, "data", "numbers.bin"), new Int16Array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
  const store = await openVirtual(`${server.url}/simulated.vzarr`);
  const array = await zarr.open.v3(zarr.root(store).resolve("v"), { kind: "array" });
  const { data } = await array.getChunk([500_000, 7]);
  assert.deepEqual(Array.from(data), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const { requests, bytes } = store.stats;
  assert.ok(requests <= 4, `${requests} requests`);
  assert.ok(bytes <= 700_000, `${bytes} bytes`);
});
