import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { registry } from "zarrita";
import { registerFilter, registerLayout } from "../src/index.js";
import { hasOwn } from "../src/codecs/layouts.js";
import { dataType } from "../src/dtype.js";
import { checkCodecs, makeDecoder } from "../src/pipeline.js";
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

describe("codecs that give values", () => {
  const bytesOf = (Numbers, ...numbers) => new Uint8Array(Numbers.from(numbers).buffer);
  const codecs = [{ name: "vzarr.linear" }];

  test("evenly spaced floats and integers", async () => {
    const cases = [
      ["float64", bytesOf(Float64Array, 0.05, 0.1), (k) => 0.05 + 0.1 * k],
      ["float32", bytesOf(Float64Array, -179.95, 0.1), (k) => Math.fround(-179.95 + 0.1 * k)],
      ["int16", bytesOf(BigInt64Array, 5n, -2n), (k) => 5 - 2 * k],
      ["int64", bytesOf(BigInt64Array, 2n ** 60n, 3n), (k) => 2n ** 60n + 3n * BigInt(k)],
    ];
    for (const [name, bytes, expected] of cases) {
      const type = dataType(name, "x");
      const { data } = await makeDecoder(codecs, type)(bytes, [50], "x");
      const values = new type.Values(data.buffer, data.byteOffset, 50);
      assert.deepEqual([...values], Array.from({ length: 50 }, (_, k) => expected(k)), name);
    }
    await assert.rejects(makeDecoder(codecs, dataType("float64", "x"))(new Uint8Array(15), [50], "x"), /expected 16/);
  });

  test("a layout and a filter that a page registers are used, in their places", async () => {
    registerLayout("test.twice", () => (bytes) => Uint8Array.from([...bytes, ...bytes]));
    registerFilter("test.sums", () => (bytes) => bytes.map(((sum) => (byte) => (sum += byte))(0)));
    const pipeline = [{ name: "transpose", configuration: { order: [1, 0] } }, { name: "test.sums" }, { name: "test.twice" }];
    assert.ok(hasOwn(pipeline));
    const { data, strides } = await makeDecoder(pipeline, dataType("uint8", "x"))(Uint8Array.of(1, 2, 3), [3, 2], "x");
    assert.deepEqual([...data], [1, 3, 6, 7, 9, 12]);
    assert.deepEqual(strides, [1, 3]);
  });

  test("what nobody registered is refused by name", () => {
    assert.throws(() => checkCodecs([{ name: "imagecodecs_jpeg" }], "band_data"), /band_data: codec 'imagecodecs_jpeg' has no decoder here/);
  });
});
