import { unitsOf } from "./dtype.js";
import { plainMember } from "./metadata.js";
import { checkCodecs } from "./pipeline.js";

/**
 * How an array is shown to zarrita: `untouched` (its own document and keys), `passthrough` (stored bytes with the stored
 * codecs, under plain chunk keys), or `decoded` (this module decodes, crops and assembles).
 *
 * @typedef {"untouched" | "passthrough" | "decoded"} Mode
 */

/** @returns {Mode} */
export function modeOf(array) {
  const { metadata, config } = array;
  const regular = array.axes.every((axis) => axis.regularEdge() !== undefined);
  if (!config) return metadata.chunk_grid.name === "regular" ? "untouched" : regular ? "passthrough" : "decoded";
  if (!regular) return "decoded";
  if (!config.members) return config.codec_alternatives?.length ? "decoded" : "passthrough";
  return config.uniform && config.members.every(plainMember) ? "passthrough" : "decoded";
}

/** Chunk shape of the plain array that zarrita sees. */
export function viewShape(array) {
  return array.axes.map((axis) => axis.regularEdge() ?? axis.viewEdge());
}

/**
 * The zarr.json that zarrita sees.
 *
 * @param {any} array
 * @param {Mode} mode
 */
export function presented(array, mode) {
  const { metadata, name } = array;
  checkCodecs(metadata.codecs, name);
  for (const codecs of array.config?.codec_alternatives ?? []) checkCodecs(codecs, name);
  if (mode === "untouched") return withFill(metadata, array);
  // Asked here, not at the first chunk: an array that cannot be read does not open.
  if (mode === "decoded") void array.type;
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

// zarrita takes numbers and "NaN", but no hexadecimal bits.
function withFill(metadata, array) {
  const { fill_value: fill, data_type: name } = metadata;
  if (typeof fill !== "string" || !/^0x/i.test(fill) || !["float32", "float64"].includes(name)) return metadata;
  const [value] = new array.type.Values(unitsOf(array.type, fill, array.name).buffer);
  return { ...metadata, fill_value: Number.isFinite(value) ? value : String(value) };
}
