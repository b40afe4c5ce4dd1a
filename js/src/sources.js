import { FormatError } from "./errors.js";
import { isChecked } from "./metadata.js";
import { describeUrl, directory, resolveUrl } from "./urls.js";

/**
 * @typedef {object} Source one file that chunks lie in
 * @property {string} url absolute
 * @property {number} [size] [bytes], when it was scanned
 * @property {string} [etag]
 * @property {string} [last_modified]
 */

/**
 * The table of files that a manifest refers to by row number: in the array's document, or in pages that arrays share.
 *
 * @param {any} manifest the configuration of a chunk manifest
 * @param {string} documentUrl URL of the document that holds it
 * @param {(url: string, signal?: AbortSignal, check?: import("./checks.js").Check) => Promise<Source[] | undefined>} openPage
 * @param {string} name the array, for errors
 * @returns {(row: number, signal?: AbortSignal) => Promise<Source>}
 */
export function sourceTable(manifest, documentUrl, openPage, name) {
  const config = manifest.sources ?? {};
  const { list, path, page_size: pageSize, count = list?.length ?? 0 } = config;
  const rows = list && resolveRows(config, documentUrl);
  /** @type {import("./checks.js").Checks | undefined} */
  let checks;
  return async (row, signal) => {
    const page = rows ?? (row < count ? await pageOf(Math.floor(row / pageSize), signal) : []);
    const source = page[rows ? row : row % pageSize];
    if (!source) throw new FormatError(`${name}: the manifest names source ${row}, but the table has ${count}; write the store again`);
    return source;
  };

  /**
   * @param {number} number
   * @param {AbortSignal} [signal]
   */
  async function pageOf(number, signal) {
    const url = `${directory(resolveUrl(path, documentUrl))}${number}.json`;
    if (isChecked(manifest)) {
      const { readChecks } = await import("./checks.js");
      checks ??= readChecks(config.checks, Math.ceil(count / pageSize), `${name}: sources`);
    }
    const page = await openPage(url, signal, checks?.(number));
    if (!page) throw new FormatError(`${name}: source page '${describeUrl(url)}' is absent; write the store again`);
    return page;
  }
}

/**
 * @param {{base?: string, list?: any}} config
 * @param {string} documentUrl
 * @returns {Source[]} rows with absolute URLs
 */
export function resolveRows({ base = "", list }, documentUrl) {
  if (!Array.isArray(list)) throw new FormatError(`'${describeUrl(documentUrl)}' has no list of sources`);
  const from = resolveUrl(base, documentUrl);
  return list.map((row) => ({ ...row, url: resolveUrl(row.url, from) }));
}
