import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { openVirtual } from "../src/index.js";
import { serve } from "./server.js";
import { openArray, runPython, temporary, values } from "./vectors.js";

const STORES = ["fused", "members", "part", "turned", "new_axis", "two_axes", "appended"];

describe("stores that the Python package writes hold what xarray reads of their files", () => {
  let directory, server, expected;
  before(async () => {
    directory = temporary();
    runPython(fileURLToPath(new URL("make_written.py", import.meta.url)), directory.path);
    expected = JSON.parse(readFileSync(join(directory.path, "expected.json"), "utf8"));
    server = await serve(directory.path);
  });
  after(async () => {
    await server.close();
    directory.remove();
  });

  for (const name of STORES) {
    test(name, async () => {
      const store = await openVirtual(`${server.url}/${name}.vzarr`);
      for (const [path, want] of Object.entries(expected[name])) {
        const array = await openArray(store, path);
        const found = { ...(await values(array)), dtype: array.dtype };
        assert.deepEqual(found, want, path);
      }
    });
  }

  test("no store is left out", () => {
    assert.deepEqual(Object.keys(expected).sort(), [...STORES].sort());
  });
});
