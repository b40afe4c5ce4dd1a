import { chunksOf } from "./chunked.js";

/**
 * @typedef {object} Piece where the values of one part of a region come from
 * @property {"stored" | "inline" | "key" | "fill"} kind in a source file, in the manifest, a key of a Zarr store, nowhere
 * @property {string} [url]
 * @property {number} [offset] [bytes]
 * @property {number} [length] [bytes]
 */

/**
 * List what a region of an array is read from, without reading it.
 *
 * @param {any} array
 * @param {import("./region.js").Span[]} region
 * @param {AbortSignal} [signal]
 * @returns {Promise<Piece[]>}
 */
export async function trace(array, region, signal) {
  const parts = array.members ? await traceMembers(array, region, signal) : await traceChunks(array, region, signal);
  return parts.flat();
}

function traceMembers(array, region, signal) {
  return Promise.all(
    array.pieces(region).map(async ({ index, part }) => {
      const member = await array.member(index, signal);
      return member ? trace(member.array, member.regionOf(part), signal) : [{ kind: "fill" }];
    }),
  );
}

function traceChunks(array, region, signal) {
  const chunks = [...chunksOf(array.axes, region)];
  return Promise.all(
    chunks.map(async ({ coords }) => {
      const ref = await array.lookup(coords, signal);
      if (!ref) return [{ kind: "fill" }];
      const { kind, source, url = source?.url, offset, length } = ref;
      return [{ kind, url, offset, length }];
    }),
  );
}
