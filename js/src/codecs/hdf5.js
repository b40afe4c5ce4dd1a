import { withoutCrc32c } from "./crc32c.js";
import { withoutFletcher32 } from "./fletcher32.js";
import { unlzf } from "./lzf.js";
import { unshuffle } from "./shuffle.js";

/** @import { Decode } from "./register.js" */

/** @type {Decode} */
const shuffle = (bytes, { elementsize = 4 }) => unshuffle(bytes, elementsize);

/** From encoded bytes and a configuration to bytes, by name of the codec. @type {Record<string, Decode>} */
export const decoders = {
  "numcodecs.shuffle": shuffle,
  "hdf5.shuffle": shuffle,
  "hdf5.lzf": unlzf,
  "numcodecs.fletcher32": withoutFletcher32,
  crc32c: withoutCrc32c,
};
