import assert from "node:assert/strict";
import test from "node:test";

import { canPreview, previewUri } from "../actions/virtual-asset.js";
import { loadAction } from "./load_action.js";

const PreviewVirtualZarr = await loadAction();

test("the manifest format decides whether an asset can be previewed", () => {
  assert.equal(canPreview({ "vzarr:manifest_format": "vzarr" }), true);
  assert.equal(canPreview({ "vzarr:manifest_format": "icechunk", roles: ["virtual"], type: "application/vnd+zarr" }), false);
});

test("without a manifest format, roles and media type decide", () => {
  assert.equal(canPreview({ roles: ["data", "virtual"], type: "application/vnd+zarr; version=3" }), true);
  assert.equal(canPreview({ roles: ["virtual"], type: "application/vnd.zarr+icechunk" }), false);
  assert.equal(canPreview({ roles: ["virtual"] }), false);
  assert.equal(canPreview({ type: "application/vnd+zarr" }), false);
  assert.equal(canPreview({}), false);
});

test("the store is passed to the preview page encoded", () => {
  assert.equal(previewUri("p.html", "https://h/a b.vzarr/?x=1"), "p.html?store=https%3A%2F%2Fh%2Fa+b.vzarr%2F%3Fx%3D1");
  assert.equal(previewUri("p.html?a=1", "s"), "p.html?a=1&store=s");
});

test("the action is shown for what a browser can reach, and leads to the preview", () => {
  const asset = { "vzarr:manifest_format": "vzarr" };
  const action = new PreviewVirtualZarr(asset, { isBrowserProtocol: true, href: "https://h/sst.vzarr/" });
  assert.equal(action.show, true);
  assert.equal(action.text, "Preview virtual data");
  assert.equal(action.uri, "preview/preview.html?store=https%3A%2F%2Fh%2Fsst.vzarr%2F");
  assert.equal(new PreviewVirtualZarr(asset, { isBrowserProtocol: false }).show, false);
});
