/** Colour scales as a few stops, interpolated. */
const STOPS = {
  viridis: ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"],
  thermal: ["#042333", "#2c3395", "#744992", "#b15f82", "#eb7958", "#fbb43d", "#e8fa5b"],
  diverging: ["#053061", "#2166ac", "#4393c3", "#92c5de", "#f7f7f7", "#f4a582", "#d6604d", "#b2182b", "#67001f"],
  greys: ["#0b0b0b", "#f5f5f5"],
};

export const SCALES = Object.keys(STOPS);

const tables = new Map();

/** 256 colours as r, g, b. @returns {Uint8Array} */
export function colorTable(name) {
  if (!tables.has(name)) tables.set(name, interpolate(STOPS[name].map(parse)));
  return tables.get(name);
}

function parse(color) {
  return [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
}

function interpolate(stops) {
  const table = new Uint8Array(256 * 3);
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (stops.length - 1);
    const left = Math.min(Math.floor(place), stops.length - 2);
    for (let c = 0; c < 3; c++) table[3 * i + c] = Math.round(stops[left][c] + (place - left) * (stops[left + 1][c] - stops[left][c]));
  }
  return table;
}

/** Bounds of a colour scale: the 2nd and 98th percentile, so that a few extremes do not flatten the rest. */
export function robustRange(values) {
  const step = Math.max(1, Math.floor(values.length / 50000));
  const sample = [];
  for (let i = 0; i < values.length; i += step) if (Number.isFinite(values[i])) sample.push(values[i]);
  if (sample.length === 0) return undefined;
  sample.sort((a, b) => a - b);
  const at = (share) => sample[Math.round(share * (sample.length - 1))];
  const [low, high] = [at(0.02), at(0.98)];
  return high > low ? [low, high] : [sample[0], sample.at(-1)];
}

/** Distinct colours for source files, in the order they turn up. */
export function fileColor(index) {
  // The golden angle keeps neighbours apart however many there are.
  return `hsl(${Math.round((210 + index * 137.508) % 360)} 62% ${[52, 40, 64][index % 3]}%)`;
}
