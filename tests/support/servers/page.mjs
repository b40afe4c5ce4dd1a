// Opens the preview page in Chromium, and prints what it shows as JSON: page.mjs CHROMIUM JS_DIRECTORY URL [[ROW, COLUMN], ...]
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [executablePath, directory, url, places] = process.argv.slice(2);
const { chromium } = createRequire(join(directory, "package.json"))("playwright-core");
const profile = mkdtempSync(join(tmpdir(), "chromium-"));
const args = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const context = await chromium.launchPersistentContext(profile, { executablePath, args });
try {
  const page = await context.newPage();
  await page.goto(url);
  await page.waitForFunction(() => ["ready", "error", "empty"].includes(globalThis.__preview?.state), undefined, { timeout: 30000 });
  const { state, variable } = await page.evaluate(() => ({ state: __preview.state, variable: __preview.variable }));
  const value = ([row, column]) => page.evaluate((at) => __preview.value(...at), [row, column]);
  const values = state === "ready" ? await Promise.all(JSON.parse(places).map(value)) : [];
  console.log(JSON.stringify({ state, variable, values, text: await page.locator("body").innerText() }));
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}
