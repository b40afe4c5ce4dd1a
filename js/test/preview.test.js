import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { timeDecoder } from "../preview/calendar.js";
import { labeller, valueDecoder } from "../preview/cf.js";
import { bytes, number, tickIndices, tickValues } from "../preview/format.js";

describe("CF times", () => {
  const cases = [
    ["days since 2000-01-01", undefined, 59, "2000-02-29T00:00"],
    ["days since 2001-01-01", "noleap", 59, "2001-03-01T00:00"],
    ["days since 2000-01-01", "noleap", 59, "2000-03-01T00:00"],
    ["days since 2001-01-01", "all_leap", 59, "2001-02-29T00:00"],
    ["days since 2000-01-01", "360_day", 59, "2000-02-30T00:00"],
    ["days since 2000-01-01", "360_day", -1, "1999-12-30T00:00"],
    ["hours since 1900-01-01 00:00:00.0", "gregorian", 1102632.5, "2025-10-15T00:30"],
    ["seconds since 1970-01-01T00:00:00Z", "proleptic_gregorian", 1e9, "2001-09-09T01:46:40"],
    ["seconds since 1981-01-01 00:00:00", "standard", 0.25, "1981-01-01T00:00:00.250"],
    ["days since 1582-10-04", "standard", 1, "1582-10-15T00:00"],
    ["days since 1582-10-04", "julian", 1, "1582-10-05T00:00"],
    ["days since 1582-10-04", "proleptic_gregorian", 1, "1582-10-05T00:00"],
    ["days since 0001-01-01", "standard", 0, "0001-01-01T00:00"],
    ["minutes since 2000-01-01 12:00 +02:00", "standard", 1, "2000-01-01T10:01"],
    ["days since 1950-01-01", "standard", 27759.499999999996, "2026-01-01T12:00"],
  ];
  for (const [units, calendar, value, date] of cases) {
    test(`${value} ${units} (${calendar}) is ${date}`, () => assert.equal(timeDecoder(units, calendar)(value), date));
  }

  test("months, years and unknown calendars stay numbers", () => {
    for (const [units, calendar] of [["months since 2000-01-01"], ["K"], [undefined], ["days since 2000-01-01", "lunar"]]) assert.equal(timeDecoder(units, calendar), undefined);
  });
});

describe("CF packing", () => {
  test("scale, offset and fill", () => {
    const decode = valueDecoder({ scale_factor: 0.5, add_offset: 10, _FillValue: -1, missing_value: [-2, -3] }, "int16");
    assert.deepEqual([4, -1, -2, -3].map(decode), [12, NaN, NaN, NaN]);
  });

  test("valid range is in stored values", () => {
    assert.deepEqual([-1, 0, 100, 101].map(valueDecoder({ valid_range: [0, 100], scale_factor: 2 }, "int16")), [NaN, 0, 200, NaN]);
    assert.deepEqual([-1, 5].map(valueDecoder({ valid_min: 0 }, "int16")), [NaN, 5]);
  });

  test("_Unsigned, 64-bit integers and float fills", () => {
    assert.deepEqual([-1, -2, 3].map(valueDecoder({ _Unsigned: "true", _FillValue: -1 }, "int8")), [NaN, 254, 3]);
    assert.deepEqual([9223372036854775806n, 9223372036854775807n].map(valueDecoder({ _FillValue: "9223372036854775806" }, "int64")).map(Number.isNaN), [true, false]);
    assert.deepEqual([Math.fround(1e20), Math.fround(0.1)].map(valueDecoder({ _FillValue: 0.1, missing_value: 1e20 }, "float32")), [NaN, NaN]);
    assert.deepEqual([-9999, 1].map(valueDecoder({ _FillValue: "AAAAAICHw8A=" }, "float64")), [NaN, 1]);
  });

  test("labels carry units, and south and west", () => {
    assert.equal(labeller({ units: "degrees_north" }, number).label(-2.5), "2.5°S");
    assert.equal(labeller({ units: "degrees_east" }, number).label(182.5), "182.5°E");
    assert.equal(labeller({ units: "m" }, number).label(10), "10 m");
  });
});

test("numbers, sizes and ticks are short and round", () => {
  assert.deepEqual([0.1 + 0.2, 1e-9, NaN, 123456789, -0.5].map(number), ["0.3", "1.000e-9", "no value", "123456789", "-0.5"]);
  assert.deepEqual([12, 12345, 1e9].map(bytes), ["12 bytes", "12.3 kB", "1.00 GB"]);
  assert.deepEqual(tickIndices(90, 4), [0, 30, 60]);
  assert.deepEqual(tickIndices(90, 2), [0, 89]);
  assert.deepEqual(tickValues(-1, 28, 5), [0, 10, 20]);
});
