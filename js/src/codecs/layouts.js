/** @import { DataType } from "../dtype.js" */

/**
 * What a decoder may need to know of the chunk: data type, shape as it is stored, and a name for errors.
 *
 * @typedef {{type: DataType, shape: number[], what: string}} Chunk
 */

/**
 * From encoded bytes to the values of a chunk, or from its values to other ones: little-endian, in C order of the stored shape.
 *
 * @typedef {(bytes: Uint8Array, configuration: any, chunk: Chunk) => Uint8Array | Promise<Uint8Array>} DecodeValues
 */

/** @typedef {{load: () => Promise<DecodeValues> | DecodeValues, isLayout: boolean}} Entry */

/** @type {Map<string, Entry>} */
export const own = new Map();

/**
 * Add a codec that turns bytes into values, in the place of `bytes`.
 *
 * @param {string} name
 * @param {Entry["load"]} load called when a chunk needs it
 */
export const registerLayout = (name, load) => void own.set(name, { load, isLayout: true });

/**
 * Add a codec that turns values into values of the same type and shape, before `bytes` (differences, for example).
 *
 * @param {string} name
 * @param {Entry["load"]} load called when a chunk needs it
 */
export const registerFilter = (name, load) => void own.set(name, { load, isLayout: false });

/**
 * True for a pipeline that zarrita does not decode, though this module does.
 *
 * @param {{name: string}[]} codecs
 */
export const hasOwn = (codecs) => codecs.some(({ name }) => own.has(name));

registerLayout("vzarr.linear", () => import("./linear.js").then(({ linear }) => linear));
