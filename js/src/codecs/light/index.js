/**
 * Zstandard, Blosc and LZ4 in plain JavaScript, instead of the WebAssembly that zarrita loads for them (1.4 MB): slower
 * on large chunks, but on a page that reads a few manifests and chunks the first value appears earlier.
 *
 * Importing this module registers them with zarrita.
 */
import { register } from "../register.js";
import { unblosc } from "./blosc.js";
import { unlz4 } from "./lz.js";
import { unzstd } from "./zstd.js";

/**
 * numcodecs puts the decoded size before an LZ4 block.
 *
 * @param {Uint8Array} bytes
 */
function sizedLz4(bytes) {
  return unlz4(bytes.subarray(4), new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true));
}

for (const [name, decode] of Object.entries({ blosc: unblosc, lz4: sizedLz4, zstd: unzstd })) {
  register(name, () => (bytes) => decode(bytes));
  register(`numcodecs.${name}`, () => (bytes) => decode(bytes));
}
