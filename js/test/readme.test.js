import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { serve } from "./server.js";
import { runPython, temporary } from "./vectors.js";

test("the example of the README runs as it stands", async () => {
  const directory = temporary();
  const here = (path) => fileURLToPath(new URL(path, import.meta.url));
  runPython(here("make_demo.py"), directory.path);
  const server = await serve(directory.path);
  try {
    const [, example] = /```js\n([^]*?)```/.exec(readFileSync(here("../README.md"), "utf8"));
    const program = example.replace("https://example.org/sst.vzarr", `${server.url}/store`);
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], { cwd: here("..") });
    assert.match(stdout, /^\[ 36, 10 \] \S+ \{ requests: \d+, bytes: \d+ \}/);
  } finally {
    await server.close();
    directory.remove();
  }
});
