import { fromBase64 } from "./base64.js";
import { crc32c } from "./codecs/crc32c.js";
import { FormatError } from "./errors.js";

/**
 * Length [bytes] and CRC-32C of an object; a length of 0 stands for an object that is not stored.
 *
 * @typedef {{size: number, crc: number}} Check
 */

/**
 * The checks of many objects, by their number.
 *
 * @typedef {(number: number) => Check} Checks
 */

/**
 * Read checks as they stand in documents: eight bytes each, little-endian, in base64. There may be a hundred thousand, and a reader
 * needs few: each is made when it is asked for.
 *
 * @param {any} text
 * @param {number} count expected
 * @param {string} what for errors
 * @returns {Checks}
 */
export function readChecks(text, count, what) {
  const bytes = typeof text === "string" ? decoded(text, what) : new Uint8Array();
  if (bytes.length !== 8 * count) throw new FormatError(`${what}: found checks of ${bytes.length / 8} objects, expected ${count}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return (number) => ({ size: view.getUint32(8 * number, true), crc: view.getUint32(8 * number + 4, true) });
}

/** @param {string} text @param {string} what */
function decoded(text, what) {
  try {
    return fromBase64(text);
  } catch (cause) {
    throw new FormatError(`${what}: its checks are no base64`, { cause });
  }
}

/**
 * What is wrong with bytes that should be these; undefined if nothing is.
 *
 * @param {Check} check
 * @param {Uint8Array} bytes
 */
export function problemWith({ size, crc }, bytes) {
  if (bytes.length !== size) return `${bytes.length} bytes came, expected ${size}`;
  return crc32c(bytes) === crc ? undefined : "other bytes came than were written (the checksum differs)";
}

/**
 * Throw if a root is not what its own check says. Space between tokens does not count, nor do places of files.
 *
 * @param {any} text the check
 * @param {Uint8Array} bytes
 * @param {string} url as it is shown
 */
export function checkRoot(text, bytes, url) {
  const check = readChecks(text, 1, `'${url}'`)(0);
  const root = new TextDecoder().decode(bytes);
  const counted = (/** @type {string} */ json) => json.replace(`"check":"${text}"`, '"check":""').replace(/"(url|base)":"(?:[^"\\]|\\.)*"/g, '"$1":""');
  const fits = (/** @type {string} */ json) => !problemWith(check, new TextEncoder().encode(counted(json)));
  if (fits(root) || fits(root.replace(/("(?:[^"\\]|\\.)*")|[ \t\r\n]+/g, "$1"))) return;
  throw new FormatError(
    `'${url}': is not as it was written (its checksum differs): it is damaged, or was changed by another program; copy it again, or write the store again`,
  );
}
