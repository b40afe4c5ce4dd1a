import { Bytes } from "./bytes.js";
import { FormatError } from "./errors.js";
import { Hierarchy } from "./hierarchy.js";
import { HttpClient } from "./http.js";
import { VirtualStore } from "./store.js";
import { describeUrl, Root } from "./urls.js";

/**
 * @typedef {object} OpenOptions
 * @property {AbortSignal} [signal] for the opening; each read takes its own
 * @property {string | URL} [baseUrl] URL of a zarrita store that has no `url`, against which sources are resolved
 * @property {(request: Request) => Promise<Response>} [fetch] for every request, to add credentials, say
 * @property {(record: import("./http.js").RequestRecord) => void} [onRequest] told after every request
 * @property {number} [chunkCacheBytes] bound on decoded chunks kept, 64 MiB
 * @property {number} [pageCacheBytes] bound on decoded manifest pages kept, 16 MiB
 */

/**
 * Open a virtual hierarchy as a zarrita store.
 *
 * @param {string | URL | import("./types.js").ReadableStore} location URL of the hierarchy's directory, or a zarrita store that holds it
 * @param {OpenOptions} [options]
 * @returns {Promise<VirtualStore>}
 *
 * @example
 * const store = await openVirtual("https://example.org/sst.vzarr");
 * const array = await zarr.open(zarr.root(store).resolve("sst"), { kind: "array" });
 * const { data, shape } = await zarr.get(array, [0, null, null]);
 */
export async function openVirtual(location, options = {}) {
  const isUrl = typeof location === "string" || location instanceof URL;
  const root = new Root(options.baseUrl ?? (isUrl ? location : location.url));
  const bytes = new Bytes(root, new HttpClient(options), isUrl ? undefined : location);
  const hierarchy = new Hierarchy(bytes, options);
  const url = root.urlOf("/zarr.json");
  const document = await hierarchy.begin(url, options.signal);
  if (!document) throw new FormatError(`${describeUrl(root.href)}: there is no zarr.json, expected a Zarr v3 hierarchy`);
  return new VirtualStore(hierarchy);
}
