/** Values as expected.json holds them. */
export function asJson(value) {
  if (typeof value === "bigint") return String(value);
  if (typeof value === "boolean") return Number(value);
  return Number.isFinite(value) ? value : String(value);
}

/** C order, whatever the strides. */
export function inOrder({ data, shape, stride }) {
  const list = [];
  const walk = (axis, at) => {
    if (axis === shape.length) list.push(asJson(data.get ? data.get(at) : data[at]));
    else for (let i = 0; i < shape[axis]; i++) walk(axis + 1, at + i * stride[axis]);
  };
  walk(0, 0);
  return list;
}
