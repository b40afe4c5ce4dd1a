import { FormatError } from "./errors.js";

// JSON.parse rounds integers above 2^53, and netCDF's default fill value of int64 is above. As a string the number
// stays exact, and both zarrita (BigInt) and this module take it.
const LONG_FILL = /"(_?fill_?value|missing_value)"(\s*:\s*)(-?\d{16,})(?=\s*[,}\]])/gi;

/**
 * Parse one document of the hierarchy, keeping 64-bit fill values exact.
 *
 * @param {Uint8Array} bytes
 * @param {string} url named in errors
 * @returns {any}
 */
export function parseJson(bytes, url) {
  const text = new TextDecoder().decode(bytes).replace(LONG_FILL, quoteIfUnsafe);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FormatError(`${url}: expected JSON, found ${JSON.stringify(text.slice(0, 40))}`, { cause });
  }
}

/**
 * @param {string} match
 * @param {string} key
 * @param {string} colon
 * @param {string} digits
 */
function quoteIfUnsafe(match, key, colon, digits) {
  return Number.isSafeInteger(Number(digits)) ? match : `"${key}"${colon}"${digits}"`;
}

/** @param {any} document */
export function encodeJson(document) {
  return new TextEncoder().encode(JSON.stringify(document));
}
