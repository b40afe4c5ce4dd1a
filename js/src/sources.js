import { FormatError } from "./errors.js";
import { parseJson } from "./json.js";
import { describeUrl, directory, resolveUrl } from "./urls.js";

/**
 * @typedef {object} Source one file that chunks lie in
 * @property {string} url absolute
 * @property {number} [size] [bytes], when it was scanned
 * @property {string} [etag]
 * @property {string} [last_modified]
 */

/** The table of files that a manifest refers to by row number: in the array's document, or in shared pages. */
export class SourceTable {
  /**
   * @param {any} config the `sources` of a chunk manifest
   * @param {string} documentUrl URL of the document that holds it
   * @param {(url: string, signal?: AbortSignal) => Promise<Uint8Array | undefined>} get cached: pages are shared by arrays
   * @param {string} name the array, for errors
   */
  constructor(config, documentUrl, get, name) {
    this.config = config;
    this.documentUrl = documentUrl;
    this.get = get;
    this.name = name;
    this.pages = new Map();
  }

  /** @returns {Promise<Source>} */
  async source(row, signal) {
    const { list, page_size: pageSize, count } = this.config ?? {};
    if (list) return this.#pick(rows(this.config, this.documentUrl, this.name), row);
    if (!pageSize || row >= (count ?? Infinity)) throw this.#absent(row, count);
    return this.#pick(await this.#page(Math.floor(row / pageSize), signal), row % pageSize, row);
  }

  async #page(number, signal) {
    const parsed = this.pages.get(number);
    if (parsed) return parsed;
    const path = directory(resolveUrl(this.config.path, this.documentUrl, `${this.name}: sources`));
    const url = `${path}${number}.json`;
    const bytes = await this.get(url, signal);
    if (!bytes) throw new FormatError(`${this.name}: source page '${describeUrl(url)}' is absent; write the store again`);
    const page = rows(parseJson(bytes, describeUrl(url)), url, this.name);
    this.pages.set(number, page);
    return page;
  }

  #pick(page, index, row = index) {
    const source = page[index];
    if (!source) throw this.#absent(row, page.length);
    return source;
  }

  #absent(row, count) {
    return new FormatError(`${this.name}: the manifest names source ${row}, but the table has ${count ?? 0}; write the store again`);
  }
}

const tables = new WeakMap();

/** @returns {Source[]} */
function rows(page, documentUrl, name) {
  const known = tables.get(page);
  if (known) return known;
  if (!Array.isArray(page.list)) throw new FormatError(`${name}: '${describeUrl(documentUrl)}' has no 'list' of sources`);
  const base = resolveUrl(page.base ?? "", documentUrl, `${name}: sources.base`);
  const resolved = page.list.map((row) => {
    if (typeof row?.url !== "string") throw new FormatError(`${name}: a source without 'url' in '${describeUrl(documentUrl)}'`);
    return { ...row, url: resolveUrl(row.url, base, `${name}: source`) };
  });
  tables.set(page, resolved);
  return resolved;
}
