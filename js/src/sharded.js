import { Array as ZarrArray } from "zarrita";

/** @import { ArrayDocument, Gets } from "./types.js" */

/** @typedef {(coords: number[], signal?: AbortSignal) => Promise<import("./pipeline.js").Block>} ShardReader coords of inner chunks */

/**
 * Chunks of an array in shards. Shards are zarrita's business: it reads the index and the inner chunks.
 *
 * @param {ArrayDocument} metadata
 * @param {string} folder URL of the array
 * @param {Gets} bytes
 * @param {import("./dtype.js").DataType} type
 * @param {boolean} indexFirst the index stands before the chunks: zarrita looks for it behind them
 * @returns {ShardReader}
 */
export function openSharded(metadata, folder, bytes, { name, Unit, lanes }, indexFirst) {
  // zarrita packs booleans in a class of its own; their bytes are what is wanted.
  const plain = name === "bool" ? { ...metadata, data_type: "uint8", fill_value: Number(metadata.fill_value) } : metadata;
  const array = new ZarrArray(storeAt(folder, bytes, indexFirst), "/", /** @type {any} */ (plain));
  return async (coords, signal) => {
    const { data, stride } = /** @type {{data: any, stride: number[]}} */ (await array.getChunk(coords, { signal }));
    const units = new Unit(data.buffer, data.byteOffset, data.byteLength / Unit.BYTES_PER_ELEMENT);
    return { data: units, offset: 0, strides: stride.map((step) => step * lanes) };
  };
}

/**
 * @param {string} folder
 * @param {Gets} bytes
 * @param {boolean} indexFirst
 * @returns {import("zarrita").AsyncReadable}
 */
function storeAt(folder, bytes, indexFirst) {
  const url = (/** @type {string} */ key) => folder + key.slice(1);
  return {
    get: (key, { signal } = {}) => bytes.get(url(key), signal),
    async getRange(key, range, { signal } = {}) {
      if ("offset" in range) return bytes.getRange({ url: url(key) }, range.offset, range.length, signal);
      const whole = await bytes.get(url(key), signal);
      return indexFirst ? whole?.subarray(0, range.suffixLength) : whole?.subarray(whole.length - range.suffixLength);
    },
  };
}
