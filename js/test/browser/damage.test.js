import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { after, before, describe, test } from "node:test";
import { DAMAGE, damaged, serveStore } from "../damage.js";
import { serve } from "../server.js";
import { launch, skip } from "./chromium.js";
import { servePage } from "./page.js";

const PREVIEW = fileURLToPath(new URL("../../../intake_virtualzarr/catalog/preview_page", import.meta.url));

describe("a damaged store in Chromium", { skip }, () => {
  let store, site, preview, browser, url, page;
  before(async () => {
    [store, site, preview, browser] = await Promise.all([serveStore(), servePage(), serve(PREVIEW), launch()]);
    url = `${store.server.url}/s.vzarr`;
    page = await browser.context.newPage();
    await page.goto(`${site.url}/index.html`);
  });
  after(async () => {
    await browser.close();
    await Promise.all([store.close(), site.close(), preview.close()]);
  });

  /** Values of all arrays, or what the errors say; a store that does not open is one error. */
  function read() {
    const paths = Object.keys(store.expected);
    return page.evaluate(([at, names]) => globalThis.readAll(at, names).catch((error) => ({ "/": { error: error.message } })), [url, paths]);
  }

  test("the store is read as it was written", async () => {
    const found = await read();
    for (const [name, values] of Object.entries(store.expected)) assert.deepEqual(found[name].values, values, name);
  });

  for (const how of Object.keys(DAMAGE)) {
    test(`an object that is ${how} is an error or does not matter, and never fill`, async () => {
      let refused = 0;
      for (const path of damaged(store.files, how)) {
        const found = Object.entries(await read());
        assert.ok(found.length > 0);
        for (const [name, { error, values }] of found) {
          if (error === undefined) assert.deepEqual(values, store.expected[name], `${path}: ${name}`);
          else assert.ok(error.trim(), `${path}: ${name} says nothing`);
        }
        refused += found.some(([, { error }]) => error !== undefined);
      }
      assert.ok(refused >= 4, `${refused} of ${store.files.length} were refused: page, table, values, part`);
    });
  }

  test("the preview shows no field of fill where a page, a table, values or a part is damaged", async () => {
    const shown = async (name) => {
      await page.goto(`${preview.url}/preview.html?${new URLSearchParams({ store: url, var: name })}`);
      await page.waitForFunction(() => ["ready", "error", "empty"].includes(globalThis.__preview?.state));
      const ask = page.getByRole("button", { name: "Read them all" });
      if (await ask.isVisible()) await ask.click();
      await page.waitForFunction(() => ["ready", "error"].includes(globalThis.__preview.state));
      return page.evaluate(() => (globalThis.__preview.state === "ready" ? globalThis.__preview.value(0, 0) : globalThis.__preview.state));
    };
    const right = { v: await shown("v"), area: await shown("area") };
    assert.deepEqual(Object.values(right).map((value) => typeof value), ["number", "number"], JSON.stringify(right));
    let errors = 0;
    for (const how of ["absent", "empty"]) {
      for (const path of damaged(store.files.filter((path) => path.includes("generations")), how)) {
        for (const [name, value] of Object.entries(right)) {
          const found = await shown(name);
          assert.ok(found === value || found === "error", `${path} ${how}: ${name} shows ${found}`);
          errors += found === "error";
        }
      }
    }
    assert.ok(errors >= 8, `${errors} errors`);
  });
});
