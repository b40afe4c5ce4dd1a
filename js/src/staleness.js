import { SourceError } from "./errors.js";
import { describeUrl } from "./urls.js";

/**
 * Compare what a server says of a source with what was seen when the source was scanned. Headers that a server hides
 * from another origin cannot be compared; the length of the answer is checked in any case.
 *
 * @param {Response} response
 * @param {import("./sources.js").Source | undefined} source
 * @param {string} url
 */
export function checkFresh(response, source, url) {
  if (!source) return;
  const total = response.headers.get("Content-Range")?.match(/\/(\d+)$/)?.[1];
  if (source.size !== undefined && total !== undefined && Number(total) !== source.size) {
    throw stale(url, `${total} bytes long`, `${source.size} bytes`);
  }
  const etag = response.headers.get("ETag");
  if (source.etag && etag) {
    // A weak ETag changes with the content or earlier, so it is compared like a strong one.
    if (opaque(etag) !== opaque(source.etag)) throw stale(url, `found with ETag ${etag}`, source.etag);
    return;
  }
  const modified = response.headers.get("Last-Modified");
  if (source.last_modified && modified && seconds(modified) !== seconds(source.last_modified)) {
    throw stale(url, `found modified at ${new Date(modified).toISOString()}`, source.last_modified);
  }
}

/** @param {string} etag */
function opaque(etag) {
  return etag.replace(/^W\//, "");
}

// HTTP dates have whole seconds: the coarser of the two resolutions.
/** @param {string} date */
function seconds(date) {
  return Math.floor(Date.parse(date) / 1000);
}

/**
 * @param {string} url
 * @param {string} found
 * @param {string} expected
 */
function stale(url, found, expected) {
  return new SourceError(
    `${describeUrl(url)}: the file is ${found}, but ${expected} when it was scanned; scan it again`,
  );
}
