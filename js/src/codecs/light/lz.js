/** LZ4 blocks and BloscLZ, which differ in how they write lengths and distances. */

/**
 * @param {Uint8Array} bytes an LZ4 block
 * @param {number} size decoded [bytes]
 */
export function unlz4(bytes, size) {
  const out = new Uint8Array(size);
  let at = 0;
  let to = 0;
  const extended = (/** @type {number} */ length) => {
    if (length === 15) for (let more = 255; more === 255; length += more) more = bytes[at++];
    return length;
  };
  while (at < bytes.length) {
    const token = bytes[at++];
    const literals = extended(token >> 4);
    out.set(bytes.subarray(at, at + literals), to);
    at += literals;
    to += literals;
    if (at >= bytes.length) break;
    const distance = bytes[at++] | (bytes[at++] << 8);
    to = copyMatch(out, to, distance, extended(token & 15) + 4);
  }
  return whole(out, to);
}

/**
 * @param {Uint8Array} bytes a BloscLZ block
 * @param {number} size decoded [bytes]
 */
export function unblosclz(bytes, size) {
  const out = new Uint8Array(size);
  let to = 0;
  for (let at = 0, control = bytes[at++] & 31; ; control = bytes[at++]) {
    if (control < 32) {
      out.set(bytes.subarray(at, at + control + 1), to);
      at += control + 1;
      to += control + 1;
    } else {
      let length = (control >> 5) - 1;
      if (length === 6) for (let more = 255; more === 255; length += more) more = bytes[at++];
      const high = control & 31;
      const low = bytes[at++];
      let distance = (high << 8) + low + 1;
      if (low === 255 && high === 31) distance = (bytes[at++] << 8) + bytes[at++] + 8192;
      to = copyMatch(out, to, distance, length + 3);
    }
    if (at >= bytes.length) return whole(out, to);
  }
}

/**
 * @param {Uint8Array} out
 * @param {number} to
 * @param {number} distance
 * @param {number} length
 */
function copyMatch(out, to, distance, length) {
  let from = to - distance;
  if (from < 0 || distance === 0 || to + length > out.length) throw new Error("a match points outside the block");
  if (distance >= length) out.copyWithin(to, from, from + length);
  else for (const stop = to + length; to < stop; ) out[to++] = out[from++];
  return distance >= length ? to + length : to;
}

/**
 * @param {Uint8Array} out
 * @param {number} length
 */
function whole(out, length) {
  if (length !== out.length) throw new Error(`decoded to ${length} bytes, expected ${out.length}`);
  return out;
}
