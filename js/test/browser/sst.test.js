import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { colorTable } from "../../preview/colors.js";
import { number } from "../../preview/format.js";
import { serve } from "../server.js";
import { python, runPython, temporary } from "../vectors.js";
import { launch, skip, watchedPage } from "./chromium.js";

const PREVIEW = fileURLToPath(new URL("../../../intake_virtualzarr/catalog/preview_page", import.meta.url));
const SCREENSHOTS = process.env.SCREENSHOTS;
// The first day, the file in other chunks, the file with another scale, the last day.
const DAYS = [0, 11, 19, 29];
const HEIGHT = 180;
const WIDTH = 360;

describe("the demo's sea surface temperature in the page", { skip }, () => {
  let data, site, directory, browser, page, faults, expected;
  before(async () => {
    directory = temporary();
    runPython(fileURLToPath(new URL("../make_sst.py", import.meta.url)), join(directory.path, "demo"));
    expected = JSON.parse(readFileSync(join(directory.path, "demo/expected.json"), "utf8"));
    data = await serve(join(directory.path, "demo"));
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

  const text = (selector) => page.locator(selector).innerText();
  const canvas = () => page.locator("#stage canvas:not([hidden])");
  const settled = () => page.waitForFunction(() => ["ready", "error", "empty"].includes(globalThis.__preview?.state));

  async function open(address = `${site.url}/preview.html?${new URLSearchParams({ store: `${data.url}/catalog/sst.vzarr`, var: "sst" })}`) {
    await page.goto(address);
    await settled();
    assert.equal(await page.evaluate(() => globalThis.__preview.state), "ready", await text("#alert"));
  }

  async function showDay(day) {
    if ((await page.evaluate(() => globalThis.__preview.indices[0])) === day) return;
    await page.locator('input[data-axis="time"]').fill(String(day));
    await page.waitForFunction((want) => globalThis.__preview.indices[0] === want && globalThis.__preview.state === "ready", day);
  }

  /** Wait until a text begins so: the browser hands over pointer events frame by frame. */
  const reads = (selector, want) => page.waitForFunction(([where, start]) => document.querySelector(where).textContent.startsWith(start), [selector, want]);

  const valueAt = (row, column) => page.evaluate((at) => globalThis.__preview.value(...at), [row, column]);

  /** Where a cell's middle is, in the page; north is up. */
  async function placeOf(row, column) {
    const bounds = await canvas().boundingBox();
    const { x, y, width, height } = await page.evaluate(() => globalThis.__preview.box);
    return [bounds.x + x + ((column + 0.5) / WIDTH) * width, bounds.y + y + ((HEIGHT - row - 0.5) / HEIGHT) * height];
  }

  /** The colour on the screen. */
  const pixel = (row, column) =>
    page.evaluate(
      ([r, c]) => {
        const image = document.querySelector("#stage canvas:not([hidden])");
        const { x, y, width, height } = globalThis.__preview.box;
        const ratio = image.width / image.clientWidth;
        // a copy: reading the page's own canvas would slow its drawing down, of which Chromium warns
        const copy = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
        copy.drawImage(image, Math.floor((x + c * width) * ratio), Math.floor((y + r * height) * ratio), 1, 1, 0, 0, 1, 1);
        return [...copy.getImageData(0, 0, 1, 1).data.slice(0, 3)];
      },
      [(HEIGHT - row - 0.5) / HEIGHT, (column + 0.5) / WIDTH],
    );

  async function colorOf(value) {
    const [low, high] = await page.evaluate(() => globalThis.__preview.range);
    const at = 3 * Math.round(Math.min(255, Math.max(0, ((value - low) / (high - low)) * 255)));
    return [...colorTable("viridis").slice(at, at + 3)];
  }

  test("values, colours and readouts at three points are h5netcdf's, on days of every kind of file", async () => {
    await open();
    for (const day of DAYS) {
      await showDay(day);
      for (const [i, [row, column]] of expected.points.entries()) {
        const want = expected.values[day][i];
        assert.equal(await valueAt(row, column), want, `day ${day}, ${row}, ${column}`);
        assert.deepEqual(await pixel(row, column), await colorOf(want), `colour on day ${day}, ${row}, ${column}`);
        await page.mouse.move(...(await placeOf(row, column)));
        await reads("#readout", `${number(want)} °C`);
      }
      assert.equal(await page.evaluate(() => globalThis.__preview.missing), expected.land);
      assert.match(await text("#controls"), new RegExp(expected.time[day].slice(0, 10)));
    }
    if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, "sst.png"), fullPage: true });
    assert.deepEqual(faults, []);
  });

  test("a click draws the thirty days at a point, and the chart reads them", async () => {
    await open();
    const [[row, column]] = expected.points;
    await page.mouse.click(...(await placeOf(row, column)));
    await page.waitForFunction(() => globalThis.__preview.series?.length === 30);
    assert.deepEqual(await page.evaluate(() => globalThis.__preview.series), expected.values.map((day) => day[0]));
    await page.locator("#series-stage canvas").focus();
    for (let day = 0; day < 19; day++) await page.keyboard.press("ArrowRight");
    await reads("#series-readout", `${number(expected.values[19][0])} °C`);
    assert.match(await text("#series-readout"), /2024-01-20/);
    await showDay(11);
    assert.match(await text("#series-readout"), /2024-01-12/, "the chart follows the slider");
    if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, "sst-series.png"), fullPage: true });
    assert.deepEqual(faults, []);
  });

  test("the view of the bytes names all thirty files and the chunks of the odd one", async () => {
    await open();
    await page.locator("#bytes summary").click();
    await page.waitForFunction(() => globalThis.__preview.cells);
    const cells = await page.evaluate(() => globalThis.__preview.cells);
    const names = new Set(cells.flatMap(({ pieces }) => pieces.map(({ url }) => url.split("/").at(-1))));
    assert.equal(names.size, 30);
    const pieces = (day) => cells.filter(({ chunk }) => chunk[0] === day).flatMap((cell) => cell.pieces);
    assert.ok(pieces(11).length > pieces(10).length, "smaller chunks on day 11");
    await page.locator("#requests summary").click();
    await page.locator("#attributes summary").click();
    assert.match(await text("#attributes-body"), /sea_surface_temperature/);
    assert.match(await text("#requests-total"), /\d+ requests, [\d.]+ kB/);
    if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, "sst-bytes.png"), fullPage: true });
    assert.deepEqual(faults, []);
  });

  test("on a phone and in the dark, nothing is cut off", async () => {
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width: 390, height: 844 });
      await open();
      await page.mouse.click(...(await placeOf(...expected.points[0])));
      await page.waitForFunction(() => globalThis.__preview.series);
      await page.locator("#bytes summary").click();
      await page.waitForFunction(() => globalThis.__preview.cells);
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 390);
      const outside = await page.evaluate(() =>
        [...document.querySelectorAll("main *")].filter((element) => {
          const { left, right, width } = element.getBoundingClientRect();
          return width > 0 && !element.closest(".scroll") && (left < -1 || right > innerWidth + 1);
        }).map((element) => element.outerHTML.slice(0, 80)),
      );
      assert.deepEqual(outside, []);
      if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, `sst-phone-${colorScheme}.png`), fullPage: true });
      await page.setViewportSize({ width: 1280, height: 900 });
      if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, `sst-desktop-${colorScheme}.png`), fullPage: true });
    }
    assert.deepEqual(faults, []);
  });

  test("`serve` prints addresses that show the data, and the catalog's preview link does, too", async () => {
    const root = join(directory.path, "demo");
    const server = spawn(python(), ["-m", "intake_virtualzarr.cli.main", "serve", root, "--port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
    try {
      const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
      const said = [];
      while (!said.at(-1)?.includes("collection.json")) said.push((await lines.next()).value);
      const address = (name) => said.find((line) => line.includes(`${name}: `)).split(": ").at(-1);
      const host = new URL(address("catalog.yaml")).origin;
      const { links } = await (await fetch(address("collection.json"))).json();
      const preview = links.filter(({ rel }) => rel === "preview");
      assert.equal(preview.length, 1);
      for (const target of [address("sst.vzarr"), new URL(preview[0].href, address("collection.json")).href]) {
        const { page: own, faults: ownFaults } = await watchedPage(browser.context, [host]);
        [page, faults] = [own, ownFaults];
        await open(target);
        const [row, column] = expected.points[1];
        assert.equal(await valueAt(row, column), expected.values[0][1], target);
        assert.deepEqual(faults, []);
        if (target === address("sst.vzarr")) await page.close();
      }
    } finally {
      server.kill("SIGINT");
      await once(server, "exit");
    }
    assert.equal(server.exitCode, 0);
  });
});
