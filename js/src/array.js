import { dataType } from "./dtype.js";
import { located, VirtualZarrError } from "./errors.js";

/** @import { ArrayDocument, ArrayIo, Coords, Signal } from "./types.js" */
/** @import { Axis } from "./grid.js" */
/** @import { Block } from "./pipeline.js" */
/** @import { Span } from "./region.js" */

/** What all kinds of arrays have: a document, a data type, values that can be read by region. */
export class StoredArray {
  /**
   * @param {ArrayDocument} metadata its zarr.json
   * @param {any} config of its storage transformer; undefined for an ordinary array
   * @param {string} url of its zarr.json
   * @param {string} name for errors
   * @param {ArrayIo} io
   */
  constructor(metadata, config, url, name, io) {
    this.metadata = metadata;
    this.config = config;
    this.url = url;
    this.name = name;
    this.io = io;
    this.shape = metadata.shape;
    /** Of the chunk grid. @type {Axis[]} */
    this.axes = [];
    /** An index of shards stands before the chunks. */
    this.indexFirst = false;
    /** Kept by present.js. @type {import("./present.js").Mode | undefined} */
    this.mode = undefined;
    /** Kept by present.js. @type {number[] | undefined} */
    this.view = undefined;
  }

  /** Asked late: an array of a type that JavaScript lacks can still be listed and passed through. */
  get type() {
    return dataType(this.metadata.data_type, this.name);
  }

  /**
   * @param {Span[]} region
   * @param {AbortSignal} [signal]
   * @returns {Promise<Block>} C-ordered
   */
  async read(region, signal) {
    const { readChunked } = await import("./chunked.js");
    return readChunked(this, region, signal);
  }

  /**
   * A chunk's values; undefined if it is missing. Kept for a while.
   *
   * @param {Coords} coords
   * @param {Signal} [signal]
   * @returns {Promise<Block | undefined>}
   */
  decodedChunk(coords, signal) {
    const load = (/** @type {AbortSignal} */ shared) => this.located(coords, shared, () => this.decode(coords, shared));
    return this.io.chunks.load(`${this.url} ${coords}`, signal, load);
  }

  /**
   * Read and decode one chunk.
   *
   * @param {Coords} coords
   * @param {Signal} [signal]
   * @returns {Promise<Block | undefined>} undefined if it is missing
   */
  async decode(coords, signal) {
    throw new VirtualZarrError(`${this.name}: has no chunks of its own`);
  }

  /**
   * Name the array and the chunk in errors.
   *
   * @template T
   * @param {Coords} coords
   * @param {Signal} signal
   * @param {() => Promise<T>} task
   * @returns {Promise<T>}
   */
  async located(coords, signal, task) {
    try {
      return await task();
    } catch (error) {
      throw located(error, this.name, coords, signal);
    }
  }

  /** @param {Coords} coords */
  storedShape(coords) {
    return coords.map((chunk, i) => this.axes[i].stored(chunk));
  }
}
