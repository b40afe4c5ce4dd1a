import { StoredArray } from "./array.js";
import { makeMemberDecoder } from "./cf.js";
import { constantBlock, copyValues, emptyBlock, shifted } from "./chunked.js";
import { FormatError } from "./errors.js";
import { fillUnits } from "./fill.js";
import { Axis, gridAxes } from "./grid.js";
import { checkMember } from "./members.js";
import { plainMember } from "./metadata.js";
import { cut, span, within } from "./region.js";
import { stridesOf } from "./shapes.js";
import { sameJson } from "./same.js";
import { checkUniform } from "./uniform.js";
import { directory, resolveUrl } from "./urls.js";

/** @import { Hierarchy } from "./hierarchy.js" */
/** @import { Block } from "./pipeline.js" */
/** @import { Span } from "./region.js" */
/** @import { AnyArray, ArrayDocument, Coords, Files, Member, Signal, Units } from "./types.js" */

// Deeper nesting than this is an array that is, in the end, a member of itself.
const DEEPEST = 32;

/**
 * A member that is open: its array, and how regions and values of this array come from it.
 *
 * @typedef {object} OpenMember
 * @property {AnyArray} array
 * @property {(number | null)[]} axes
 * @property {(part: Span[]) => Span[]} regionOf
 * @property {((units: Units) => Units) | undefined} decode
 */

/** An array that is other arrays, one after the other. */
export class ConcatenatedArray extends StoredArray {
  /**
   * @param {ArrayDocument} metadata
   * @param {{axis: number, members: Member[], uniform?: boolean}} config
   * @param {string} url
   * @param {string} name
   * @param {Hierarchy} io
   */
  constructor(metadata, config, url, name, io) {
    super(metadata, config, url, name, io);
    /** @type {{axis: number, members: Member[], uniform?: boolean}} */
    this.config = config;
    /** @type {Hierarchy} */
    this.io = io;
    this.axes = gridAxes(metadata, name);
    this.axis = config.axis;
    if (!Number.isInteger(this.axis) || !(this.axis in this.shape)) {
      throw new FormatError(`${name}: concatenation along axis ${this.axis}, the array has ${this.shape.length}`);
    }
    config.members.forEach((member, i) => checkMember(member, this.#label(i)));
    this.members = new Axis(this.shape[this.axis], config.members.map(({ length }) => length));
    const { sum } = this.members;
    if (sum !== this.shape[this.axis]) {
      throw new FormatError(`${name}: its ${config.members.length} members have ${sum} elements along axis ${this.axis}, the array ${this.shape[this.axis]}`);
    }
    /** @type {Map<number, OpenMember>} */
    this.opened = new Map();
  }

  /**
   * @param {Span[]} region
   * @param {Signal} [signal]
   * @param {number} [depth]
   * @returns {Promise<Block>}
   */
  async read(region, signal, depth = 0) {
    const out = emptyBlock(this.type, region.map(({ count }) => count));
    await Promise.all(
      this.pieces(region).map(async ({ index, at, part }) => {
        const from = await this.#readMember(index, part, signal, depth);
        const corner = region.map((_, i) => (i === this.axis ? at : 0));
        copyValues(this.type, shifted(out, corner), from, part.map(({ count }) => count));
      }),
    );
    return out;
  }

  /**
   * Where a region meets members: the member's index, its place in the region, and the region counted from the member's start.
   *
   * @param {Span[]} region
   */
  pieces(region) {
    const { members, axis } = this;
    return cut(region[axis], (at) => members.find(at), (index) => members.start(index)).map(({ index, at, inner }) => {
      const part = region.map((whole, i) => (i === axis ? inner : whole));
      return { index, at, part };
    });
  }

  /**
   * @param {number} index
   * @param {Span[]} part
   * @param {Signal} signal
   * @param {number} depth
   * @returns {Promise<Block>}
   */
  async #readMember(index, part, signal, depth) {
    const member = await this.member(index, signal);
    if (!member) return constantBlock(fillUnits(this), part.length);
    if (depth > DEEPEST) throw new FormatError(`${this.name}: concatenations nested deeper than ${DEEPEST}; is it a member of itself?`);
    const region = member.regionOf(part);
    const { data } = await member.array.read(region, signal, depth + 1);
    const strides = stridesOf(region.map(({ count }) => count)).map((stride) => stride * this.type.lanes);
    return {
      data: member.decode ? member.decode(data) : data,
      offset: 0,
      strides: member.axes.map((axis) => (axis === null ? 0 : strides[axis])),
    };
  }

  /**
   * Encoded bytes of a chunk of a uniform concatenation; undefined if no member lists it.
   *
   * @param {Coords} coords
   * @param {Signal} [signal]
   * @returns {Promise<Uint8Array | undefined>}
   */
  async stored(coords, signal) {
    const start = this.axes[this.axis].start(coords[this.axis]);
    const index = this.members.find(start);
    const member = await this.member(index, signal);
    if (!member) return undefined;
    // A member starts where a chunk does: checkUniform saw to it.
    const first = this.axes[this.axis].find(this.members.start(index));
    return member.array.stored(coords.map((at, i) => (i === this.axis ? at - first : at)), signal);
  }

  /**
   * Open a member and check it against what this array says of it.
   *
   * @returns {Promise<OpenMember | undefined>} undefined for a member that is all fill
   * @param {number} index
   * @param {Signal} [signal]
   */
  async member(index, signal) {
    const entry = this.config.members[index];
    if (entry.array === undefined) return undefined;
    const array = await this.#open(entry.array, entry.check, index, signal);
    // Checked once per member as long as the same array object lives; a bounded cache may have opened it anew.
    const known = this.opened.get(index);
    if (known?.array === array) return known;
    const member = this.#fit(index, entry, array);
    if (this.opened.size > 256) this.opened.clear();
    this.opened.set(index, member);
    return member;
  }

  /**
   * @param {string | Files} array
   * @param {string | undefined} check
   * @param {number} index
   * @param {Signal} signal
   * @returns {Promise<AnyArray>}
   */
  #open(array, check, index, signal) {
    if (typeof array === "object") return this.io.openInPlace(array, `${this.url}#${index}`, this.#label(index));
    return this.io.openArray(`${directory(resolveUrl(array, this.url))}zarr.json`, signal, check);
  }

  /**
   * @param {number} index
   * @param {Member} entry
   * @param {AnyArray} array
   * @returns {OpenMember}
   */
  #fit(index, entry, array) {
    const what = `${this.#label(index)} ('${array.name}')`;
    const axes = entry.axes ?? this.shape.map((_, i) => i);
    const select = selection(entry.select, array.shape, what);
    this.#checkAxes(entry, axes, select, what);
    if (!entry.decode && !sameJson(array.metadata.data_type, this.metadata.data_type)) {
      throw new FormatError(`${what}: has data type ${array.metadata.data_type}, expected ${this.metadata.data_type} or a 'decode'`);
    }
    if (this.config.uniform && plainMember(entry)) checkUniform(this, index, array, what);
    const place = select.map((_, axis) => axes.indexOf(axis));
    return {
      array,
      axes,
      regionOf: (part) => select.map((whole, axis) => within(whole, place[axis] < 0 ? span(0, 1) : part[place[axis]])),
      decode: entry.decode && makeMemberDecoder(entry.decode, array.type, this.type, what),
    };
  }

