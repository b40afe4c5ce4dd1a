import { isBig } from "../dtype.js";
import { DecodeError, UnsupportedError } from "../errors.js";

/**
 * Evenly spaced numbers (`vzarr.linear`): the chunk holds the first and the step, as float64 for floats, else as 64-bit integers.
 *
 * @type {import("./layouts.js").DecodeValues}
 */
export function linear(bytes, _configuration, { type, shape, what }) {
  const count = Math.max(0, ...shape);
  if (bytes.length !== 16 || shape.some((n) => n !== 1 && n !== count) || shape.reduce((a, b) => a * b, 1) !== count) {
    throw new DecodeError(`${what}: ${bytes.length} bytes for the shape ${shape.join("×")}, expected 16 for numbers along one axis`);
  }
  if (type.name === "bool") throw new UnsupportedError(`${what}: codec 'vzarr.linear' gives numbers, not bool`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  const float = type.name.startsWith("float");
  const read = (/** @type {number} */ at) => (float ? view.getFloat64(at, true) : view.getBigInt64(at, true));
  const [first, step] = [/** @type {any} */ (read(0)), /** @type {any} */ (read(8))];
  const values = new type.Values(count);
  for (let k = 0; k < values.length; k++) {
    const value = first + step * /** @type {any} */ (float ? k : BigInt(k));
    values[k] = float || isBig(type) ? value : Number(value);
  }
  return new Uint8Array(values.buffer);
}
