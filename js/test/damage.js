import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { serve } from "./server.js";
import { runPython, temporary } from "./vectors.js";

/** What can happen to an object of a store. */
export const DAMAGE = {
  absent: (path) => rmSync(path),
  empty: (path) => writeFileSync(path, ""),
  short: (path, bytes) => writeFileSync(path, bytes.subarray(0, bytes.length - 1)),
  altered: (path, bytes) => writeFileSync(path, bytes.map((byte, i) => (i === bytes.length - 9 ? byte ^ 1 : byte))),
};

/** A store with objects of every kind, served; `files` are its objects, `expected` its values by array. */
export async function serveStore() {
  const directory = temporary();
  runPython(fileURLToPath(new URL("make_damage.py", import.meta.url)), directory.path);
  const expected = JSON.parse(readFileSync(join(directory.path, "expected.json"), "utf8"));
  const folder = join(directory.path, "s.vzarr");
  const files = readdirSync(folder, { recursive: true }).map((name) => join(folder, name)).filter((path) => statSync(path).isFile());
  const server = await serve(directory.path);
  const close = async () => {
    await server.close();
    directory.remove();
  };
  return { directory, server, expected, files, close };
}

/** Each of the objects in turn, while it is damaged. */
export function* damaged(files, how) {
  for (const path of files) {
    const bytes = readFileSync(path);
    DAMAGE[how](path, bytes);
    try {
      yield path;
    } finally {
      writeFileSync(path, bytes);
    }
  }
}
