import { FormatError, UnsupportedError } from "./errors.js";

/** @import { ArrayDocument, Member, Named } from "./types.js" */

/** The versions of the format this reader reads. */
const VERSIONS = ["0.1", "0.2"];

const ARRAY_KEYS = [
  "zarr_format", "node_type", "shape", "data_type", "chunk_grid", "chunk_key_encoding", "fill_value", "codecs",
  "attributes", "dimension_names", "storage_transformers", "consolidated_metadata",
];
/** @type {Record<string, string[]>} */
const CONFIGURATION_KEYS = {
  "chunk-manifest": ["version", "manifest", "chunks", "sources", "codec_alternatives", "stored_chunk_shapes", "holds_values"],
  "virtual-concatenation": ["version", "axis", "members", "uniform"],
};

/**
 * Tell what kind of array a document describes, and refuse what this reader would misread.
 *
 * @param {ArrayDocument} metadata an array's zarr.json
 * @param {string} name the array, for errors
 * @returns {{kind: "plain" | "chunk-manifest" | "virtual-concatenation", config: any}}
 */
export function classify(metadata, name) {
  if (metadata.zarr_format !== 3 || metadata.node_type !== "array") {
    throw new FormatError(`${name}: found a Zarr v${metadata.zarr_format} ${metadata.node_type}, expected a v3 array`);
  }
  // Zarr: an unknown key of an array must be understood, unless it says otherwise.
  const ignorable = (/** @type {[string, any]} */ [, value]) => value?.must_understand === false;
  onlyKeys(Object.fromEntries(Object.entries(metadata).filter((entry) => !ignorable(entry))), ARRAY_KEYS, name);
  const transformers = metadata.storage_transformers ?? [];
  const encoding = metadata.chunk_key_encoding?.name;
  if (transformers.length === 0 && encoding !== "virtual") return { kind: "plain", config: {} };
  if (transformers.length !== 1 || encoding !== "virtual") {
    throw new UnsupportedError(
      `${name}: chunk key encoding '${encoding}' with storage transformers [${transformers.map((t) => t.name).join(", ")}], expected 'virtual' with one`,
    );
  }
  const [{ name: kind, configuration: config = {} }] = transformers;
  if (!(kind in CONFIGURATION_KEYS)) {
    throw new UnsupportedError(`${name}: storage transformer '${kind}' is unknown here, expected ${Object.keys(CONFIGURATION_KEYS).join(" or ")}`);
  }
  if (!VERSIONS.includes(config.version)) {
    throw new UnsupportedError(`${name}: '${kind}' has version ${JSON.stringify(config.version)}, this reader reads ${VERSIONS.join(" and ")}; use a newer reader`);
  }
  onlyKeys(config, CONFIGURATION_KEYS[kind], `${name}: ${kind}`);
  return { kind: /** @type {"chunk-manifest" | "virtual-concatenation"} */ (kind), config };
}

/** Whether documents of this version tell what each object holds that they name. @param {any} config */
export function isChecked(config) {
  return config.version !== "0.1";
}

// A key that is ignored would change values without a word.
/**
 * @param {object} object
 * @param {string[]} allowed
 * @param {string} what
 */
export function onlyKeys(object, allowed, what) {
  for (const key of Object.keys(object)) {
    if (!allowed.includes(key)) throw new UnsupportedError(`${what}: key '${key}' is unknown here, expected ${allowed.join(", ")}`);
  }
}

/**
 * A member taken as it is: all of it, in its own axis order and values.
 *
 * @param {Member} member
 */
export function plainMember({ select, axes, decode }) {
  return select === undefined && axes === undefined && decode === undefined;
}
