import { ForwardBits } from "./bits.js";

/**
 * Finite state entropy tables of Zstandard (RFC 8878, 4.1).
 *
 * @typedef {{log: number, symbol: Uint8Array, bits: Uint8Array, base: Uint16Array}} FseTable
 */

/**
 * Read a table description.
 *
 * @param {Uint8Array} bytes
 * @param {number} start
 * @param {number} maxLog
 * @returns {{table: FseTable, at: number}} the table and where the description ends
 */
export function readFseTable(bytes, start, maxLog) {
  const bits = new ForwardBits(bytes, start);
  const log = bits.read(4) + 5;
  if (log > maxLog) throw new Error(`an entropy table has accuracy ${log}, at most ${maxLog} is allowed`);
  /** @type {number[]} */
  const counts = [];
  for (let left = 1 << log; left > 0; ) {
    const count = readCount(bits, left);
    left -= Math.abs(count);
    counts.push(count);
    if (count === 0) readZeros(bits, counts);
    if (counts.length > 256 || left < 0) throw new Error("an entropy table is corrupt");
  }
  return { table: buildFseTable(counts, log), at: bits.byte };
}

// Counts take as many bits as the rest needs; the lower ones one bit less.
/**
 * @param {ForwardBits} bits
 * @param {number} left
 */
function readCount(bits, left) {
  const width = 32 - Math.clz32(left + 1);
  const low = (1 << (width - 1)) - 1;
  const threshold = (1 << width) - 2 - left;
  let value = bits.read(width);
  if ((value & low) < threshold) {
    bits.bit--;
    value &= low;
  } else if (value > low) value -= threshold;
  return value - 1;
}

/**
 * @param {ForwardBits} bits
 * @param {number[]} counts
 */
function readZeros(bits, counts) {
  let zeros;
  do {
    zeros = bits.read(2);
    for (let i = 0; i < zeros; i++) counts.push(0);
  } while (zeros === 3);
}

/**
 * @param {number[]} counts of each symbol; -1 for "less than one"
 * @param {number} log of the table's size
 * @returns {FseTable}
 */
export function buildFseTable(counts, log) {
  const size = 1 << log;
  const symbol = new Uint8Array(size);
  const next = counts.map((count) => Math.abs(count));
  spread(counts, symbol, size);
  const bits = new Uint8Array(size);
  const base = new Uint16Array(size);
  for (let state = 0; state < size; state++) {
    const place = next[symbol[state]]++;
    bits[state] = log - (31 - Math.clz32(place));
    base[state] = (place << bits[state]) - size;
  }
  return { log, symbol, bits, base };
}

/**
 * @param {number[]} counts
 * @param {Uint8Array} symbol
 * @param {number} size
 */
function spread(counts, symbol, size) {
  let high = size;
  counts.forEach((count, value) => {
    if (count === -1) symbol[--high] = value;
  });
  const step = (size >> 1) + (size >> 3) + 3;
  let at = 0;
  counts.forEach((count, value) => {
    for (let i = 0; i < count; i++) {
      symbol[at] = value;
      do at = (at + step) & (size - 1);
      while (at >= high);
    }
  });
}

/**
 * A table of one symbol.
 *
 * @param {number} symbol
 * @returns {FseTable}
 */
export function constantFseTable(symbol) {
  return { log: 0, symbol: Uint8Array.of(symbol), bits: Uint8Array.of(0), base: Uint16Array.of(0) };
}
