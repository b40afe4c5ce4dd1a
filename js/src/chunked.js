import { fillUnits } from "./fill.js";
import { copyBlock, cut, product } from "./region.js";
import { sizeOf, stridesOf } from "./shapes.js";

/** @typedef {import("./region.js").Span} Span */
/** @typedef {import("./pipeline.js").Block} Block */

/** A C-ordered block for a region, zeroed. */
export function emptyBlock(type, shape) {
  const strides = stridesOf(shape).map((stride) => stride * type.lanes);
  return { data: new type.Unit(sizeOf(shape) * type.lanes), offset: 0, strides };
}

/** Copy a block of values, all lanes of each. */
export function copyValues(type, to, from, counts) {
  const lane = (block) => ({ ...block, strides: [...block.strides, 1] });
  copyBlock(lane(to), lane(from), [...counts, type.lanes]);
}

/** A block that repeats one value. */
export function constantBlock(units, ndim) {
  return { data: units, offset: 0, strides: Array(ndim).fill(0) };
}

/** Where a region meets chunks: per chunk its coordinates, the place in the region, and spans within the chunk. */
export function* chunksOf(axes, region) {
  const lists = region.map((span, i) => cut(span, (at) => axes[i].find(at), (chunk) => boundary(axes[i], chunk)));
  for (const pieces of product(lists)) {
    yield { coords: pieces.map((p) => p.index), at: pieces.map((p) => p.at), inner: pieces.map((p) => p.inner) };
  }
}

function boundary(axis, chunk) {
  return Math.min(axis.start(chunk), axis.extent);
}

/**
 * Read a region of an array that has chunks.
 *
 * @param {{type: any, axes: any[], decodedChunk: (coords: number[], signal?: AbortSignal) => Promise<Block | undefined>}} array
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

/** The part of a block that spans select. */
export function pick({ data, offset, strides }, spans) {
  return {
    data,
    offset: spans.reduce((sum, { start }, i) => sum + start * strides[i], offset),
    strides: strides.map((stride, i) => stride * spans[i].step),
  };
}

export function shifted({ data, offset, strides }, at) {
  return { data, offset: at.reduce((sum, index, i) => sum + index * strides[i], offset), strides };
}
