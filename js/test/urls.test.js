import assert from "node:assert/strict";
import test from "node:test";

import { resolveUrl } from "../src/urls.js";

const STORE = "https://host/store.vzarr/temp/zarr.json";

for (const named of ["file:///etc/passwd", "FILE:///etc/passwd", "data:,x", "blob:https://host/x", "s3://bucket/a.nc"]) {
  test(`a document of a web server may not name ${named}`, () => {
    assert.throws(() => resolveUrl(named, STORE), /names '.*', which what came over a network may not/);
  });
}

test("a document of a web server names relative URLs, and other web servers", () => {
  assert.equal(resolveUrl("../../a.nc", STORE), "https://host/a.nc");
  assert.equal(resolveUrl("https://other/a.nc", STORE), "https://other/a.nc");
});

test("a local document names local files", () => {
  assert.equal(resolveUrl("file:///data/a.nc", "file:///store.vzarr/zarr.json"), "file:///data/a.nc");
});
