/**
 * Undo the shuffle filter of HDF5 (`numcodecs.shuffle`, `hdf5.shuffle`): the first byte of each element, then the second of
 * each … Bytes after the last whole element stay where they are.
 *
 * @param {Uint8Array} bytes
 * @param {number} elementsize [bytes]
 */
export function unshuffle(bytes, elementsize) {
  const count = Math.floor(bytes.length / elementsize);
  const out = new Uint8Array(bytes.length);
  for (let byte = 0, from = 0; byte < elementsize; byte++) {
    for (let i = 0, to = byte; i < count; i++, to += elementsize) out[to] = bytes[from++];
  }
  out.set(bytes.subarray(count * elementsize), count * elementsize);
  return out;
}
