import { dataType, isBig } from "./dtype.js";
import { FormatError } from "./errors.js";

/** @import { DataType } from "./dtype.js" */
/** @import { Decode, Units } from "./types.js" */

/**
 * The `decode` of a member: reinterpret the sign, mask, cast, scale, add, cast again.
 *
 * @param {Decode} decode
 * @param {DataType} from the member's data type
 * @param {DataType} to the array's data type
 * @param {string} what the member, for errors
 * @returns {(units: Units) => Units} units of `from` to units of `to`
 */
export function makeMemberDecoder(decode, from, to, what) {
  const stored = dataType(storedName(decode, from.name, what), what);
  const working = dataType(decode.dtype ?? to.name, what);
  const floats = working.name.startsWith("float");
  const mask = maskValues(decode.mask ?? [], stored);
  // JSON has text for what is not finite, or too large: "NaN", "Infinity", "9007199254740993"
  const [scale, offset] = [decode.scale_factor, decode.add_offset].map((one) => (one === undefined ? one : Number(one)));
  if (!floats && (mask.size || scale !== undefined || offset !== undefined)) {
    throw new FormatError(`${what}: decode to ${working.name} with mask, scale_factor or add_offset; expected float32 or float64`);
  }
  return (units) => {
    const raw = viewAs(stored.Values, units);
    const values = cast(raw, working);
    for (let i = 0; mask.size && i < raw.length; i++) if (mask.has(raw[i])) values[i] = NaN;
    // In double precision with the numbers as they are stated; a Float32Array rounds each result on assignment.
    if (scale !== undefined) for (let i = 0; i < values.length; i++) values[i] *= scale;
    if (offset !== undefined) for (let i = 0; i < values.length; i++) values[i] += offset;
    return viewAs(to.Unit, cast(values, to));
  };
}

/**
 * @param {Decode} decode
 * @param {string} name of the stored type
 * @param {string} what
 */
function storedName({ unsigned }, name, what) {
  if (unsigned === undefined || unsigned === null) return name;
  if (!/^u?int/.test(name)) throw new FormatError(`${what}: decode.unsigned for ${name}, expected an integer type`);
  return name.startsWith("u") === unsigned ? name : name.startsWith("u") ? name.slice(1) : `u${name}`;
}

/**
 * @param {(number | string)[]} mask
 * @param {DataType} type
 */
function maskValues(mask, type) {
  return new Set(mask.map((value) => type.Values.of(isBig(type) ? BigInt(value) : Number(value))[0]));
}

/**
 * @param {any} values typed array
 * @param {DataType} type
 */
function cast(values, type) {
  const fromBig = isBig({ Values: values.constructor });
  if (isBig(type) === fromBig) return new type.Values(values);
  return type.Values.from(values, fromBig ? Number : toBig);
}

// What NumPy gives for NaN and infinities on common processors.
/** @param {number} value */
function toBig(value) {
  return Number.isFinite(value) ? BigInt(Math.trunc(value)) : -(2n ** 63n);
}

/**
 * @param {any} Type of a typed array
 * @param {ArrayBufferView} values
 */
function viewAs(Type, { buffer, byteOffset, byteLength }) {
  return new Type(buffer, byteOffset, byteLength / Type.BYTES_PER_ELEMENT);
}
