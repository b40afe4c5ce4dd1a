/**
 * The shuffle filter of HDF5 (`numcodecs.shuffle`, `hdf5.shuffle`): the first byte of each element, then the second of
 * each … Bytes after the last whole element stay where they are.
 */
export class ShuffleCodec {
  kind = "bytes_to_bytes";

  constructor(elementsize) {
    this.elementsize = elementsize;
  }

  static fromConfig(configuration) {
    return new ShuffleCodec(configuration?.elementsize ?? 4);
  }

  encode() {
    throw new Error("shuffle: this reader does not write");
  }

  /** @param {Uint8Array} bytes */
  decode(bytes) {
    return unshuffle(bytes, this.elementsize);
  }
}

/** @param {Uint8Array} bytes @param {number} elementsize [bytes] */
export function unshuffle(bytes, elementsize) {
  const count = Math.floor(bytes.length / elementsize);
  const out = new Uint8Array(bytes.length);
  for (let byte = 0, from = 0; byte < elementsize; byte++) {
    for (let i = 0, to = byte; i < count; i++, to += elementsize) out[to] = bytes[from++];
  }
  out.set(bytes.subarray(count * elementsize), count * elementsize);
  return out;
}
