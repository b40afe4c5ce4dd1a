import { FormatError } from "./errors.js";
import { sameJson } from "./same.js";

/** @import { Axis } from "./grid.js" */
/** @import { ConcatenatedArray } from "./concatenation.js" */
/** @import { AnyArray } from "./types.js" */

/**
 * Check the promise `"uniform": true` for one member: this array's codecs, data type and fill value, and whole chunks at
 * this array's grid positions. Stored bytes are served untouched on the strength of it.
 *
 * @param {ConcatenatedArray} array the concatenation
 * @param {number} index of the member
 * @param {AnyArray} member
 * @param {string} what the member, for errors
 */
export function checkUniform(array, index, member, what) {
  const broken = (/** @type {string} */ found, /** @type {string} */ expected) =>
    new FormatError(`${what}: ${array.name} promises uniform members, but this one has ${found}, expected ${expected}; write the store again`);
  for (const key of /** @type {const} */ (["codecs", "data_type", "fill_value"])) {
    if (!sameJson(member.metadata[key], array.metadata[key])) {
      throw broken(`${key} ${JSON.stringify(member.metadata[key])}`, JSON.stringify(array.metadata[key]));
    }
  }
  if (member.config?.codec_alternatives?.length) throw broken("codec_alternatives", "none");
  array.axes.forEach((axis, i) => {
    const start = i === array.axis ? array.members.start(index) : 0;
    const fault = misplaced(axis, ("grid" in member ? member.grid : member.axes)[i], start);
    if (fault) throw broken(`${fault} on axis ${i}`, "whole chunks at the array's grid positions");
  });
}

/**
 * @param {Axis} axis
 * @param {Axis} memberAxis
 * @param {number} start
 */
function misplaced(axis, memberAxis, start) {
  if (memberAxis.count === 0) return undefined;
  const first = axis.find(start);
  if (axis.start(first) !== start) return `a start at ${start} within chunk ${first}`;
  if (axis.edge && memberAxis.edge) {
    const last = start + memberAxis.extent === axis.extent;
    if (memberAxis.edge !== axis.edge || memberAxis.storedEdges !== axis.storedEdges) return `chunk edge ${memberAxis.edge}`;
    return memberAxis.extent % axis.edge && !last ? `extent ${memberAxis.extent}` : undefined;
  }
  for (let chunk = 0; chunk < memberAxis.count; chunk++) {
    const [here, there] = [axis.visible(first + chunk), memberAxis.visible(chunk)];
    if (here !== there || axis.stored(first + chunk) !== memberAxis.stored(chunk)) return `chunk edge ${there} for ${here}`;
  }
  return undefined;
}
