/**
 * Build the preview page into the Python package: one HTML file and one script, with zarrita inside.
 *
 * `node preview/build.js` writes them; `build()` returns them for the test that compares.
 */
import { readFileSync, writeFileSync, mkdirSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build as bundle } from "esbuild";

const here = new URL(".", import.meta.url);
export const OUTPUT = new URL("../../intake_virtualzarr/catalog/preview_page/", here);

/** @returns {Promise<Record<string, string>>} file name to content */
export async function build() {
  const unused = fileURLToPath(new URL("no-wasm.js", here));
  const { outputFiles } = await bundle({
    entryPoints: [fileURLToPath(new URL("main.js", here))],
    bundle: true,
    minify: true,
    format: "iife",
    target: "es2022",
    legalComments: "none",
    write: false,
    // The page has these three in plain JavaScript, a hundredth of the size.
    alias: { "numcodecs/blosc": unused, "numcodecs/lz4": unused, "numcodecs/zstd": unused },
  });
  const licence = readFileSync(new URL("../node_modules/zarrita/LICENSE", here), "utf8").trim();
  const html = readFileSync(new URL("preview.html", here), "utf8");
  const style = readFileSync(new URL("preview.css", here), "utf8");
  return { "preview.html": html.replace("/*STYLE*/\n", () => style), "preview.js": notice(licence) + outputFiles[0].text };
}

function notice(licence) {
  return `/*! Built from js/preview by js/preview/build.js. Contains zarrita:\n\n${licence}\n*/\n`;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  mkdirSync(OUTPUT, { recursive: true });
  for (const [name, text] of Object.entries(await build())) {
    writeFileSync(new URL(name, OUTPUT), text);
    console.log(`${name}: ${Buffer.byteLength(text)} bytes`);
  }
}
