import { FormatError, UnsupportedError } from "./errors.js";

/** @import { ArrayDocument, Named } from "./types.js" */

/** Chunk edges along one axis: what each chunk covers of the array, and the edge it is stored with. */
export class Axis {
  /**
   * @param {number} extent [elements]
   * @param {number | number[]} edges one for all chunks, or one each
   * @param {number | number[]} [stored] at least what the chunk covers; absent: as `edges`
   */
  constructor(extent, edges, stored = edges) {
    this.extent = extent;
    this.edge = typeof edges === "number" ? edges : undefined;
    this.starts = typeof edges === "number" ? [] : runningSum(edges);
    this.count = this.edge ? Math.ceil(extent / this.edge) : this.starts.findLastIndex((start) => start < extent) + 1;
    this.storedEdges = stored;
    if (!this.edge && this.sum < extent) this.count = -1;
  }

  /** Sum of uneven edges; 0 for edges of 0. */
  get sum() {
    return this.starts.at(-1) ?? 0;
  }

  /**
   * First element of a chunk.
   *
   * @param {number} chunk
   * @returns {number}
   */
  start(chunk) {
    return this.edge ? chunk * this.edge : this.starts[chunk];
  }

  /**
   * Elements of the array that a chunk covers.
   *
   * @param {number} chunk
   * @returns {number}
   */
  visible(chunk) {
    return Math.min(this.start(chunk + 1), this.extent) - this.start(chunk);
  }

  /**
   * Edge a chunk decodes to.
   *
   * @param {number} chunk
   * @returns {number}
   */
  stored(chunk) {
    return typeof this.storedEdges === "number" ? this.storedEdges : this.storedEdges[chunk];
  }

  /**
   * The chunk that holds an element.
   *
   * @param {number} position
   * @returns {number}
   */
  find(position) {
    if (this.edge) return Math.floor(position / this.edge);
    let low = 0;
    let high = this.count - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle] <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /**
   * The chunk edge of a regular grid with the same chunks, stored alike; undefined if there is none.
   *
   * @returns {number | undefined}
   */
  regularEdge() {
    if (this.edge && this.storedEdges === this.edge) return this.edge;
    const edge = this.count ? this.stored(0) : (this.edge ?? 1);
    for (let chunk = 0; chunk < this.count; chunk++) {
      if (this.stored(chunk) !== edge || this.start(chunk) !== chunk * edge) return undefined;
    }
    return this.count * edge >= this.extent ? edge : undefined;
  }

  /**
   * The chunk edge of a regular view: the longest edge, so that few chunks are needed twice.
   *
   * @returns {number}
   */
  viewEdge() {
    if (this.edge) return this.edge;
    let longest = 1;
    for (let chunk = 0; chunk < this.count; chunk++) longest = Math.max(longest, this.visible(chunk));
    return longest;
  }
}

/** @param {number[]} edges */
function runningSum(edges) {
  const starts = [0];
  edges.forEach((edge, i) => starts.push(starts[i] + edge));
  return starts;
}

/**
 * The axes of an array's chunk grid.
 *
 * @param {ArrayDocument} metadata an array's zarr.json
 * @param {string} name the array, for errors
 * @param {any[]} [storedShapes] of a chunk manifest
 * @returns {Axis[]}
 */
export function gridAxes({ shape, chunk_grid: grid }, name, storedShapes) {
  const edges = gridEdges(grid, name);
  if (edges.length !== shape.length || (storedShapes ?? edges).length !== shape.length) {
    throw new FormatError(`${name}: the chunk grid has ${edges.length} axes, the array has ${shape.length}`);
  }
  return shape.map((extent, i) => {
    const axis = new Axis(extent, edges[i], storedShapes ? unroll(storedShapes[i], name) : edges[i]);
    const fault = faultOf(axis);
    if (fault) throw new FormatError(`${name}: ${fault} on axis ${i} of ${extent} elements`);
    return axis;
  });
}

/**
 * @param {Named} grid
 * @param {string} name
 * @returns {(number | number[])[]}
 */
function gridEdges(grid, name) {
  const { chunk_shape: regular, chunk_shapes: uneven, kind } = grid?.configuration ?? {};
  if (grid?.name === "regular") return regular;
  if (grid?.name === "rectilinear" && kind === "inline") return uneven.map((/** @type {any} */ spec) => unroll(spec, name));
  throw new UnsupportedError(`${name}: chunk grid '${grid?.name}' ${kind ?? ""} is unknown here, expected regular or rectilinear inline`);
}

/**
 * Expand `[[10, 3], 1]` to `[10, 10, 10, 1]`; a bare integer stays.
 *
 * @param {any} spec
 * @param {string} name
 * @returns {number | number[]}
 */
function unroll(spec, name) {
  const edges = [spec].flat().flatMap((run) => (Array.isArray(run) ? Array(run[1]).fill(run[0]) : run));
  if (!edges.length || !edges.every((edge) => Number.isInteger(edge) && edge > 0)) {
    throw new FormatError(`${name}: ${JSON.stringify(spec)} are no chunk edges; expected an integer or a list`);
  }
  return Array.isArray(spec) ? edges : spec;
}

/** @param {Axis} axis */
function faultOf(axis) {
  if (axis.count < 0) return `chunk edges sum to ${axis.sum}`;
  // Equal and regular: nothing to go through, however many chunks there are.
  if (axis.edge && axis.edge === axis.storedEdges) return undefined;
  for (let chunk = 0; chunk < axis.count; chunk++) {
    const [stored, visible] = [axis.stored(chunk), axis.visible(chunk)];
    if (!(stored >= visible)) return `chunk ${chunk} is stored with edge ${stored} but must cover ${visible}`;
  }
  return undefined;
}
