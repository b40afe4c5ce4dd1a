import { LoadCache } from "./cache.js";
import { FormatError } from "./errors.js";
import { parseJson } from "./json.js";
import { ManifestArray } from "./manifest.js";
import { classify } from "./metadata.js";
import { PlainArray } from "./plain.js";
import { modeOf, presented } from "./present.js";
import { resolveRows } from "./sources.js";
import { describeUrl } from "./urls.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { Block } from "./pipeline.js" */
/** @import { Source } from "./sources.js" */
/** @import { AnyArray, ArrayDocument, Files, Signal } from "./types.js" */

const DOCUMENTS = 1000;
const MB = 1 << 20;
const ROW_BYTES = 400; // roughly, of a source

/** Opens the arrays of a hierarchy and of others that it refers to, by the URL of their zarr.json. */
export class Hierarchy {
  /**
   * @param {Bytes} bytes
   * @param {{chunkCacheBytes?: number, pageCacheBytes?: number}} options
   */
  constructor(bytes, { chunkCacheBytes = 64 * MB, pageCacheBytes = 16 * MB }) {
    this.bytes = bytes;
    /** @type {LoadCache<Block | undefined>} */
    this.chunks = new LoadCache(chunkCacheBytes, blockBytes);
    /** @type {LoadCache<Block | undefined>} */
    this.manifestPages = new LoadCache(pageCacheBytes, blockBytes);
    /** @type {LoadCache<any>} */
    this.documents = new LoadCache(DOCUMENTS);
    /** @type {LoadCache<AnyArray>} */
    this.arrays = new LoadCache(DOCUMENTS);
    /** @type {LoadCache<Source[] | undefined>} */
    this.sourcePages = new LoadCache(pageCacheBytes, (page) => ROW_BYTES * (page?.length ?? 0));
    /** Documents that came with the root's, by URL. @type {Map<string, any>} */
    this.consolidated = new Map();
  }

  /**
   * @param {string} url
   * @param {Signal} [signal]
   * @returns {Promise<any>} a zarr.json, or undefined
   */
  async document(url, signal) {
    const known = this.consolidated.get(url);
    if (known) return known;
    return this.documents.load(url, signal, (shared) => this.#json(url, shared));
  }

  /**
   * @param {string} url
   * @param {Signal} signal
   * @returns {Promise<any>}
   */
  async #json(url, signal) {
    const bytes = await this.bytes.get(url, signal);
    return bytes && parseJson(bytes, describeUrl(url));
  }

  /**
   * Take over the documents that the root's consolidated metadata holds.
   *
   * @param {string} url
   * @param {any} document
   */
  addConsolidated(url, document) {
    const listed = document.consolidated_metadata?.metadata ?? {};
    this.consolidated.set(url, document);
    for (const [path, node] of Object.entries(listed)) this.consolidated.set(this.childUrl(url, path), node);
  }

  /**
   * URL of the zarr.json of a node below a group.
   *
   * @param {string} groupUrl
   * @param {string} path
   */
  childUrl(groupUrl, path) {
    return groupUrl.replace(/zarr\.json$/, "") + this.bytes.root.pathOf(`${path}/zarr.json`);
  }

  /**
   * What zarrita sees of an array whose document is at hand.
   *
   * @param {string} url
   */
  async present(url) {
    const array = await this.#make(this.consolidated.get(url), url, this.nameOf(url));
    return presented(array, modeOf(array));
  }

  /**
   * An array; an error if there is none.
   *
   * @param {string} url
   * @param {Signal} [signal]
   * @returns {Promise<AnyArray>}
   */
  async openArray(url, signal) {
    return this.arrays.load(url, signal, async (shared) => {
      const metadata = await this.document(url, shared);
      const name = this.nameOf(url);
      if (!metadata) throw new FormatError(`${name}: there is no '${describeUrl(url)}'; was the store moved without it?`);
      return this.#make(metadata, url, name);
    });
  }

  /**
   * @param {ArrayDocument} metadata
   * @param {string} url
   * @param {string} name
   * @returns {Promise<AnyArray>}
   */
  async #make(metadata, url, name) {
    const { kind, config } = classify(metadata, name);
    if (kind === "plain") return new PlainArray(metadata, url, name, this);
    if (kind === "chunk-manifest") return new ManifestArray(metadata, config, url, name, this);
    // Loaded when met: a store of manifests alone does without.
    const { ConcatenatedArray } = await import("./concatenation.js");
    return new ConcatenatedArray(metadata, config, url, name, this);
  }

  /**
   * A virtual array whose document stands in another; its references are resolved against that.
   *
   * @param {Files} files
   * @param {string} url
   * @param {string} name
   */
  openInPlace(files, url, name) {
    return this.arrays.load(url, undefined, async () => {
      if (classify(files["zarr.json"], name).kind === "plain") throw new FormatError(`${name}: is an ordinary array in place, expected a virtual one`);
      return this.#make(files["zarr.json"], url, name);
    });
  }

  /**
   * A page of a source table.
   *
   * @param {string} url
   * @param {Signal} [signal]
   */
  sourcePage(url, signal) {
    return this.sourcePages.load(url, signal, async (shared) => {
      const page = await this.#json(url, shared);
      return page && resolveRows(page, url);
    });
  }

  /**
   * The name of an array in errors: its path in the hierarchy, or its URL.
   *
   * @param {string} url
   */
  nameOf(url) {
    const key = this.bytes.root.keyOf(url);
    return key === undefined ? describeUrl(url.replace(/\/zarr\.json$/, "")) : key.replace(/^\/|\/?zarr\.json$/g, "") || "/";
  }
}

/** @param {Block | undefined} block */
function blockBytes(block) {
  return block?.data.byteLength ?? 0;
}
