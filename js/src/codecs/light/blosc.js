import { unshuffle } from "../shuffle.js";
import { unblosclz, unlz4 } from "./lz.js";
import { unzstd } from "./zstd.js";

const HEADER = 16;
/** @typedef {(bytes: Uint8Array, size: number) => Uint8Array | Promise<Uint8Array>} Decompress */

/** @type {(Decompress | undefined)[]} */
const COMPRESSORS = [unblosclz, unlz4, undefined, inflate, unzstd];

/**
 * Decode a Blosc 1 buffer: blocks that are shuffled, cut into one stream per byte of an element, and compressed.
 *
 * @param {Uint8Array} bytes
 * @returns {Promise<Uint8Array>}
 */
export async function unblosc(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [flags, typesize] = [bytes[2], bytes[3]];
  const [size, blockSize, stored] = [4, 8, 12].map((at) => view.getUint32(at, true));
  if (stored !== bytes.length) throw new Error(`found ${bytes.length} bytes, the header states ${stored}`);
  if (flags & 2) return bytes.subarray(HEADER, HEADER + size);
  const decompress = COMPRESSORS[flags >> 5];
  if (!decompress) throw new Error(`compressor ${flags >> 5} is not supported`);
  const out = new Uint8Array(size);
  for (let block = 0, to = 0; to < size; block++, to += blockSize) {
    const length = Math.min(blockSize, size - to);
    // A block is cut unless a flag says otherwise, but never the short one at the end.
    const streams = flags & 16 || length < blockSize ? 1 : typesize;
    const start = view.getInt32(HEADER + 4 * block, true);
    out.set(unfiltered(await readStreams(bytes, view, start, length, streams, decompress), flags, typesize), to);
  }
  return out;
}

/**
 * @param {Uint8Array} bytes
 * @param {DataView} view
 * @param {number} at
 * @param {number} length
 * @param {number} streams
 * @param {Decompress} decompress
 */
async function readStreams(bytes, view, at, length, streams, decompress) {
  const block = new Uint8Array(length);
  const part = length / streams;
  for (let stream = 0; stream < streams; stream++) {
    const stored = view.getInt32(at, true);
    const data = bytes.subarray(at + 4, at + 4 + stored);
    const decoded = stored === part ? data : await decompress(data, part);
    if (decoded.length !== part) throw new Error(`a stream decoded to ${decoded.length} bytes, expected ${part}`);
    block.set(decoded, stream * part);
    at += 4 + stored;
  }
  return block;
}

/**
 * @param {Uint8Array} block
 * @param {number} flags
 * @param {number} typesize
 */
function unfiltered(block, flags, typesize) {
  if (flags & 1 && typesize > 1) return unshuffle(block, typesize);
  if (flags & 4 && block.length >= typesize) return unbitshuffle(block, typesize);
  return block;
}

/**
 * Bit k of byte b of all elements stands together; Blosc leaves blocks alone whose elements are no multiple of 8.
 *
 * @param {Uint8Array} block
 * @param {number} typesize
 */
function unbitshuffle(block, typesize) {
  const count = Math.floor(block.length / typesize);
  if (count % 8) return block;
  const out = new Uint8Array(block.length);
  const row = count / 8;
  for (let plane = 0; plane < 8 * typesize; plane++) {
    for (let group = 0; group < row; group++) {
      const bits = block[plane * row + group];
      for (let i = 0; i < 8; i++) out[(8 * group + i) * typesize + (plane >> 3)] |= ((bits >> i) & 1) << (plane & 7);
    }
  }
  out.set(block.subarray(count * typesize), count * typesize);
  return out;
}

/** @param {Uint8Array} bytes */
async function inflate(bytes) {
  const stream = new Blob([/** @type {any} */ (bytes)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
