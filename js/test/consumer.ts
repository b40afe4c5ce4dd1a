// A program of a user who has TypeScript: types.test.js checks it, nobody runs it.
import * as zarr from "zarrita";
import { openVirtual, SourceError, VirtualZarrError, type VirtualStore } from "@intake-virtualzarr/reader";
import { describe, locate } from "@intake-virtualzarr/reader/inspect";
import "@intake-virtualzarr/reader/light-codecs";

const store: VirtualStore = await openVirtual("https://example.org/sst.vzarr", {
  onRequest: ({ url, bytes }) => console.log(url.length + bytes),
  chunkCacheBytes: 1 << 20,
});
const array = await zarr.open(zarr.root(store).resolve("sst"), { kind: "array" });
const { shape } = await zarr.get(array, [0, null, zarr.slice(10, 20)]);
const requests: number = store.stats.requests;
const { mode, chunkShape } = await describe(store, "sst");
for (const { kind, offset } of await locate(store, "sst", [0, 0], [1, 1])) console.log(kind, offset?.toFixed());
console.log(shape.length, requests, mode === "decoded", chunkShape[0], new SourceError("") instanceof VirtualZarrError);

// @ts-expect-error an option that is misspelt
await openVirtual("https://example.org/sst.vzarr", { chunkCacheByte: 1 });
// @ts-expect-error not a place
await openVirtual(1);
// @ts-expect-error a mode that is none
console.log(mode === "plain");
