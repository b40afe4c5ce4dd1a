import { isBig } from "./dtype.js";
import { FormatError } from "./errors.js";

/** @import { StoredArray } from "./array.js" */
/** @import { Units } from "./types.js" */

/**
 * The fill value of an array in units of its type: stated in JSON as number, boolean, "NaN", "Infinity", decimal digits, or
 * a float's bits as "0x7fc00000".
 *
 * @param {StoredArray} array
 * @returns {Units}
 */
export function fillUnits({ type, metadata, name: array }) {
  const value = metadata.fill_value;
  const { Values, Unit, name, lanes } = type;
  if (/^0x/i.test(value)) return new Unit(BigUint64Array.of(BigInt(value)).buffer).slice(0, lanes);
  try {
    const stated = isBig(type) ? BigInt(value) : Number(value);
    if (!Number.isNaN(stated) || value === "NaN") return new Unit(Values.of(stated).buffer);
  } catch {
    // falls through to the one message
  }
  throw new FormatError(`${array}: ${JSON.stringify(value)} is no ${name} for fill_value`);
}

/**
 * A fill value of float bits as zarrita takes it, which knows numbers and "NaN" alone.
 *
 * @param {StoredArray} array
 */
export function fillJson(array) {
  const [value] = new array.type.Values(fillUnits(array).buffer);
  return Number.isFinite(value) ? value : String(value);
}
