import { StoredArray } from "./array.js";
import { fromBase64 } from "./base64.js";
import { FormatError } from "./errors.js";
import { gridAxes } from "./grid.js";
import { makeDecoder } from "./pipeline.js";
import { sourceTable } from "./sources.js";

/** @import { Hierarchy } from "./hierarchy.js" */
/** @import { ArrayDocument, Coords, Signal } from "./types.js" */

/**
 * Where one encoded chunk lies.
 *
 * @typedef {{kind: "stored", source: import("./sources.js").Source, offset: number, length: number, codec: number}
 *   | {kind: "inline", bytes: Uint8Array, length: number, codec: number}} ChunkRef
 */

/** An array whose chunks lie in other files. */
export class ManifestArray extends StoredArray {
  /**
   * @param {ArrayDocument} metadata
   * @param {any} config
   * @param {string} url
   * @param {string} name
   * @param {Hierarchy} io
   */
  constructor(metadata, config, url, name, io) {
    super(metadata, config, url, name, io);
    /** @type {Hierarchy} */
    this.io = io;
    this.axes = gridAxes(metadata, name, config.stored_chunk_shapes);
    this.source = sourceTable(config, url, (page, signal, check) => io.sourcePage(page, signal, check), name);
    /** @type {Map<number, import("./pipeline.js").Decoder>} */
    this.decoders = new Map();
    /** @type {import("./refs.js").RefReader | undefined} */
    this.refs = undefined;
    if ((config.manifest === undefined) === (config.chunks === undefined)) {
      throw new FormatError(`${name}: has ${config.chunks ? "both 'manifest' and" : "neither 'manifest' nor"} 'chunks', expected one of them`);
    }
  }

  /**
   * Encoded bytes of a chunk; undefined if the manifest does not list it.
   *
   * @param {Coords} coords
   * @param {Signal} [signal]
   * @returns {Promise<Uint8Array | undefined>}
   */
  stored(coords, signal) {
    return this.storedRange(coords, { offset: 0, length: Infinity }, signal);
  }

  /**
   * A part of a chunk's encoded bytes.
   *
   * @param {Coords} coords
   * @param {import("zarrita").RangeQuery} range
   * @param {Signal} [signal]
   * @returns {Promise<Uint8Array | undefined>}
   */
  storedRange(coords, range, signal) {
    return this.located(coords, signal, async () => {
      const ref = await this.lookup(coords, signal);
      if (!ref) return undefined;
      if (ref.codec) throw this.#noCodec(ref.codec);
      const offset = "offset" in range ? range.offset : Math.max(0, ref.length - range.suffixLength);
      return this.#fetch(ref, offset, Math.min("length" in range ? range.length : Infinity, ref.length - offset), signal);
    });
  }

  /**
   * @param {Coords} coords
   * @param {Signal} [signal]
   * @returns {Promise<ChunkRef | undefined>} undefined for a chunk that is not listed
   */
  async lookup(coords, signal) {
    if (this.config.manifest !== undefined) return this.#packed(coords, signal);
    const entry = this.config.chunks[coords.join(".") || "0"];
    if (!entry) return undefined;
    const codec = entry.codec ?? 0;
    if (entry.inline !== undefined) {
      const bytes = fromBase64(entry.inline);
      if (bytes.length) return { kind: "inline", bytes, length: bytes.length, codec };
    } else if (entry.length) return this.#ref(entry.source, entry.offset, entry.length, codec, signal);
    // taken for a chunk that is not stored, it would be read as fill
    throw new FormatError(`${this.name}: chunk ${coords.join(".")} is listed with no bytes`);
  }

  /**
   * @param {Coords} coords
   * @param {Signal} signal
   */
  async #packed(coords, signal) {
    const { openRefs } = await import("./refs.js");
    this.refs ??= await openRefs(this, signal);
    const [row, offset, length, codec = 0] = (await this.refs(coords, signal)) ?? [0, 0, 0];
    return this.#ref(row, offset, length, codec, signal);
  }

  /**
   * @param {number} row
   * @param {number} offset
   * @param {number} length
   * @param {number} codec
   * @param {Signal} signal
   * @returns {Promise<ChunkRef | undefined>}
   */
  async #ref(row, offset, length, codec, signal) {
    if (length === 0) return undefined;
    if (![row, offset, length, codec].every((value) => Number.isSafeInteger(value) && value >= 0)) {
      throw new FormatError(`${this.name}: source ${row}, offset ${offset}, length ${length} is no chunk reference`);
    }
    return { kind: "stored", source: await this.source(row, signal), offset, length, codec };
  }

  /**
   * @param {ChunkRef} ref
   * @param {number} offset
   * @param {number} length
   * @param {Signal} signal
   */
  #fetch(ref, offset, length, signal) {
    if (ref.kind === "inline") return ref.bytes.subarray(offset, offset + length);
    const bytes = this.io.bytes.getRange(ref.source, ref.offset + offset, length, signal);
    // values that the store holds itself go when it is cleaned; files of others do not
    return this.config.holds_values ? bytes.catch((error) => this.io.explain(error, signal)) : bytes;
  }

  /**
   * @param {Coords} coords
   * @param {Signal} [signal]
   */
  async decode(coords, signal) {
    const ref = await this.lookup(coords, signal);
    if (!ref) return undefined;
    const bytes = await this.#fetch(ref, 0, ref.length, signal);
    return this.#decoder(ref.codec)(bytes, this.storedShape(coords), ref.kind === "stored" ? ref.source.url : "inlined bytes");
  }

  /**
   * @param {number} codec
   * @returns {import("./pipeline.js").Decoder}
   */
  #decoder(codec) {
    let decoder = this.decoders.get(codec);
    if (!decoder) {
      const codecs = codec === 0 ? this.metadata.codecs : this.config.codec_alternatives?.[codec - 1];
      if (!codecs) throw this.#noCodec(codec);
      decoder = makeDecoder(codecs, this.type);
      this.decoders.set(codec, decoder);
    }
    return decoder;
  }

  /** @param {number} codec */
  #noCodec(codec) {
    const count = this.config.codec_alternatives?.length ?? 0;
    return new FormatError(`the manifest names codec ${codec}, but there are ${count} codec_alternatives; write the store again`);
  }
}
