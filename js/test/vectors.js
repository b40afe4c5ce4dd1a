import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as zarr from "zarrita";
import { asJson, inOrder } from "./as_json.js";
import { serve } from "./server.js";

const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));

/** A Python that has NumPy and numcodecs: `PYTHON`, the checkout's virtual environment, or the system's. */
export function python() {
  const local = join(REPOSITORY, ".venv", "bin", "python");
  return process.env.PYTHON ?? (existsSync(local) ? local : "python3");
}

export function runPython(...args) {
  const { status, stderr, error } = spawnSync(python(), args, { encoding: "utf8" });
  if (error || status !== 0) throw new Error(`${python()} ${args[0]} failed: ${error ?? stderr}`);
}

/** An empty directory that is removed by `remove`. */
export function temporary() {
  const path = mkdtempSync(join(tmpdir(), "vzarr-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/**
 * The test vectors (see conformance/README.md), served from two ports.
 *
 * @returns {Promise<{expected: any, roots: any, store: string, main: any, other: any, path: string, close: () => Promise<void>}>}
 */
export async function serveVectors() {
  const { path, remove } = temporary();
  if (process.env.VECTORS) cpSync(process.env.VECTORS, path, { recursive: true });
  else runPython(join(REPOSITORY, "conformance", "make_vectors.py"), path);
  const main = await serve(path);
  const other = await serve(path);
  for (const name of readdirSync(path, { recursive: true })) if (name.endsWith(".json")) substitute(join(path, name), other.url);
  const { arrays, roots } = JSON.parse(readFileSync(join(path, "expected.json"), "utf8"));
  const close = async () => {
    await Promise.all([main.close(), other.close()]);
    remove();
  };
  return { expected: arrays, roots, store: `${main.url}/store`, main, other, path, close };
}

function substitute(path, url) {
  const text = readFileSync(path, "utf8");
  if (text.includes("{{OTHER}}")) writeFileSync(path, text.replaceAll("{{OTHER}}", url));
}

/**
 * What an error of reading an array must say; undefined if the array must be read. An array may need something that not every
 * engine has (`needs`, a global's name): where it is absent, the data type must be refused by name.
 */
export function expectedError({ error, needs, dtype }, globals = globalThis) {
  return needs && !(needs in globals) ? dtype : error;
}

export function openArray(store, path) {
  return zarr.open.v3(zarr.root(store).resolve(path), { kind: "array" });
}

/** Shape and values of an array, or of a part of it, as expected.json holds them. */
export async function values(array, selection = null) {
  // zarrita reads no array without elements; that it opens is all there is to see.
  if (array.shape.includes(0)) return { shape: array.shape, values: [] };
  const result = await zarr.get(array, selection);
  if (array.shape.length === 0) return { shape: [], values: [asJson(result)] };
  return { shape: result.shape, values: inOrder(result) };
}
