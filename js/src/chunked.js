import { fillUnits } from "./fill.js";
import { copyBlock, cut, product } from "./region.js";
import { sizeOf, stridesOf } from "./shapes.js";

/** @import { StoredArray } from "./array.js" */
/** @import { DataType } from "./dtype.js" */
/** @import { Axis } from "./grid.js" */
/** @import { Block } from "./pipeline.js" */
/** @import { Span } from "./region.js" */
/** @import { Coords, Units } from "./types.js" */


/**
 * A C-ordered block for a region, zeroed.
 *
 * @param {DataType} type
 * @param {number[]} shape
 * @returns {Block}
 */
export function emptyBlock(type, shape) {
  const strides = stridesOf(shape).map((stride) => stride * type.lanes);
  return { data: new type.Unit(sizeOf(shape) * type.lanes), offset: 0, strides };
}

/**
 * Copy a block of values, all lanes of each.
 *
 * @param {DataType} type
 * @param {Block} to
 * @param {Block} from
 * @param {number[]} counts
 */
export function copyValues(type, to, from, counts) {
  const lane = (/** @type {Block} */ block) => ({ ...block, strides: [...block.strides, 1] });
  copyBlock(lane(to), lane(from), [...counts, type.lanes]);
}

/**
 * A block that repeats one value.
 *
 * @param {Units} units
 * @param {number} ndim
 * @returns {Block}
 */
export function constantBlock(units, ndim) {
  return { data: units, offset: 0, strides: Array(ndim).fill(0) };
}

/**
 * Where a region meets chunks: per chunk its coordinates, the place in the region, and spans within the chunk.
 *
 * @param {Axis[]} axes
 * @param {Span[]} region
 * @returns {Generator<{coords: Coords, at: number[], inner: Span[]}>}
 */
export function* chunksOf(axes, region) {
  const lists = region.map((span, i) => cut(span, (at) => axes[i].find(at), (chunk) => boundary(axes[i], chunk)));
  for (const pieces of product(lists)) {
    yield { coords: pieces.map((p) => p.index), at: pieces.map((p) => p.at), inner: pieces.map((p) => p.inner) };
  }
}

/**
 * @param {Axis} axis
 * @param {number} chunk
 */
function boundary(axis, chunk) {
  return Math.min(axis.start(chunk), axis.extent);
}

/**
 * Read a region of an array that has chunks.
 *
 * @param {StoredArray} array
 * @param {Span[]} region
 * @param {AbortSignal} [signal]
 * @returns {Promise<Block>} C-ordered
 */
export async function readChunked(array, region, signal) {
  const out = emptyBlock(array.type, region.map(({ count }) => count));
  const fill = constantBlock(fillUnits(array), region.length);
  const tasks = [];
  for (const { coords, at, inner } of chunksOf(array.axes, region)) {
    tasks.push(
      array.decodedChunk(coords, signal).then((chunk) => {
        const from = chunk ? pick(chunk, inner) : fill;
        copyValues(array.type, shifted(out, at), from, inner.map(({ count }) => count));
      }),
    );
  }
  await Promise.all(tasks);
  return out;
}

/**
 * The part of a block that spans select.
 *
 * @param {Block} block
 * @param {Span[]} spans
 * @returns {Block}
 */
export function pick({ data, offset, strides }, spans) {
  return {
    data,
    offset: spans.reduce((sum, { start }, i) => sum + start * strides[i], offset),
    strides: strides.map((stride, i) => stride * spans[i].step),
  };
}

/**
 * A block that starts elsewhere.
 *
 * @param {Block} block
 * @param {number[]} at
 * @returns {Block}
 */
export function shifted({ data, offset, strides }, at) {
  return { data, offset: at.reduce((sum, index, i) => sum + index * strides[i], offset), strides };
}
