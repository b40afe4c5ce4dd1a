import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const package_ = fileURLToPath(new URL("..", import.meta.url));
const tsc = fileURLToPath(new URL("../node_modules/typescript/bin/tsc", import.meta.url));

/** What the compiler prints; nothing if all is well. */
async function check(...options) {
  return run(process.execPath, [tsc, ...options], { cwd: package_ }).then(
    () => "",
    ({ stdout, stderr }) => stdout + stderr,
  );
}

test("the types in comments hold, and a TypeScript program that uses the package is checked by them", async () => {
  assert.equal(await check(), "");
  const options = ["--ignoreConfig", "--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--target", "es2022", "--lib", "es2023,dom"];
  assert.equal(await check(...options, "test/consumer.ts"), "");
});
