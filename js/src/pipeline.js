import { registry } from "zarrita";
import { hasOwn, own } from "./codecs/layouts.js";
import { DecodeError, isAbort, UnsupportedError } from "./errors.js";
import { sizeOf, stridesOf } from "./shapes.js";

/** @import { DataType } from "./dtype.js" */
/** @import { Named, Units } from "./types.js" */

/** @typedef {{data: Units, offset: number, strides: number[]}} Block values as units, see dtype.js */

/** @typedef {(bytes: Uint8Array, shape: number[], what: string) => Promise<Block>} Decoder encoded bytes of a chunk of that shape */

/**
 * Refuse by name what no codec here decodes.
 *
 * @param {Named[]} codecs
 * @param {string} name
 */
export function checkCodecs(codecs, name) {
  for (const codec of codecs) {
    if (codec.name !== "sharding_indexed" && !registry.has(codec.name) && !own.has(codec.name)) {
      throw new UnsupportedError(
        `${name}: codec '${codec.name}' has no decoder here; register one with zarrita, or read it in Python`,
      );
    }
  }
}

/**
 * A codec pipeline that decodes one chunk to a block.
 *
 * @param {Named[]} codecs
 * @param {DataType} type
 * @returns {Decoder}
 */
export function makeDecoder(codecs, type) {
  if (hasOwn(codecs)) return async (...chunk) => (await import("./codecs/own.js")).makeOwnDecoder(codecs, type)(...chunk);
  const toBytes = codecs.findIndex(({ name }) => name === "bytes");
  const before = codecs.slice(0, Math.max(toBytes, 0));
  const after = codecs.slice(toBytes + 1).reverse();
  const big = codecs[toBytes]?.configuration?.endian === "big";
  return async (bytes, shape, what) => {
    for (const codec of after) bytes = await runCodec(codec, bytes, type, shape, what);
    return reorder({ data: asUnits(checkedSize(bytes, type, shape, what), type, big), offset: 0, strides: [] }, before, type, shape, what);
  };
}

/**
 * The bytes, if they are as many as the values of the shape have.
 *
 * @param {Uint8Array} bytes
 * @param {DataType} type
 * @param {number[]} shape
 * @param {string} what
 */
export function checkedSize(bytes, { itemsize, name }, shape, what) {
  const expected = sizeOf(shape) * itemsize;
  if (bytes.length === expected) return bytes;
  throw new DecodeError(`${what}: decoded to ${bytes.length} bytes, expected ${expected} (shape ${shape.join("×")}, ${name})`);
}

/**
 * @param {Named} codec
 * @param {Uint8Array} bytes
 * @param {DataType} type
 * @param {number[]} shape
 * @param {string} what
 * @returns {Promise<Uint8Array>}
 */
export async function runCodec({ name, configuration }, bytes, type, shape, what) {
  const entry = await registry.get(name)?.();
  if (!entry) throw new UnsupportedError(`${what}: codec '${name}' has no decoder here`);
  try {
    return await entry.fromConfig(configuration ?? {}, { dataType: /** @type {any} */ (type.name), shape, codecs: [], fillValue: null }).decode(bytes);
  } catch (/** @type {any} */ cause) {
    if (isAbort(cause)) throw cause;
    throw new DecodeError(`${what}: codec '${name}' failed: ${cause.message}`, { cause });
  }
}

/**
 * @param {Uint8Array} bytes
 * @param {DataType} type
 * @param {boolean} big
 * @returns {Units}
 */
export function asUnits(bytes, { Unit, itemsize }, big) {
  if (big && itemsize > 1) {
    bytes = bytes.slice();
    for (let at = 0; at < bytes.length; at += itemsize) bytes.subarray(at, at + itemsize).reverse();
  } else if (bytes.byteOffset % Unit.BYTES_PER_ELEMENT) bytes = bytes.slice();
  return new Unit(bytes.buffer, bytes.byteOffset, bytes.length / Unit.BYTES_PER_ELEMENT);
}

/**
 * Transposition is left to the strides; any other array codec is refused.
 *
 * @param {Block} block
 * @param {Named[]} codecs
 * @param {DataType} type
 * @param {number[]} shape
 * @param {string} what
 * @returns {Block}
 */
export function reorder(block, codecs, type, shape, what) {
  let order = shape.map((_, axis) => axis);
  for (const { name, configuration } of codecs) {
    if (name !== "transpose") throw new UnsupportedError(`${what}: codec '${name}' before 'bytes' has no decoder here`);
    order = configuration.order.map((/** @type {number} */ axis) => order[axis]);
  }
  const strides = Array(shape.length);
  stridesOf(order.map((axis) => shape[axis])).forEach((stride, i) => {
    strides[order[i]] = stride * type.lanes;
  });
  return { ...block, strides };
}
