import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, describe, test } from "node:test";
import { serve } from "../server.js";
import { expectedError, runPython, serveVectors, temporary } from "../vectors.js";
import { launch, skip, watchedPage } from "./chromium.js";
import { servePage } from "./page.js";

describe("test vectors in Chromium, page on one port and data on others", { skip }, () => {
  let vectors, site, browser;
  before(async () => {
    vectors = await serveVectors();
    site = await servePage();
    browser = await launch();
  });
  after(async () => {
    await browser.close();
    await Promise.all([site.close(), vectors.close()]);
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

  test("a root that tells its own checksum is read as it was written or not at all", async () => {
    const page = await browser.context.newPage();
    await page.goto(`${site.url}/index.html`);
    for (const [name, { error, ...want }] of Object.entries(vectors.roots)) {
      const read = page.evaluate(([url, paths]) => globalThis.readAll(url, paths), [`${vectors.main.url}/roots/${name}`, Object.keys(want)]);
      if (error) await assert.rejects(read, (thrown) => thrown.message.includes(error), name);
      else assert.deepEqual(await read, want, name);
    }
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
