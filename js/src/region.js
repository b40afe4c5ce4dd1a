/** @import { Block } from "./pipeline.js" */
/** @import { Units } from "./types.js" */

/**
 * Regions: per axis `count` elements from `start` in steps of `step` (never 0, may be negative). Chunks, members of a
 * concatenation and selections all map regions to regions, so any nesting of them reads only what it needs.
 */

/** @typedef {{start: number, step: number, count: number}} Span */
/** @typedef {{count: number, to: number, from: number}} CopyAxis elements, and steps on both sides */

/**
 * @param {number} start
 * @param {number} count
 * @param {number} [step]
 * @returns {Span}
 */
export function span(start, count, step = 1) {
  return { start, step, count };
}

/**
 * Compose: the elements `inner` of the sequence `outer`.
 *
 * @param {Span} outer
 * @param {Span} inner
 * @returns {Span}
 */
export function within(outer, inner) {
  return { start: outer.start + outer.step * inner.start, step: outer.step * inner.step, count: inner.count };
}

/**
 * Cut a span where it leaves the intervals of a partition.
 *
 * @param {Span} whole
 * @param {(position: number) => number} find the interval that holds a position
 * @param {(index: number) => number} startOf first position of an interval
 * @returns {{index: number, at: number, inner: Span}[]} interval, place in `whole`, span counted from the interval's start
 */
export function cut(whole, find, startOf) {
  const pieces = [];
  for (let at = 0; at < whole.count; ) {
    const position = whole.start + whole.step * at;
    const index = find(position);
    const low = startOf(index);
    const left = whole.step > 0 ? startOf(index + 1) - 1 - position : position - low;
    const count = Math.min(Math.floor(left / Math.abs(whole.step)) + 1, whole.count - at);
    pieces.push({ index, at, inner: span(position - low, count, whole.step) });
    at += count;
  }
  return pieces;
}

/** Every combination of one item per list. @template T @param {T[][]} lists @returns {Generator<T[]>} */
export function* product(lists) {
  const index = lists.map(() => 0);
  if (lists.some((list) => list.length === 0)) return;
  for (;;) {
    yield lists.map((list, i) => list[index[i]]);
    let axis = lists.length - 1;
    while (axis >= 0 && ++index[axis] === lists[axis].length) index[axis--] = 0;
    if (axis < 0) return;
  }
}

/**
 * Copy a block between two strided arrays of the same type.
 *
 * @param {Block} to
 * @param {Block} from
 * @param {number[]} counts of the block, per axis
 */
export function copyBlock(to, from, counts) {
  const axes = merged(counts, to.strides, from.strides);
  copyAxis(to.data, to.offset, from.data, from.offset, axes, 0);
}

// Neighbouring axes that both sides traverse as one become one: whole rows and planes are then copied at once.
/**
 * @param {number[]} counts
 * @param {number[]} to
 * @param {number[]} from
 * @returns {CopyAxis[]}
 */
function merged(counts, to, from) {
  /** @type {CopyAxis[]} */
  const axes = [];
  counts.forEach((count, i) => {
    const last = axes.at(-1);
    if (count === 1) return;
    if (last && last.to === to[i] * count && last.from === from[i] * count) {
      last.count *= count;
      last.to = to[i];
      last.from = from[i];
    } else axes.push({ count, to: to[i], from: from[i] });
  });
  return axes.length ? axes : [{ count: 1, to: 1, from: 1 }];
}

/**
 * @param {Units} target
 * @param {number} targetAt
 * @param {Units} source
 * @param {number} sourceAt
 * @param {CopyAxis[]} axes
 * @param {number} depth
 */
function copyAxis(target, targetAt, source, sourceAt, axes, depth) {
  const { count, to, from } = axes[depth];
  if (depth < axes.length - 1) {
    for (let i = 0; i < count; i++) copyAxis(target, targetAt + i * to, source, sourceAt + i * from, axes, depth + 1);
  } else if (to === 1 && from === 1) target.set(source.subarray(sourceAt, sourceAt + count), targetAt);
  else for (let i = 0; i < count; i++) target[targetAt + i * to] = source[sourceAt + i * from];
}
