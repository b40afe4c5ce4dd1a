import { registry } from "zarrita";

/** @typedef {(bytes: Uint8Array, configuration: any) => Uint8Array | Promise<Uint8Array>} Decode */

/**
 * Add a codec to zarrita's registry, which decodes only.
 *
 * @param {string} name
 * @param {() => Promise<Decode> | Decode} load gives `(bytes, configuration) => bytes`, when a chunk needs it
 * @param {number} [adds] bytes that encoding adds
 */
export function register(name, load, adds = 0) {
  registry.set(name, async () => {
    const decode = await load();
    const encode = () => {
      throw new Error(`${name}: this reader does not write`);
    };
    const fromConfig = (/** @type {any} */ configuration) => ({
      kind: /** @type {const} */ ("bytes_to_bytes"),
      decode: async (/** @type {Uint8Array} */ bytes) => decode(bytes, configuration ?? {}),
      encode,
      computeEncodedSize: (/** @type {number} */ size) => size + adds,
    });
    return { fromConfig };
  });
}

/**
 * What HDF5 files need: codecs that zarrita lacks, those whose checksum it does not compare, and shuffle, which there
 * ignores `elementsize` and loses bytes after the last whole element.
 */
export function registerCodecs() {
  const add = (/** @type {string} */ name, adds = 0) => register(name, () => import("./hdf5.js").then(({ decoders }) => decoders[name]), adds);
  add("numcodecs.shuffle");
  add("hdf5.shuffle");
  add("hdf5.lzf");
  add("numcodecs.fletcher32", 4);
  add("crc32c", 4);
}
