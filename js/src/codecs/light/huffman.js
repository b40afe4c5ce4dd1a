import { BackwardBits } from "./bits.js";
import { readFseTable } from "./fse.js";

/** @typedef {{log: number, symbol: Uint8Array, bits: Uint8Array}} HuffmanTable */

/**
 * Read a Huffman tree description (RFC 8878, 4.2.1).
 *
 * @param {Uint8Array} bytes
 * @param {number} start
 * @returns {{table: HuffmanTable, at: number}} the table and where the description ends
 */
export function readHuffmanTable(bytes, start) {
  const header = bytes[start];
  if (header < 128) {
    const stop = start + 1 + header;
    return { table: buildTable(readFseWeights(bytes, start + 1, stop)), at: stop };
  }
  const count = header - 127;
  const weights = Array.from({ length: count }, (_, i) => (bytes[start + 1 + (i >> 1)] >> (i % 2 ? 0 : 4)) & 15);
  return { table: buildTable(weights), at: start + 1 + ((count + 1) >> 1) };
}

// Two states take turns; the stream ends where one of them would read beyond its start.
/**
 * @param {Uint8Array} bytes
 * @param {number} start
 * @param {number} stop
 */
function readFseWeights(bytes, start, stop) {
  const { table, at } = readFseTable(bytes, start, 6);
  const bits = new BackwardBits(bytes, at, stop);
  const states = [bits.read(table.log), bits.read(table.log)];
  const weights = [];
  for (let turn = 0; ; turn ^= 1) {
    const state = states[turn];
    weights.push(table.symbol[state]);
    states[turn] = table.base[state] + bits.read(table.bits[state]);
    if (bits.left < 0) return [...weights, table.symbol[states[turn ^ 1]]];
    if (weights.length > 255) throw new Error("a Huffman tree has too many weights");
  }
}

/**
 * The last weight is not stored: it completes the sum to a power of two.
 *
 * @param {number[]} weights
 * @returns {HuffmanTable}
 */
function buildTable(weights) {
  const sum = weights.reduce((total, weight) => total + ((1 << weight) >> 1), 0);
  const log = 32 - Math.clz32(sum);
  const rest = (1 << log) - sum;
  if (sum === 0 || log > 11 || rest & (rest - 1)) throw new Error("a Huffman tree is corrupt");
  const all = [...weights, 32 - Math.clz32(rest)];
  const symbol = new Uint8Array(1 << log);
  const bits = new Uint8Array(1 << log);
  let at = 0;
  for (let weight = 1; weight <= log; weight++) {
    all.forEach((of, value) => {
      if (of !== weight) return;
      symbol.fill(value, at, at + (1 << (weight - 1)));
      bits.fill(log + 1 - weight, at, (at += 1 << (weight - 1)));
    });
  }
  return { log, symbol, bits };
}

/**
 * Decode one stream into `out[from … to)`.
 *
 * @param {HuffmanTable} table
 * @param {Uint8Array} bytes
 * @param {number} start
 * @param {number} stop
 * @param {Uint8Array} out
 * @param {number} from
 * @param {number} to
 */
export function decodeHuffman(table, bytes, start, stop, out, from, to) {
  const bits = new BackwardBits(bytes, start, stop);
  const { log, symbol, bits: widths } = table;
  for (let at = from; at < to; at++) {
    const code = bits.peek(log);
    out[at] = symbol[code];
    bits.left -= widths[code];
  }
  if (bits.left !== 0) throw new Error("a literals stream is corrupt");
}
