import { timeDecoder } from "./calendar.js";

/**
 * CF's packing: from stored values to numbers, NaN where there is no value.
 *
 * @param {Record<string, any>} attributes
 * @param {string} dtype stored
 * @returns {(value: number | bigint | boolean) => number}
 */
export function valueDecoder(attributes, dtype) {
  const resign = signChange(attributes, dtype);
  const float32 = dtype === "float32";
  const missing = new Set([attributes._FillValue, attributes.missing_value].flat().flatMap((stated) => missingValues(stated, float32, resign)));
  const [low, high] = validRange(attributes);
  const scale = Number(attributes.scale_factor ?? 1);
  const offset = Number(attributes.add_offset ?? 0);
  return (stored) => {
    const value = resign(stored);
    if (missing.has(value)) return NaN;
    const number = Number(value);
    return number < low || number > high ? NaN : number * scale + offset;
  };
}

// 64-bit integers are compared as such: two of them may be the same number.
function signChange({ _Unsigned: unsigned }, dtype) {
  const [, prefix, bits] = /^(u?)int(\d+)$/.exec(dtype) ?? [];
  if (!bits || unsigned === undefined) return (value) => value;
  const toUnsigned = String(unsigned).toLowerCase() === "true";
  if (toUnsigned === (prefix === "u")) return (value) => value;
  const change = toUnsigned ? BigInt.asUintN : BigInt.asIntN;
  return (value) => (typeof value === "bigint" ? change(64, value) : Number(change(Number(bits), BigInt(value))));
}

function missingValues(stated, float32, resign) {
  if (stated === undefined || stated === null) return [];
  const number = typeof stated === "string" ? parseFill(stated) : stated;
  if (number === undefined) return [];
  const as = float32 ? Math.fround(Number(number)) : number;
  if (typeof as === "bigint" || !Number.isInteger(as)) return [as].map(resign);
  return [resign(as), resign(BigInt(as))];
}

/** Attributes hold "NaN", decimal digits, or (as xarray writes floats to Zarr) base64 of a little-endian float64. */
function parseFill(text) {
  if (/^-?\d+$/.test(text)) return BigInt(text);
  if (/^(NaN|-?Infinity|[-+\d.]+(e[-+]?\d+)?)$/i.test(text)) return Number(text.replace(/^nan$/i, "NaN"));
  try {
    const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    return bytes.length === 8 ? new DataView(bytes.buffer).getFloat64(0, true) : undefined;
  } catch {
    return undefined;
  }
}

function validRange({ valid_range: range, valid_min: min, valid_max: max }) {
  const [low, high] = Array.isArray(range) ? range : [min, max];
  return [Number(low ?? -Infinity), Number(high ?? Infinity)];
}

/**
 * Labels for the values of a coordinate: dates for times, else numbers with units.
 *
 * @returns {{label: (value: number) => string, isTime: boolean}}
 */
export function labeller(attributes, format) {
  const date = timeDecoder(attributes.units, attributes.calendar);
  if (date) return { label: date, isTime: true };
  const units = shortUnits(attributes.units);
  const opposite = { "°N": "°S", "°E": "°W" }[units];
  const label = (value) => (opposite && value < 0 ? format(-value) + opposite : format(value) + units);
  return { label: (value) => (Number.isNaN(value) ? "no value" : label(value)), isTime: false };
}

/** Degrees as people write them; other units after a space. */
export function shortUnits(units) {
  if (typeof units !== "string" || units === "" || units === "1") return "";
  const degrees = /^degrees?_?(north|east|n|e)$/i.exec(units);
  if (degrees) return `°${degrees[1][0].toUpperCase()}`;
  if (/^(degrees?_?(c|celsius)|celsius|degc)$/i.test(units)) return " °C";
  return ` ${units}`;
}

/** Dates without the time of day, if it is midnight for all. */
export function trimDates(labels) {
  return timesOfDay(labels).size === 1 && labels[0].endsWith("T00:00") ? labels.map(dateOnly) : labels;
}

/** Dates as axes have room for them: without the time of day, if it is the same for all. */
export function shortDates(labels) {
  return timesOfDay(labels).size === 1 ? labels.map(dateOnly) : labels;
}

function timesOfDay(labels) {
  return new Set(labels.map((label) => label.split("T")[1]));
}

function dateOnly(label) {
  return label.split("T")[0];
}
