/** CF calendars: from "days since 2000-01-01" and a number to a date. */

const SECONDS = {
  week: 604800, day: 86400, d: 86400, hour: 3600, hr: 3600, h: 3600, minute: 60, min: 60, second: 1, sec: 1, s: 1,
  millisecond: 1e-3, msec: 1e-3, ms: 1e-3, microsecond: 1e-6, us: 1e-6, nanosecond: 1e-9, ns: 1e-9,
};
const REFERENCE = /^\s*(\w+)\s+since\s+([+-]?\d+)-(\d+)-(\d+)(?:[T\s]+(\d+)(?::(\d+))?(?::(\d+(?:\.\d*)?))?)?\s*(.*)$/i;
const NORMAL = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const LEAP = NORMAL.with?.(1, 29) ?? NORMAL.map((days, month) => (month === 1 ? 29 : days));
const GREGORIAN_START = 2299161; // Julian day number of 1582-10-15

/**
 * @param {string} units
 * @param {string} [calendar]
 * @returns {((value: number) => string) | undefined} a function to ISO dates; undefined if the units are no time
 */
export function timeDecoder(units, calendar = "standard") {
  const match = REFERENCE.exec(units ?? "");
  const seconds = match && SECONDS[match[1].toLowerCase().replace(/(?<=..)s$/, "")];
  const days = CALENDARS[calendar.toLowerCase()];
  if (!seconds || !days) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(2, 8).map((part) => Number(part ?? 0));
  const start = days.number(year, month, day);
  const offset = hour * 3600 + minute * 60 + second - zoneSeconds(match[8]);
  return (value) => {
    if (!Number.isFinite(value)) return "no date";
    // Whole milliseconds: a float number of days would otherwise end in 59.999.
    const milliseconds = Math.round((value * seconds + offset) * 1000);
    const date = days.date(start + Math.floor(milliseconds / 86400000));
    return isoDate(date, milliseconds - Math.floor(milliseconds / 86400000) * 86400000);
  };
}

function zoneSeconds(zone) {
  const match = /^([+-])(\d{1,2}):?(\d{2})?$/.exec(zone);
  return match ? (match[1] === "-" ? -1 : 1) * (Number(match[2]) * 3600 + Number(match[3] ?? 0) * 60) : 0;
}

function isoDate([year, month, day], milliseconds) {
  const two = (part) => String(part).padStart(2, "0");
  const date = `${year < 0 ? "-" : ""}${String(Math.abs(year)).padStart(4, "0")}-${two(month)}-${two(day)}`;
  const [hour, minute] = [Math.floor(milliseconds / 3600000), Math.floor(milliseconds / 60000) % 60];
  const second = (milliseconds % 60000) / 1000;
  const rest = second ? `:${two(Math.floor(second))}${second % 1 ? (second % 1).toFixed(3).slice(1) : ""}` : "";
  return `${date}T${two(hour)}:${two(minute)}${rest}`;
}

/** Calendars whose years all have the same months. */
function fixedYears(months) {
  const length = months.reduce((sum, days) => sum + days, 0);
  return {
    number: (year, month, day) => year * length + months.slice(0, month - 1).reduce((sum, days) => sum + days, 0) + day - 1,
    date(number) {
      const year = Math.floor(number / length);
      let day = number - year * length;
      let month = 0;
      while (day >= months[month]) day -= months[month++];
      return [year, month + 1, day + 1];
    },
  };
}

// Day numbers of the Julian and the Gregorian calendar (Richards, in the Explanatory Supplement to the Astronomical Almanac).
function dayNumber(year, month, day, gregorian) {
  const [a, b] = month > 2 ? [year + 4800, month - 3] : [year + 4799, month + 9];
  const centuries = gregorian ? Math.floor(a / 4) - Math.floor(a / 100) + Math.floor(a / 400) - 32045 : Math.floor(a / 4) - 32083;
  return day + Math.floor((153 * b + 2) / 5) + 365 * a + centuries;
}

function dateOf(number, gregorian) {
  const a = number + 32044;
  const b = gregorian ? Math.floor((4 * a + 3) / 146097) : 0;
  const c = gregorian ? a - Math.floor((146097 * b) / 4) : number + 32082;
  const d = Math.floor((4 * c + 3) / 1461);
  const e = c - Math.floor((1461 * d) / 4);
  const m = Math.floor((5 * e + 2) / 153);
  return [100 * b + d - 4800 + Math.floor(m / 10), m + 3 - 12 * Math.floor(m / 10), e - Math.floor((153 * m + 2) / 5) + 1];
}

const proleptic = { number: (y, m, d) => dayNumber(y, m, d, true), date: (n) => dateOf(n, true) };
const julian = { number: (y, m, d) => dayNumber(y, m, d, false), date: (n) => dateOf(n, false) };
const standard = {
  number(year, month, day) {
    const number = dayNumber(year, month, day, true);
    return number >= GREGORIAN_START ? number : dayNumber(year, month, day, false);
  },
  date: (number) => dateOf(number, number >= GREGORIAN_START),
};
const noleap = fixedYears(NORMAL);
const allLeap = fixedYears(LEAP);

const CALENDARS = {
  standard, gregorian: standard, proleptic_gregorian: proleptic, julian,
  noleap, "365_day": noleap, all_leap: allLeap, "366_day": allLeap, "360_day": fixedYears(Array(12).fill(30)),
};
