import { LoadCache } from "./cache.js";
import { FormatError, StoreChangedError } from "./errors.js";
import { parseJson } from "./json.js";
import { ManifestArray } from "./manifest.js";
import { classify } from "./metadata.js";
import { PlainArray } from "./plain.js";
import { modeOf, presented } from "./present.js";
import { resolveRows } from "./sources.js";
import { describeUrl } from "./urls.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { Check } from "./checks.js" */
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
    /** The root as it was opened. @type {{url: string, bytes: Uint8Array} | undefined} */
    this.opened = undefined;
  }

  /**
   * Open the root; what is read later belongs to the state that it describes.
   *
   * @param {string} url
   * @param {Signal} signal
   * @returns {Promise<any>} its document, or undefined
   */
  async begin(url, signal) {
    const bytes = await this.bytes.get(url, signal);
    if (!bytes) return undefined;
    this.opened = { url, bytes };
    const whole = parseJson(bytes, describeUrl(url));
    const told = whole.attributes?._vzarr?.check;
    if (told !== undefined) (await import("./checks.js")).checkRoot(told, bytes, describeUrl(url));
    const document = withoutRecord(whole);
    this.addConsolidated(url, document);
    return document;
  }

  /**
   * An object that a document names, if it is there and as it was written.
   *
   * @param {string} url
   * @param {Check} check
   * @param {Signal} [signal]
   */
  async checked(url, check, signal) {
    const bytes = await this.bytes.get(url, signal);
    if (!bytes) return this.explain(new FormatError(`'${describeUrl(url)}' is absent; the store is incomplete, copy or write it again`), signal);
    const { problemWith } = await import("./checks.js");
    const problem = problemWith(check, bytes);
    if (problem) throw new FormatError(`'${describeUrl(url)}': ${problem}; the store is damaged, copy or write it again`);
    return bytes;
  }

  /**
   * Throw an error, or what is behind it: a store that was written again since it was opened.
   *
   * @param {Error} error
   * @param {Signal} [signal]
   * @returns {Promise<never>}
   */
  async explain(error, signal) {
    const again = this.opened && !signal?.aborted ? await this.bytes.get(this.opened.url, signal).catch(() => undefined) : undefined;
    if (this.opened && again && !sameBytes(this.opened.bytes, again)) {
      const place = describeUrl(this.opened.url);
      throw new StoreChangedError(`${error.message}: '${place}' was written again since it was opened; open it again`, { cause: error });
    }
    throw error;
  }

  /**
   * @param {string} url
   * @param {Signal} [signal]
   * @param {Check} [check] what it holds, if that is known
   * @returns {Promise<any>} a zarr.json, or undefined
   */
  async document(url, signal, check) {
    const known = this.consolidated.get(url);
    if (known) return known;
    return this.documents.load(url, signal, (shared) => this.#json(url, shared, check));
  }

  /**
   * @param {string} url
   * @param {Signal} signal
   * @param {Check} [check]
   * @returns {Promise<any>}
   */
  async #json(url, signal, check) {
    const bytes = check ? await this.checked(url, check, signal) : await this.bytes.get(url, signal);
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
   * @param {string} [check] of its document, as it stands in the one that names it
   * @returns {Promise<AnyArray>}
   */
  async openArray(url, signal, check) {
    return this.arrays.load(url, signal, async (shared) => {
      const name = this.nameOf(url);
      const metadata = await this.document(url, shared, check === undefined ? undefined : await oneCheck(check, name));
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
   * @param {Check} [check] what it holds, if that is known
   */
  sourcePage(url, signal, check) {
    return this.sourcePages.load(url, signal, async (shared) => {
      const page = await this.#json(url, shared, check);
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

/** What a store says of itself is no attribute of the data. @param {any} document */
function withoutRecord(document) {
  if (!document.attributes || !("_vzarr" in document.attributes)) return document;
  const { _vzarr, ...attributes } = document.attributes;
  return { ...document, attributes };
}

/** @param {string} text @param {string} name */
async function oneCheck(text, name) {
  const { readChecks } = await import("./checks.js");
  return readChecks(text, 1, name)(0);
}

/** @param {Uint8Array} a @param {Uint8Array} b */
function sameBytes(a, b) {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
