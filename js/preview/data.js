import * as zarr from "zarrita";
import { openVirtual } from "../src/index.js";
import "../src/codecs/light/index.js";
import { contents, describe, locate } from "../src/inspect.js";
import { labeller, shortDates, trimDates, valueDecoder } from "./cf.js";
import { number } from "./format.js";

// Coordinates longer than this are not read for labels.
const LONGEST_COORDINATE = 200000;

/** A store and what is in it. */
export class Dataset {
  constructor(store, nodes) {
    this.store = store;
    this.nodes = nodes;
    this.variables = nodes.filter(({ kind }) => kind === "array");
    this.attributes = nodes.find(({ path }) => path === "/")?.metadata.attributes ?? {};
  }

  static async open(url, onRequest) {
    const store = await openVirtual(url, { onRequest });
    return new Dataset(store, await contents(store));
  }

  /** The variable to show first: the one with most axes that is no coordinate, and of these the largest. */
  firstVariable() {
    const size = ({ metadata }) => metadata.shape.reduce((a, b) => a * b, 1);
    const coordinate = ({ path, metadata }) => metadata.dimension_names?.includes(path.split("/").at(-1)) || /_bnds$|_bounds$/.test(path);
    const score = (node) => [!node.reason, !coordinate(node), Math.min(node.metadata.shape.length, 3), size(node)];
    return [...this.variables].sort((a, b) => compare(score(b), score(a)))[0]?.path;
  }

  async variable(path, signal) {
    const known = this.variables.find((node) => node.path === path);
    if (known?.reason) throw new Error(known.reason);
    const array = await zarr.open.v3(zarr.root(this.store).resolve(path), { kind: "array", signal });
    const coordinates = await Promise.all(dimensionNames(array).map((name, axis) => this.#coordinate(path, name, array.shape[axis], signal)));
    return new Variable(this.store, path, array, coordinates);
  }

  // A coordinate that cannot be read costs labels, not the picture.
  async #coordinate(path, name, extent, signal) {
    const own = path.replace(/[^/]*$/, name);
    if (extent > LONGEST_COORDINATE || (this.variables.length && !this.variables.some((node) => node.path === own))) return undefined;
    try {
      const array = await zarr.open.v3(zarr.root(this.store).resolve(own), { kind: "array", signal });
      if (array.shape.length !== 1 || array.shape[0] !== extent) return undefined;
      const { data } = await zarr.get(array, null, { signal });
      return new Coordinate(name, array.attrs, Array.from(data, valueDecoder(array.attrs, array.dtype)));
    } catch (error) {
      if (signal?.aborted) throw error;
      return undefined;
    }
  }
}

function compare(a, b) {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return Number(a[i]) - Number(b[i]);
  return 0;
}

function dimensionNames(array) {
  return array.shape.map((_, axis) => array.dimensionNames?.[axis] ?? `axis ${axis}`);
}

export class Coordinate {
  constructor(name, attributes, values) {
    this.name = name;
    this.values = values;
    const { label, isTime } = labeller(attributes, number);
    this.isTime = isTime;
    this.labels = isTime ? trimDates(values.map(label)) : values.map(label);
    this.shortLabels = isTime ? shortDates(this.labels) : this.labels;
  }

  get ascending() {
    return this.values.length > 1 && this.values.at(-1) > this.values[0];
  }
}

export class Variable {
  constructor(store, path, array, coordinates) {
    Object.assign(this, { store, path, array, coordinates });
    this.name = path.split("/").at(-1) || path;
    this.attributes = array.attrs;
    this.shape = array.shape;
    this.dimensions = dimensionNames(array);
    this.numeric = !["string", "v2:object"].includes(array.dtype);
    this.decode = valueDecoder(array.attrs, array.dtype);
    this.labels = array.attrs.flag_meanings ? undefined : labeller(array.attrs, number);
  }

  get title() {
    return this.attributes.long_name ?? this.attributes.standard_name ?? this.name;
  }

  /** Label of an index along an axis. */
  labelAt(axis, index) {
    return this.coordinates[axis]?.labels[index] ?? String(index);
  }

  shortLabelAt(axis, index) {
    return this.coordinates[axis]?.shortLabels[index] ?? String(index);
  }

  /**
   * Decoded values for a selection: per axis an index, or `[start, stop, step]`.
   *
   * @returns {Promise<{values: Float64Array, shape: number[], stride: number[]}>}
   */
  async read(selection, signal) {
    const picked = selection.map((part) => (Array.isArray(part) ? zarr.slice(...part) : part));
    const result = await zarr.get(this.array, picked.length ? picked : null, { signal });
    if (typeof result !== "object" || result === null) return { values: Float64Array.of(this.decode(result)), shape: [], stride: [] };
    const { data, shape, stride } = result;
    return { values: Float64Array.from(data, this.decode), shape, stride };
  }

  /** Values as text, for data that is no number. */
  async readText(count, signal) {
    const result = await zarr.get(this.array, this.shape.map((n, i) => (i === 0 ? zarr.slice(0, Math.min(n, count)) : 0)), { signal });
    return typeof result === "object" && result?.data ? Array.from(result.data, String) : [String(result)];
  }

  /** Chunks that a selection touches. */
  chunkCount(selection) {
    return selection.reduce((count, part, axis) => {
      if (!Array.isArray(part)) return count;
      return count * (Math.floor((part[1] - 1) / this.array.chunks[axis]) - Math.floor(part[0] / this.array.chunks[axis]) + 1);
    }, 1);
  }

  describe(signal) {
    return describe(this.store, this.path, { signal });
  }

  locate(start, count, signal) {
    return locate(this.store, this.path, start, count, { signal });
  }
}
