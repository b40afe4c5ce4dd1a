import { dataType } from "./dtype.js";
import { located } from "./errors.js";

/** What all kinds of arrays have: a document, a data type, values that can be read by region. */
export class StoredArray {
  /**
   * @param {any} metadata its zarr.json
   * @param {any} config of its storage transformer; undefined for an ordinary array
   * @param {string} url of its zarr.json
   * @param {string} name for errors
   * @param {import("./hierarchy.js").Hierarchy} io
   */
  constructor(metadata, config, url, name, io) {
    Object.assign(this, { metadata, config, url, name, io, shape: metadata.shape });
  }

  /** Asked late: an array of a type that JavaScript lacks can still be listed and passed through. */
  get type() {
    return dataType(this.metadata.data_type, this.name);
  }

  /**
   * @param {import("./region.js").Span[]} region
   * @param {AbortSignal} [signal]
   * @returns {Promise<import("./pipeline.js").Block>} C-ordered
   */
  async read(region, signal) {
    const { readChunked } = await import("./chunked.js");
    return readChunked(this, region, signal);
  }

  /** A chunk's values; undefined if it is missing. Kept for a while. */
  decodedChunk(coords, signal) {
    const load = (shared) => this.located(coords, shared, () => this.decode(coords, shared));
    return this.io.chunks.load(`${this.url} ${coords}`, signal, load);
  }

  /** Name the array and the chunk in errors. */
  async located(coords, signal, task) {
    try {
      return await task();
    } catch (error) {
      throw located(error, this.name, coords, signal);
    }
  }

  storedShape(coords) {
    return coords.map((chunk, i) => this.axes[i].stored(chunk));
  }
}
