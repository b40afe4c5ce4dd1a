import { fromBase64 } from "./base64.js";
import { FormatError } from "./errors.js";
import { classify } from "./metadata.js";
import { PlainArray } from "./plain.js";
import { describeUrl, directory, resolveUrl } from "./urls.js";

const FIELDS = ["source", "offset", "length", "codec"];

/**
 * Open the packed form of a manifest: an ordinary Zarr array of references, beside the array's document or in it.
 *
 * @param {import("./manifest.js").ManifestArray} array
 * @param {AbortSignal} [signal]
 * @returns {Promise<(coords: number[], signal?: AbortSignal) => Promise<number[] | undefined>>} source, offset, length and codec
 *   of a chunk; undefined if its page is not stored
 */
export async function openRefs(array, signal) {
  const { manifest } = array.config;
  const refs = typeof manifest === "object" ? inPlace(array, manifest) : await beside(array, manifest, signal);
  check(refs, array);
  return async (coords, signal) => {
    const page = coords.map((at, i) => refs.axes[i].find(at));
    const block = await refs.decodedChunk([...page, 0], signal);
    if (!block) return undefined;
    const { data, offset, strides } = block;
    const start = coords.reduce((sum, at, i) => sum + (at - refs.axes[i].start(page[i])) * strides[i], offset);
    return Array.from({ length: refs.shape.at(-1) }, (_, field) => exact(data, start + field * strides.at(-1), array.name));
  };
}

function exact(data, at, name) {
  const value = data[at + 1] * 2 ** 32 + data[at];
  if (!Number.isSafeInteger(value)) throw new FormatError(`${name}: the manifest holds a number above 2^53; write the store again`);
  return value;
}

async function beside({ io, url, name }, manifest, signal) {
  const place = `${directory(resolveUrl(manifest, url))}zarr.json`;
  const metadata = await io.document(place, signal);
  if (!metadata || classify(metadata, `${name}: manifest`).kind !== "plain") {
    throw new FormatError(`${name}: manifest: there is no ordinary Zarr array '${describeUrl(place)}'; was the store moved without it?`);
  }
  return open(metadata, place, name, io, io.bytes);
}

function inPlace({ io, url, name }, files) {
  const folder = `${url}#manifest/`;
  const get = async (key) => files[key.slice(folder.length)] && fromBase64(files[key.slice(folder.length)]);
  return open(files["zarr.json"], `${folder}zarr.json`, name, io, { get });
}

// Pages have a cache of their own.
function open(metadata, url, name, io, bytes) {
  return new PlainArray(metadata, url, `${name}: manifest`, { bytes, chunks: io.manifestPages });
}

function check(refs, { name, axes }) {
  const grid = axes.map(({ count }) => count);
  const fields = refs.metadata.attributes?.fields ?? FIELDS;
  const width = refs.shape.at(-1);
  const fits = refs.shape.length === grid.length + 1 && grid.every((count, i) => count === refs.shape[i]);
  if (!fits || (width !== 3 && width !== 4) || refs.axes.at(-1).count !== 1) {
    throw new FormatError(`${name}: the manifest has shape (${refs.shape}), expected (${grid}, 3 or 4) with whole references in a page`);
  }
  if (refs.metadata.data_type !== "uint64" || !fields.slice(0, width).every((field, i) => field === FIELDS[i])) {
    throw new FormatError(`${name}: the manifest holds ${refs.metadata.data_type} ${fields}, expected uint64 ${FIELDS}`);
  }
}
