import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { openVirtual, StoreChangedError } from "../src/index.js";
import { serve } from "./server.js";
import { openArray, runPython, temporary, values } from "./vectors.js";

const DAMAGE = {
  absent: (path) => rmSync(path),
  empty: (path) => writeFileSync(path, ""),
  short: (path, bytes) => writeFileSync(path, bytes.subarray(0, bytes.length - 1)),
  altered: (path, bytes) => writeFileSync(path, bytes.map((byte, i) => (i === bytes.length - 9 ? byte ^ 1 : byte))),
};

let directory, server, expected, files;
before(async () => {
  directory = temporary();
  runPython(fileURLToPath(new URL("make_damage.py", import.meta.url)), directory.path);
  expected = JSON.parse(readFileSync(join(directory.path, "expected.json"), "utf8"));
  const folder = join(directory.path, "s.vzarr");
  files = readdirSync(folder, { recursive: true }).map((name) => join(folder, name)).filter((path) => statSync(path).isFile());
  server = await serve(directory.path);
});
after(async () => {
  await server.close();
  directory.remove();
});

async function read() {
  const store = await openVirtual(`${server.url}/s.vzarr`);
  const found = {};
  for (const path of Object.keys(expected)) found[path] = (await values(await openArray(store, path))).values;
  return found;
}

test("the store is read as it was written", async () => {
  assert.deepEqual(await read(), expected);
});

for (const [how, damage] of Object.entries(DAMAGE)) {
  test(`an object that is ${how} is an error or does not matter, and never fill`, async () => {
    let refused = 0;
    for (const path of files) {
      if (how === "altered" && path.endsWith("s.vzarr/zarr.json")) continue; // what all else is checked against
      const bytes = readFileSync(path);
      damage(path, bytes);
      try {
        assert.deepEqual(await read(), expected, path);
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        refused++;
      } finally {
        writeFileSync(path, bytes);
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
