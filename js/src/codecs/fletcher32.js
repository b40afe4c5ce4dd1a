import { DecodeError } from "../errors.js";

/** Compare and remove HDF5's checksum (`numcodecs.fletcher32`): four bytes at the end. @param {Uint8Array} bytes */
export function withoutFletcher32(bytes) {
  const length = bytes.length - 4;
  if (length < 0) throw new DecodeError(`fletcher32: ${bytes.length} bytes hold no checksum`);
  const stored = new DataView(bytes.buffer, bytes.byteOffset + length, 4).getUint32(0, true);
  const data = bytes.subarray(0, length);
  const computed = fletcher32(data);
  // HDF5 before 1.6.3 stored the bytes of each 16-bit half swapped; HDF5 still accepts both.
  if (stored !== computed && stored !== swapHalves(computed)) {
    throw new DecodeError(`fletcher32: the checksum is ${hex(stored)} but the bytes give ${hex(computed)}; the chunk is corrupt`);
  }
  return data;
}

// Sums of 16-bit words stay below 2^53 for this many words, even after earlier ones were folded in.
const FOLD = 1 << 16;

/**
 * Fletcher's checksum over big-endian 16-bit words, as HDF5's H5_checksum_fletcher32 computes it.
 *
 * @param {Uint8Array} bytes
 */
export function fletcher32(bytes) {
  let sum1 = 0;
  let sum2 = 0;
  for (let at = 0; at < bytes.length; ) {
    const stop = Math.min(at + 2 * FOLD, bytes.length);
    for (; at < stop; at += 2) {
      sum1 += (bytes[at] << 8) | (at + 1 < bytes.length ? bytes[at + 1] : 0);
      sum2 += sum1;
    }
    sum1 = fold(sum1);
    sum2 = fold(sum2);
  }
  return fold(sum2) * 65536 + fold(sum1);
}

// Folding keeps a sum modulo 65535, with 65535 rather than 0 for its multiples (but 0 for an empty sum).
/** @param {number} sum */
function fold(sum) {
  return sum === 0 ? 0 : ((sum - 1) % 65535) + 1;
}

/** @param {number} checksum */
function swapHalves(checksum) {
  return (((checksum & 0x00ff00ff) << 8) | ((checksum >>> 8) & 0x00ff00ff)) >>> 0;
}

/** @param {number} checksum */
function hex(checksum) {
  return `0x${checksum.toString(16).padStart(8, "0")}`;
}
