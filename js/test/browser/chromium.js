import { existsSync } from "node:fs";
import { chromium } from "playwright-core";
import { temporary } from "../vectors.js";

export const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Why browser tests are skipped; false if they are not. */
export const skip = existsSync(CHROMIUM) ? false : `there is no Chromium at ${CHROMIUM}; install the Debian package or set CHROMIUM`;

const ARGUMENTS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

/**
 * A browser with an empty profile.
 *
 * @param {object} [options] of the browser context
 */
export async function launch(options = {}) {
  const profile = temporary();
  const context = await chromium.launchPersistentContext(profile.path, { executablePath: CHROMIUM, args: ARGUMENTS, ...options });
  const close = async () => {
    await context.close();
    profile.remove();
  };
  return { context, close };
}

/** A page that collects what goes wrong: console errors and warnings, exceptions, failed requests, requests elsewhere. */
export async function watchedPage(context, allowed) {
  const page = await context.newPage();
  const faults = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && faults.push(message.text()));
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith("data:") && !allowed.some((prefix) => url.startsWith(prefix))) faults.push(`request to ${url}`);
  });
  return { page, faults };
}
