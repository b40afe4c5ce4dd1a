import { RangeBatcher } from "./coalesce.js";
import { SourceError } from "./errors.js";
import { checkFresh } from "./staleness.js";
import { describeUrl } from "./urls.js";

/** @import { Signal, ReadableStore } from "./types.js" */
/** @import { Source } from "./sources.js" */

/**
 * Bytes by URL. A URL inside the hierarchy is read through the zarrita store that holds it, if there is one; every other
 * URL is read over HTTP.
 */
export class Bytes {
  /**
   * @param {import("./urls.js").Root} root
   * @param {import("./http.js").HttpClient} http
   * @param {ReadableStore} [store] a zarrita store
   */
  constructor(root, http, store) {
    this.root = root;
    this.http = http;
    this.store = store;
    this.ranges = new RangeBatcher((url, offset, length, signal, source) =>
      http.getRange(root.request(url), offset, length, signal, (response) => checkFresh(response, source, url)),
    );
  }

  /**
   * @param {string} url
   * @param {Signal} [signal]
   * @returns {Promise<Uint8Array | undefined>} undefined if there is no such key or resource
   */
  async get(url, signal) {
    const { store } = this;
    const key = store && this.root.keyOf(url);
    if (store && key !== undefined) return store.get(key, { signal });
    return this.http.get(this.root.request(url), signal);
  }

  /**
   * @param {Source} source
   * @param {number} offset [bytes]
   * @param {number} length [bytes]
   * @param {Signal} [signal]
   * @returns {Promise<Uint8Array>} exactly `length` bytes
   */
  async getRange(source, offset, length, signal) {
    const { url, size } = source;
    if (size !== undefined && offset + length > size) {
      throw new SourceError(
        `${describeUrl(url)}: ${length} bytes from ${offset} lie beyond the file's ${size} bytes; scan it again`,
      );
    }
    const { store } = this;
    const key = store && this.root.keyOf(url);
    if (!store || key === undefined) return this.ranges.read(url, offset, length, signal, source);
    return this.#storeRange(store, key, url, offset, length, signal);
  }

  /**
   * @param {ReadableStore} store
   * @param {import("zarrita").AbsolutePath} key
   * @param {string} url
   * @param {number} offset
   * @param {number} length
   * @param {Signal} signal
   */
  async #storeRange(store, key, url, offset, length, signal) {
    const bytes = store.getRange
      ? await store.getRange(key, { offset, length }, { signal })
      : (await store.get(key, { signal }))?.subarray(offset, offset + length);
    if (bytes?.length !== length) {
      throw new SourceError(`${describeUrl(url)}: found ${bytes?.length ?? "no"} bytes, expected ${length} from ${offset}`);
    }
    return bytes;
  }
}
