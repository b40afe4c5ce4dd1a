import { Array as ZarrArray } from "zarrita";
import { located, readChunked } from "./chunked.js";
import { UnsupportedError } from "./errors.js";
import { Axis, gridAxes } from "./grid.js";
import { makeDecoder } from "./pipeline.js";
import { directory } from "./urls.js";
import { dataType, unitsOf } from "./dtype.js";

/** An ordinary Zarr array: a member of a concatenation, a manifest's references, or an uneven grid that zarrita cannot open. */
export class PlainArray {
  /**
   * @param {any} metadata its zarr.json
   * @param {string} url of its zarr.json
   * @param {string} name for errors
   * @param {{bytes: import("./bytes.js").Bytes, chunks: import("./cache.js").LoadCache<any>}} io
   */
  constructor(metadata, url, name, io) {
    Object.assign(this, { metadata, url, name, io });
    this.folder = directory(url.replace(/zarr\.json$/, ""));
    this.shape = metadata.shape;
    this.axes = gridAxes(metadata, name);
    this.chunkUrl = keyEncoder(metadata.chunk_key_encoding, this.folder, name);
    const sharding = metadata.codecs.find((codec) => codec.name === "sharding_indexed");
    if (sharding) this.#openSharded(sharding.configuration.chunk_shape);
  }

  get type() {
    return (this.cachedType ??= dataType(this.metadata.data_type, this.name));
  }

  get fill() {
    return (this.cachedFill ??= unitsOf(this.type, this.metadata.fill_value, this.name));
  }

  read(region, signal) {
    return readChunked(this, region, signal);
  }

  /** Encoded bytes of a chunk; undefined if there are none. */
  stored(coords, signal) {
    return this.io.bytes.get(this.chunkUrl(coords), signal);
  }

  /** Where a chunk lies. */
  async lookup(coords) {
    return { kind: "key", url: this.chunkUrl(coords) };
  }

  decodedChunk(coords, signal) {
    return this.io.chunks.load(`${this.url} ${coords}`, signal, (shared) => this.#decode(coords, shared));
  }

  async #decode(coords, signal) {
    try {
      if (this.sharded) return await this.#shardedChunk(coords, signal);
      const bytes = await this.stored(coords, signal);
      if (!bytes) return undefined;
      this.decoder ??= makeDecoder(this.metadata.codecs, this.type);
      return await this.decoder(bytes, coords.map((chunk, i) => this.axes[i].stored(chunk)), "stored bytes");
    } catch (error) {
      throw located(error, this.name, coords, signal);
    }
  }

  // Shards are zarrita's business: it reads the index and the inner chunks.
  #openSharded(inner) {
    if (this.metadata.chunk_grid.name !== "regular") throw new UnsupportedError(`${this.name}: shards in an uneven chunk grid cannot be read here`);
    const bool = this.metadata.data_type === "bool";
    const metadata = bool ? { ...this.metadata, data_type: "uint8", fill_value: Number(this.metadata.fill_value) } : this.metadata;
    this.sharded = new ZarrArray(memberStore(this.io.bytes, this.folder), "/", metadata);
    this.axes = this.shape.map((extent, i) => new Axis(extent, inner[i]));
  }

  async #shardedChunk(coords, signal) {
    const { data, stride } = await this.sharded.getChunk(coords, { signal });
    const { Unit, lanes } = this.type;
    const units = new Unit(data.buffer, data.byteOffset, data.byteLength / Unit.BYTES_PER_ELEMENT);
    return { data: units, offset: 0, strides: stride.map((step) => step * lanes) };
  }
}

function memberStore(bytes, folder) {
  const url = (key) => folder + key.slice(1);
  return {
    get: (key, { signal } = {}) => bytes.get(url(key), signal),
    async getRange(key, range, { signal } = {}) {
      if ("offset" in range) return bytes.getRange({ url: url(key) }, range.offset, range.length, signal);
      const whole = await bytes.get(url(key), signal);
      return whole?.subarray(whole.length - range.suffixLength);
    },
  };
}

function keyEncoder({ name, configuration } = {}, folder, array) {
  if (name !== "default" && name !== "v2") throw new UnsupportedError(`${array}: chunk key encoding '${name}' is unknown here`);
  const separator = configuration?.separator ?? (name === "v2" ? "." : "/");
  if (name === "v2") return (coords) => folder + (coords.join(separator) || "0");
  return (coords) => folder + ["c", ...coords].join(separator);
}
