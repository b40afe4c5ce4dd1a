import { registry } from "zarrita";
import { Crc32cCodec } from "./crc32c.js";
import { Fletcher32Codec } from "./fletcher32.js";
import { LzfCodec } from "./lzf.js";
import { ShuffleCodec } from "./shuffle.js";

/**
 * Add to zarrita's registry what HDF5 files need: codecs that zarrita lacks, those whose checksum it does not compare,
 * and shuffle, which there ignores `elementsize` and loses bytes after the last whole element.
 */
export function registerCodecs() {
  registry.set("numcodecs.shuffle", async () => ShuffleCodec);
  registry.set("hdf5.shuffle", async () => ShuffleCodec);
  registry.set("numcodecs.fletcher32", async () => Fletcher32Codec);
  registry.set("hdf5.lzf", async () => LzfCodec);
  registry.set("crc32c", async () => Crc32cCodec);
}
