import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";

import migrate from "@radiantearth/stac-migrate";
import StacFields from "@radiantearth/stac-fields";
import create from "stac-js";

import { FORMATS } from "../fields.config.js";
import { loadAction } from "./load_action.js";

const PreviewVirtualZarr = await loadAction();

const folder = process.env.IVZ_CATALOG;
const schemas = process.env.IVZ_SCHEMAS;
const skip = folder && schemas ? false : "IVZ_CATALOG and IVZ_SCHEMAS are not set; run tests/stac/test_browser.py";
const here = dirname(fileURLToPath(import.meta.url));
const BASE = "https://catalog.example.com/sst/";

function read(name) {
  const document = JSON.parse(readFileSync(join(folder, name), "utf8"));
  const stac = create(document);
  stac.setAbsoluteUrl(BASE + name);
  return stac;
}

const documents = skip ? [] : readdirSync(folder).filter((name) => name.endsWith(".json"));
// lists of source items stand beside what is published
const names = documents.filter((name) => JSON.parse(readFileSync(join(folder, name), "utf8")).type !== "FeatureCollection");

for (const name of names) {
  test(`${name}: the thumbnail is found and a browser can show it`, () => {
    const [thumbnail] = read(name).getThumbnails(true);
    assert.match(thumbnail.getAbsoluteUrl(), /^https:\/\/catalog\.example\.com\/sst\/.*\.png$/);
  });

  test(`${name}: the virtual asset is found by its role and resolved`, () => {
    const [asset] = read(name).getAssetsWithRoles(["virtual"]);
    assert.equal(asset.getKey(), "virtual");
    assert.equal(asset.getAbsoluteUrl(), `${BASE}sst.vzarr/`);
  });

  test(`${name}: our fields form a group of their own with labels and formats`, () => {
    const asset = read(name).getAsset("virtual");
    const groups = StacFields.formatAsset(asset.toJSON(), read(name).toJSON());
    const ours = groups.find((group) => group.extension === "vzarr");
    assert.match(ours.label, /Virtual Zarr/);
    const shown = Object.fromEntries(
      Object.entries(ours.properties).map(([field, one]) => [field, [one.label, one.formatted]]),
    );
    assert.deepEqual(shown["vzarr:manifest_format"], ["Manifest Format", FORMATS.vzarr]);
    assert.equal(shown["vzarr:source_count"][0], "Source Files");
    assert.match(shown["vzarr:sources"][1], /https:\/\/data\.example\.com\/sst\/2024\//);
    assert.match(shown["vzarr:sources"][1], /MB|kB|MiB|KiB/);
    assert.equal(Object.values(ours.properties).some((one) => one.label.includes("vzarr")), false);
  });

  test(`${name}: extent and bounding box are understood`, () => {
    const stac = read(name);
    assert.deepEqual(stac.getBoundingBox(), [-180, -90, 180, 90]);
  });

  test(`${name}: assets have short titles and links have titles`, () => {
    const stac = read(name);
    for (const asset of stac.getAssets()) {
      assert.ok(asset.title.length <= 30, asset.title);
    }
    for (const rel of ["store", "preview"]) {
      assert.ok(stac.getLinksWithRels([rel])[0].title.length > 3);
    }
  });

  test(`${name}: is of the latest version already, so that migration changes nothing`, () => {
    const document = JSON.parse(readFileSync(join(folder, name), "utf8"));
    const migrated = migrate.stac(structuredClone(document), false);
    assert.equal(migrated.stac_version, document.stac_version);
    assert.deepEqual(migrated.assets.virtual, document.assets.virtual);
  });
}

test("a static browse lists the items in order of time, under their titles", { skip }, () => {
  const links = read("collection.json").getItemLinks();
  assert.deepEqual(
    links.map((link) => link.getAbsoluteUrl()),
    ["january", "february", "march"].map((id) => `${BASE}${id}.json`),
  );
  const items = links.map((link) => read(link.getAbsoluteUrl().slice(BASE.length)));
  const times = items.map((item) => item.getTemporalExtent()[0].getTime());
  assert.deepEqual(times, [...times].sort((a, b) => a - b));
  assert.equal(new Set(times).size, 3);
  links.forEach((link, at) => assert.equal(link.title, items[at].properties.title));
});

test("items lead back to their collection and root", { skip }, () => {
  for (const name of names.filter((one) => one !== "collection.json")) {
    const item = read(name);
    assert.equal(item.isItem, true);
    assert.equal(item.getParentLink().getAbsoluteUrl(), `${BASE}collection.json`);
    assert.equal(item.getRootLink().getAbsoluteUrl(), `${BASE}collection.json`);
    assert.equal(item.collection, read("collection.json").id);
  }
});

test("the preview of an asset opens the store that was published", { skip }, () => {
  for (const name of names) {
    const asset = read(name).getAsset("virtual");
    const action = new PreviewVirtualZarr(asset, { isBrowserProtocol: true, href: asset.getAbsoluteUrl() });
    assert.equal(action.show, true);
    assert.equal(new URL(action.uri, BASE).searchParams.get("store"), `${BASE}sst.vzarr/`);
    for (const other of read(name).getAssets().filter((one) => one.getKey() !== "virtual")) {
      assert.equal(new PreviewVirtualZarr(other, { isBrowserProtocol: true, href: other.getAbsoluteUrl() }).show, false);
    }
  }
});

function validateWithNode(files) {
  const config = join(schemas, "config.json");
  const map = JSON.parse(readFileSync(join(schemas, "map.json"), "utf8"));
  const schemaMap = Object.entries(map).map(([uri, path]) => `${uri}=${path}`);
  writeFileSync(config, JSON.stringify({ files, schemaMap, verbose: true }));
  const cli = join(here, "..", "node_modules", "stac-node-validator", "bin", "cli.js");
  return execFileSync(process.execPath, [cli, "--config", config], { encoding: "utf8", stdio: "pipe" });
}

test("stac-node-validator accepts the catalog, offline", { skip }, () => {
  assert.equal(names.length, 4);
  validateWithNode(documents.map((name) => join(folder, name)));
});

test("stac-node-validator accepts the examples of the extension", { skip }, () => {
  const examples = join(here, "..", "..", "..", "stac_ext", "examples");
  validateWithNode(readdirSync(examples).map((name) => join(examples, name)));
});

test("stac-node-validator refuses a wrong manifest format", { skip }, () => {
  const document = JSON.parse(readFileSync(join(folder, names[0]), "utf8"));
  document.assets.virtual["vzarr:manifest_format"] = "zip";
  const wrong = join(schemas, "wrong.json");
  writeFileSync(wrong, JSON.stringify(document));
  assert.throws(() => validateWithNode([wrong]), ({ stdout, stderr }) => /vzarr:manifest_format/.test(stdout + stderr));
});
