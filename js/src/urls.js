import { FormatError } from "./errors.js";

// A store that has no URL gets one deep enough that "../" cannot be clamped at the root, which URL resolution would
// do without a word.
const DEEP_ROOT = `zarr-store://store/${"-/".repeat(64)}`;

/** Where the hierarchy's keys live among URLs, in both directions. */
export class Root {
  /** @param {string | URL | undefined} url the hierarchy's root; its query string (a signature) is kept for every key */
  constructor(url) {
    this.named = url !== undefined;
    const parsed = new URL(url ?? DEEP_ROOT, globalThis.location?.href);
    this.query = parsed.search;
    parsed.search = parsed.hash = "";
    if (!parsed.pathname.endsWith("/")) parsed.pathname += "/";
    /** @type {string} */
    this.href = parsed.href;
  }

  /** @param {string} key such as "/temp/zarr.json" */
  urlOf(key) {
    return this.href + this.pathOf(key);
  }

  /**
   * A key as part of a URL. zarrita's `resolve` escapes names already.
   *
   * @param {string} key
   */
  pathOf(key) {
    return key.replace(/^\//, "").split("/").map((name) => encodeURIComponent(unescaped(name))).join("/");
  }

  /**
   * @param {string} url
   * @returns {import("zarrita").AbsolutePath | undefined} the key of a URL, if the URL lies in the hierarchy
   */
  keyOf(url) {
    if (!url.startsWith(this.href)) return undefined;
    return `/${url.slice(this.href.length).split("/").map(unescaped).join("/")}`;
  }

  /**
   * The URL to ask a server for.
   *
   * @param {string} url
   */
  request(url) {
    if (this.query && url.startsWith(this.href) && !url.includes("?")) return url + this.query;
    if (!this.named && url.startsWith("zarr-store:")) {
      throw new FormatError(
        `'${describeUrl(url)}' lies outside the store, which has no URL; pass {baseUrl: "https://…"} to openVirtual`,
      );
    }
    return url;
  }
}

/**
 * A name without escapes; as it is, if it has a "%" that starts none.
 *
 * @param {string} name
 */
function unescaped(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/**
 * Resolve a reference as RFC 3986 says.
 *
 * @param {string} reference
 * @param {string} base URL of the document that holds the reference
 */
export function resolveUrl(reference, base) {
  let url;
  try {
    url = new URL(reference, base).href;
  } catch (cause) {
    throw new FormatError(`'${describeUrl(base)}' refers to '${describeUrl(reference)}', which is no URL`, { cause });
  }
  return checkNamed(url, base);
}

/**
 * A URL that names a directory, so that references resolve inside it.
 *
 * @param {string} url
 */
export function directory(url) {
  return url.endsWith("/") ? url : `${url}/`;
}

/**
 * A URL as an error may show it: without the query, which can hold a signature.
 *
 * @param {string} url
 */
export function describeUrl(url) {
  return url.replace(DEEP_ROOT, "/").replace(/\?.*$/, "");
}

const WEB = ["http:", "https:"];

/**
 * Refuse what a document from a web server may not name: files of this machine, and schemes that are no web servers.
 * What a page may fetch of other servers, browsers decide (CORS).
 *
 * @param {string} url what is named
 * @param {string} base URL of the document that names it
 */
export function checkNamed(url, base) {
  if (WEB.includes(new URL(base).protocol) && !WEB.includes(new URL(url).protocol)) {
    throw new FormatError(`'${describeUrl(base)}' names '${describeUrl(url)}', which what came over a network may not`);
  }
  return url;
}
