import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { fileURLToPath } from "node:url";
import { build as bundle } from "esbuild";
import { build, OUTPUT } from "../preview/build.js";

const LIMIT = 25 * 1000;

test("what the reader loads at first, without zarrita and minified, is below 25 kB", async (t) => {
  const { outputFiles, metafile } = await bundle({
    entryPoints: [fileURLToPath(new URL("../src/index.js", import.meta.url))],
    bundle: true, minify: true, format: "esm", splitting: true, outdir: "out", write: false, metafile: true, external: ["zarrita"],
  });
  const size = (path) => metafile.outputs[path].bytes;
  const everything = outputFiles.map(({ text }) => text).join("");
  const entry = Object.keys(metafile.outputs).find((path) => metafile.outputs[path].entryPoint?.endsWith("src/index.js"));
  const loaded = staticClosure(metafile, entry).reduce((sum, path) => sum + size(path), 0);
  t.diagnostic(`${loaded} bytes are loaded at first; with what is loaded when needed ${everything.length} bytes, gzipped ${gzipSync(everything).length}`);
  assert.ok(loaded < LIMIT, `${loaded} bytes`);
});

/** What a browser loads before the first line runs. */
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
