// Primes of the xxHash specification.
const P1 = 0x9e3779b185ebca87n;
const P2 = 0xc2b2ae3d27d4eb4fn;
const P3 = 0x165667b19e3779f9n;
const P4 = 0x85ebca77c2b2ae63n;
const P5 = 0x27d4eb2f165667c5n;

const wrap = (/** @type {bigint} */ x) => BigInt.asUintN(64, x);
const rotate = (/** @type {bigint} */ x, /** @type {bigint} */ by) => wrap((x << by) | (x >> (64n - by)));
const round = (/** @type {bigint} */ lane, /** @type {bigint} */ input) => wrap(rotate(wrap(lane + input * P2), 31n) * P1);

/** XXH64 with seed 0, the checksum of Zstandard frames. @param {Uint8Array} bytes @returns {bigint} */
export function xxh64(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  let hash = P5;
  if (bytes.length >= 32) {
    const lanes = [wrap(P1 + P2), P2, 0n, wrap(-P1)];
    for (; at + 32 <= bytes.length; at += 32) {
      for (let i = 0; i < 4; i++) lanes[i] = round(lanes[i], view.getBigUint64(at + 8 * i, true));
    }
    hash = wrap(rotate(lanes[0], 1n) + rotate(lanes[1], 7n) + rotate(lanes[2], 12n) + rotate(lanes[3], 18n));
    for (const lane of lanes) hash = wrap((hash ^ round(0n, lane)) * P1 + P4);
  }
  return finish(wrap(hash + BigInt(bytes.length)), view, at);
}

/**
 * @param {bigint} hash
 * @param {DataView} view
 * @param {number} at
 */
function finish(hash, view, at) {
  const stop = view.byteLength;
  for (; at + 8 <= stop; at += 8) hash = wrap(rotate(hash ^ round(0n, view.getBigUint64(at, true)), 27n) * P1 + P4);
  if (at + 4 <= stop) {
    hash = wrap(rotate(hash ^ wrap(BigInt(view.getUint32(at, true)) * P1), 23n) * P2 + P3);
    at += 4;
  }
  for (; at < stop; at++) hash = wrap(rotate(hash ^ wrap(BigInt(view.getUint8(at)) * P5), 11n) * P1);
  hash = wrap((hash ^ (hash >> 33n)) * P2);
  hash = wrap((hash ^ (hash >> 29n)) * P3);
  return hash ^ (hash >> 32n);
}
