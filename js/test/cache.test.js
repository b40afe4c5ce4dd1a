import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LoadCache } from "../src/cache.js";

/** A loader that counts, and that the test finishes. */
function loads() {
  const started = [];
  const load = (value) => (signal) => new Promise((resolve, reject) => started.push({ signal, finish: () => resolve(value), fail: reject }));
  return { started, load };
}

const filled = (cache, key, value) => cache.load(key, undefined, async () => value);

describe("the cache of loads", () => {
  test("never keeps more than its limit, and forgets what was used longest ago", async () => {
    const cache = new LoadCache(10, (value) => value.length);
    for (const key of ["a", "b", "c"]) await filled(cache, key, "xxxx");
    assert.ok(cache.size <= 10);
    let again = 0;
    const reload = async () => {
      again++;
      return "xxxx";
    };
    await cache.load("c", undefined, reload);
    await cache.load("b", undefined, reload);
    assert.equal(again, 0, "the last two are kept");
    await cache.load("a", undefined, reload);
    assert.equal(again, 1, "the first is not");
    await cache.load("c", undefined, reload);
    assert.equal(again, 2, "and took the place of the one used longest ago");
    await filled(cache, "large", "x".repeat(50));
    assert.ok(cache.size <= 10, "what is larger than the limit is handed out and not kept");
  });

  test("several readers share one load", async () => {
    const cache = new LoadCache(10);
    const { started, load } = loads();
    const readers = [1, 2, 3].map(() => cache.load("a", undefined, load("value")));
    assert.equal(started.length, 1);
    started[0].finish();
    assert.deepEqual(await Promise.all(readers), ["value", "value", "value"]);
  });

  test("a failure is told to all readers and not kept", async () => {
    const cache = new LoadCache(10);
    const { started, load } = loads();
    const readers = [1, 2].map(() => cache.load("a", undefined, load("value")));
    started[0].fail(new Error("lost"));
    for (const reader of readers) await assert.rejects(reader, /lost/);
    assert.equal(await filled(cache, "a", "found"), "found");
  });

  test("a load is aborted when its last reader is, and not before", async () => {
    const cache = new LoadCache(10);
    const { started, load } = loads();
    const controllers = [new AbortController(), new AbortController()];
    const readers = controllers.map(({ signal }) => cache.load("a", signal, load("value")));
    controllers[0].abort();
    await assert.rejects(readers[0], { name: "AbortError" });
    assert.equal(started[0].signal.aborted, false);
    controllers[1].abort();
    await assert.rejects(readers[1], { name: "AbortError" });
    assert.equal(started[0].signal.aborted, true);
    assert.equal(await filled(cache, "a", "anew"), "anew", "an aborted load is not what later readers wait for");
  });

  test("an aborted signal starts nothing", () => {
    const { started, load } = loads();
    assert.throws(() => new LoadCache(10).load("a", AbortSignal.abort(), load("value")), { name: "AbortError" });
    assert.equal(started.length, 0);
  });
});
