import { DecodeError } from "../errors.js";

/** @type {Uint32Array | undefined} */
let table;

/** Compare and remove Zarr's `crc32c`. @param {Uint8Array} bytes */
export function withoutCrc32c(bytes) {
  const data = bytes.subarray(0, -4);
  const stored = new DataView(bytes.buffer, bytes.byteOffset + data.length, 4).getUint32(0, true);
  if (crc32c(data) !== stored) throw new DecodeError("crc32c: the checksum differs; the chunk is corrupt");
  return data;
}

/**
 * CRC-32C (Castagnoli), reflected polynomial 0x82f63b78.
 *
 * @param {Uint8Array} bytes
 */
export function crc32c(bytes) {
  table ??= Uint32Array.from({ length: 256 }, (_, byte) => {
    for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ 0x82f63b78 : byte >>> 1;
    return byte;
  });
  let crc = ~0;
  for (const byte of bytes) crc = (crc >>> 8) ^ table[(crc ^ byte) & 255];
  return ~crc >>> 0;
}
