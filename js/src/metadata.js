import { FormatError, UnsupportedError } from "./errors.js";

/** The version of the format this reader reads. */
export const VERSION = "0.1";

const ARRAY_KEYS = new Set([
  "zarr_format", "node_type", "shape", "data_type", "chunk_grid", "chunk_key_encoding", "fill_value", "codecs",
  "attributes", "dimension_names", "storage_transformers", "consolidated_metadata",
]);
const CONFIGURATION_KEYS = {
  "chunk-manifest": ["version", "manifest", "chunks", "sources", "codec_alternatives", "stored_chunk_shapes"],
  "virtual-concatenation": ["version", "axis", "members", "uniform"],
};
const MEMBER_KEYS = ["array", "length", "select", "axes", "decode"];
const DECODE_KEYS = ["dtype", "unsigned", "mask", "scale_factor", "add_offset"];

/**
 * Tell what kind of array a document describes, and refuse what this reader would misread.
 *
 * @param {any} metadata an array's zarr.json
 * @param {string} name the array, for errors
 * @returns {{kind: "plain" | "chunk-manifest" | "virtual-concatenation", config: any}}
 */
export function classify(metadata, name) {
  if (metadata.zarr_format !== 3 || metadata.node_type !== "array") {
    throw new FormatError(`${name}: found ${metadata.node_type} of Zarr format ${metadata.zarr_format}, expected an array of format 3`);
  }
  refuseUnknownKeys(metadata, name);
  const transformers = metadata.storage_transformers ?? [];
  const encoding = metadata.chunk_key_encoding?.name;
  if (transformers.length === 0 && encoding !== "virtual") return { kind: "plain", config: {} };
  if (transformers.length !== 1 || encoding !== "virtual") {
    throw new UnsupportedError(
      `${name}: found chunk key encoding '${encoding}' with storage transformers [${transformers.map((t) => t.name).join(", ")}], ` +
        "expected 'virtual' with exactly one",
    );
  }
  const [{ name: kind, configuration: config = {} }] = transformers;
  if (!(kind in CONFIGURATION_KEYS)) {
    throw new UnsupportedError(`${name}: storage transformer '${kind}' is unknown here, expected ${Object.keys(CONFIGURATION_KEYS).join(" or ")}`);
  }
  if (config.version !== VERSION) {
    throw new UnsupportedError(`${name}: '${kind}' has version ${JSON.stringify(config.version)}, this reader reads "${VERSION}"; use a newer reader`);
  }
  onlyKeys(config, CONFIGURATION_KEYS[kind], `${name}: ${kind}`);
  return { kind, config };
}

/** Zarr: an unknown key of an array must be understood, unless it says otherwise. */
function refuseUnknownKeys(metadata, name) {
  for (const [key, value] of Object.entries(metadata)) {
    if (!ARRAY_KEYS.has(key) && value?.must_understand !== false) {
      throw new UnsupportedError(`${name}: key '${key}' of zarr.json is unknown here and not marked as ignorable`);
    }
  }
}

// A key that is ignored would change values without a word.
function onlyKeys(object, allowed, what) {
  for (const key of Object.keys(object)) {
    if (!allowed.includes(key)) throw new UnsupportedError(`${what}: key '${key}' is unknown here, expected ${allowed.join(", ")}`);
  }
}

/** A member taken as it is: all of it, in its own axis order and values. */
export function plainMember({ select, axes, decode }) {
  return select === undefined && axes === undefined && decode === undefined;
}

/**
 * Check one member of a virtual concatenation as far as its own entry tells.
 *
 * @param {any} member
 * @param {string} what the member, for errors
 */
export function checkMember(member, what) {
  onlyKeys(member, MEMBER_KEYS, what);
  if (member.decode) onlyKeys(member.decode, DECODE_KEYS, `${what}: decode`);
  if (!Number.isInteger(member.length) || member.length < 0) throw new FormatError(`${what}: length ${member.length}, expected an integer`);
  if (member.array === undefined && Object.keys(member).length > 1) {
    throw new FormatError(`${what}: has no 'array', so only 'length' may stand beside it`);
  }
}
