/**
 * Strides of a C-ordered array [elements].
 *
 * @param {number[]} shape
 * @returns {number[]}
 */
export function stridesOf(shape) {
  const strides = Array(shape.length);
  for (let axis = shape.length - 1, step = 1; axis >= 0; step *= shape[axis--]) strides[axis] = step;
  return strides;
}

/**
 * Number of elements.
 *
 * @param {number[]} shape
 */
export function sizeOf(shape) {
  return shape.reduce((a, b) => a * b, 1);
}
