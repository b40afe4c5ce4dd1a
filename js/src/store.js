import { encodeJson } from "./json.js";
import { modeOf, presented, viewShape } from "./present.js";

/** @import { AnyArray, Coords, Signal } from "./types.js" */
/** @import { Mode } from "./present.js" */

const CHUNK_KEY = /^(.*)\/c((?:\/\d+)*)$/;

/** @typedef {{signal?: AbortSignal}} GetOptions */
/** @typedef {{array: AnyArray, mode: Mode, coords: Coords}} VirtualChunk */

/** A zarrita store that shows a virtual hierarchy as plain Zarr. Read-only. */
export class VirtualStore {
  /** @param {import("./hierarchy.js").Hierarchy} hierarchy */
  constructor(hierarchy) {
    this.hierarchy = hierarchy;
    this.bytes = hierarchy.bytes;
    this.root = hierarchy.bytes.root;
  }

  /** Requests sent and bytes received over HTTP so far. */
  get stats() {
    return { ...this.bytes.http.stats };
  }

  /**
   * @param {string} key such as "/temp/zarr.json" or "/temp/c/0/1"
   * @param {GetOptions} [options]
   * @returns {Promise<Uint8Array | undefined>}
   */
  async get(key, { signal } = {}) {
    if (/(^|\/)zarr\.json$/.test(key)) return this.#metadata(key, signal);
    // zarrita asks for Zarr v2 first; there is none here, and no need to ask a server.
    if (/\/\.z\w+$/.test(key)) return undefined;
    const chunk = await this.#virtualChunk(key, signal);
    return chunk ? this.#chunk(chunk, signal) : this.bytes.get(this.root.urlOf(key), signal);
  }

  /**
   * @param {string} key
   * @param {{offset: number, length: number} | {suffixLength: number}} range
   * @param {GetOptions} [options]
   * @returns {Promise<Uint8Array | undefined>}
   */
  async getRange(key, range, { signal } = {}) {
    const chunk = await this.#virtualChunk(key, signal);
    if (chunk?.mode === "passthrough" && "storedRange" in chunk.array) return chunk.array.storedRange(chunk.coords, range, signal);
    if (!chunk && "offset" in range) return this.bytes.getRange({ url: this.root.urlOf(key) }, range.offset, range.length, signal);
    const whole = await this.get(key, { signal });
    if (!whole) return undefined;
    return "offset" in range ? whole.subarray(range.offset, range.offset + range.length) : whole.subarray(Math.max(0, whole.length - range.suffixLength));
  }

  /**
   * @param {string} key
   * @param {Signal} signal
   */
  async #metadata(key, signal) {
    const url = this.root.urlOf(key);
    const document = await this.hierarchy.document(url, signal);
    if (!document) return undefined;
    if (document.node_type !== "array") return encodeJson(await this.#group(document, url));
    const array = await this.hierarchy.openArray(url, signal);
    return encodeJson(await presented(array, modeOf(array)));
  }

  // Consolidated copies are shown like the documents themselves; what cannot be read is left out, so that the group opens.
  /**
   * @param {any} document
   * @param {string} url
   */
  async #group(document, url) {
    const listed = document.consolidated_metadata?.metadata;
    if (!listed) return document;
    /** @type {Record<string, any>} */
    const metadata = {};
    for (const [path, node] of Object.entries(listed)) {
      try {
        metadata[path] = node.node_type === "array" ? await this.hierarchy.present(this.hierarchy.childUrl(url, path)) : node;
      } catch {
        continue;
      }
    }
    return { ...document, consolidated_metadata: { ...document.consolidated_metadata, metadata } };
  }

  /**
   * @param {string} key
   * @param {Signal} signal
   * @returns {Promise<VirtualChunk | undefined>}
   */
  async #virtualChunk(key, signal) {
    const match = key.match(CHUNK_KEY);
    if (!match) return undefined;
    const url = this.root.urlOf(`${match[1]}/zarr.json`);
    const document = await this.hierarchy.document(url, signal);
    if (document?.node_type !== "array") return undefined;
    const array = await this.hierarchy.openArray(url, signal);
    const mode = modeOf(array);
    const coords = match[2].split("/").slice(1).map(Number);
    return mode === "untouched" || coords.length !== array.shape.length ? undefined : { array, mode, coords };
  }

  /**
   * @param {VirtualChunk} chunk
   * @param {Signal} signal
   */
  async #chunk({ array, mode, coords }, signal) {
    const shape = viewShape(array);
    if (coords.some((at, i) => at * shape[i] >= array.shape[i])) return undefined;
    if (mode === "passthrough") return array.stored(coords, signal);
    const { assembleChunk } = await import("./assemble.js");
    return assembleChunk(array, coords, shape, signal);
  }
}
