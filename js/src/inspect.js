import { chunksOf } from "./chunked.js";
import { modeOf, viewShape } from "./present.js";
import { span } from "./region.js";

/** @import { AnyArray, ChunkedArray, Coords, Signal } from "./types.js" */
/** @import { Span } from "./region.js" */
/** @import { ConcatenatedArray } from "./concatenation.js" */

/**
 * Questions about a store that reading does not ask: what is in it, how an array is stored, where its bytes lie.
 *
 * @typedef {import("./store.js").VirtualStore} VirtualStore
 * @typedef {{signal?: AbortSignal}} Options
 */

/**
 * The nodes that the hierarchy's consolidated metadata lists; an array that cannot be read has a `reason`.
 *
 * @param {VirtualStore} store
 * @returns {Promise<{path: string, kind: "array" | "group", metadata: any, reason?: string}[]>}
 */
export function contents({ hierarchy, root }) {
  const nodes = [...hierarchy.consolidated].map(async ([url, metadata]) => {
    const kind = metadata.node_type;
    const path = root.keyOf(url)?.replace(/\/?zarr\.json$/, "") || "/";
    const reason = kind === "array" ? await hierarchy.present(url).then(() => undefined, (error) => error.message) : undefined;
    return { path, kind, metadata, ...(reason && { reason }) };
  });
  return Promise.all(nodes);
}

/**
 * How an array is stored and shown: `kind` on disk, `mode` (see present.js), shapes of the array, its chunk grid and the
 * chunks that zarrita sees.
 *
 * @param {VirtualStore} store
 * @param {string} path
 * @param {Options} [options]
 */
export async function describe(store, path, { signal } = {}) {
  const array = await open(store, path, signal);
  const { config, shape, axes, metadata } = array;
  const kind = !config ? "plain" : config.members ? "virtual-concatenation" : "chunk-manifest";
  return { kind, mode: modeOf(array), shape, chunkShape: viewShape(array), gridShape: axes.map(({ count }) => count), axes, metadata };
}

/**
 * What one part of an array is read from.
 *
 * @typedef {object} Piece
 * @property {"stored" | "inline" | "key" | "fill"} kind in a source file, in the manifest, a key of a Zarr store, nowhere
 * @property {string} [url]
 * @property {number} [offset] [bytes]
 * @property {number} [length] [bytes]
 */

/**
 * What a box of an array is read from, without reading it.
 *
 * @param {VirtualStore} store
 * @param {string} path
 * @param {number[]} start of the box, per axis
 * @param {number[]} count of elements, per axis
 * @param {Options} [options]
 * @returns {Promise<Piece[]>}
 */
export async function locate(store, path, start, count, { signal } = {}) {
  const array = await open(store, path, signal);
  return trace(array, start.map((first, i) => span(first, count[i])), signal);
}

/**
 * @param {VirtualStore} store
 * @param {string} path
 * @param {Signal} signal
 */
function open({ hierarchy, root }, path, signal) {
  const folder = path.replace(/^\/|\/$/g, "");
  return hierarchy.openArray(root.urlOf(folder ? `/${folder}/zarr.json` : "/zarr.json"), signal);
}

/**
 * @param {AnyArray} array
 * @param {Span[]} region
 * @param {Signal} signal
 * @returns {Promise<Piece[]>}
 */
async function trace(array, region, signal) {
  const parts = "members" in array ? await traceMembers(array, region, signal) : await traceChunks(array, region, signal);
  return parts.flat();
}

/**
 * @param {ConcatenatedArray} array
 * @param {Span[]} region
 * @param {Signal} signal
 * @returns {Promise<Piece[][]>}
 */
function traceMembers(array, region, signal) {
  return Promise.all(
    array.pieces(region).map(async ({ index, part }) => {
      const member = await array.member(index, signal);
      return member ? trace(member.array, member.regionOf(part), signal) : [{ kind: "fill" }];
    }),
  );
}

/**
 * @param {ChunkedArray} array
 * @param {Span[]} region
 * @param {Signal} signal
 * @returns {Promise<Piece[]>}
 */
function traceChunks(array, region, signal) {
  const chunks = [...chunksOf(array.axes, region)];
  return Promise.all(
    chunks.map(async ({ coords }) => {
      const ref = await array.lookup(coords, signal);
      if (!ref) return { kind: "fill" };
      const { kind, source, url = source?.url, offset, length } = /** @type {any} */ (ref);
      return { kind, url, offset, length };
    }),
  );
}
