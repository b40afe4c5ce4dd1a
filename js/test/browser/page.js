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
