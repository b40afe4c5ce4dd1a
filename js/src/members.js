import { FormatError } from "./errors.js";
import { onlyKeys } from "./metadata.js";

const MEMBER_KEYS = ["array", "length", "select", "axes", "decode", "check"];
const DECODE_KEYS = ["dtype", "unsigned", "mask", "scale_factor", "add_offset"];

/**
 * Check one member of a virtual concatenation as far as its own entry tells.
 *
 * @param {any} member
 * @param {string} what the member, for errors
 */
export function checkMember(member, what) {
  onlyKeys(member, MEMBER_KEYS, what);
  if (member.decode) onlyKeys(member.decode, DECODE_KEYS, `${what}: decode`);
  if (!Number.isInteger(member.length) || member.length < 0) throw new FormatError(`${what}: length ${member.length}, expected an integer`);
  if (member.array === undefined && Object.keys(member).length > 1) {
    throw new FormatError(`${what}: has no 'array', so only 'length' may stand beside it`);
  }
}
