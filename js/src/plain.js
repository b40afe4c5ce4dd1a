import { StoredArray } from "./array.js";
import { UnsupportedError } from "./errors.js";
import { Axis, gridAxes } from "./grid.js";
import { makeDecoder } from "./pipeline.js";
import { directory } from "./urls.js";

/** An ordinary Zarr array: a member of a concatenation, a manifest's references, or an uneven grid that zarrita cannot open. */
export class PlainArray extends StoredArray {
  constructor(metadata, url, name, io) {
    super(metadata, undefined, url, name, io);
    this.folder = directory(url.replace(/zarr\.json$/, ""));
    /** Chunks as they are stored: shards, if there are any. `axes` has the chunks within. */
    this.grid = this.axes = gridAxes(metadata, name);
    this.chunkUrl = keyEncoder(metadata.chunk_key_encoding, this.folder, name);
    this.shards = metadata.codecs.find((codec) => codec.name === "sharding_indexed");
    if (!this.shards) return;
    if (metadata.chunk_grid.name !== "regular") throw new UnsupportedError(`${name}: shards in an uneven chunk grid cannot be read here`);
    this.axes = this.shape.map((extent, i) => new Axis(extent, this.shards.configuration.chunk_shape[i]));
    this.indexFirst = this.shards.configuration.index_location === "start";
  }

  /** Encoded bytes of a chunk; undefined if there are none. */
  stored(coords, signal) {
    return this.io.bytes.get(this.chunkUrl(coords), signal);
  }

  /** Where a chunk lies. */
  async lookup(coords) {
    return { kind: "key", url: this.chunkUrl(coords) };
  }

  async decode(coords, signal) {
    if (this.shards) return this.#shardedChunk(coords, signal);
    const bytes = await this.stored(coords, signal);
    this.decoder ??= makeDecoder(this.metadata.codecs, this.type);
    return bytes && this.decoder(bytes, this.storedShape(coords), "stored bytes");
  }

  async #shardedChunk(coords, signal) {
    const { openSharded } = await import("./sharded.js");
    this.sharded ??= openSharded(this.metadata, this.folder, this.io.bytes, this.type, this.indexFirst);
    return this.sharded(coords, signal);
  }
}

function keyEncoder({ name, configuration } = {}, folder, array) {
  if (name !== "default" && name !== "v2") throw new UnsupportedError(`${array}: chunk key encoding '${name}' is unknown here`);
  const separator = configuration?.separator ?? (name === "v2" ? "." : "/");
  return (coords) => folder + (name === "v2" ? coords.join(separator) || "0" : ["c", ...coords].join(separator));
}
