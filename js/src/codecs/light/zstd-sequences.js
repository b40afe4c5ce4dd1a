import { BackwardBits } from "./bits.js";
import { buildFseTable, constantFseTable, readFseTable } from "./fse.js";

/** @import { FseTable } from "./fse.js" */
/** @import { Output, Tables } from "./zstd.js" */

// RFC 8878, 3.1.1.3.2.1: baselines follow from the extra bits of each code.
const LITERAL_BITS = [...Array(16).fill(0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const MATCH_BITS = [...Array(32).fill(0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const LITERAL_BASE = baselines(LITERAL_BITS, 0);
const MATCH_BASE = baselines(MATCH_BITS, 3);

// RFC 8878, 3.1.1.3.2.2: the predefined distributions.
const KINDS = [
  { maxLog: 9, log: 6, counts: [4, 3, ...Array(11).fill(2), 1, 1, 1, ...Array(9).fill(2), 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1] },
  { maxLog: 8, log: 5, counts: [1, 1, 1, 1, 1, 1, 2, 2, 2, ...Array(15).fill(1), -1, -1, -1, -1, -1] },
  { maxLog: 9, log: 6, counts: [1, 4, 3, 2, 2, 2, 2, 2, 2, ...Array(37).fill(1), ...Array(7).fill(-1)] },
];

/**
 * @param {number[]} bits
 * @param {number} first
 */
function baselines(bits, first) {
  let base = first;
  return bits.map((width) => (base += 2 ** width) - 2 ** width);
}

/**
 * Read the sequences section of a block, and carry it out.
 *
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {number} stop
 * @param {Uint8Array} literals
 * @param {Output} out
 * @param {Tables} tables
 */
export function readSequences(bytes, at, stop, literals, out, tables) {
  let count = bytes[at++];
  if (count >= 128) count = count < 255 ? ((count - 128) << 8) + bytes[at++] : bytes[at++] + (bytes[at++] << 8) + 0x7f00;
  if (count === 0) return out.append(literals);
  const modes = bytes[at++];
  KINDS.forEach((kind, i) => {
    ({ table: tables.sequences[i], at } = readTable(bytes, at, (modes >> (6 - 2 * i)) & 3, kind, tables.sequences[i]));
  });
  const used = runSequences(new BackwardBits(bytes, at, stop), count, literals, out, tables);
  out.append(literals.subarray(used));
}

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {number} mode
 * @param {{maxLog: number, log: number, counts: number[]}} kind
 * @param {FseTable | undefined} previous
 * @returns {{table: FseTable, at: number}}
 */
function readTable(bytes, at, mode, { maxLog, log, counts }, previous) {
  if (mode === 0) return { table: buildFseTable(counts, log), at };
  if (mode === 1) return { table: constantFseTable(bytes[at]), at: at + 1 };
  if (mode === 2) return readFseTable(bytes, at, maxLog);
  if (!previous) throw new Error("a block repeats an entropy table that was never sent");
  return { table: previous, at };
}

/**
 * @param {BackwardBits} bits
 * @param {number} count
 * @param {Uint8Array} literals
 * @param {Output} out
 * @param {Tables} tables
 */
function runSequences(bits, count, literals, out, { sequences, repeats }) {
  let used = 0;
  const [lengths, offsets, matches] = sequences;
  let [length, offset, match] = [lengths, offsets, matches].map((table) => bits.read(table.log));
  for (let i = 0; i < count; i++) {
    const offsetCode = offsets.symbol[offset];
    const matchCode = matches.symbol[match];
    const lengthCode = lengths.symbol[length];
    const offsetValue = 2 ** offsetCode + bits.read(offsetCode);
    const matchLength = MATCH_BASE[matchCode] + bits.read(MATCH_BITS[matchCode]);
    const literalLength = LITERAL_BASE[lengthCode] + bits.read(LITERAL_BITS[lengthCode]);
    out.append(literals.subarray(used, used + literalLength));
    used += literalLength;
    out.copy(distanceOf(offsetValue, literalLength, repeats), matchLength);
    if (i === count - 1) break;
    length = lengths.base[length] + bits.read(lengths.bits[length]);
    match = matches.base[match] + bits.read(matches.bits[match]);
    offset = offsets.base[offset] + bits.read(offsets.bits[offset]);
  }
  if (bits.left !== 0 || used > literals.length) throw new Error("a sequences section is corrupt");
  return used;
}

/**
 * Values 1 to 3 stand for recent distances (RFC 8878, 3.1.1.5).
 *
 * @param {number} value
 * @param {number} literalLength
 * @param {number[]} repeats
 */
function distanceOf(value, literalLength, repeats) {
  if (value > 3) {
    repeats.unshift(value - 3);
    repeats.pop();
    return repeats[0];
  }
  const index = value - 1 + (literalLength === 0 ? 1 : 0);
  const distance = index === 3 ? repeats[0] - 1 : repeats[index];
  if (distance < 1) throw new Error("a repeated distance is 0");
  if (index > 0) {
    repeats.splice(Math.min(index, 2), 1);
    repeats.unshift(distance);
  }
  return distance;
}
