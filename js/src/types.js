/**
 * What modules hand to one another, and what documents hold; nothing here runs.
 *
 * @typedef {number[]} Coords of a chunk in its grid, per axis
 * @typedef {AbortSignal | undefined} Signal
 * @typedef {Uint8Array | Uint16Array | Uint32Array} Units values as unsigned integers, see dtype.js
 */

/**
 * A name with a configuration, which is how Zarr states codecs, chunk grids, chunk key encodings and storage transformers.
 *
 * @typedef {{name: string, configuration?: any}} Named
 */

/**
 * The zarr.json of an array.
 *
 * @typedef {object} ArrayDocument
 * @property {number} zarr_format
 * @property {string} node_type
 * @property {number[]} shape
 * @property {string} data_type
 * @property {Named} chunk_grid
 * @property {Named} chunk_key_encoding
 * @property {any} fill_value
 * @property {Named[]} codecs
 * @property {Record<string, any>} [attributes]
 * @property {(string | null)[]} [dimension_names]
 * @property {Named[]} [storage_transformers]
 */

/**
 * One member of a virtual concatenation.
 *
 * @typedef {object} Member
 * @property {number} length elements along the axis of the concatenation
 * @property {string | Files} [array] its URL, or its documents in place; absent: all fill
 * @property {[number, number, number][]} [select] start, stop and step per axis of the member
 * @property {(number | null)[]} [axes] axis of the member, per axis of the array
 * @property {Decode} [decode]
 * @property {string} [check] length and checksum of its document
 */

/**
 * How stored values of a member become values of the array.
 *
 * @typedef {object} Decode
 * @property {string} [dtype]
 * @property {boolean | null} [unsigned]
 * @property {(number | string)[]} [mask]
 * @property {number | string} [scale_factor]
 * @property {number | string} [add_offset]
 */

/**
 * An array in place: its files by key, `zarr.json` as an object and the others in base64.
 *
 * @typedef {{"zarr.json": ArrayDocument, [key: string]: any}} Files
 */

/**
 * What an ordinary array is read with.
 *
 * @typedef {object} ArrayIo
 * @property {Gets} bytes
 * @property {import("./cache.js").LoadCache<import("./pipeline.js").Block | undefined>} chunks decoded ones
 */

/**
 * @typedef {object} Gets
 * @property {(url: string, signal?: AbortSignal) => Promise<Uint8Array | undefined>} get
 * @property {(source: import("./sources.js").Source, offset: number, length: number, signal?: AbortSignal) => Promise<Uint8Array>} getRange
 */

/**
 * A store as zarrita takes it.
 *
 * @typedef {import("zarrita").Readable & {url?: string | URL}} ReadableStore
 */

/** @typedef {import("./manifest.js").ManifestArray | import("./plain.js").PlainArray} ChunkedArray */
/** @typedef {ChunkedArray | import("./concatenation.js").ConcatenatedArray} AnyArray */

export {};
