import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { registry } from "zarrita";
import "../src/index.js";
import "../src/codecs/light/index.js";
import { unlzf } from "../src/codecs/lzf.js";
import { unshuffle } from "../src/codecs/shuffle.js";
import { crc32c } from "../src/codecs/crc32c.js";
import { runPython, temporary } from "./vectors.js";

describe("codecs in plain JavaScript", () => {
  let directory;
  before(() => {
    directory = temporary();
    runPython(fileURLToPath(new URL("make_compressed.py", import.meta.url)), directory.path);
  });
  after(() => directory.remove());
  const read = (name) => new Uint8Array(readFileSync(join(directory.path, name)));

  async function decode(codec, bytes) {
    const entry = await registry.get(codec)();
    return entry.fromConfig({}, undefined).decode(bytes);
  }

  test("decode what numcodecs encoded", async () => {
    const cases = JSON.parse(readFileSync(join(directory.path, "cases.json"), "utf8"));
    for (const { file, raw, codec } of cases) {
      const found = await decode(codec, read(file)).catch((error) => assert.fail(`${file}: ${error.message}`));
      assert.ok(Buffer.compare(Buffer.from(found), Buffer.from(read(raw))) === 0, file);
    }
    assert.ok(cases.length > 400);
  });

  test("a changed or shortened stream never decodes to other bytes with a checksum in place", async () => {
    for (const [codec, file] of [["zstd", "words.zstd-checksum"], ["numcodecs.fletcher32", "fletcher-255744"]]) {
      const good = read(file);
      for (const at of [5, 17, good.length >> 1, good.length - 5, good.length - 1]) {
        const bad = good.slice();
        bad[at] ^= 0x10;
        await assert.rejects(async () => decode(codec, bad), `${file} changed at ${at}`);
      }
      await assert.rejects(async () => decode(codec, good.slice(0, -3)), file);
    }
  });
});

test("unshuffle passes the bytes after the last whole element", () => {
  assert.deepEqual([...unshuffle(Uint8Array.of(1, 4, 2, 5, 3, 6, 7, 8), 3)], [1, 2, 3, 4, 5, 6, 7, 8]);
});

test("lzf refuses a stream that ends within a run", () => {
  assert.deepEqual([...unlzf(Uint8Array.of(1, 65, 66, (3 << 5) | 0, 1))], [65, 66, 65, 66, 65, 66, 65]);
  assert.throws(() => unlzf(Uint8Array.of(5, 65, 66)), /truncated/);
});

test("crc32c gives the check value of the polynomial", () => {
  assert.equal(crc32c(new TextEncoder().encode("123456789")), 0xe3069283);
});
