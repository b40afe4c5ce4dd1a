import { fromBase64 } from "./base64.js";
import { readChecks } from "./checks.js";
import { FormatError } from "./errors.js";
import { classify, isChecked } from "./metadata.js";
import { PlainArray } from "./plain.js";
import { describeUrl, directory, resolveUrl } from "./urls.js";

/** @import { Hierarchy } from "./hierarchy.js" */
/** @import { ManifestArray } from "./manifest.js" */
/** @import { ArrayDocument, Coords, Files, Gets, Signal, Units } from "./types.js" */

const FIELDS = ["source", "offset", "length", "codec"];

/**
 * Source, offset, length and codec of a chunk; undefined if its page is not stored.
 *
 * @typedef {(coords: Coords, signal?: AbortSignal) => Promise<number[] | undefined>} RefReader
 */

/**
 * Open the packed form of a manifest: an ordinary Zarr array of references, beside the array's document or in it.
 *
 * @returns {Promise<RefReader>}
 * @param {ManifestArray} array
 * @param {Signal} [signal]
 */
export async function openRefs(array, signal) {
  const { manifest } = array.config;
  const refs = typeof manifest === "object" ? inDocument(array, manifest) : await beside(array, manifest, signal);
  check(refs, array);
  return async (coords, signal) => {
    const page = coords.map((at, i) => refs.axes[i].find(at));
    const block = await refs.decodedChunk([...page, 0], signal);
    if (!block) return undefined;
    const { data, offset, strides } = block;
    const start = coords.reduce((sum, at, i) => sum + (at - refs.axes[i].start(page[i])) * strides[i], offset);
    const last = coords.length;
    return Array.from({ length: refs.shape[last] }, (_, field) => exact(data, start + field * strides[last], array.name));
  };
}

/**
 * @param {Units} data
 * @param {number} at
 * @param {string} name
 */
function exact(data, at, name) {
  const value = data[at + 1] * 2 ** 32 + data[at];
  if (!Number.isSafeInteger(value)) throw new FormatError(`${name}: the manifest holds a number above 2^53; write the store again`);
  return value;
}

/**
 * @param {ManifestArray} array
 * @param {string} manifest
 * @param {Signal} signal
 */
async function beside({ io, url, name, config }, manifest, signal) {
  if (isChecked(config)) throw new FormatError(`${name}: names manifest '${manifest}' without the checks of its pages; write it again`);
  const place = `${directory(resolveUrl(manifest, url))}zarr.json`;
  const metadata = await io.document(place, signal);
  if (!metadata || classify(metadata, `${name}: manifest`).kind !== "plain") {
    throw new FormatError(`${name}: manifest: there is no ordinary Zarr array '${describeUrl(place)}'; was the store moved without it?`);
  }
  return open(metadata, place, name, io, io.bytes);
}

/**
 * @param {ManifestArray} array
 * @param {Files} files
 */
function inDocument(array, files) {
  return files.objects ? asObjects(array, files) : inPlace(array, files);
}

/**
 * Metadata in the document, pages as objects: one that the document does not list lists no chunk, every other one must be there.
 *
 * @param {ManifestArray} array
 * @param {Files} files
 */
function asObjects({ io, url, name }, files) {
  const document = files["zarr.json"];
  const folder = directory(resolveUrl(files.objects.path, url));
  /** @type {number[]} */
  const edges = document.chunk_grid.configuration.chunk_shape;
  const counts = document.shape.slice(0, -1).map((n, i) => Math.ceil(n / edges[i]));
  const checks = readChecks(files.objects.checks, counts.reduce((a, b) => a * b, 1), `${name}: manifest`);
  const get = async (/** @type {string} */ key, /** @type {AbortSignal | undefined} */ signal) => {
    const coords = key.slice(folder.length).split("/").slice(1, -1).map(Number);
    const check = checks(coords.reduce((sum, at, i) => sum * counts[i] + at, 0));
    return check.size === 0 ? undefined : io.checked(key, check, signal);
  };
  return open(document, `${folder}zarr.json`, name, io, { get, getRange: beyond });
}

/**
 * @param {ManifestArray} array
 * @param {Files} files
 */
function inPlace({ io, url, name }, files) {
  const folder = `${url}#manifest/`;
  const get = async (/** @type {string} */ key) => files[key.slice(folder.length)] && fromBase64(files[key.slice(folder.length)]);
  return open(files["zarr.json"], `${folder}zarr.json`, name, io, { get, getRange: beyond });
}

/** @returns {Promise<Uint8Array>} */
async function beyond() {
  throw new FormatError("a manifest in place has no shards");
}

// Pages have a cache of their own.
/**
 * @param {ArrayDocument} metadata
 * @param {string} url
 * @param {string} name
 * @param {Hierarchy} io
 * @param {Gets} bytes
 */
function open(metadata, url, name, io, bytes) {
  return new PlainArray(metadata, url, `${name}: manifest`, { bytes, chunks: io.manifestPages });
}

/**
 * @param {PlainArray} refs
 * @param {ManifestArray} array
 */
function check(refs, { name, axes }) {
  const grid = axes.map(({ count }) => count);
  /** @type {string[]} */
  const fields = refs.metadata.attributes?.fields ?? FIELDS;
  const width = refs.shape[grid.length];
  const fits = refs.shape.length === grid.length + 1 && grid.every((count, i) => count === refs.shape[i]);
  if (!fits || (width !== 3 && width !== 4) || refs.axes[grid.length].count !== 1) {
    throw new FormatError(`${name}: the manifest has shape (${refs.shape}), expected (${grid}, 3 or 4) with whole references in a page`);
  }
  if (refs.metadata.data_type !== "uint64" || !fields.slice(0, width).every((field, i) => field === FIELDS[i])) {
    throw new FormatError(`${name}: the manifest holds ${refs.metadata.data_type} ${fields}, expected uint64 ${FIELDS}`);
  }
}
