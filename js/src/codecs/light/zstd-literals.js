import { decodeHuffman, readHuffmanTable } from "./huffman.js";

/** @import { Tables } from "./zstd.js" */
/** @import { HuffmanTable } from "./huffman.js" */

/**
 * Read the literals section of a Zstandard block (RFC 8878, 3.1.1.3.1).
 *
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {Tables} tables keeps the Huffman table for later blocks
 * @returns {{literals: Uint8Array, at: number}}
 */
export function readLiterals(bytes, at, tables) {
  const type = bytes[at] & 3;
  const format = (bytes[at] >> 2) & 3;
  return type < 2 ? readPlain(bytes, at, type, format) : readCompressed(bytes, at, type, format, tables);
}

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {number} type
 * @param {number} format
 */
function readPlain(bytes, at, type, format) {
  const width = [1, 2, 1, 3][format];
  const size = littleEndian(bytes, at, width) >> (width === 1 ? 3 : 4);
  at += width;
  if (type === 1) return { literals: new Uint8Array(size).fill(bytes[at]), at: at + 1 };
  return { literals: bytes.subarray(at, at + size), at: at + size };
}

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {number} type
 * @param {number} format
 * @param {Tables} tables
 */
function readCompressed(bytes, at, type, format, tables) {
  const width = [3, 3, 4, 5][format];
  const bits = [10, 10, 14, 18][format];
  const header = Math.floor(littleEndian(bytes, at, width) / 16);
  const size = header % 2 ** bits;
  const stop = at + width + Math.floor(header / 2 ** bits);
  at += width;
  if (type === 2) ({ table: tables.huffman, at } = readHuffmanTable(bytes, at));
  if (!tables.huffman || !(stop <= bytes.length)) throw new Error("a literals section is corrupt");
  const literals = new Uint8Array(size);
  if (format === 0) decodeHuffman(tables.huffman, bytes, at, stop, literals, 0, size);
  else decodeFour(tables.huffman, bytes, at, stop, literals);
  return { literals, at: stop };
}

/**
 * @param {HuffmanTable} table
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {number} stop
 * @param {Uint8Array} literals
 */
function decodeFour(table, bytes, at, stop, literals) {
  const part = (literals.length + 3) >> 2;
  let start = at + 6;
  for (let i = 0; i < 4; i++) {
    const end = i < 3 ? start + littleEndian(bytes, at + 2 * i, 2) : stop;
    decodeHuffman(table, bytes, start, end, literals, Math.min(i * part, literals.length), Math.min((i + 1) * part, literals.length));
    start = end;
  }
}

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {number} width
 */
function littleEndian(bytes, at, width) {
  let value = 0;
  for (let i = width - 1; i >= 0; i--) value = value * 256 + bytes[at + i];
  return value;
}
