/** Bit streams of Zstandard: little-endian, read forwards or, where a 1 bit marks the end, backwards. */

export class ForwardBits {
  /**
   * @param {Uint8Array} bytes
   * @param {number} at first byte
   */
  constructor(bytes, at) {
    this.bytes = bytes;
    this.bit = at * 8;
  }

  /** @param {number} count up to 25 */
  read(count) {
    const value = window32(this.bytes, this.bit) & ((1 << count) - 1);
    this.bit += count;
    return value;
  }

  /** The first byte after what was read. */
  get byte() {
    return (this.bit + 7) >> 3;
  }
}

export class BackwardBits {
  /**
   * @param {Uint8Array} bytes
   * @param {number} start first byte
   * @param {number} stop byte after the last
   */
  constructor(bytes, start, stop) {
    if (stop <= start || bytes[stop - 1] === 0) throw new Error("a bit stream has no end mark");
    this.bytes = bytes.subarray(start, stop);
    /** Bits left; negative once the stream was read beyond its start, where zeros are. */
    this.left = (stop - start) * 8 - Math.clz32(bytes[stop - 1]) + 23;
  }

  /**
   * @param {number} count up to 31
   * @returns {number}
   */
  read(count) {
    if (count > 24) return this.read(count - 16) * 65536 + this.read(16);
    this.left -= count;
    return this.peekAt(this.left, count);
  }

  /**
   * The next bits, without moving.
   *
   * @param {number} count
   */
  peek(count) {
    return this.peekAt(this.left - count, count);
  }

  /**
   * @param {number} at
   * @param {number} count
   */
  peekAt(at, count) {
    if (at >= 0) return window32(this.bytes, at) & ((1 << count) - 1);
    return at + count > 0 ? (window32(this.bytes, 0) & ((1 << (at + count)) - 1)) << -at : 0;
  }
}

// Up to 25 bits from any position; bytes beyond the end count as 0.
/**
 * @param {Uint8Array} bytes
 * @param {number} bit
 */
function window32(bytes, bit) {
  const at = bit >> 3;
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> (bit & 7);
}
