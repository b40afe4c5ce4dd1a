import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { serve } from "../server.js";
import { runPython, temporary } from "../vectors.js";
import { launch, skip, watchedPage } from "./chromium.js";

const PREVIEW = fileURLToPath(new URL("../../../intake_virtualzarr/catalog/preview_page", import.meta.url));
const SCREENSHOTS = process.env.SCREENSHOTS;

describe("the preview page", { skip }, () => {
  let data, site, directory, browser, page, faults, expected;
  before(async () => {
    directory = temporary();
    runPython(fileURLToPath(new URL("../make_demo.py", import.meta.url)), directory.path);
    expected = JSON.parse(readFileSync(join(directory.path, "expected.json"), "utf8")).arrays;
    data = await serve(directory.path);
    site = await serve(PREVIEW);
    browser = await launch({ viewport: { width: 1280, height: 900 } });
  });
  after(async () => {
    await browser.close();
    await Promise.all([data.close(), site.close()]);
    directory.remove();
  });
  beforeEach(async () => {
    ({ page, faults } = await watchedPage(browser.context, [data.url, site.url]));
  });
  afterEach(() => page.close());

  async function open(variable) {
    const query = new URLSearchParams({ store: `${data.url}/store`, ...(variable && { var: variable }) });
    await page.goto(`${site.url}/preview.html?${query}`);
    return settled();
  }

  async function settled() {
    await page.waitForFunction(() => ["ready", "error", "empty"].includes(globalThis.__preview?.state));
    return page.evaluate(() => globalThis.__preview.state);
  }

  const value = (row, column) => page.evaluate((at) => globalThis.__preview.value(...at), [row, column]);
  const text = (selector) => page.locator(selector).innerText();
  const at = (name, t, y, x) => {
    const { shape, values } = expected[name];
    return values[(t * shape[1] + y) * shape[2] + x];
  };

  async function slide(axis, index) {
    await page.locator(`input[data-axis="${axis}"]`).fill(String(index));
    await page.waitForFunction((want) => globalThis.__preview.indices[0] === want && globalThis.__preview.state === "ready", index);
  }

  test("shows the main variable of a joined store with the values of its files", async () => {
    assert.equal(await open(), "ready");
    assert.equal(await page.evaluate(() => globalThis.__preview.variable), "/sst");
    for (const [y, x] of [[10, 20], [18, 40], [30, 3], [0, 0]]) assert.equal(await value(y, x) ?? "NaN", at("sst", 0, y, x), `${y} ${x}`);
    for (const t of [30, 31, 58, 89]) {
      await slide("time", t);
      for (const [y, x] of [[10, 20], [18, 40], [30, 3]]) assert.equal(await value(y, x) ?? "NaN", at("sst", t, y, x), `${t} ${y} ${x}`);
    }
    assert.match(await text("#controls"), /2026-03-31T12:00/);
    assert.deepEqual(faults, []);
  });

  test("a click draws the series in time, holes left out", async () => {
    await open("sst");
    const box = await page.locator("#stage canvas:not([hidden])").boundingBox();
    await page.mouse.click(box.x + 62 + (box.width - 72) * (40.5 / 72), box.y + 8 + 10);
    await page.waitForFunction(() => globalThis.__preview.series);
    const series = await page.evaluate(() => globalThis.__preview.series);
    assert.deepEqual(series.map((v) => v ?? "NaN"), Array.from({ length: 90 }, (_, t) => at("sst", t, 35, 40)));
    assert.match(await text("#series-title"), /time, at lat 87\.5°N, lon 202\.5°E/);
    assert.deepEqual(faults, []);
  });

  test("pointing shows the value and its place", async () => {
    await open("sst");
    const box = await page.locator("#stage canvas:not([hidden])").boundingBox();
    await page.mouse.move(box.x + 62 + (box.width - 72) * (20.5 / 72), box.y + 8 + (box.height - 46) * (25.5 / 36));
    await page.waitForFunction(() => /^15\.66 °C\s+at lat 37\.5°S, lon 102\.5°E/.test(document.getElementById("readout").textContent));
    assert.equal(Number((await value(10, 20)).toFixed(2)), 15.66);
  });

  test("packed values, the fill value, holes and inlined chunks are decoded", async () => {
    await open("packed");
    const raw = at("packed", 0, 10, 20);
    assert.ok(Math.abs((await value(10, 20)) - (raw * 0.01 + 10)) < 1e-9);
    assert.equal(await value(0, 0), null);
    await slide("time31", 25);
    assert.equal(await value(10, 20), null, "a hole");
    await slide("time31", 30);
    assert.ok(Math.abs((await value(30, 20)) - (at("packed", 30, 30, 20) * 0.01 + 10)) < 1e-9, "an inlined chunk");
    assert.deepEqual(faults, []);
  });

  test("the keyboard alone reaches value, series and chunks", async () => {
    await open("sst");
    await page.locator("#stage canvas:not([hidden])").focus();
    const before = await text("#readout");
    await page.keyboard.press("ArrowUp");
    assert.notEqual(await text("#readout"), before);
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => globalThis.__preview.series);
    await page.locator("#bytes summary").focus();
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => globalThis.__preview.cells);
    await page.locator("#bytes canvas").focus();
    await page.keyboard.press("ArrowRight");
    assert.match(await text("#bytes .readout"), /Chunk 1, 0, 0: [\d,]+ bytes from [\d,]+ of http.*sst-parts-0-0\.h5/);
    await page.locator('button[data-path="/packed"]').focus();
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => globalThis.__preview.variable === "/packed");
  });

  test("where the bytes lie: three files and a hole", async () => {
    await open("sst");
    await page.locator("#bytes summary").click();
    await page.waitForFunction(() => globalThis.__preview.cells);
    const cells = await page.evaluate(() => globalThis.__preview.cells);
    assert.equal(cells.length, 22);
    const files = new Set(cells.flatMap(({ pieces }) => pieces.map(({ url }) => url?.split("/").at(-1))));
    assert.deepEqual(files, new Set(["sst-parts-0-0.h5", "sst-parts-1-0.h5", "sst-parts-2-0.h5", undefined]));
    assert.match(await text("#bytes-body"), /holes/);
  });

  test("times in a calendar of 360 days, a line and a single value are shown", async () => {
    await open("model_time");
    assert.match(await text("#readout"), /^2000-01-30T06:00/);
    await open("monthly");
    assert.match(await text("#readout"), /^0\s+at model_time 2000-01-30T06:00/);
    assert.equal(await page.evaluate(() => globalThis.__preview.value(5)), 25);
    await open("flag");
    assert.equal(await text("#stage"), "42.5 K");
    assert.equal(await text("#view-title"), "A single <b>value</b> [K]");
    await open("station");
    assert.equal(await text("#stage"), "Bergen\nCádiz\n<b>Nuuk</b>");
    assert.deepEqual(faults, []);
  });

  test("markup in a store stays text", async () => {
    await open("sst");
    await page.locator("#attributes summary").click();
    assert.match(await text("#attributes-body"), /<img src=x onerror=/);
    assert.equal(await page.locator("main img").count(), 0);
    assert.equal(await text("#subtitle"), "Made up for tests, <i>not measured</i>.");
    assert.equal(await page.evaluate(() => document.body.dataset.hacked), undefined);
    assert.deepEqual(faults, []);
  });

  test("errors are told: a lost file, a codec that is not here, a store that is not there", async () => {
    assert.equal(await open("broken"), "error");
    assert.match(await text("#alert"), /broken-0\.h5: the server answered 404/);
    assert.equal(await open("szip"), "error");
    assert.match(await text("#alert"), /hdf5\.szip/);
    await page.locator("#store").fill(`${data.url}/nothing`);
    await page.locator("#open button").click();
    await page.waitForFunction(() => /no zarr\.json/.test(document.getElementById("alert").textContent));
    await page.locator("#store").fill("https://[bad");
    await page.locator("#open button").click();
    await page.waitForFunction(() => /Invalid URL/i.test(document.getElementById("alert").textContent));
    await page.goto(`${site.url}/preview.html`);
    assert.equal(await settled(), "empty");
  });

  test("the log counts what the server counts", async () => {
    data.log.length = 0;
    await open("sst");
    assert.deepEqual(await page.evaluate(() => globalThis.__preview.requests), { count: data.count().requests, bytes: data.count().bytes });
  });

  test("nothing is cut off on a phone, in light and dark", async () => {
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width: 390, height: 844 });
      await open("sst");
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 390);
      if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, `phone-${colorScheme}.png`), fullPage: true });
      await page.setViewportSize({ width: 1280, height: 900 });
      if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, `desktop-${colorScheme}.png`), fullPage: true });
    }
    assert.deepEqual(faults, []);
  });
});
