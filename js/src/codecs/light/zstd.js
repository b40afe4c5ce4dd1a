import { readLiterals } from "./zstd-literals.js";
import { readSequences } from "./zstd-sequences.js";
import { xxh64 } from "./xxh64.js";

const MAGIC = 0xfd2fb528;
const LARGEST_BLOCK = 128 * 1024;

/**
 * What a frame carries from block to block.
 *
 * @typedef {object} Tables
 * @property {number[]} repeats the last three distances
 * @property {import("./fse.js").FseTable[]} sequences of literal lengths, offsets and match lengths
 * @property {import("./huffman.js").HuffmanTable} [huffman]
 */

/**
 * Decode Zstandard frames (RFC 8878), without dictionaries.
 *
 * @param {Uint8Array} bytes
 * @param {number} [size] decoded size, where it is known [bytes]
 * @returns {Uint8Array}
 */
export function unzstd(bytes, size) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const out = new Output(size ?? 4 * bytes.length);
  for (let at = 0; at < bytes.length; ) {
    const magic = view.getUint32(at, true);
    if (magic >>> 4 === 0x184d2a5) at += 8 + view.getUint32(at + 4, true);
    else if (magic === MAGIC) at = readFrame(bytes, view, at + 4, out);
    else throw new Error("this is no Zstandard frame");
  }
  return out.data.subarray(0, out.length);
}

/**
 * @param {Uint8Array} bytes
 * @param {DataView} view
 * @param {number} at
 * @param {Output} out
 */
function readFrame(bytes, view, at, out) {
  const flags = bytes[at++];
  const single = (flags >> 5) & 1;
  if (!single) at++;
  if (flags & 3) throw new Error("Zstandard dictionaries are not supported");
  const sizeBytes = [single, 2, 4, 8][flags >> 6];
  const size = contentSize(view, at, sizeBytes);
  at += sizeBytes;
  const start = out.length;
  out.frame = start;
  if (size !== undefined) out.reserve(size);
  at = readBlocks(bytes, at, out);
  if (size !== undefined && out.length - start !== size) throw new Error(`decoded to ${out.length - start} bytes, the frame states ${size}`);
  if (!(flags & 4)) return at;
  if (view.getUint32(at, true) !== Number(xxh64(out.data.subarray(start, out.length)) & 0xffffffffn)) throw new Error("the checksum differs");
  return at + 4;
}

/**
 * @param {DataView} view
 * @param {number} at
 * @param {number} width
 */
function contentSize(view, at, width) {
  if (width === 0) return undefined;
  if (width === 1) return view.getUint8(at);
  if (width === 2) return view.getUint16(at, true) + 256;
  return width === 4 ? view.getUint32(at, true) : Number(view.getBigUint64(at, true));
}

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {Output} out
 */
function readBlocks(bytes, at, out) {
  /** @type {Tables} */
  const tables = { repeats: [1, 4, 8], sequences: [] };
  for (let last = 0; !last; ) {
    const header = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16);
    const length = header >> 3;
    const type = (header >> 1) & 3;
    last = header & 1;
    at += 3;
    const stored = type === 1 ? 1 : length;
    if (!(at + stored <= bytes.length) || type === 3) throw new Error("a block is truncated or of a reserved type");
    if (type === 0) out.append(bytes.subarray(at, at + length));
    else if (type === 1) out.repeat(bytes[at], length);
    else readBlock(bytes, at, at + length, out, tables);
    at += stored;
  }
  return at;
}

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {number} stop
 * @param {Output} out
 * @param {Tables} tables
 */
function readBlock(bytes, at, stop, out, tables) {
  out.reserve(LARGEST_BLOCK);
  const { literals, at: after } = readLiterals(bytes, at, tables);
  readSequences(bytes, after, stop, literals, out, tables);
}

/** Decoded bytes, in a buffer that grows. */
export class Output {
  /** @param {number} size */
  constructor(size) {
    this.data = new Uint8Array(size);
    this.length = 0;
    this.frame = 0;
  }

  /** @param {number} more */
  reserve(more) {
    if (this.length + more <= this.data.length) return;
    const grown = new Uint8Array(Math.max(2 * this.data.length, this.length + more));
    grown.set(this.data.subarray(0, this.length));
    this.data = grown;
  }

  /** @param {Uint8Array} bytes */
  append(bytes) {
    this.reserve(bytes.length);
    this.data.set(bytes, this.length);
    this.length += bytes.length;
  }

  /**
   * @param {number} byte
   * @param {number} count
   */
  repeat(byte, count) {
    this.reserve(count);
    this.data.fill(byte, this.length, this.length + count);
    this.length += count;
  }

  /**
   * Copy earlier output, which the copy may overlap.
   *
   * @param {number} distance
   * @param {number} count
   */
  copy(distance, count) {
    this.reserve(count);
    const { data } = this;
    let to = this.length;
    let from = to - distance;
    if (from < this.frame) throw new Error("a match points before the frame");
    if (distance >= count) data.copyWithin(to, from, from + count);
    else for (const stop = to + count; to < stop; ) data[to++] = data[from++];
    this.length += count;
  }
}
