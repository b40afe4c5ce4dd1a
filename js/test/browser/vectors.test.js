import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, describe, test } from "node:test";
import { build } from "esbuild";
import { serve } from "../server.js";
import { expectedError, runPython, serveVectors, temporary } from "../vectors.js";
import { launch, skip, watchedPage } from "./chromium.js";

const PROGRAM = `
import * as zarr from "zarrita";
import { openVirtual } from "../../src/index.js";
import "../../src/codecs/light/index.js";

const asJson = (value) => (typeof value === "bigint" ? String(value) : typeof value === "boolean" ? Number(value) : Number.isFinite(value) ? value : String(value));

function inOrder({ data, shape, stride }) {
  const list = [];
  const walk = (axis, at) => {
    if (axis === shape.length) list.push(asJson(data.get ? data.get(at) : data[at]));
    else for (let i = 0; i < shape[axis]; i++) walk(axis + 1, at + i * stride[axis]);
  };
  walk(0, 0);
  return list;
}

const messages = (error) => (error ? error.message + " " + messages(error.cause) : "");

globalThis.readAll = async (url, paths) => {
  const store = await openVirtual(url);
  const found = {};
  for (const path of paths) {
    try {
      const array = await zarr.open.v3(zarr.root(store).resolve(path), { kind: "array" });
      // zarrita reads no array without elements; that it opens is all there is to see
      const result = array.shape.includes(0) ? { data: [], shape: array.shape, stride: array.shape } : await zarr.get(array);
      found[path] = { shape: array.shape, dtype: array.dtype, values: array.shape.length ? inOrder(result) : [asJson(result)] };
    } catch (error) {
      found[path] = { error: messages(error) };
    }
  }
  return found;
};
`;

describe("test vectors in Chromium, page on one port and data on others", { skip }, () => {
  let vectors, site, browser, directory;
  before(async () => {
    vectors = await serveVectors();
    directory = temporary();
    const stdin = { contents: PROGRAM, resolveDir: fileURLToPath(new URL(".", import.meta.url)) };
    const { outputFiles } = await build({ stdin, bundle: true, format: "iife", write: false, target: "es2022" });
    writeFileSync(join(directory.path, "program.js"), outputFiles[0].text);
    writeFileSync(join(directory.path, "index.html"), '<!doctype html><link rel="icon" href="data:,"><script src="program.js"></script>');
    site = await serve(directory.path);
    browser = await launch();
  });
  after(async () => {
    await browser.close();
    await Promise.all([site.close(), vectors.close()]);
    directory.remove();
  });

  test("every array equals the expected one or fails as expected", async () => {
    const page = await browser.context.newPage();
    await page.goto(`${site.url}/index.html`);
    const found = await page.evaluate(([url, paths]) => globalThis.readAll(url, paths), [vectors.store, Object.keys(vectors.expected)]);
    const globals = Object.fromEntries(await page.evaluate(() => Object.getOwnPropertyNames(globalThis).map((name) => [name, true])));
    let compared = 0;
    for (const [path, { needs, ...want }] of Object.entries(vectors.expected)) {
      const expected = expectedError({ needs, ...want }, globals);
      if (expected) assert.ok(found[path].error?.toLowerCase().includes(expected.toLowerCase()), `${path}: ${JSON.stringify(found[path]).slice(0, 300)}`);
      else {
        assert.deepEqual(found[path], want, `${path} ${found[path].error ?? ""}`);
        compared++;
      }
    }
    assert.ok(compared > 110, `only ${compared} arrays`);
    assert.ok(vectors.other.log.length > 0);
  });

  test("stores that the Python package writes hold what xarray reads of their files", async () => {
    const written = temporary();
    runPython(fileURLToPath(new URL("../make_written.py", import.meta.url)), written.path);
    const data = await serve(written.path);
    try {
      const { page, faults } = await watchedPage(browser.context, [site.url, data.url]);
      await page.goto(`${site.url}/index.html`);
      for (const [name, want] of Object.entries(JSON.parse(readFileSync(join(written.path, "expected.json"), "utf8")))) {
        const found = await page.evaluate(([url, paths]) => globalThis.readAll(url, paths), [`${data.url}/${name}.vzarr`, Object.keys(want)]);
        assert.deepEqual(found, want, name);
      }
      assert.deepEqual(faults, []);
    } finally {
      await data.close();
      written.remove();
    }
  });

  test("a host without CORS headers is named in the error", async () => {
    const closed = await serve(vectors.path, { cors: false });
    try {
      const { page } = await watchedPage(browser.context, []);
      await page.goto(`${site.url}/index.html`);
      const message = await page.evaluate((url) => globalThis.readAll(url, []).catch((error) => error.message), `${closed.url}/store`);
      assert.match(message, /no answer.*CORS/);
    } finally {
      await closed.close();
    }
  });
});
