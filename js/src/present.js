import { hasOwn } from "./codecs/layouts.js";
import { plainMember } from "./metadata.js";
import { checkCodecs } from "./pipeline.js";

/** @import { AnyArray, ArrayDocument, Member } from "./types.js" */

/**
 * How an array is shown to zarrita: `untouched` (its own document and keys), `passthrough` (stored bytes with the stored
 * codecs, under plain chunk keys), or `decoded` (this module decodes, crops and assembles).
 *
 * @typedef {"untouched" | "passthrough" | "decoded"} Mode
 */

/**
 * @param {AnyArray} array
 * @returns {Mode}
 */
export function modeOf(array) {
  return (array.mode ??= decideMode(array));
}

/**
 * @param {AnyArray} array
 * @returns {Mode}
 */
function decideMode(array) {
  const { metadata, config } = array;
  const regular = array.axes.every((axis) => axis.regularEdge() !== undefined);
  // zarrita reads no shards whose index stands first.
  if (array.indexFirst || hasOwn(metadata.codecs)) return "decoded";
  if (!config) return metadata.chunk_grid.name === "regular" ? "untouched" : regular ? "passthrough" : "decoded";
  if (!regular) return "decoded";
  if (!config.members) return config.codec_alternatives?.length ? "decoded" : "passthrough";
  return config.uniform && config.members.every(plainMember) ? "passthrough" : "decoded";
}

/**
 * Chunk shape of the plain array that zarrita sees.
 *
 * @param {AnyArray} array
 * @returns {number[]}
 */
export function viewShape(array) {
  return (array.view ??= array.axes.map((axis) => axis.regularEdge() ?? axis.viewEdge()));
}

/**
 * The zarr.json that zarrita sees.
 *
 * @param {AnyArray} array
 * @param {Mode} mode
 */
export function presented(array, mode) {
  const { metadata, name } = array;
  checkCodecs([metadata.codecs, ...(array.config?.codec_alternatives ?? [])].flat(), name);
  // Asked here, not at the first chunk: an array that cannot be read does not open. Text is zarrita's business.
  if (mode === "decoded" || metadata.data_type !== "string") void array.type;
  if (mode === "untouched") return withFill(metadata, array);
  return withFill(
    {
      ...metadata,
      chunk_grid: { name: "regular", configuration: { chunk_shape: viewShape(array) } },
      chunk_key_encoding: { name: "default", configuration: { separator: "/" } },
      codecs: mode === "decoded" ? [{ name: "bytes", configuration: { endian: "little" } }] : metadata.codecs,
      storage_transformers: [],
    },
    array,
  );
}

/**
 * @param {ArrayDocument} metadata
 * @param {AnyArray} array
 * @returns {Promise<ArrayDocument>}
 */
async function withFill(metadata, array) {
  const { fill_value: fill, data_type: type } = metadata;
  if (!/^0x/i.test(fill) || !/^float(32|64)$/.test(type)) return metadata;
  const { fillJson } = await import("./fill.js");
  return { ...metadata, fill_value: fillJson(array) };
}
