import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { serve } from "../server.js";
import { temporary } from "../vectors.js";

const PROGRAM = `
import * as zarr from "zarrita";
import { openVirtual } from "../../src/index.js";
import "../../src/codecs/light/index.js";
import { asJson, inOrder } from "../as_json.js";

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

/**
 * Serve an empty page with the reader and `readAll(url, paths)`: values as expected.json holds them, or what the error says.
 *
 * @returns {Promise<{url: string, close: () => Promise<void>}>}
 */
export async function servePage() {
  const directory = temporary();
  const stdin = { contents: PROGRAM, resolveDir: fileURLToPath(new URL(".", import.meta.url)) };
  const { outputFiles } = await build({ stdin, bundle: true, format: "iife", write: false, target: "es2022" });
  writeFileSync(join(directory.path, "program.js"), outputFiles[0].text);
  writeFileSync(join(directory.path, "index.html"), '<!doctype html><link rel="icon" href="data:,"><script src="program.js"></script>');
  const site = await serve(directory.path);
  const close = async () => {
    await site.close();
    directory.remove();
  };
  return { url: site.url, close };
}
