import { StoredArray } from "./array.js";
import { UnsupportedError } from "./errors.js";
import { Axis, gridAxes } from "./grid.js";
import { makeDecoder } from "./pipeline.js";
import { directory } from "./urls.js";

/** @import { Decoder } from "./pipeline.js" */
/** @import { ArrayDocument, ArrayIo, Coords, Named, Signal } from "./types.js" */

/** An ordinary Zarr array: a member of a concatenation, a manifest's references, or an uneven grid that zarrita cannot open. */
export class PlainArray extends StoredArray {
  /**
   * @param {ArrayDocument} metadata
   * @param {string} url
   * @param {string} name
   * @param {ArrayIo} io
   */
  constructor(metadata, url, name, io) {
    super(metadata, undefined, url, name, io);
    this.folder = directory(url.replace(/zarr\.json$/, ""));
    /** Chunks as they are stored: shards, if there are any. `axes` has the chunks within. */
    this.grid = this.axes = gridAxes(metadata, name);
    this.chunkUrl = keyEncoder(metadata.chunk_key_encoding, this.folder, name);
    /** @type {Decoder | undefined} */
    this.decoder = undefined;
    /** @type {import("./sharded.js").ShardReader | undefined} */
    this.sharded = undefined;
    const shards = metadata.codecs.find((codec) => codec.name === "sharding_indexed");
    this.shards = shards;
    if (!shards) return;
    if (metadata.chunk_grid.name !== "regular") throw new UnsupportedError(`${name}: shards in an uneven chunk grid cannot be read here`);
    this.axes = this.shape.map((extent, i) => new Axis(extent, shards.configuration.chunk_shape[i]));
    this.indexFirst = shards.configuration.index_location === "start";
  }

  /**
   * Encoded bytes of a chunk; undefined if there are none.
   *
   * @param {Coords} coords
   * @param {Signal} [signal]
   */
  stored(coords, signal) {
    return this.io.bytes.get(this.chunkUrl(coords), signal);
  }

  /**
   * Where a chunk lies.
   *
   * @param {Coords} coords
   * @returns {Promise<{kind: "key", url: string}>}
   */
  async lookup(coords) {
    return { kind: "key", url: this.chunkUrl(coords) };
  }

  /**
   * @param {Coords} coords
   * @param {Signal} [signal]
   */
  async decode(coords, signal) {
    if (this.shards) return this.#shardedChunk(coords, signal);
    const bytes = await this.stored(coords, signal);
    this.decoder ??= makeDecoder(this.metadata.codecs, this.type);
    return bytes && this.decoder(bytes, this.storedShape(coords), "stored bytes");
  }

  /**
   * @param {Coords} coords
   * @param {Signal} signal
   */
  async #shardedChunk(coords, signal) {
    const { openSharded } = await import("./sharded.js");
    this.sharded ??= openSharded(this.metadata, this.folder, this.io.bytes, this.type, this.indexFirst);
    return this.sharded(coords, signal);
  }
}

/**
 * @param {Partial<Named>} encoding
 * @param {string} folder
 * @param {string} array
 * @returns {(coords: Coords) => string}
 */
function keyEncoder({ name, configuration } = {}, folder, array) {
  if (name !== "default" && name !== "v2") throw new UnsupportedError(`${array}: chunk key encoding '${name}' is unknown here`);
  const separator = configuration?.separator ?? (name === "v2" ? "." : "/");
  return (coords) => folder + (name === "v2" ? coords.join(separator) || "0" : ["c", ...coords].join(separator));
}
