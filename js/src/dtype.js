import { FormatError, UnsupportedError } from "./errors.js";

/**
 * Data types as units: values are moved as unsigned integers of 1, 2 or 4 bytes (`lanes` of them each), so that NaN
 * payloads and 64-bit integers survive and float16 needs no support from the JavaScript engine.
 *
 * @typedef {object} DataType
 * @property {string} name
 * @property {number} itemsize [bytes]
 * @property {number} lanes units per value
 * @property {any} Unit typed array of units
 * @property {any} Values typed array of values; undefined where JavaScript has none
 */

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
  float16: globalThis.Float16Array,
  float32: Float32Array,
  float64: Float64Array,
};
const ITEMSIZE = { float16: 2, complex64: 8, complex128: 16 };

/**
 * @param {any} name `data_type` of an array
 * @param {string} array for errors
 * @returns {DataType}
 */
export function dataType(name, array) {
  const itemsize = ITEMSIZE[name] ?? VALUES[name]?.BYTES_PER_ELEMENT;
  if (!itemsize) {
    throw new UnsupportedError(
      `${array}: data type ${JSON.stringify(name)} cannot be read here, expected one of ${Object.keys(VALUES).join(", ")}`,
    );
  }
  const Unit = itemsize === 1 ? Uint8Array : itemsize === 2 ? Uint16Array : Uint32Array;
  return { name, itemsize, lanes: itemsize / Unit.BYTES_PER_ELEMENT, Unit, Values: VALUES[name] };
}

/** The signed type of an unsigned one of the same size, and the other way round. */
export function otherSign(name) {
  return name.startsWith("u") ? name.slice(1) : `u${name}`;
}

/**
 * One value, as JSON states it, in units.
 *
 * @param {DataType} type
 * @param {any} value number, boolean, "NaN", "Infinity", hexadecimal bits, or decimal digits; pairs for complex types
 */
export function unitsOf(type, value, array) {
  const parts = type.name.startsWith("complex") ? value : [value];
  const itemsize = type.itemsize / parts.length;
  const view = new DataView(new ArrayBuffer(type.itemsize));
  parts.forEach((part, i) => setScalar(view, i * itemsize, type.name.replace(/^complex/, "float"), itemsize, part ?? 0, array));
  return new type.Unit(view.buffer);
}

function setScalar(view, at, name, itemsize, value, array) {
  const bits = typeof value === "string" && value.match(/^0x[0-9a-f]+$/i);
  const method = `${itemsize === 8 ? "setBigUint" : "setUint"}${itemsize * 8}`;
  if (bits) view[method](at, itemsize === 8 ? BigInt(value) : Number(value), true);
  else if (name.startsWith("float")) setFloat(view, at, itemsize, Number(value), array, value);
  else if (itemsize === 8) view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
  else view[method](at, Number(value), true);
}

function setFloat(view, at, itemsize, number, array, stated) {
  if (Number.isNaN(number) && stated !== "NaN") {
    throw new FormatError(`${array}: fill_value ${JSON.stringify(stated)} is no floating-point number`);
  }
  if (itemsize === 2) view.setUint16(at, halfBits(number), true);
  else if (itemsize === 4) view.setFloat32(at, number, true);
  else view.setFloat64(at, number, true);
}

/** Bits of a float16, rounded to nearest even. */
export function halfBits(number) {
  if (Number.isNaN(number)) return 0x7e00;
  const sign = number < 0 || Object.is(number, -0) ? 0x8000 : 0;
  const size = Math.abs(number);
  if (size >= 65520) return sign | 0x7c00;
  const exponent = Math.max(-14, Math.floor(Math.log2(size || 1e-9)));
  const mantissa = roundEven(size / 2 ** (exponent - 10));
  // A mantissa that rounds up to 2048 carries into the exponent by itself.
  return sign | (mantissa < 1024 ? mantissa : ((exponent + 14) << 10) + mantissa);
}

function roundEven(number) {
  const floor = Math.floor(number);
  const rest = number - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2) ? floor + 1 : floor;
}
