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
    throw new FormatError(`${url}: found ${JSON.stringify(text.slice(0, 40))}, expected a JSON document`, { cause });
  }
}

function quoteIfUnsafe(match, key, colon, digits) {
  return Number.isSafeInteger(Number(digits)) ? match : `"${key}"${colon}"${digits}"`;
}

/** @param {any} document */
export function encodeJson(document) {
  return new TextEncoder().encode(JSON.stringify(document));
}

/** Deep equality of two JSON values, whatever the order of their keys. */
export function sameJson(a, b) {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => key in b && sameJson(a[key], b[key]));
}
