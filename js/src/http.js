import { SourceError } from "./errors.js";
import { describeUrl } from "./urls.js";

/** @import { Signal } from "./types.js" */

/**
 * @typedef {object} RequestRecord what `onRequest` is told after each request
 * @property {string} url
 * @property {[number, number] | undefined} range first byte and length asked for [bytes]
 * @property {number} status
 * @property {number} bytes received
 */

// More requests than this at once gain nothing from one host, and Node would open a socket for each.
const AT_ONCE = 16;
const RETRIES = 2;
/** @type {Record<number, string>} */
const HINTS = {
  200: "; it ignores ranges, use a server that supports them",
  416: "; the file was truncated or replaced since it was scanned",
};

/** HTTP GET with retries, a bound on requests under way, counters, and every answer to a range request checked. */
export class HttpClient {
  #running = 0;
  /** @type {((go?: unknown) => void)[]} */
  #queue = [];

  /**
   * @param {object} options
   * @param {(request: Request) => Promise<Response>} [options.fetch] adds credentials, say
   * @param {(record: RequestRecord) => void} [options.onRequest]
   */
  constructor({ fetch, onRequest } = {}) {
    this.fetch = fetch ?? ((request) => globalThis.fetch(request));
    this.onRequest = onRequest;
    this.stats = { requests: 0, bytes: 0 };
  }

  /**
   * A whole resource.
   *
   * @param {string} url
   * @param {Signal} [signal]
   * @returns {Promise<Uint8Array | undefined>} undefined if the server answers 404
   */
  async get(url, signal) {
    return this.#request(url, undefined, signal, (response) => {
      if (response.status === 404) return undefined;
      if (!response.ok) throw new SourceError(`${describeUrl(url)}: the server answered ${response.status}, expected 200`);
      return body(response);
    });
  }

  /**
   * Bytes `offset` to `offset + length` of a resource, and exactly those.
   *
   * @param {string} url
   * @param {number} offset [bytes]
   * @param {number} length [bytes]
   * @param {AbortSignal | undefined} signal
   * @param {(response: Response) => void} [check] called before the body is read
   * @returns {Promise<Uint8Array>}
   */
  async getRange(url, offset, length, signal, check) {
    return this.#request(url, [offset, length], signal, async (response) => {
      checkRangeStatus(response, url, offset, length);
      check?.(response);
      const bytes = await body(response);
      if (bytes.length !== length) {
        throw new SourceError(
          `${describeUrl(url)}: ${bytes.length} bytes came for the ${length} bytes from ${offset}; the file was truncated or replaced`,
        );
      }
      return bytes;
    });
  }

  /**
   * @template {Uint8Array | undefined} T
   * @param {string} url
   * @param {[number, number] | undefined} range
   * @param {Signal} signal
   * @param {(response: Response) => T | Promise<T>} use
   * @returns {Promise<T>}
   */
  async #request(url, range, signal, use) {
    await this.#enter();
    try {
      for (let attempt = 0; ; attempt++) {
        const response = await this.#send(url, range, signal);
        if ((response.status === 429 || response.status >= 500) && attempt < RETRIES) {
          this.#count(url, range, response, 0);
          await response.body?.cancel();
          await new Promise((resume) => setTimeout(resume, 100 * 4 ** attempt));
          continue;
        }
        return await this.#finish(url, range, response, use);
      }
    } finally {
      this.#leave();
    }
  }

  /**
   * @param {string} url
   * @param {[number, number] | undefined} range
   * @param {Signal} signal
   */
  async #send(url, range, signal) {
    signal?.throwIfAborted();
    /** @type {Record<string, string>} */
    const headers = range ? { Range: `bytes=${range[0]}-${range[0] + range[1] - 1}` } : {};
    try {
      return await this.fetch(new Request(url, { signal, headers }));
    } catch (/** @type {any} */ cause) {
      if (signal?.aborted) throw cause;
      this.#count(url, range, { status: 0 }, 0);
      throw new SourceError(
        `${describeUrl(url)}: no answer (${cause.message}); the host is unreachable or, in a browser, sends no CORS headers`,
        { cause },
      );
    }
  }

  /**
   * @template {Uint8Array | undefined} T
   * @param {string} url
   * @param {[number, number] | undefined} range
   * @param {Response} response
   * @param {(response: Response) => T | Promise<T>} use
   * @returns {Promise<T>}
   */
  async #finish(url, range, response, use) {
    let bytes = 0;
    try {
      const result = await use(response);
      bytes = result?.length ?? 0;
      return result;
    } catch (error) {
      // The body of a refused answer may be the whole file: do not wait for it.
      if (!response.bodyUsed) await response.body?.cancel().catch(() => {});
      throw error;
    } finally {
      this.#count(url, range, response, bytes);
    }
  }

  /**
   * @param {string} url
   * @param {[number, number] | undefined} range
   * @param {{status: number}} response
   * @param {number} bytes received
   */
  #count(url, range, response, bytes) {
    this.stats.requests++;
    this.stats.bytes += bytes;
    this.onRequest?.({ url, range, status: response.status, bytes });
  }

  async #enter() {
    if (this.#running < AT_ONCE) this.#running++;
    else await new Promise((resume) => this.#queue.push(resume));
  }

  #leave() {
    const next = this.#queue.shift();
    if (next) next();
    else this.#running--;
  }
}

/** @param {Response} response */
async function body(response) {
  return new Uint8Array(await response.arrayBuffer());
}

/**
 * @param {Response} response
 * @param {string} url
 * @param {number} offset
 * @param {number} length
 */
function checkRangeStatus(response, url, offset, length) {
  const wanted = `${length} bytes from ${offset}`;
  const { status } = response;
  if (status !== 206) {
    throw new SourceError(`${describeUrl(url)}: the server answered ${status} to a request for ${wanted}, expected 206${HINTS[status] ?? ""}`);
  }
  const span = response.headers.get("Content-Range")?.match(/^bytes (\d+)-(\d+)\//);
  if (span && (Number(span[1]) !== offset || Number(span[2]) !== offset + length - 1)) {
    throw new SourceError(`${describeUrl(url)}: bytes ${span[1]} to ${span[2]} came for ${wanted}; the file was truncated`);
  }
}