  /**
   * @param {Member} entry
   * @param {(number | null)[]} axes
   * @param {Span[]} select
   * @param {string} what
   */
  #checkAxes(entry, axes, select, what) {
    const wrong = (/** @type {string} */ found, /** @type {string | number} */ expected) =>
      new FormatError(`${what}: ${found}, expected ${expected}`);
    if (axes.length !== this.shape.length) throw wrong(`has ${axes.length} axes`, this.shape.length);
    const named = axes.filter((axis) => axis !== null);
    if (new Set(named).size !== named.length || named.some((axis) => !(axis in select))) throw wrong(`axes [${axes}]`, "each axis at most once");
    axes.forEach((axis, i) => {
      const extent = i === this.axis ? entry.length : this.shape[i];
      if (axis !== null && select[axis].count !== extent) throw wrong(`${select[axis].count} elements along axis ${i}`, extent);
    });
    select.forEach(({ count }, axis) => {
      if (!named.includes(axis) && count !== 1) throw wrong(`axis ${axis} is dropped but has ${count} elements`, 1);
    });
  }

  /** @param {number} index */
  #label(index) {
    return `${this.name}: member ${index}`;
  }
}

/**
 * `range(start, stop, step)` per axis of the member.
 *
 * @param {[number, number, number][] | undefined} select
 * @param {number[]} shape
 * @param {string} what
 */
function selection(select, shape, what) {
  if (!select) return shape.map((extent) => span(0, extent));
  if (select.length !== shape.length) throw new FormatError(`${what}: selects on ${select.length} axes, the array has ${shape.length}`);
  return select.map(([start, stop, step], axis) => {
    const count = step ? Math.max(0, Math.ceil((stop - start) / step)) : NaN;
    const last = start + (count - 1) * step;
    if (!(count >= 0) || (count > 0 && !(Math.min(start, last) >= 0 && Math.max(start, last) < shape[axis]))) {
      throw new FormatError(`${what}: selects [${start}, ${stop}, ${step}] of ${shape[axis]} elements along axis ${axis}`);
    }
    return span(start, count, step);
  });
}
