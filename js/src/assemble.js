import { copyValues, emptyBlock } from "./chunked.js";
import { span } from "./region.js";

/** @import { AnyArray, Coords } from "./types.js" */

/**
 * Bytes of one chunk of the plain array that zarrita sees, little-endian and in C order.
 *
 * @param {AnyArray} array
 * @param {Coords} coords of the chunk
 * @param {number[]} shape of a chunk
 * @param {AbortSignal} [signal]
 */
export async function assembleChunk(array, coords, shape, signal) {
  const counts = coords.map((at, i) => Math.min(shape[i], array.shape[i] - at * shape[i]));
  let block = await array.read(coords.map((at, i) => span(at * shape[i], counts[i])), signal);
  if (counts.some((count, i) => count !== shape[i])) {
    // Zarr's regular grids have full chunks at the edges.
    const whole = emptyBlock(array.type, shape);
    copyValues(array.type, whole, block, counts);
    block = whole;
  }
  return new Uint8Array(block.data.buffer, block.data.byteOffset, block.data.byteLength);
}
