import { RangeBatcher } from "./coalesce.js";
import { SourceError } from "./errors.js";
import { checkFresh } from "./staleness.js";
import { describeUrl } from "./urls.js";

/**
 * Bytes by URL. A URL inside the hierarchy is read through the zarrita store that holds it, if there is one; every other
 * URL is read over HTTP.
 */
export class Bytes {
  /**
   * @param {import("./urls.js").Root} root
   * @param {import("./http.js").HttpClient} http
   * @param {any} [store] a zarrita store
   */
  constructor(root, http, store) {
    this.root = root;
    this.http = http;
    this.store = store;
    this.ranges = new RangeBatcher((url, offset, length, signal, source) =>
      http.getRange(root.request(url), offset, length, signal, (response) => checkFresh(response, source, url)),
    );
  }

  /** @returns {Promise<Uint8Array | undefined>} undefined if there is no such key or resource */
  async get(url, signal) {
    const key = this.store && this.root.keyOf(url);
    if (key !== undefined) return this.store.get(key, { signal });
    return this.http.get(this.root.request(url), signal);
  }

  /**
   * @param {import("./sources.js").Source} source
   * @returns {Promise<Uint8Array>} exactly `length` bytes
   */
  async getRange(source, offset, length, signal) {
    const { url, size } = source;
    if (size !== undefined && offset + length > size) {
      throw new SourceError(
        `${describeUrl(url)}: ${length} bytes from ${offset} lie beyond the file's ${size} bytes; scan it again`,
      );
    }
    const key = this.store && this.root.keyOf(url);
    if (key === undefined) return this.ranges.read(url, offset, length, signal, source);
    return this.#storeRange(key, url, offset, length, signal);
  }

  async #storeRange(key, url, offset, length, signal) {
    const bytes = this.store.getRange
      ? await this.store.getRange(key, { offset, length }, { signal })
      : (await this.store.get(key, { signal }))?.subarray(offset, offset + length);
    if (bytes?.length !== length) {
      throw new SourceError(`${describeUrl(url)}: found ${bytes?.length ?? "no"} bytes, expected ${length} from ${offset}`);
    }
    return bytes;
  }
}
