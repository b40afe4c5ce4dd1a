import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openVirtual, StoreChangedError } from "../src/index.js";
import { DAMAGE, damaged, serveStore } from "./damage.js";
import { openArray, values } from "./vectors.js";

let directory, server, expected, files, close;
before(async () => {
  ({ directory, server, expected, files, close } = await serveStore());
});
after(() => close());

async function read() {
  const store = await openVirtual(`${server.url}/s.vzarr`);
  const found = {};
  for (const path of Object.keys(expected)) found[path] = (await values(await openArray(store, path))).values;
  return found;
}

test("the store is read as it was written", async () => {
  assert.deepEqual(await read(), expected);
});

for (const how of Object.keys(DAMAGE)) {
  test(`an object that is ${how} is an error or does not matter, and never fill`, async () => {
    let refused = 0;
    for (const path of damaged(files, how)) {
      try {
        assert.deepEqual(await read(), expected, path);
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        refused++;
      }
    }
    assert.ok(refused >= 4, `${refused} of ${files.length} were refused: page, table, values, part`);
  });
}

test("a reader of what was cleaned away after the store was written again is told to open it again", async () => {
  const store = await openVirtual(`${server.url}/s.vzarr`);
  const root = join(directory.path, "s.vzarr", "zarr.json");
  const bytes = readFileSync(root);
  const gone = files.filter((path) => path.includes("generations"));
  const kept = gone.map((path) => readFileSync(path));
  writeFileSync(root, `${bytes} `);
  gone.forEach((path) => rmSync(path));
  try {
    await assert.rejects(openArray(store, "v").then((array) => values(array)), (error) => {
      for (let cause = error; cause; cause = cause.cause) if (cause instanceof StoreChangedError) return true;
      return false;
    });
  } finally {
    writeFileSync(root, bytes);
    gone.forEach((path, i) => writeFileSync(path, kept[i]));
  }
});
