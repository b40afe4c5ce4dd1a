import { registry } from "zarrita";

/**
 * Add to zarrita's registry what HDF5 files need: codecs that zarrita lacks, those whose checksum it does not compare,
 * and shuffle, which there ignores `elementsize` and loses bytes after the last whole element.
 * Each is loaded when a chunk needs it, as zarrita loads its own.
 */
export function registerCodecs() {
  const shuffle = () => import("./shuffle.js").then((module) => module.ShuffleCodec);
  registry.set("numcodecs.shuffle", shuffle);
  registry.set("hdf5.shuffle", shuffle);
  registry.set("numcodecs.fletcher32", () => import("./fletcher32.js").then((module) => module.Fletcher32Codec));
  registry.set("hdf5.lzf", () => import("./lzf.js").then((module) => module.LzfCodec));
  registry.set("crc32c", () => import("./crc32c.js").then((module) => module.Crc32cCodec));
}
