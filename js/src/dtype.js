import { UnsupportedError } from "./errors.js";

/**
 * Data types as units: values are moved as unsigned integers of 1, 2 or 4 bytes (`lanes` of them each), so that NaN
 * payloads and 64-bit integers survive.
 *
 * @typedef {object} DataType
 * @property {string} name
 * @property {number} itemsize [bytes]
 * @property {number} lanes units per value
 * @property {UnitArray} Unit typed array of units
 * @property {any} Values typed array of values
 */

/** @import { Units } from "./types.js" */

/**
 * @typedef {{
 *   BYTES_PER_ELEMENT: number,
 *   new (size: number): Units,
 *   new (buffer: ArrayBufferLike, offset?: number, length?: number): Units,
 * }} UnitArray
 */

/** @type {Record<string, any>} */
const VALUES = {
  bool: Uint8Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  // Node has it from version 24 on; zarrita needs it, too.
  float16: /** @type {any} */ (globalThis).Float16Array,
  float32: Float32Array,
  float64: Float64Array,
};

/**
 * @param {any} name `data_type` of an array
 * @param {string} array for errors
 * @returns {DataType}
 */
export function dataType(name, array) {
  const Values = VALUES[name];
  if (!Values) {
    const known = Object.keys(VALUES).filter((key) => VALUES[key]);
    throw new UnsupportedError(`${array}: data type ${JSON.stringify(name)} cannot be read here, expected ${known.join(", ")}`);
  }
  const itemsize = Values.BYTES_PER_ELEMENT;
  const Unit = [, Uint8Array, Uint16Array][itemsize] ?? Uint32Array;
  return { name, itemsize, lanes: itemsize / Unit.BYTES_PER_ELEMENT, Unit, Values };
}

/**
 * True for integers of 64 bits.
 *
 * @param {{Values: any}} type
 */
export function isBig({ Values }) {
  return Values === BigInt64Array || Values === BigUint64Array;
}
