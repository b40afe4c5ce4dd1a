import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import * as zarr from "zarrita";
import { FormatError, openVirtual } from "../src/index.js";
import { expectedError, openArray, serveVectors, values } from "./vectors.js";

let vectors;
before(async () => {
  vectors = await serveVectors();
});
after(() => vectors.close());

describe("test vectors", () => {
  test("every array has the expected shape, type and values", async () => {
    const store = await openVirtual(vectors.store);
    let compared = 0;
    for (const [path, want] of Object.entries(vectors.expected)) {
      if (expectedError(want)) continue;
      const array = await openArray(store, path);
      assert.deepEqual(array.shape, want.shape, path);
      assert.equal(array.dtype, want.dtype, path);
      const { values: found } = await values(array);
      assert.deepEqual(found, want.values, path);
      compared++;
    }
    assert.ok(compared > 110, `only ${compared} arrays`);
  });

  test("every array that must fail does, and says why", async () => {
    const store = await openVirtual(vectors.store);
    for (const [path, want] of Object.entries(vectors.expected)) {
      const expected = expectedError(want);
      if (!expected) continue;
      const read = openArray(store, path).then((array) => values(array));
      await assert.rejects(read, (error) => {
        const message = chain(error);
        assert.ok(message.toLowerCase().includes(expected.toLowerCase()), `${path}: ${message}`);
        return true;
      }, path);
    }
  });

  test("parts of arrays equal the same parts of the whole, in a store opened for each", async () => {
    for (const path of ["regular", "refs", "masked", "grids/cropped_refs", "uneven", "view_elsewhere", "sharded/refs"]) {
      const store = await openVirtual(vectors.store);
      const array = await openArray(store, path);
      const [, ny, nx] = array.shape;
      const { values: found } = await values(array, [zarr.slice(8, 33, 4), 3, zarr.slice(1, 6)]);
      const want = [];
      for (let t = 8; t < Math.min(33, array.shape[0]); t += 4) for (let x = 1; x < 6; x++) want.push(vectors.expected[path].values[(t * ny + 3) * nx + x]);
      assert.deepEqual(found, want, path);
    }
  });

  test("a zarrita store holds the hierarchy as well as a URL does", async () => {
    const store = await openVirtual(new zarr.FetchStore(vectors.store));
    for (const path of ["refs", "uneven", "inlined", "nested"]) {
      assert.deepEqual((await values(await openArray(store, path))).values, vectors.expected[path].values, path);
    }
  });

  test("a store without consolidated metadata reads the same", async () => {
    const store = await openVirtual(`${vectors.store}/parts/`);
    const { values: found } = await values(await openArray(store, "a"));
    assert.deepEqual(found, vectors.expected.uneven.values.slice(0, found.length));
  });

  test("a root that tells its own checksum is read as it was written or not at all", async () => {
    for (const [name, want] of Object.entries(vectors.roots)) {
      const opened = openVirtual(`${vectors.main.url}/roots/${name}`);
      if (want.error) {
        await assert.rejects(opened, (error) => error instanceof FormatError && error.message.includes(want.error), name);
        continue;
      }
      const store = await opened;
      for (const [path, { values: expected }] of Object.entries(want)) assert.deepEqual((await values(await openArray(store, path))).values, expected, name);
      assert.ok(!("_vzarr" in (await zarr.open.v3(zarr.root(store), { kind: "group" })).attrs), name);
    }
  });

  test("an array itself can be opened as the root", async () => {
    const store = await openVirtual(`${vectors.store}/regular`);
    assert.deepEqual((await values(await zarr.open.v3(zarr.root(store), { kind: "array" }))).values, vectors.expected.regular.values);
  });
});

function chain(error) {
  return error ? `${error.message} ${chain(error.cause)}` : "";
}
