import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { build as bundle } from "esbuild";
import { build, OUTPUT } from "../preview/build.js";

const LIMIT = 27 * 1000;

/** What is loaded when a store needs it, by the module that begins it; the README has the same table. */
const LATER = {
  "src/concatenation.js": "virtual concatenations",
  "src/refs.js": "manifests in packed form",
  "src/assemble.js": "arrays that are decoded and assembled here",
  "src/chunked.js": "regions of arrays with chunks",
  "src/sharded.js": "shards",
  "src/codecs/hdf5.js": "shuffle, fletcher32, lzf, crc32c",
  "src/fill.js": "fill values given as bits",
  "src/checks.js": "length and checksum of objects",
  "src/codecs/own.js": "codecs that give values (registerLayout, registerFilter)",
  "src/codecs/linear.js": "evenly spaced coordinates",
};

test("what a page loads to open a store, without zarrita and minified, is below 27 kB; the rest comes when it is met", async (t) => {
  const { metafile } = await bundle({
    entryPoints: [fileURLToPath(new URL("../src/index.js", import.meta.url))],
    bundle: true, minify: true, format: "esm", splitting: true, outdir: "out", write: false, metafile: true, external: ["zarrita"],
  });
  const sizeOf = (paths) => paths.reduce((sum, path) => sum + metafile.outputs[path].bytes, 0);
  const beginning = (module) => Object.keys(metafile.outputs).find((path) => metafile.outputs[path].entryPoint?.endsWith(module));
  const first = staticClosure(metafile, beginning("src/index.js"));
  t.diagnostic(`${sizeOf(first)} bytes are loaded at first: opening, HTTP, caches, chunk manifests, stored bytes passed through`);
  for (const [module, what] of Object.entries(LATER)) {
    const added = staticClosure(metafile, beginning(module)).filter((path) => !first.includes(path));
    t.diagnostic(`${sizeOf(added)} bytes when met: ${what} (${module} and what it shares with others)`);
  }
  const everything = Object.keys(metafile.outputs);
  t.diagnostic(`${sizeOf(everything)} bytes are all of it, for a store that has everything`);
  assert.ok(sizeOf(first) < LIMIT, `${sizeOf(first)} bytes`);
  const entries = everything.map((path) => metafile.outputs[path].entryPoint).filter(Boolean);
  assert.deepEqual(entries.sort(), ["src/index.js", ...Object.keys(LATER)].sort(), "modules that are loaded later");
});

/** A module and what it imports statically: what is loaded before its first line runs. */
function staticClosure(metafile, entry, seen = []) {
  if (seen.includes(entry)) return seen;
  seen.push(entry);
  for (const { path, kind } of metafile.outputs[entry].imports) if (kind === "import-statement" && metafile.outputs[path]) staticClosure(metafile, path, seen);
  return seen;
}

test("the committed preview page is what its sources build, and below 500 kB", async () => {
  for (const [name, text] of Object.entries(await build())) {
    assert.equal(readFileSync(new URL(name, OUTPUT), "utf8"), text, `${name} is out of date: run npm run build in js/`);
    assert.ok(text.length < 500_000);
  }
});

test("the page asks no other host for anything", async () => {
  const { "preview.html": html, "preview.js": script } = await build();
  assert.doesNotMatch(html, /(?:src|href)="(?:https?:)?\/\//);
  assert.doesNotMatch(script, /fetch\("http/);
});

test("modules stay readable: at most 300 lines", () => {
  for (const folder of ["../src", "../preview"]) {
    const root = fileURLToPath(new URL(folder, import.meta.url));
    for (const name of readdirSync(root, { recursive: true })) {
      if (!name.endsWith(".js") || !statSync(`${root}/${name}`).isFile()) continue;
      const lines = readFileSync(`${root}/${name}`, "utf8").split("\n").length;
      assert.ok(lines <= 301, `${name} has ${lines} lines`);
    }
  }
});
