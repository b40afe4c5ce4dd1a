import { DecodeError, UnsupportedError, VirtualZarrError } from "../errors.js";
import { asUnits, checkedSize, reorder, runCodec } from "../pipeline.js";
import { own } from "./layouts.js";

/** @import { DataType } from "../dtype.js" */
/** @import { Decoder } from "../pipeline.js" */
/** @import { Named } from "../types.js" */

/**
 * A codec pipeline with layouts and filters of this module: transpositions, filters, one layout, codecs of bytes.
 *
 * @param {Named[]} codecs
 * @param {DataType} type
 * @returns {Decoder}
 */
export function makeOwnDecoder(codecs, type) {
  const at = codecs.findIndex(({ name }) => name === "bytes" || own.get(name)?.isLayout);
  const layout = codecs[at];
  const before = codecs.slice(0, Math.max(at, 0));
  const first = before.findIndex(({ name }) => own.has(name));
  const filters = (first < 0 ? [] : before.splice(first)).reverse();
  const after = codecs.slice(at + 1).reverse();
  return async (bytes, shape, what) => {
    if (!layout) throw new UnsupportedError(`${what}: its codecs turn no bytes into values`);
    const chunk = { type, shape: stored(before, shape), what };
    for (const codec of after) bytes = await runCodec(codec, bytes, type, shape, what);
    if (layout.name !== "bytes") bytes = await run(layout, true, bytes, chunk);
    let data = asUnits(checkedSize(bytes, type, shape, what), type, layout.configuration?.endian === "big");
    for (const codec of filters) {
      const values = await run(codec, false, new Uint8Array(data.buffer, data.byteOffset, data.byteLength), chunk);
      data = asUnits(checkedSize(values, type, shape, what), type, false);
    }
    return reorder({ data, offset: 0, strides: [] }, before, type, shape, what);
  };
}

/**
 * The shape of a chunk after transpositions.
 *
 * @param {Named[]} codecs
 * @param {number[]} shape
 * @returns {number[]}
 */
function stored(codecs, shape) {
  return codecs.reduce((now, { configuration }) => configuration?.order?.map((/** @type {number} */ axis) => now[axis]) ?? now, shape);
}

/**
 * @param {Named} codec
 * @param {boolean} isLayout
 * @param {Uint8Array} bytes
 * @param {import("./layouts.js").Chunk} chunk
 * @returns {Promise<Uint8Array>}
 */
async function run({ name, configuration }, isLayout, bytes, chunk) {
  const entry = own.get(name);
  if (entry?.isLayout !== isLayout) throw new UnsupportedError(`${chunk.what}: codec '${name}' has no decoder in this place of the pipeline`);
  try {
    return await (await entry.load())(bytes, configuration ?? {}, chunk);
  } catch (/** @type {any} */ cause) {
    if (cause instanceof VirtualZarrError) throw cause;
    throw new DecodeError(`${chunk.what}: codec '${name}' failed: ${cause.message}`, { cause });
  }
}
