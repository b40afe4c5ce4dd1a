/** Numbers, sizes and counts as people read them. */

export function number(value) {
  if (value === null || Number.isNaN(value)) return "no value";
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e6 || size < 1e-3)) return Number.isInteger(value) && size < 1e9 ? String(value) : value.toExponential(3);
  return String(Number(value.toPrecision(6)));
}

export function bytes(count) {
  if (count === undefined) return "";
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) {
    count /= 1000;
    unit++;
  }
  return `${unit === 0 ? count : count.toPrecision(3)} ${units[unit]}`;
}

export function plural(count, word) {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}

/** Round positions for axis labels: at most `most` of `count` indices, evenly spread. */
export function tickIndices(count, most) {
  if (count <= most) return Array.from({ length: count }, (_, i) => i);
  const step = niceStep((count - 1) / Math.max(1, most - 1));
  const ticks = Array.from({ length: Math.floor((count - 1) / step) + 1 }, (_, i) => i * step);
  return ticks.length > 1 ? ticks : [0, count - 1];
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return Math.max(1, [1, 2, 3, 4, 5, 6, 8, 10].find((factor) => factor * power >= rough) * power);
}

/** Round values between two bounds. */
export function tickValues(low, high, most) {
  if (!(high > low)) return [low];
  const power = 10 ** Math.floor(Math.log10((high - low) / most));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => (high - low) / size <= most);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) ticks.push(i * step + 0);
  return ticks;
}
